"""One GET over the network. It does not retry, follow or judge: that is the caller's."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from concurrent.futures import Future
from functools import cached_property
from ipaddress import ip_address
from threading import Thread

import urllib3
from urllib3 import exceptions
from urllib3.util import Timeout, Url, parse_url

from deploy_action.ports import Answer, NoAnswer, Silence

# A health answer is a few hundred bytes; more is a web page nobody wants in a log.
BODY_LIMIT = 64 * 1024
USER_AGENT = "ecs-deploy-action"


class UrlHttp:
    """HTTP and HTTPS through urllib3, as `ports.Http`."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        # The limit covers everything: name lookup (which no socket timeout
        # reaches), handshake, and a body that drips. So the request runs in a
        # thread that is left behind when time is up; it ends by its own timeouts.
        answer: Future[Answer] = Future()

        def run() -> None:
            try:
                answer.set_result(self._exchange(url, headers, timeout_seconds))
            except Exception as error:  # noqa: BLE001  # raised again in the waiting thread
                answer.set_exception(error)

        Thread(target=run, name="http-get", daemon=True).start()
        try:
            return answer.result(timeout_seconds)
        except (exceptions.HTTPError, OSError, ValueError) as error:
            detail = str(error) or f"no full answer within {timeout_seconds:g} seconds"
            raise NoAnswer(_silence(error), detail) from error

    def _exchange(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        where = parse_url(url)
        if where.scheme not in {"http", "https"} or not where.host:
            raise ValueError(f"{url!r} is not a full http:// or https:// URL")
        sent = urllib3.HTTPHeaderDict({"User-Agent": USER_AGENT, "Host": where.netloc or ""})
        for name, value in headers.items():
            sent[name] = value
        with self._pool(where) as pool:
            response = pool.request(
                "GET",
                _reachable(where).url,
                headers=sent,
                redirect=False,
                retries=False,
                timeout=Timeout(total=timeout_seconds),
                preload_content=False,
            )
            try:
                body = response.read(BODY_LIMIT)
            finally:
                response.close()
        return Answer(
            status=response.status,
            body=body.decode("utf-8", errors="replace"),
            headers={name.lower(): value for name, value in response.headers.items()},
        )

    def _pool(self, where: Url) -> urllib3.PoolManager:
        tls = self._tls if where.scheme == "https" else None
        proxy = self._proxy(where)
        if proxy:
            return urllib3.ProxyManager(proxy, ssl_context=tls)
        # The certificate must fit the name in the URL, whatever address stands for it.
        name = where.host if _is_localhost_name(where.host) else None
        return urllib3.PoolManager(ssl_context=tls, server_hostname=name)

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self._environ.get("SSL_CERT_FILE") or None)

    def _proxy(self, where: Url) -> str | None:
        """As curl chooses: https_proxy or http_proxy, unless no_proxy names the host."""
        spared = self._environ.get("no_proxy") or self._environ.get("NO_PROXY") or ""
        if _is_loopback(where.host or "") or _is_spared(where.host or "", spared):
            return None
        # HTTP_PROXY in capitals is left alone: a CGI server sets it from a request header.
        names = ("https_proxy", "HTTPS_PROXY") if where.scheme == "https" else ("http_proxy",)
        return next((self._environ[name] for name in names if self._environ.get(name)), None)


def _reachable(where: Url) -> Url:
    # RFC 6761: names below .localhost are the loopback, also where no resolver knows them.
    return where._replace(host="127.0.0.1") if _is_localhost_name(where.host) else where


def _is_localhost_name(host: str | None) -> bool:
    return (host or "").lower().rstrip(".").endswith(".localhost")


def _is_loopback(host: str) -> bool:
    if host.lower() == "localhost" or _is_localhost_name(host):
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_spared(host: str, spared: str) -> bool:
    names = [name.strip().lower().lstrip(".") for name in spared.split(",") if name.strip()]
    return any(name == "*" or f".{host.lower()}".endswith(f".{name}") for name in names)


def _silence(error: Exception) -> Silence:
    match error:
        case exceptions.NameResolutionError():
            return Silence.DNS
        case exceptions.NewConnectionError() if isinstance(error.__cause__, ConnectionRefusedError):
            return Silence.REFUSED
        # The first is urllib3's own and no OSError, the second ends the whole request.
        case exceptions.TimeoutError() | TimeoutError():
            return Silence.TIMEOUT
        case exceptions.SSLError() | ssl.SSLError():
            return Silence.TLS
        case _:
            return Silence.BROKEN
