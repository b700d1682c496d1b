"""What the systems have around them: a database, a broker, a chat, GitHub's OIDC provider."""

import base64
import contextlib
import json
import socketserver
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

from dev.commands import run

_CLAIMS: Final = {
    "iss": "https://token.actions.githubusercontent.com",
    "sub": "repo:acme/shop:ref:refs/heads/main",
    "repository": "acme/shop",
}
_BEARER: Final = "bearer-of-the-job"


@dataclass(frozen=True)
class Neighbours:
    """Where they are, seen from a container."""

    store: str
    """Host and port of what takes connections like a database and a Redis."""
    identity: str
    """Base URL of the OIDC provider, for processes on this machine."""
    chat: str
    """Notification URL of the chat, as Apprise spells it."""
    heard: list[str]
    """The messages that came into the chat."""

    def environment(self) -> dict[str, str]:
        """What the runner gives to a job with `id-token: write`."""
        return {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{self.identity}/?api-version=2.0",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": _BEARER,
        }


@contextlib.contextmanager
def running() -> Iterator[Neighbours]:
    """Have them for the length of a block."""
    store = _Store((_bridge(), 0), _Talk)
    identity = ThreadingHTTPServer(("127.0.0.1", 0), _Identity)
    chat = _Chat()
    with _serving(store), _serving(identity), _serving(chat):
        host, port = store.server_address[:2]
        yield Neighbours(
            store=f"{host!s}:{port}",
            identity=f"http://127.0.0.1:{identity.server_port}",
            chat=f"json://127.0.0.1:{chat.server_port}/",
            heard=chat.heard,
        )


def _bridge() -> str:
    """The address of this machine in the network of its containers."""
    template = "{{(index .IPAM.Config 0).Gateway}}"
    return run("docker", "network", "inspect", "bridge", "--format", template).strip()


@contextlib.contextmanager
def _serving(server: socketserver.BaseServer) -> Iterator[None]:
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


class _Store(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class _Talk(socketserver.StreamRequestHandler):
    """Answers PING, keeps the connection, and has no messages."""

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            for line in self.rfile:
                if line.strip().upper() == b"PING":
                    self.wfile.write(b"+PONG\r\n")


class _Identity(BaseHTTPRequestHandler):
    """Gives a token to whoever has the bearer of the job."""

    def do_GET(self) -> None:
        is_known = self.headers["Authorization"] == f"bearer {_BEARER}"
        body = json.dumps({"value": _token()} if is_known else {}).encode()
        self.send_response(200 if is_known else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """The log belongs to the systems."""


class _Chat(ThreadingHTTPServer):
    """Stands in for Slack: takes the same message in another envelope."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Message)
        self.heard: list[str] = []


class _Message(BaseHTTPRequestHandler):
    server: _Chat

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.heard.append(body.decode())
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """The log belongs to the systems."""


def _token() -> str:
    claims = {**_CLAIMS, "aud": "sts.amazonaws.com", "exp": int(time.time()) + 600}
    parts: tuple[dict[str, Any], ...] = ({"alg": "RS256", "typ": "JWT"}, claims)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()) for part in parts]
    return ".".join([*(part.decode().rstrip("=") for part in encoded), "signature"])
