"""Ask AWS the same question once while several services are checked.

Their roles, log groups, subnets and images are often the same. What may change
from one moment to the next (services, tasks, targets) is always asked anew.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING, Any, cast

from botocore.awsrequest import AWSResponse

from deploy_action.model import Json

if TYPE_CHECKING:
    import boto3
    from botocore.model import OperationModel

QUESTION = "ecs-deploy question"

READS = ("Describe", "List", "Get", "BatchGet", "Simulate")
CHANGING = {
    "DescribeAlarms",
    "DescribeImageScanFindings",
    "DescribeServiceDeployments",
    "DescribeServiceRevisions",
    "DescribeServices",
    "DescribeTargetHealth",
    "DescribeTasks",
    "FilterLogEvents",
    "GetLogEvents",
    "ListServiceDeployments",
    "ListTasks",
    # Its answer is kept as it came over the wire, so it has to come over the wire.
    "DescribeTaskDefinition",
}
OK = 200


class Memory:
    """Remembers answers of one session, for the clients that are made after it."""

    def __init__(self, session: boto3.Session) -> None:
        self._answers: dict[str, tuple[AWSResponse, Json]] = {}
        self._is_open = True
        # The stubs say that no handler answers; `before-call` is an event whose handlers may.
        self._recaller = cast("Any", self._recall)
        self._events = session.events
        self._events.register("before-call", self._recaller)
        self._events.register("response-received", self._keep)

    def close(self) -> None:
        """From now on every question is asked."""
        self._is_open = False
        self._answers.clear()
        self._events.unregister("before-call", self._recaller)
        self._events.unregister("response-received", self._keep)

    def _recall(
        self, *, model: OperationModel, params: Json, context: Json, **_: object
    ) -> tuple[AWSResponse, Json] | None:
        """What is returned here is taken for the answer."""
        if not self._is_open or model.name in CHANGING or not model.name.startswith(READS):
            return None
        asked = (model.name, params["url"], params["query_string"], params["body"])
        question = context[QUESTION] = repr(asked)
        # Botocore decodes policies inside an answer, each time that it is given.
        return deepcopy(self._answers.get(question))

    def _keep(
        self, *, response_dict: Json, parsed_response: Json | None, context: Json, **_: object
    ) -> None:
        if not self._is_open or QUESTION not in context or parsed_response is None:
            return
        status = response_dict["status_code"]
        is_refused = "AccessDenied" in str(parsed_response.get("Error", {}).get("Code", ""))
        # What a network or a busy AWS answers says nothing about the next time.
        if status == OK or is_refused:
            answer = AWSResponse("", status, response_dict["headers"], None)
            self._answers[context[QUESTION]] = (answer, deepcopy(parsed_response))
