"""A small web service: says on /health which version of which commit it is."""

import json
import os
import signal
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import FrameType

VERSION = Path(__file__).with_name("VERSION").read_text().strip()
COMMIT = os.environ.get("COMMIT", "unknown")
PORT = int(os.environ.get("PORT", "8080"))


class Health(BaseHTTPRequestHandler):
    """Answers every GET the same."""

    def do_GET(self) -> None:
        body = json.dumps({"status": "ok", "version": VERSION, "commit": COMMIT}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def stop(_signal: int, _frame: FrameType | None) -> None:
    """End at once when ECS says so: process 1 has no default handler for it."""
    sys.exit(0)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, stop)
    print(f"version {VERSION} listens on port {PORT}", flush=True)
    ThreadingHTTPServer(("", PORT), Health).serve_forever()
