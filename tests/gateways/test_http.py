"""The HTTP gateway over real sockets of this machine."""

from __future__ import annotations

import gzip
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from deploy_action.gateways.http import BODY_LIMIT, UrlHttp
from deploy_action.ports import Answer, NoAnswer, Silence

Reply = Callable[[BaseHTTPRequestHandler], None]


def text(body: str, status: int = 200, **headers: str) -> Reply:
    return raw(body.encode(), status, **headers)


def raw(body: bytes, status: int = 200, **headers: str) -> Reply:
    def reply(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        request.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return reply


@contextmanager
def serving(reply: Reply, tls: ssl.SSLContext | None = None) -> Iterator[int]:
    """A web server on this machine; yields its port."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            reply(self)

        def do_CONNECT(self) -> None:
            reply(self)

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up early is what some tests are about."""

    with Server(("127.0.0.1", 0), Handler) as server:
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield server.server_port
        finally:
            server.shutdown()


@contextmanager
def mute(first: bytes = b"") -> Iterator[int]:
    """A listener that says `first` to whoever connects, and then nothing more."""
    done = Event()

    def talk(listener: socket.socket) -> None:
        connection, _ = listener.accept()
        with connection:
            connection.sendall(first)
            done.wait(5)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = Thread(target=talk, args=(listener,), daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            done.set()
            thread.join(5)


def get(url: str, *, timeout_seconds: float = 5, **headers: str) -> Answer:
    return UrlHttp({}).get(url, headers=headers, timeout_seconds=timeout_seconds)


def silence(url: str, timeout_seconds: float = 5, environ: dict[str, str] | None = None) -> Silence:
    with pytest.raises(NoAnswer) as caught:
        UrlHttp(environ or {}).get(url, headers={}, timeout_seconds=timeout_seconds)
    assert caught.value.detail
    return caught.value.silence


def test_returns_status_body_and_headers_in_lower_case() -> None:
    with serving(text("ready", 503, X_Version="abc", Retry_After="5")) as port:
        answer = get(f"http://127.0.0.1:{port}/health?deep=1")

    assert (answer.status, answer.body) == (503, "ready")
    assert answer.headers["x-version"] == "abc"
    assert answer.headers["retry-after"] == "5"


def test_sends_what_it_is_asked_to_send() -> None:
    def echo(request: BaseHTTPRequestHandler) -> None:
        hosts = request.headers.get_all("Host")
        agents = request.headers.get_all("User-Agent")
        text(f"{request.path} {hosts} {agents} {request.headers['X-Token']}")(request)

    with serving(echo) as port:
        plain = get(f"http://127.0.0.1:{port}/a?b=c").body
        custom = UrlHttp({}).get(
            f"http://127.0.0.1:{port}/",
            headers={"host": "app.example", "user-agent": "probe", "X-Token": "t"},
            timeout_seconds=5,
        )

    assert plain == f"/a?b=c ['127.0.0.1:{port}'] ['ecs-deploy-action'] None"
    assert custom.body == "/ ['app.example'] ['probe'] t"


def test_does_not_follow_a_redirect() -> None:
    with serving(text("", 302, Location="http://nowhere.invalid/")) as port:
        answer = get(f"http://127.0.0.1:{port}/")

    assert answer.status == 302
    assert answer.headers["location"] == "http://nowhere.invalid/"


def test_asks_only_once() -> None:
    asked = []

    def overloaded(request: BaseHTTPRequestHandler) -> None:
        asked.append(request.path)
        text("", 503, Retry_After="0")(request)

    with serving(overloaded) as port:
        assert get(f"http://127.0.0.1:{port}/").status == 503

    assert asked == ["/"]


def test_cuts_a_long_body_and_shows_bytes_that_are_no_text() -> None:
    with serving(raw(b"\xff" + b"a" * (2 * BODY_LIMIT))) as port:
        body = get(f"http://127.0.0.1:{port}/").body

    assert body == "\N{REPLACEMENT CHARACTER}" + "a" * (BODY_LIMIT - 1)


def test_reads_a_compressed_body() -> None:
    with serving(raw(gzip.compress(b"packed"), Content_Encoding="gzip")) as port:
        assert get(f"http://127.0.0.1:{port}/").body == "packed"


@pytest.mark.parametrize("host", ["localhost", "app.localhost", "a.b.LocalHost"])
def test_names_of_this_machine_need_no_resolver(host: str) -> None:
    def echo_host(request: BaseHTTPRequestHandler) -> None:
        text(request.headers["Host"])(request)

    with serving(echo_host) as port:
        body = get(f"http://{host}:{port}/").body

    assert body == f"{host.lower()}:{port}"


def test_tells_an_unknown_name_from_a_closed_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        closed = listener.getsockname()[1]

    assert silence("http://nowhere.invalid/") is Silence.DNS
    assert silence(f"http://127.0.0.1:{closed}/") is Silence.REFUSED


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(b"", id="no answer"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX-", id="half a header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", id="half a body"),
    ],
)
def test_the_timeout_covers_the_whole_answer(first: bytes) -> None:
    with mute(first) as port:
        assert silence(f"http://127.0.0.1:{port}/", timeout_seconds=0.2) is Silence.TIMEOUT


def test_a_dripping_answer_does_not_outlive_the_timeout() -> None:
    gone = Event()

    def drip(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        while not gone.wait(0.05):
            request.wfile.write(b".")
            request.wfile.flush()

    with serving(drip) as port:
        assert silence(f"http://127.0.0.1:{port}/", timeout_seconds=0.3) is Silence.TIMEOUT
        gone.set()


def test_a_connection_that_breaks_off_is_broken() -> None:
    def cut(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.send_header("Content-Length", "100")
        request.end_headers()
        request.wfile.write(b"only this")

    def hang_up(request: BaseHTTPRequestHandler) -> None:
        request.close_connection = True

    with serving(cut) as port:
        assert silence(f"http://127.0.0.1:{port}/") is Silence.BROKEN
    with serving(hang_up) as port:
        assert silence(f"http://127.0.0.1:{port}/") is Silence.BROKEN


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "example", "http://", "http://a b/"])
def test_an_address_that_is_none_is_broken(url: str) -> None:
    assert silence(url) is Silence.BROKEN


def test_trusts_the_certificates_of_the_given_bundle_only(tmp_path: Path) -> None:
    tls, bundle = certified("app.localhost", tmp_path)
    with serving(text("secure"), tls) as port:
        url = f"https://app.localhost:{port}/"
        trusted = UrlHttp({"SSL_CERT_FILE": str(bundle)}).get(url, headers={}, timeout_seconds=5)

        assert trusted.body == "secure"
        assert silence(url) is Silence.TLS
        assert silence(f"https://other.localhost:{port}/", 5, {"SSL_CERT_FILE": str(bundle)}) is (
            Silence.TLS
        )


def test_plain_http_behind_an_https_address_is_a_tls_failure() -> None:
    with serving(text("plain")) as port:
        assert silence(f"https://127.0.0.1:{port}/") is Silence.TLS


def test_asks_the_proxy_unless_the_host_is_spared() -> None:
    def proxy(request: BaseHTTPRequestHandler) -> None:
        text(f"proxied {request.path}")(request)

    with serving(proxy) as port:
        environ = {"http_proxy": f"http://127.0.0.1:{port}", "no_proxy": "inner.invalid, other"}
        http = UrlHttp(environ)
        proxied = http.get("http://app.invalid/x", headers={}, timeout_seconds=5)
        own = http.get(f"http://127.0.0.1:{port}/own", headers={}, timeout_seconds=5)

        assert proxied.body == "proxied http://app.invalid/x"
        assert own.body == "proxied /own"
        assert silence("http://app.inner.invalid/", 5, environ) is Silence.DNS
        assert silence("http://app.invalid/", 5, {**environ, "no_proxy": "*"}) is Silence.DNS


def test_an_https_proxy_that_refuses_is_broken() -> None:
    with serving(text("", 403)) as port:
        environ = {"HTTPS_PROXY": f"http://127.0.0.1:{port}", "NO_PROXY": "elsewhere"}

        assert silence("https://app.invalid/", 5, environ) is Silence.BROKEN


def certified(name: str, folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's context for `name`, and the bundle that makes a client trust it."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    # A day on both sides: the clocks of two processes need not agree here.
    today = datetime.fromtimestamp(folder.stat().st_mtime, UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - timedelta(days=1))
        .not_valid_after(today + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    bundle, secret = folder / "bundle.pem", folder / "key.pem"
    bundle.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(bundle, secret)
    return context, bundle
