"""The worker in place of the team's: waits for messages of its broker, answers on port 8080."""

import os
import signal
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


class Health(BaseHTTPRequestHandler):
    """For the health check of the container; nobody else reaches this port."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Keep the log to what the worker does."""


def address(url: str) -> tuple[str, int]:
    """Host and port of a broker."""
    parts = urlsplit(url)
    return parts.hostname or "localhost", parts.port or 6379


def work(url: str) -> None:
    """Take messages until the broker closes the connection."""
    with socket.create_connection(address(url), timeout=3) as broker:
        broker.sendall(b"PING\r\n")
        if not broker.recv(64).startswith(b"+PONG"):
            sys.exit("this is not our broker")
        broker.settimeout(None)
        print(f"waiting for submissions, commit {os.environ.get('COMMIT', '')}", flush=True)
        while message := broker.recv(4096):
            print(f"graded {len(message)} bytes", flush=True)
    sys.exit("the broker closed the connection")


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    health = ThreadingHTTPServer(("", 8080), Health)
    threading.Thread(target=health.serve_forever, daemon=True).start()
    work(os.environ["BROKER_URL"])
