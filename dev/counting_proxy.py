"""A proxy in front of an emulated AWS: counts the calls to it, and slows its registry down.

Counted on the wire, because every tool must be counted by the same rule and none of them
says itself how often it asked. Slowed down, because on an emulator every rollout takes the
same time, and a tool that looks every few seconds would be lucky or unlucky every time.
"""

import contextlib
import http.client
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final, cast

_ANSWER_LIMIT: Final = 60.0
_REGISTRY: Final = "/v2/"
# They speak about one connection, and the proxy has two.
_OF_ONE_CONNECTION: Final = frozenset({"connection", "keep-alive", "transfer-encoding", "host"})


@dataclass
class Proxy:
    """Where clients are to go, and what they asked for so far."""

    host: str
    """Of the API and of the registry. The engine may pull by this name, but not push."""
    calls: Counter[str] = field(default_factory=Counter)
    next_pull_takes: float = 0.0
    """Seconds that the registry lets its next client wait, once.

    Its first answer: of an image that it had before, the engine asks for nothing more.
    """
    silent: str = ""
    """Operation that gets no answer, and has no effect."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def endpoint(self) -> str:
        return f"http://{self.host}"

    def pass_through(self, operation: str) -> None:
        """Count a call, or hold back the answer of the registry."""
        delay = 0.0
        with self.lock:
            if not operation.startswith(_REGISTRY):
                self.calls[operation] += 1
            else:
                delay, self.next_pull_takes = self.next_pull_takes, 0.0
        time.sleep(delay)


@contextlib.contextmanager
def counting(host: str, port: int) -> Iterator[Proxy]:
    """Have a proxy in front of plain HTTP on this address for the length of a block."""
    with _Server(host, port) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield server.proxy
        finally:
            server.shutdown()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, host: str, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.behind = (host, port)
        self.proxy = Proxy(f"127.0.0.1:{self.server_port}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # Head and body go out in two writes; waiting to join them would cost 40 ms a call.
    disable_nagle_algorithm = True

    def _pass_on(self) -> None:
        server = cast("_Server", self.server)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        operation = _operation(self.headers.get("X-Amz-Target"), self.path, body)
        server.proxy.pass_through(operation)
        if operation == server.proxy.silent:
            time.sleep(_ANSWER_LIMIT)
            self.close_connection = True
            return
        headers = {k: v for k, v in self.headers.items() if k.lower() not in _OF_ONE_CONNECTION}
        # A fresh connection each time: a kept one may have been closed from the other side.
        behind = http.client.HTTPConnection(*server.behind, timeout=_ANSWER_LIMIT)
        with contextlib.closing(behind):
            behind.request(self.command, self.path, body, headers)
            answer = behind.getresponse()
            with contextlib.suppress(ConnectionError):  # a tool that was cancelled is gone
                self._hand_back(answer)

    do_DELETE = do_GET = do_HEAD = do_POST = do_PUT = _pass_on  # noqa: N815 - the names it wants

    def _hand_back(self, answer: http.client.HTTPResponse) -> None:
        body = answer.read()
        self.send_response_only(answer.status, answer.reason)
        for name, value in answer.getheaders():
            if name.lower() not in _OF_ONE_CONNECTION | {"content-length"}:
                self.send_header(name, value)
        told = answer.headers["Content-Length"] if self.command == "HEAD" else None
        self.send_header("Content-Length", told or str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Counting is enough."""


def _operation(target: str | None, path: str, body: bytes) -> str:
    """How the protocols of AWS name an operation: in a header, in the path, in a form."""
    if target:
        return target.rpartition(".")[2]
    if found := re.search(r"/operation/(\w+)", path):
        return found[1]
    form = re.search(rb"(?:^|&)Action=(\w+)", body)
    return form[1].decode() if form else path
