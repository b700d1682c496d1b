"""The fifteen invariants of a deployer, judged on the history and the state of the simulated AWS.

Each takes a trial and yields complaints. Only what really happened counts; of the program
nothing is believed but what it tells a user: exit code, outputs, log, summary, report.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tests.simulator import Change
from tests.storms import manners
from tests.storms.facts import (
    SHOWS_ROLLOUT,
    Started,
    baseline,
    clean_reads,
    completed_at,
    forward,
    images,
    is_completed,
    main_of,
    only_fails,
    others_acted,
    own_writes,
    primary_at,
    story_lines,
)
from tests.storms.trial import Run, Trial

CODES = {
    "deployed": 0, "restarted": 0, "unchanged": 0, "deployed-unverified": 0, "invalid": 2,
    "blocked": 3, "build-failed": 4, "rolled-back": 5, "timed-out": 6, "unhealthy": 7,
    "rollback-failed": 8, "failed": 9, "superseded": 10, "unknown": 11,
}  # fmt: skip
MOVED = {"deployed", "restarted"}
GOOD_ENDS = {*MOVED, "unchanged", "deployed-unverified"}
PUT_BACK = {"rolled-back", "timed-out", "unhealthy"}
UNTOUCHED = {"invalid", "blocked", "build-failed", "unchanged"}
ADMITS = {"rollback-failed", "unknown"}
"""Verdicts that claim nothing about where the service is."""
STEP_GRACE = 900.0
POST_SECONDS = 300.0
LET_GO_SECONDS = 7.0
GOOD_ANSWERS = 3
SIGNALLED = 128
UNFINISHED = "could not complete the rollback"
"""What a run says where the old tasks never left, and ECS cannot start more of them."""
NO_WAY_BACK = "there is none to go back to"
"""What a run says that came after a lost one whose revision is all that the service had left."""

Invariant = Callable[[Trial], Iterator[str]]


def check(trial: Trial, rerun: str) -> None:
    """Raise with the seed, the faults and the end of the history if any invariant is broken."""
    broken = list(violations(trial))
    if not broken:
        return
    lines = [f"{trial.name}: {len(broken)} invariant(s) broken", *broken, *story_lines(trial)]
    raise AssertionError("\n".join([*lines, "again: " + rerun]))


def violations(trial: Trial) -> Iterator[str]:
    for invariant in INVARIANTS:
        for complaint in invariant(trial):
            yield f"{invariant.__name__}: {complaint}"


def i1_green_is_green(trial: Trial) -> Iterator[str]:
    """A good end means: our deployment was PRIMARY and done, ran our image only, and answered."""
    for run in trial.runs:
        if run.verdict not in MOVED or run.step != "main":
            continue
        ours, reads = forward(trial, run), clean_reads(trial, run)
        if ours is None or not reads:
            yield "deployed, and no update took effect"
            continue
        seen = primary_at(trial, reads[-1].changes)
        looks = clean_reads(trial, run, names=SHOWS_ROLLOUT)
        done = completed_at(trial, ours, looks[-1].changes)
        if seen.id != ours.id:
            yield f"deployed, but {seen.id} was PRIMARY at the last look, and ours is {ours.id}"
        elif done is None:
            yield "deployed before ECS completed the deployment"
        else:
            yield from _ran_only_ours(trial, run, ours)
            yield from _was_probed(trial, run, done)


def _ran_only_ours(trial: Trial, run: Run, ours: Started) -> Iterator[str]:
    if primary_at(trial, run.changes.stop).id != ours.id:
        return
    (runs_ours,) = images(trial, ours.task_definition)
    digest = run.outcome.outputs.get("image-digest") or runs_ours
    if digest != runs_ours:
        yield f"image-digest is {digest}, which is not what was deployed"
    for revision, runs in run.running:
        if revision != ours.task_definition or runs != digest:
            yield f"deployed, and a task runs {revision} with {runs[:19]}"


def _was_probed(trial: Trial, run: Run, done: int) -> Iterator[str]:
    if not trial.has_endpoint:
        return
    asked = [a for a in trial.asked if a.call in run.calls and a.url.endswith("/health")]
    last = asked[-GOOD_ANSWERS:]
    if len(last) < GOOD_ANSWERS or not all(a.good and a.changes >= done for a in last):
        yield f"deployed without {GOOD_ANSWERS} good answers after the old tasks had left"


def i2_never_in_between(trial: Trial) -> Iterator[str]:
    """A bad end leaves the old revision, somebody else's, or words that say that it does not."""
    main = main_of(trial, trial.runs[-1])
    runs = trial.runs[trial.runs.index(main) :]
    service = trial.world.state.service("web")
    told = {run.verdict for run in runs}
    if main.verdict in GOOD_ENDS or told & ADMITS or runs[-1].is_cut_off or trial.may_leave:
        return
    if service.status != "ACTIVE" or others_acted(trial, main.changes.start):
        return
    if NO_WAY_BACK in main.outcome.summary:
        return
    if forward(trial, main) is None:
        return
    old = baseline(trial, main)
    if service.primary.task_definition not in old:
        yield f"ends on {service.primary.task_definition}, not on {' or '.join(sorted(old))}"
    elif service.primary.rollout_state == "FAILED":
        yield "ends on a deployment that failed"


