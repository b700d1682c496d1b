"""The composition root: environment in, exit code out.

The only place that builds the doors to the outside, and the only one that
turns errors into exit codes. Three endings: ours, cancelled, unexpected.
"""

from __future__ import annotations

import platform
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, TextIO

from deploy_action import (
    __version__,
    deploy,
    finish,
    inputs,
    one_off_task,
    plan,
    restart,
    rollback,
    several,
    verify,
)
from deploy_action.build import Source
from deploy_action.errors import ActionError, AwsError, Blocked, Cancelled, InvalidInput
from deploy_action.gateways import Gateways, aws, github
from deploy_action.gateways.cloudwatch import CloudWatch
from deploy_action.gateways.ec2 import Ec2
from deploy_action.gateways.ecr import Ecr
from deploy_action.gateways.ecs import Ecs
from deploy_action.gateways.elbv2 import Elbv2
from deploy_action.gateways.iam import Iam
from deploy_action.gateways.logs import LogGroups, Logs
from deploy_action.gateways.memory import Memory
from deploy_action.gateways.registries import Registries
from deploy_action.gateways.s3 import S3
from deploy_action.gateways.scans import Scans
from deploy_action.gateways.secrets import Secrets
from deploy_action.gateways.shared_ecs import SharedEcs
from deploy_action.gateways.sns import Sns
from deploy_action.group import Group
from deploy_action.health import parse_header
from deploy_action.intent import Intent
from deploy_action.notify import QUIET, Notifier, secrets_of
from deploy_action.one_off_task import OneOff
from deploy_action.ports import Concurrently, NoNotices, in_turn
from deploy_action.report.board import Board
from deploy_action.report.console import Console
from deploy_action.report.journal import Journal, Story
from deploy_action.report.redact import Redactor
from deploy_action.report.summary import render
from deploy_action.signals import Signals

if TYPE_CHECKING:
    import boto3

    from deploy_action.inputs import Inputs
    from deploy_action.ports import Builder, Clock, Engine, Http, Notices

