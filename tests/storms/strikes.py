"""Everything that can go wrong with one call, and for which calls that is a case of its own."""

from __future__ import annotations

import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from deploy_action.ports import BuildError, Silence
from tests.scenarios.stage import OLD
from tests.simulator import Call, Fault, FaultRule, SimulatedError, faults
from tests.storms.trial import WRITES, Trial

SLOW, STALE = 10.0, 8.0
HTTP_TIMEOUT = 5.0
ENUMS = {
    "status", "rolloutState", "lastStatus", "desiredStatus", "healthStatus", "stopCode",
    "launchType", "schedulingStrategy", "State", "Reason", "Protocol", "Type",
    "imageTagMutability", "failureCode", "connectivity", "propagateTags",
}  # fmt: skip
"""Names of members whose words AWS may add to at any time."""
IDENTITIES = {
    "serviceArn", "serviceName", "taskArn", "taskDefinitionArn", "id", "taskDefinition",
    "serviceDeploymentArn", "clusterArn", "family", "containerDefinitions", "revision", "name",
    "image", "value", "type", "status", "deployments", "services", "tasks", "taskArns",
    "serviceDeployments", "createdAt", "containers", "Account", "Arn", "Key", "Value",
    "repositoryName", "repositoryUri", "repositories", "images", "imageId", "imageDigest",
    "imageManifest", "authorizationData", "authorizationToken", "TargetGroups", "LoadBalancers",
    "Listeners", "Rules", "Actions", "TargetGroupArn", "LoadBalancerArns", "ListenerArn",
    "DNSName", "Protocol", "Port", "Target", "Id", "Attributes", "events", "message",
    "desiredCount", "service", "loadBalancers", "targetGroupArn", "cpu", "memory",
    "failureCode", "failureReason", "networkMode", "requiresCompatibilities",
    "executionRoleArn", "taskRoleArn", "logDriver", "logConfiguration", "options",
    "environment", "portMappings", "containerPort", "key", "runtimePlatform", "cpuArchitecture",
    "operatingSystemFamily", "tags", "volumes", "placementConstraints", "essential",
    "mountPoints", "volumesFrom", "systemControls", "failures", "serviceRevisions",
    "serviceRevisionArn", "targetServiceRevisionArn",
}  # fmt: skip
"""Members that an answer cannot lack and still be an answer."""