def i3_latest_is_verified(trial: Trial) -> Iterator[str]:
    """`latest` moves to the image of a completed PRIMARY deployment that answered, and forward."""
    for change in trial.world.history.of("tag-moved"):
        if change.actor != "client" or change.detail["tag"] != "latest":
            continue
        assert change.call is not None
        run = next(run for run in trial.runs if change.call in run.calls)
        digest, before = change.detail["digest"], change.detail["before"]
        seen = primary_at(trial, clean_reads(trial, run, change.call)[-1].changes)
        if digest not in images(trial, seen.task_definition):
            yield f"`latest` moved to {digest[:19]}, which does not run"
        elif not is_completed(trial, seen):
            yield "`latest` moved to an image whose deployment had not completed"
        elif trial.has_endpoint and not any(a.good for a in trial.asked if a.call < change.call):
            yield "`latest` moved to an image that never answered"
        pushed = trial.world.state.repositories["web"].pushed_at
        if before in pushed and pushed[before] > pushed[digest]:
            yield "`latest` moved back to an older image"


def i4_others_are_left_alone(trial: Trial) -> Iterator[str]:
    """No write to the service once an answer showed that somebody else's deployment has it."""
    for run in trial.runs:
        for change in own_writes(trial, run):
            assert change.call is not None
            reads = clean_reads(trial, run, change.call)
            seen = primary_at(trial, reads[-1].changes) if reads else None
            if seen is None or seen.actor != "foreign" or seen.why == "given":
                pass
            elif not _may_replace(trial, run, seen):
                yield f"wrote ({change.kind}) after {seen.id} of somebody else was seen"
            if change.kind == "stop-requested":
                record = trial.world.state.service_deployments[change.detail["deployment"]]
                target = trial.world.state.revisions[record.target].task_definition
                ours = forward(trial, run)
                if ours is None or target != ours.task_definition:
                    yield "stopped a deployment that is not ours"


def _may_replace(trial: Trial, run: Run, seen: Started) -> bool:
    """Whether the plan was made with that deployment in view, and after it was over."""
    build = [
        call.index
        for call in trial.world.history.calls[run.calls.start : run.calls.stop]
        if call.name in {"builder:build_and_push", "ecs:RegisterTaskDefinition"}
    ]
    planned = clean_reads(trial, run, build[0] if build else None)
    known = any(
        primary_at(trial, read.changes).id == seen.id
        and (is_completed(trial, seen, read.changes) or only_fails(trial, seen))
        for read in planned
    )
    return known and run.step == "main"


def i5_baseline_is_recorded(trial: Trial) -> Iterator[str]:
    """Before the first write to the service the state file knows what to go back to."""
    for run in trial.runs:
        for call in run.unrecorded:
            yield f"call {call} wrote before the baseline was saved"


def i6_told_truth(trial: Trial) -> Iterator[str]:
    """Verdict, exit code and outputs agree with each other and with what really is."""
    for run in trial.runs:
        yield from _fits_together(run)
        yield from _is_so(trial, run)
        if run.verdict in PUT_BACK or run.outcome.outputs.get("rolled-back") == "true":
            yield from _is_put_back(trial, run)


def _fits_together(run: Run) -> Iterator[str]:
    told = run.code is not None and run.code <= SIGNALLED
    if told and CODES.get(run.verdict, 0) != run.code:
        yield f"code {run.code} with the verdict {run.verdict!r}"
    if run.step == "main" and run.code == 0 and run.verdict not in GOOD_ENDS:
        yield f"exit code 0 with the verdict {run.verdict!r}"


