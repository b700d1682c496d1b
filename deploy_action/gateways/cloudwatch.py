"""CloudWatch in our words: the alarms and the state they are in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "cloudwatch:DescribeAlarms": Permission(scope=Scope.ANYTHING),
}
NAMES_A_CALL = 100
"""DescribeAlarms takes at most this many names and shows at most as many alarms."""
KINDS = ("MetricAlarm", "CompositeAlarm")
"""Without them DescribeAlarms shows no composite alarms."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Alarm:
    """An alarm as it is now."""

    name: str
    state: str
    """OK, ALARM or INSUFFICIENT_DATA."""
    reason: str
    """Of its last change of state, in the words of CloudWatch."""


class CloudWatch:
    """The alarms of one region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def alarms(self, names: Sequence[str]) -> dict[str, Alarm]:
        """Those of the named alarms that there are, by their names."""
        found = []
        for start in range(0, len(names), NAMES_A_CALL):
            with answering("cloudwatch:DescribeAlarms"):
                answer = self._clients.get("cloudwatch").describe_alarms(
                    AlarmNames=list(names[start : start + NAMES_A_CALL]),
                    AlarmTypes=list(KINDS),
                    MaxRecords=NAMES_A_CALL,
                )
                found += [each for kind in KINDS for each in answer.get(f"{kind}s", [])]
        return {
            each["AlarmName"]: Alarm(
                name=each["AlarmName"],
                state=each["StateValue"],
                reason=each.get("StateReason", ""),
            )
            for each in found
        }