Make = Callable[[Trial], Fault]


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One kind of fault."""

    name: str
    make: Make
    fits: Callable[[str], bool]
    """Whether it is a case of its own at a call of this name."""
    is_passing: bool = False
    """Whether a single one must not change the verdict."""
    lasts: str = ""
    """`operation` or `everything`: what fails from that call on."""
    is_stale: bool = False
    skips_post: bool = False

    def rule(self, trial: Trial, index: int, name: str) -> FaultRule:
        fault = self.make(trial)
        has_struck = False

        def strike(call: Call) -> Fault | None:
            nonlocal has_struck
            is_due = call.index == index
            if self.lasts == "operation":
                is_due = call.index >= index and call.name == name
            elif self.lasts == "everything":
                is_due = call.index >= index and _is_aws(call.name)
            if is_due and not has_struck:
                has_struck = True
                trial.struck.append(f"{self.name} at call {call.index} {call.name}")
            return fault if is_due else None

        return strike


def _is_aws(name: str) -> bool:
    return not name.startswith(("http:", "builder:"))


def _is_read(name: str) -> bool:
    operation = name.partition(":")[2]
    return _is_aws(name) and operation.startswith(("Describe", "List", "Get", "BatchGet"))


def _is_write(name: str) -> bool:
    return _is_aws(name) and not _is_read(name)


def _is_status(name: str) -> bool:
    """Answers that tell how things are; a definition is taken as it is told."""
    return name.startswith(("ecs:", "elbv2:")) and name != "ecs:DescribeTaskDefinition"


def _any(_name: str) -> bool:
    return True


def _is(*names: str) -> Callable[[str], bool]:
    return lambda name: name in names


def _walk(value: Any, change: Callable[[dict[str, Any]], None]) -> None:  # noqa: ANN401
    """Visit every structure of an answer, innermost first."""
    if isinstance(value, dict):
        for item in value.values():
            _walk(item, change)
        change(value)
    elif isinstance(value, list):
        for item in value:
            _walk(item, change)


def new_words(answer: dict[str, Any]) -> None:
    """Every word that AWS may add to is one that the program has never heard."""

    def change(structure: dict[str, Any]) -> None:
        for name in ENUMS & set(structure):
            if isinstance(structure[name], str):
                structure[name] = "NEWER_THAN_YOU"

    _walk(answer, change)


def bare(answer: dict[str, Any]) -> None:
    """Every member that may be missing is missing."""

    def change(structure: dict[str, Any]) -> None:
        for name in set(structure) - IDENTITIES:
            if not _is_map(structure):
                del structure[name]

    _walk(answer, change)


def _is_map(structure: Mapping[str, Any]) -> bool:
    """Whether these are free keys, such as log options, and no members."""
    return any("-" in name or "." in name for name in structure)


def hollow(answer: dict[str, Any]) -> None:
    """Every list is empty, also those inside."""

    def change(structure: dict[str, Any]) -> None:
        for name, value in structure.items():
            if isinstance(value, list):
                structure[name] = []

    _walk(answer, change)


def _foreign(act: Callable[[Trial], object]) -> Make:
    """Somebody else acts just before the call, if that still makes sense."""

    def make(trial: Trial) -> Fault:
        def go() -> None:
            if trial.world.state.service("web").status == "ACTIVE":
                with trial.world.calls.acting("foreign"):
                    act(trial)

        return faults.meanwhile(go)

    return make


def _other_deployment(trial: Trial) -> None:
    theirs = trial.world.image("web", tag="theirs", behaviour=OLD)
    trial.world.deploy("web", theirs)


def _other_image_gone(trial: Trial) -> None:
    """A lifecycle policy removes the newest image, which may be ours."""
    store = trial.world.state.repositories["web"]
    if len(store.manifests) > 1:
        trial.world.delete_image("web", list(store.manifests)[-1])


def _signal(number: int, *, after: bool = False) -> Make:
    def make(trial: Trial) -> Fault:
        send = partial(trial.cancel, number)
        return Fault(after=send) if after else Fault(before=send)

    return make


def _given(fault: Callable[[], Fault]) -> Make:
    return lambda _trial: fault()


def _build_error() -> BuildError:
    return BuildError("the engine went away")


def _passing() -> tuple[Strike, ...]:
    def unseen() -> Fault:
        return faults.timed_out_unseen(60)

    make: dict[str, tuple[Callable[[], Fault], Callable[[str], bool]]] = {
        "throttled": (faults.throttled, _is_aws),
        "server error": (faults.server_error, _is_aws),
        "unreachable": (faults.unreachable, _is_aws),
        "timed out unseen": (unseen, _is_aws),
        "answer lost": (faults.lost_answer, _is_write),
        "timed out": (faults.timed_out, _is_write),
        "slow": (partial(faults.slow, SLOW), _is_aws),
        "bare": (partial(faults.mangled, bare), _is_status),
        "refused": (partial(faults.silent, Silence.REFUSED), _is("http:get")),
    }
    return tuple(
        Strike(name=name, make=_given(fault), fits=fits, is_passing=True)
        for name, (fault, fits) in make.items()
    )


STRIKES: tuple[Strike, ...] = (
    *_passing(),
    Strike(
        name="stale",
        make=_given(partial(faults.stale, STALE)),
        fits=_is_read,
        is_passing=True,
        is_stale=True,
    ),
    Strike(name="denied", make=_given(faults.access_denied), fits=_is_aws),
    Strike(name="expired", make=_given(faults.expired_token), fits=_is_aws),
    Strike(
        name="denied from now on",
        make=_given(faults.access_denied),
        fits=_is_aws,
        lasts="operation",
    ),
    Strike(
        name="expired from now on",
        make=_given(faults.expired_token),
        fits=_is_aws,
        lasts="everything",
    ),
    Strike(
        name="silent from now on",
        make=_given(partial(faults.timed_out_unseen, 60)),
        fits=_is_aws,
        lasts="everything",
    ),
    Strike(name="new words", make=_given(partial(faults.mangled, new_words)), fits=_is_aws),
    Strike(name="hollow", make=_given(partial(faults.mangled, hollow)), fits=_is_aws),
    Strike(
        name="endpoint times out",
        make=_given(lambda: Fault(error=_no_answer(), slow_seconds=HTTP_TIMEOUT)),
        fits=_is("http:get"),
    ),
    Strike(
        name="build fails",
        make=_given(lambda: Fault(error=_build_error())),
        fits=_is("builder:build_and_push"),
    ),
    Strike(
        name="push unsure",
        make=_given(lambda: Fault(lose=_build_error())),
        fits=_is("builder:build_and_push"),
    ),
    Strike(name="killed before", make=_given(faults.killed_before), fits=_any),
    Strike(
        name="killed after",
        make=_given(faults.killed_after),
        fits=lambda name: not _is_read(name),
    ),
    Strike(
        name="killed, never finished",
        make=_given(faults.killed_before),
        fits=_any,
        skips_post=True,
    ),
    Strike(name="SIGINT", make=_signal(signal.SIGINT), fits=_any),
    Strike(name="SIGTERM", make=_signal(signal.SIGTERM), fits=_any),
    Strike(name="SIGINT after", make=_signal(signal.SIGINT, after=True), fits=_is(*WRITES)),
    Strike(name="another deployment", make=_foreign(_other_deployment), fits=_any),
    Strike(
        name="scaled",
        make=_foreign(lambda t: t.world.set_desired("web", 2)),
        fits=_any,
        is_passing=True,
    ),
    Strike(
        name="service deleted", make=_foreign(lambda t: t.world.delete_service("web")), fits=_any
    ),
    Strike(
        name="old revision deregistered",
        make=_foreign(lambda t: t.world.deregister(t.before)),
        fits=_any,
    ),
    Strike(name="newest image deleted", make=_foreign(_other_image_gone), fits=_any),
)


def _no_answer() -> Exception:
    error = faults.silent(Silence.TIMEOUT).error
    assert error is not None
    return error


__all__ = ["STRIKES", "SimulatedError", "Strike", "bare", "hollow", "new_words"]