OPERATIONS = {
    "deploy": deploy.deploy,
    "plan": plan.plan,
    "rollback": rollback.rollback,
    "restart": restart.restart,
    "verify": verify.verify,
}
CREDENTIAL_HEADERS = ("auth", "token", "key", "secret", "cookie", "pass")
"""Parts of the names of headers whose values are secrets."""
CRASHED = 1
NAMED = 3
"""Services that stand in a title by their names."""
SHORTEST_REAL_SECRET = 16
"""AWS keys have 40 characters; an emulator's `test` must not blot out every such word."""
SECRETS_OF_THE_JOB = (
    "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "ACTIONS_ID_TOKEN_REQUEST_TOKEN",
    "ACTIONS_RUNTIME_TOKEN",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Outside:
    """What the program cannot make itself: tests pass their own."""

    session: Callable[[str], boto3.Session]
    """Region to session."""
    http: Http
    builder: Builder
    engine: Engine
    clock: Clock
    concurrently: Concurrently = in_turn
    notices: Notices = field(default_factory=NoNotices)


def main(environ: Mapping[str, str], outside: Outside, stream: TextIO) -> int:
    """Run the action once and return its exit code."""
    redact = Redactor()
    secrets = (environ.get(name, "") for name in SECRETS_OF_THE_JOB)
    redact.hide(secret for secret in secrets if len(secret) >= SHORTEST_REAL_SECRET)
    console = Console(stream, redact)
    console.line(f"ecs-deploy-action {__version__}")
    runner = github.RunnerFiles(environ)
    try:
        given = inputs.read(environ)
    except InvalidInput as error:
        story = Story(service=environ.get("INPUT_SERVICE", ""), cluster="", run=inputs.run(environ))
        journal = Journal(console, redact, outside.clock, runner, story)
        return _fail(journal, error)
    story = Story(service=_title(given.service), cluster=given.cluster, run=inputs.run(environ))
    journal = Journal(console, redact, outside.clock, runner, story)
    _hide_inputs(given, journal)
    journal.record(rolled_back="false")
    runner.begin_state(outside.engine.own_container())
    lines = () if given.operation in QUIET else given.notify
    notifier = Notifier(lines, outside.notices, journal)
    source = Source(workspace=inputs.workspace(environ), run=story.run)

    def work(mine: Inputs, gateways: Gateways, own: Journal, group: Group) -> None:
        OPERATIONS[given.operation](mine, source, gateways, own, group)

    def release() -> None:
        _play(work, given, environ, outside, journal, stream, notifier)

    return _ended(release, journal, notifier)


def post(environ: Mapping[str, str], outside: Outside, stream: TextIO) -> int:
    """Run the post step of the action and return its exit code."""
    redact = Redactor()
    console = Console(stream, redact)
    saved = finish.Saved.read(github.saved_state(environ))
    if not saved.verdict:
        finish.stop_orphan(saved, outside.engine, console)
        # What it wrote after the runner had read its file: it may have got on meanwhile.
        saved = finish.Saved.read(github.saved_state(environ))
    if not saved.is_unfinished:
        console.line(f"nothing to finish: {saved.verdict or 'no release was under way'}")
        return 0
    given = inputs.read(environ)
    task = OneOff.from_text(saved.one_off) if saved.one_off else None
    intents = {each.service: each for each in Intent.read(saved.intent)}
    given = given.model_copy(update={"service": (task.service,) if task else tuple(intents)})
    story = Story(service=_title(given.service), cluster=given.cluster, run=inputs.run(environ))
    runner = github.RunnerFiles(environ)
    journal = Journal(console, redact, outside.clock, runner, story)
    _hide_inputs(given, journal)
    notifier = Notifier(given.notify, outside.notices, journal)

    def work(mine: Inputs, gateways: Gateways, own: Journal, group: Group) -> None:
        del group
        if task:
            own.story.facts.task_definition_arn = task.task_definition
            return one_off_task.finish(task, gateways, own)
        begun = intents[mine.name]
        own.story.facts.task_definition_arn = begun.task_definition
        own.story.facts.previous_task_definition_arn = begun.baseline.task_definition
        return finish.finish(begun, mine, gateways, own)

    def complete() -> None:
        _play(work, given, environ, outside, journal, stream, notifier)

    return _ended(complete, journal, notifier)


def _play(
    work: Callable[[Inputs, Gateways, Journal, Group], None],
    given: Inputs,
    environ: Mapping[str, str],
    outside: Outside,
    journal: Journal,
    stream: TextIO,
    notifier: Notifier,
) -> None:
    """Do the work for every service of the step."""
    # A restart has nothing to go back to.
    keeps = given.on_partial_failure == "keep" or not given.rollback_on_failure
    group = Group(given.service, outside.clock, keeps=keeps or given.operation == "restart")
    gateways = _gateways(given, environ, outside, journal, group)
    notifier.sns = gateways.sns
    if group.is_one:
        work(given.of(given.name), gateways, journal, group)
        return

    def story(name: str, own: Journal) -> None:
        work(given.of(name), gateways, own, group)

    stories = {name: partial(story, name) for name in given.service}
    board = Board(journal, given.service, group)
    several.play(stories, group, board, journal, stream)


def _title(services: Sequence[str]) -> str:
    return f"{len(services)} services" if len(services) > NAMED else ", ".join(services)


def _ended(work: Callable[[], None], journal: Journal, notifier: Notifier) -> int:
    """Do the work and turn whatever it ends with into an exit code; tell those who want it."""
    with Signals() as signals:
        end = _end_of(work, signals)
        code = _code(end, journal)
        is_cancelled = isinstance(end, Cancelled)
        # What was begun and not ended is the post step's to tell.
        if not (is_cancelled and finish.Saved.read(journal.kept).is_unfinished):
            notifier.tell(is_hurried=is_cancelled)
        return code


def _code(end: Exception | Cancelled | None, journal: Journal) -> int:
    match end:
        case ActionError() as error:
            return _fail(journal, error)
        case Cancelled() as cancelled:
            return _cancelled(journal, cancelled)
        case Exception() as error:
            return _crashed(journal, error)
        case None:
            journal.finish(lambda: render(journal.story))
            return 0


def _end_of(work: Callable[[], None], signals: Signals) -> Exception | Cancelled | None:
    """What the work ended with. From then on no signal can come between it and its report."""
    end: Exception | Cancelled | None = None
    try:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - the last resort
            end = error
        signals.hold()
    except Cancelled as cancelled:
        signals.hold()
        # An end that was reached before the signal stands.
        end = end or cancelled
    return end


def _gateways(
    given: Inputs, environ: Mapping[str, str], outside: Outside, journal: Journal, group: Group
) -> Gateways:
    session = outside.session(inputs.region(given, environ))
    if not group.is_one:
        group.when_checked = Memory(session).close
    if given.role_to_assume:
        _assume(given, given.role_to_assume, environ, outside, session, journal)
    try:
        identity = aws.identity(session)
    except AwsError as error:
        raise Blocked(
            "AWS does not accept the credentials of this job.", why=f"{error}.", fix=error.fix
        ) from error
    journal.story.region, journal.story.account = identity.region, identity.account
    clients = aws.Clients(session)
    return Gateways(
        identity=identity,
        ecs=Ecs(session, given.cluster)
        if group.is_one
        else SharedEcs(session, given.cluster, group.ask),
        ecr=Ecr(session, given.registry, outside.http),
        scans=Scans(session, given.registry),
        elbv2=Elbv2(session),
        logs=Logs(session),
        http=outside.http,
        builder=outside.builder,
        engine=outside.engine,
        clock=outside.clock if group.is_one else group,
        concurrently=outside.concurrently,
        cloudwatch=CloudWatch(clients),
        sns=Sns(clients),
        registries=Registries(clients, outside.http, given.registry),
        iam=Iam(clients),
        secrets=Secrets(clients),
        log_groups=LogGroups(clients),
        s3=S3(clients),
        ec2=Ec2(clients),
    )


def _assume(
    given: Inputs,
    role: str,
    environ: Mapping[str, str],
    outside: Outside,
    session: boto3.Session,
    journal: Journal,
) -> None:
    if not github.can_ask_for_token(environ):
        raise InvalidInput(
            "`role-to-assume` cannot be assumed.",
            why="The job has no OIDC token to assume it with.",
            fix="Add `permissions: {id-token: write, contents: read}` to the job.",
        )
    name = given.role_session_name or _session_name(environ)

    def token() -> str:
        asked = github.identity_token(environ, outside.http, given.audience)
        journal.redact.hide([asked])
        return asked

    aws.use_role(
        session,
        role=role,
        session_name=name,
        duration_seconds=given.role_duration_seconds,
        identity_token=token,
    )


def _session_name(environ: Mapping[str, str]) -> str:
    """Names the run in CloudTrail; AWS allows 64 characters of a small alphabet."""
    text = f"{environ.get('GITHUB_REPOSITORY', 'ecs-deploy')}-{environ.get('GITHUB_RUN_ID', '')}"
    return "".join(c if c.isalnum() or c in "=,.@-" else "-" for c in text).strip("-")[-64:]


def _hide_inputs(given: Inputs, journal: Journal) -> None:
    """What the inputs bring is hidden before the first line can repeat it."""
    journal.hide(*(secret.get_secret_value() for secret in given.build_secrets.values()))
    journal.hide(*secrets_of(given.notify))
    journal.redact.hide_environment(given.environment_variables)
    for name, value in map(parse_header, given.health_headers):
        if any(part in name.lower() for part in CREDENTIAL_HEADERS):
            # `Bearer abc` is a secret as a whole, and so is `abc` alone.
            journal.redact.hide([value, value.rpartition(" ")[2]])


def _fail(journal: Journal, error: ActionError) -> int:
    journal.fail(error)
    journal.finish(lambda: render(journal.story))
    return error.exit_code


def _cancelled(journal: Journal, cancelled: Cancelled) -> int:
    """What was started and what was undone; the post step has the last word."""
    verdict = journal.story.facts.verdict
    done = journal.story.rollback or (
        f"The release had been verified before ({verdict}) and stays."
        if verdict
        else "No release had been started; the service was not touched."
    )
    journal.story.ending = "cancelled"
    journal.story.what = f"The run was cancelled. {done}"
    journal.story.rollback = ""
    journal.console.line(journal.story.what)
    journal.console.error("cancelled", journal.story.what)
    journal.finish(lambda: render(journal.story))
    return cancelled.exit_code


def _crashed(journal: Journal, error: Exception) -> int:
    """A bug of ours: everything a report needs, and nothing that is secret."""
    facts = journal.story.facts
    lines = [
        f"ecs-deploy-action {__version__}, Python {platform.python_version()}",
        f"phases: {', '.join(p.title for p in journal.story.phases) or 'none'}",
        *"".join(traceback.format_exception(error)).splitlines(),
    ]
    touched = (
        f"Deployment {facts.deployment_id} of {journal.story.service} had been started: look at it."
        if facts.deployment_id
        else "The service was not touched."
    )
    journal.story.ending = "bug"
    journal.story.what = f"The action itself failed. {touched}"
    journal.story.why = f"{type(error).__name__}: {error}"
    journal.story.fix = "Report this with the lines below; they hold no secrets."
    journal.story.evidence = lines
    journal.console.line(journal.story.what)
    journal.foreign("Paste this into the report:", lines)
    journal.console.error("bug", f"{journal.story.what} {journal.story.why}")
    journal.finish(lambda: render(journal.story))
    return CRASHED
