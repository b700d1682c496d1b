"""The page in place of the team's application: needs its database, answers on /api/health."""

import json
import os
import signal
import socket
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

HEALTH_PATH = "/api/health"


def answer(path: str, commit: str) -> tuple[int, dict[str, str]]:
    """Status and body for a path."""
    if path == HEALTH_PATH:
        return 200, {"status": "ok", "commit": commit}
    return 404, {"error": "there is no such page"}


class Page(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, told = answer(self.path, os.environ.get("COMMIT", ""))
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def reach_database() -> None:
    """Without its database the application has nothing to say, so it ends."""
    url = urlsplit(os.environ["DATABASE_URL"])
    socket.create_connection((url.hostname, url.port or 5432), timeout=3).close()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    port = int(os.environ["PORT"])
    reach_database()
    print(f"listening on port {port}", flush=True)
    ThreadingHTTPServer(("", port), Page).serve_forever()
