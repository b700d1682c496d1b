"""The health check of the container: ends badly when the worker does not answer."""

import urllib.request

with urllib.request.urlopen("http://localhost:8080/health", timeout=5):
    pass
