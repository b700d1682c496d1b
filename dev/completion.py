"""When ECS reports that a deployment is completed, seen by somebody who does not deploy."""

import threading
import time
from typing import TYPE_CHECKING, Final, Self

from dev import sample_service

if TYPE_CHECKING:
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef

# Often enough to tell tenths of a second apart, seldom enough not to slow the emulator.
_WATCH_EVERY: Final = 0.05
_LIMIT: Final = 60.0


class Watcher:
    """Sees when ECS reports completion, without being counted: it asks the emulator itself."""

    def __init__(self, service: sample_service.SampleService) -> None:
        self._service = service
        self._before = self._primary()["id"]
        self._completed: float | None = None
        self._enough = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._enough.set()
        self._thread.join()

    def completed_at(self) -> float:
        """Wait for it, because a tool may have ended before."""
        self._thread.join(_LIMIT)
        if self._completed is None:
            raise TimeoutError("ECS never reported that the deployment was completed")
        return self._completed

    def _watch(self) -> None:
        while not self._enough.wait(_WATCH_EVERY):
            primary = self._primary()
            if primary["id"] != self._before and primary["rolloutState"] == "COMPLETED":
                self._completed = time.monotonic()
                return

    def _primary(self) -> "DeploymentTypeDef":
        answer = self._service.clients.ecs.describe_services(
            cluster=sample_service.CLUSTER, services=[self._service.name]
        )
        return next(
            deployment
            for deployment in answer["services"][0]["deployments"]
            if deployment["status"] == "PRIMARY"
        )
