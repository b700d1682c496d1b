"""The CloudWatch Logs operations; reading only, the containers do the writing."""

from __future__ import annotations

from datetime import datetime

from .ask import Ask, Tree, page, page_by
from .calls import SimulatedError
from .state import LogLine


class Logs:
    """One method per operation, named like the boto3 method."""

    def get_log_events(self, ask: Ask) -> Tree:
        streams = _streams(ask)
        name = ask.params["logStreamName"]
        if name not in streams:
            raise SimulatedError(
                "ResourceNotFoundException", "The specified log stream does not exist."
            )
        lines = _between(ask, streams[name])
        limit = ask.params.get("limit", 10_000)
        from_head = ask.params.get("startFromHead", False)
        token = ask.params.get("nextToken")
        start = int(token[2:]) if token else (0 if from_head else max(0, len(lines) - limit))
        end = min(len(lines), start + limit)
        return {
            "events": [_event(line) for line in lines[start:end]],
            "nextForwardToken": f"f/{end}",
            "nextBackwardToken": f"b/{max(0, start - limit)}",
        }

    def filter_log_events(self, ask: Ask) -> Tree:
        streams = _streams(ask)
        wanted = ask.params.get("logStreamNames")
        prefix = ask.params.get("logStreamNamePrefix", "")
        pattern = ask.params.get("filterPattern", "").strip('"')
        found = [
            {"logStreamName": name, "eventId": f"{name}-{number}"} | _event(line)
            for name, lines in streams.items()
            if (wanted is None or name in wanted) and name.startswith(prefix)
            for number, line in enumerate(_between(ask, lines))
            if pattern in line.message
        ]
        found.sort(key=lambda event: event["timestamp"])
        return page_by(ask, "events", found, "nextToken", "nextToken", "limit", 10_000)

    def describe_log_groups(self, ask: Ask) -> Tree:
        prefix = ask.params.get("logGroupNamePrefix", "")
        groups = [
            {
                "logGroupName": name,
                "arn": ask.state.arn("logs", f"log-group:{name}:*"),
                "logGroupArn": ask.state.arn("logs", f"log-group:{name}"),
                "storedBytes": 0,
            }
            for name in ask.state.logs
            if name.startswith(prefix)
        ]
        return page(ask, "logGroups", groups, default=50)

    def describe_log_streams(self, ask: Ask) -> Tree:
        prefix = ask.params.get("logStreamNamePrefix", "")
        streams = [
            {
                "logStreamName": name,
                "arn": ask.state.arn("logs", f"log-stream:{name}"),
                **({"lastEventTimestamp": _milliseconds(lines[-1].time)} if lines else {}),
            }
            for name, lines in _streams(ask).items()
            if name.startswith(prefix)
        ]
        if ask.params.get("orderBy") == "LastEventTime":
            streams.sort(key=lambda stream: int(str(stream.get("lastEventTimestamp", 0))))
        if ask.params.get("descending"):
            streams.reverse()
        return page(ask, "logStreams", streams, default=50)


def _streams(ask: Ask) -> dict[str, list[LogLine]]:
    identifier: str = ask.params.get("logGroupName") or ask.params["logGroupIdentifier"]
    name = identifier.rpartition("log-group:")[2]
    if name not in ask.state.logs:
        raise SimulatedError("ResourceNotFoundException", "The specified log group does not exist.")
    return ask.state.logs[name]


def _between(ask: Ask, lines: list[LogLine]) -> list[LogLine]:
    start, end = ask.params.get("startTime", 0), ask.params.get("endTime", 1 << 62)
    return [line for line in lines if start <= _milliseconds(line.time) < end]


def _event(line: LogLine) -> Tree:
    moment = _milliseconds(line.time)
    return {"timestamp": moment, "message": line.message, "ingestionTime": moment}


def _milliseconds(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)
