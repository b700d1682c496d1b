"""What the containers refer to: secrets, parameters, log groups, env files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError
from deploy_action.gateways.secrets import PARAMETERS_A_CALL
from deploy_action.preflight.check import (
    Facts,
    Look,
    Outcome,
    Passed,
    Refused,
    Skipped,
    Warned,
    listed,
)

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.logs import LogGroups
    from deploy_action.gateways.s3 import S3
    from deploy_action.gateways.secrets import Secret, Secrets

PARTS_OF_A_SECRET = 7
"""Of its ARN; ECS takes JSON key, version stage and version id behind them."""
SHOWN_KEYS = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """One `valueFrom`, and who uses it."""

    source: str
    user: str
    """`NAME` of `container`, for people."""

    @property
    def is_secret(self) -> bool:
        return ":secretsmanager:" in self.source

    @property
    def region(self) -> str:
        """Empty where it is a bare name: the region of the tasks."""
        return self.source.split(":")[3] if self.source.startswith("arn:") else ""


@dataclass(frozen=True, slots=True, kw_only=True)
class SecretReference:
    """A secret, and what of it is wanted."""

    arn: str
    key: str
    stage: str
    version: str

    @classmethod
    def of(cls, source: str) -> SecretReference:
        parts = source.split(":")
        key, stage, version, *_ = [*parts[PARTS_OF_A_SECRET:], "", "", ""]
        return cls(arn=":".join(parts[:PARTS_OF_A_SECRET]), key=key, stage=stage, version=version)


def references(facts: Facts) -> list[Reference]:
    """Every `valueFrom`, each once."""
    found: dict[str, str] = {}
    for container in facts.definitions:
        name = container.get("name")
        logging = (container.get("logConfiguration") or {}).get("secretOptions") or []
        for item in [*(container.get("secrets") or []), *logging]:
            if item.get("valueFrom"):
                found.setdefault(item["valueFrom"], f"`{item.get('name')}` of {name!r}")
        credentials = (container.get("repositoryCredentials") or {}).get("credentialsParameter")
        if credentials:
            found.setdefault(credentials, f"the registry's password of {name!r}")
    return [Reference(source=source, user=user) for source, user in found.items()]


def secrets(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """One look at each secret, however many of its keys are used."""
    wanted = [r for r in references(facts) if r.is_secret]
    for arn, uses in groupby(sorted(wanted, key=_arn), key=_arn):
        yield partial(_secret, arn, list(uses), gateways.secrets)


def _arn(reference: Reference) -> str:
    return SecretReference.of(reference.source).arn


def _secret(arn: str, uses: Sequence[Reference], doors: Secrets) -> Iterable[Outcome]:
    region, name = uses[0].region, arn.rsplit(":", 1)[-1]
    user = listed(use.user for use in uses)
    secret = doors.secret(arn, region)
    if secret is None:
        yield Refused(
            f"There is no secret {name!r} in {region}.",
            f"It is the source of {user}, and Secrets Manager does not know {arn}.",
            "Create it, or correct the ARN: its end (six characters) and its region count.",
        )
    elif secret.is_being_deleted:
        yield Refused(
            f"The secret {name!r} is scheduled for deletion.",
            f"It is the source of {user}, and nobody can read it any more.",
            f"Run `aws secretsmanager restore-secret --region {region} --secret-id {arn}`, "
            "or use another secret.",
        )
    else:
        problems = [
            problem
            for use in uses
            for problem in _use(SecretReference.of(use.source), use.user, secret, doors, region)
        ]
        yield from problems or [Passed(f"{name} is there")]


def _use(
    wanted: SecretReference, user: str, secret: Secret, doors: Secrets, region: str
) -> Iterable[Outcome]:
    """What is wrong with one use of a secret that exists."""
    name = wanted.arn.rsplit(":", 1)[-1]
    stage = wanted.stage or ("" if wanted.version else "AWSCURRENT")
    for label, have in ((stage, secret.stages), (wanted.version, secret.versions)):
        if label and have is not None and label not in have:
            yield Refused(
                f"The secret {name!r} has no version {label}.",
                f"It is the source of {user}; it has {', '.join(sorted(have)) or 'none'}.",
                "Give the secret a value, or correct the version in `valueFrom`.",
            )
            return
    if not wanted.key:
        return
    version = {"VersionStage": wanted.stage, "VersionId": wanted.version}
    try:
        keys = doors.keys(wanted.arn, region, {k: v for k, v in version.items() if v})
    except AwsError:
        yield Skipped(f"{name} is there, but its key {wanted.key!r} may not be looked at")
        return
    if keys is None or wanted.key not in keys:
        yield Refused(
            f"The secret {name!r} has no JSON key {wanted.key!r}.",
            f"It is the source of {user}; "
            + ("it is no JSON object." if keys is None else f"its keys are {_shown(keys)}."),
            "Add the key to the secret, or correct it behind the ARN in `valueFrom`.",
        )


def _shown(keys: frozenset[str]) -> str:
    ordered = sorted(keys)
    rest = len(ordered) - SHOWN_KEYS
    return ", ".join(ordered[:SHOWN_KEYS]) + (f" and {rest} more" if rest > 0 else "")


def parameters(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """One look at ten parameters of a region."""
    wanted = sorted((r for r in references(facts) if not r.is_secret), key=lambda r: r.region)
    for region, group in groupby(wanted, key=lambda r: r.region):
        of_region = list(group)
        for start in range(0, len(of_region), PARAMETERS_A_CALL):
            some = of_region[start : start + PARAMETERS_A_CALL]
            shown = region or facts.identity.region
            yield partial(_parameters, some, region, shown, gateways.secrets)


def _parameters(
    wanted: Sequence[Reference], region: str, shown: str, doors: Secrets
) -> Iterable[Outcome]:
    missing = doors.missing_parameters([r.source for r in wanted], region)
    for reference in wanted:
        if reference.source in missing:
            yield Refused(
                f"There is no parameter {reference.source!r} in {shown}.",
                f"It is the source of {reference.user}, and Parameter Store does not know it.",
                "Create it, or correct its name; one of another region needs its full ARN.",
            )
    if len(missing) < len(wanted):
        count = len(wanted) - len(missing)
        yield Passed(f"{count} of {len(wanted)} {'is' if count == 1 else 'are'} there in {shown}")


def log_groups(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """One look at each log group that must be there before the task is."""
    wanted: dict[tuple[str, str], list[str]] = {}
    for container in facts.definitions:
        configuration = container.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        group = options.get("awslogs-group")
        if configuration.get("logDriver") != "awslogs" or not group:
            continue
        if str(options.get("awslogs-create-group")).lower() == "true":
            continue
        place = group, options.get("awslogs-region") or ""
        wanted.setdefault(place, []).append(repr(container.get("name")))
    for (group, region), users in wanted.items():
        shown = region or facts.identity.region
        yield partial(_log_group, group, region, shown, listed(users), gateways.log_groups)


def _log_group(
    group: str, region: str, shown: str, users: str, doors: LogGroups
) -> Iterable[Outcome]:
    if doors.exists(group, region):
        yield Passed(f"{group} is there")
        return
    yield Refused(
        f"There is no log group {group!r} in {shown}.",
        f"It is for the log of {users}, and `awslogs-create-group` is not set.",
        f"Run `aws logs create-log-group --region {shown} --log-group-name {group}`, or set "
        "`awslogs-create-group: true` and allow it to the execution role.",
    )


def env_files(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """One look at each env file."""
    wanted: dict[str, str] = {}
    for container in facts.definitions:
        for file in container.get("environmentFiles") or []:
            if file.get("value"):
                wanted.setdefault(file["value"], repr(container.get("name")))
    for arn, user in wanted.items():
        yield partial(_env_file, arn, user, gateways.s3)


def _env_file(arn: str, user: str, doors: S3) -> Iterable[Outcome]:
    bucket, _, key = arn.partition(":::")[2].partition("/")
    if not bucket or not key:
        yield Refused(
            f"{arn!r} is not the ARN of an S3 object.",
            f"{user} is to read its environment from it.",
            "Write it as `arn:aws:s3:::bucket/path/file.env`.",
        )
    elif not doors.exists(bucket, key):
        yield Refused(
            f"There is no env file s3://{bucket}/{key}.",
            f"{user} is to read its environment from it, and its task would not start.",
            "Upload the file, or correct `environmentFiles`.",
        )
    elif not key.endswith(".env"):
        yield Warned(
            f"The env file s3://{bucket}/{key} does not end with `.env`.",
            "Rename it: ECS asks for that ending.",
        )
    else:
        yield Passed(f"s3://{bucket}/{key} is there")
