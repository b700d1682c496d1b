"""Short messages to people, by Apprise. It is only imported where `notify` asks for it.

The URLs are secrets, and Apprise logs what it does with them: that log is read
here for one number and goes nowhere.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from concurrent.futures import Future, wait
from threading import Thread
from typing import TYPE_CHECKING, Any

from deploy_action.ports import Notice

if TYPE_CHECKING:
    from apprise import NotifyBase

STATUS = re.compile(r"error=(\d{3})")
LOCAL = frozenset({"file", "syslog"})
"""What would only reach the container that the step lives in."""


def problem(url: str) -> str:
    """Why no message can be sent to this URL, without its secret parts; empty where one can."""
    scheme = url.partition("://")[0].lower() if "://" in url else ""
    begins = f" (it begins with {scheme!r})" if re.fullmatch(r"[a-z0-9+.-]{1,20}", scheme) else ""
    if scheme in LOCAL or _service(url) is None:
        return f"is neither a URL that Apprise knows nor the ARN of an SNS topic{begins}"
    return ""


class AppriseNotices:
    """As `ports.Notices`."""

    def send(
        self, urls: Sequence[str], notice: Notice, *, timeout_seconds: float
    ) -> list[str | None]:
        # Each in a thread that is left behind when time is up.
        sent = [_begun(url, notice) for url in urls]
        wait(sent, timeout_seconds)
        return [_outcome(url, each) for url, each in zip(urls, sent, strict=True)]


def _begun(url: str, notice: Notice) -> Future[str]:
    outcome: Future[str] = Future()

    def run() -> None:
        try:
            outcome.set_result(_send(url, notice))
        except Exception as error:  # noqa: BLE001 - whatever a plugin does, the verdict stands
            outcome.set_result(f"failed with {type(error).__name__}")

    Thread(target=run, name="notice", daemon=True).start()
    return outcome


def _outcome(url: str, sent: Future[str]) -> str | None:
    failed = sent.result() if sent.done() else "did not answer in time"
    if not failed:
        return None
    service = _service(url)
    return f"{service.service_name if service else 'the service'} {failed}"


def _send(url: str, notice: Notice) -> str:
    from apprise import NotifyFormat, NotifyType  # noqa: PLC0415 - see above

    service = _service(url)
    if service is None:
        return "is not known"
    heard = _Heard()
    _quiet().addHandler(heard)
    try:
        is_sent = service.notify(
            body=notice.body,
            title=notice.title,
            notify_type=NotifyType.SUCCESS if notice.is_good else NotifyType.FAILURE,
            body_format=NotifyFormat.TEXT,
        )
    finally:
        _quiet().removeHandler(heard)
    if is_sent:
        return ""
    return f"refused it (HTTP {heard.status})" if heard.status else "did not take it"


def _service(url: str) -> NotifyBase | None:
    from apprise import Apprise, AppriseAsset  # noqa: PLC0415 - see above

    _quiet()
    asset = AppriseAsset(
        app_id="ecs-deploy-action", app_desc="", app_url="", image_url_mask="", async_mode=False
    )
    made: Any = Apprise.instantiate(url, asset=asset)
    return made if made is None or made.enabled else None


def _quiet() -> logging.Logger:
    """Its logger, cut off from everything that could print."""
    logger = logging.getLogger("apprise")
    logger.propagate = False
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
    return logger


class _Heard(logging.Handler):
    """Remembers the HTTP status that a message of Apprise's log names."""

    status = ""

    def emit(self, record: logging.LogRecord) -> None:
        found = STATUS.search(record.getMessage())
        self.status = found[1] if found else self.status