def _is_so(trial: Trial, run: Run) -> Iterator[str]:
    ours, since = forward(trial, run), main_of(trial, run).changes.start
    deployment = run.outcome.outputs.get("deployment-id")
    if deployment and (ours is None or ours.id != deployment):
        yield f"deployment-id is {deployment}, and ours is {ours}"
    if run.verdict in UNTOUCHED and any(own_writes(trial, run)):
        yield f"{run.verdict}, but the service was touched"
    if run.verdict == "superseded" and not others_acted(trial, since, run.changes.stop):
        yield "superseded, but nobody else did anything"
    if "was not started" in run.outcome.summary and ours is not None:
        yield f"says that nothing was started, and {ours.id} was"


def _is_put_back(trial: Trial, run: Run) -> Iterator[str]:
    """The last look of the step could see the old revision, completed."""
    reads = clean_reads(trial, run)
    seen = primary_at(trial, reads[-1].changes) if reads else None
    if seen is None or seen.task_definition not in baseline(trial, run):
        yield f"{run.verdict or 'put back'}, but the last look showed {seen}"
    elif UNFINISHED in run.outcome.log:
        if {revision for revision, _ in run.running} != {seen.task_definition}:
            yield f"says that the old revision serves, but tasks run {run.running}"
    elif not is_completed(trial, seen, clean_reads(trial, run, names=SHOWS_ROLLOUT)[-1].changes):
        yield f"{run.verdict or 'put back'}, but {seen.id} had not completed"
    elif primary_at(trial, run.changes.stop).id == seen.id and not {
        revision for revision, _ in run.running
    } <= {seen.task_definition}:
        yield f"{run.verdict or 'put back'}, but tasks run {run.running}"


def i7_once(trial: Trial) -> Iterator[str]:
    """At most one forward update takes effect and at most one rollback, whatever is repeated."""
    groups: list[list[Run]] = []
    for run in trial.runs:
        if run.step == "main":
            groups.append([])
        groups[-1].append(run)
    for runs in groups:
        ours = forward(trial, runs[0])
        goal = ours.task_definition if ours else ""
        writes = [c for run in runs for c in own_writes(trial, run) if _had_effect(trial, c)]
        ahead = sum(change.detail.get("taskDefinition") == goal for change in writes)
        if ahead > 1 or len(writes) - ahead > 1:
            yield f"{ahead} forward updates and {len(writes) - ahead} rollbacks took effect"


def _had_effect(trial: Trial, change: Change) -> bool:
    """Whether anything came of it.

    Not where the revision was asked for that the service had, nor where ECS ended
    the deployment by itself before it obeyed.
    """
    if change.kind != "stop-requested":
        return bool(change.detail["deploys"])
    record = trial.world.state.service_deployments[change.detail["deployment"]]
    return record.status.startswith("ROLLBACK")


def i8_in_time(trial: Trial) -> Iterator[str]:
    """A step ends within its limits, also when AWS answers nothing."""
    limit = float(trial.inputs.get("rollout_timeout_minutes", "60")) * 60
    health = float(trial.inputs.get("health_timeout_seconds", "120"))
    for run in trial.runs:
        seconds = run.ended - run.started
        bound = 3 * limit + 2 * health + STEP_GRACE if run.step == "main" else POST_SECONDS
        if seconds > bound:
            yield f"the {run.step} step took {seconds:.0f} s, and {bound:.0f} s are its limit"
        if run.cancelled_at is not None and run.step == "main" and run.code is not None:
            after = run.ended - run.cancelled_at
            if after > LET_GO_SECONDS and not _is_slow(trial):
                yield f"the cancelled step lived on for {after:.1f} s"


def _is_slow(trial: Trial) -> bool:
    """Whether AWS took its time by itself."""
    return any(each.startswith(("slow", "timed out", "silent")) for each in trial.struck)


INVARIANTS: tuple[Invariant, ...] = (
    manners.no_bug,
    i1_green_is_green,
    i2_never_in_between,
    i3_latest_is_verified,
    i4_others_are_left_alone,
    i5_baseline_is_recorded,
    i6_told_truth,
    i7_once,
    i8_in_time,
    manners.i9_no_secret,
    manners.i10_converges,
    manners.i11_only_known_writes,
    manners.i12_early,
    manners.i13_nothing_else_changed,
    manners.i14_diagnostics_decide_nothing,
    manners.i15_in_budget,
)
