"""Ask AWS the same question once while several services are checked.

Their roles, log groups, subnets and images are often the same. What may change
from one moment to the next (services, tasks, targets) is always asked anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import boto3

READS = ("Describe", "List", "Get", "BatchGet", "Simulate")
CHANGING = {
    "DescribeServices",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeTargetHealth",
    "DescribeTasks",
    "ListServiceDeployments",
    "ListTasks",
    "GetLogEvents",
    "FilterLogEvents",
    "DescribeAlarms",
    "DescribeImageScanFindings",
    # Its answer is also kept as it came over the wire, so it must come over the wire.
    "DescribeTaskDefinition",
}
OK = 200


class Memory:
    """Remembers answers of one session, for the clients that are made after it."""

    def __init__(self, session: boto3.Session) -> None:
        self._answers: dict[str, tuple[Any, Any]] = {}
        self._is_open = True
        session.events.register("before-call", self._recall)
        session.events.register("after-call", self._keep)
        self._session = session

    def close(self) -> None:
        """From now on every question is asked."""
        self._is_open = False
        self._answers.clear()
        self._session.events.unregister("before-call", self._recall)
        self._session.events.unregister("after-call", self._keep)

    def _recall(self, *, model: Any, params: Any, context: Any, **_: object) -> Any:  # noqa: ANN401
        if not self._is_open or model.name in CHANGING or not model.name.startswith(READS):
            return None
        question = repr((model.name, params.get("url"), params.get("query_string"), params["body"]))
        known = self._answers.get(question)
        if known is None:
            context["ecs_deploy_question"] = question
        return known

    def _keep(self, *, http_response: Any, parsed: Any, context: Any, **_: object) -> None:  # noqa: ANN401
        question = context.pop("ecs_deploy_question", None)
        is_refused = "AccessDenied" in str(parsed.get("Error", {}).get("Code", ""))
        # What a network or a busy AWS answers says nothing about the next time.
        if question and self._is_open and (http_response.status_code == OK or is_refused):
            self._answers[question] = (http_response, parsed)
