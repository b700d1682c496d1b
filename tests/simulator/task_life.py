"""The life of one task, from PROVISIONING to STOPPED; why it was started is not its concern."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from functools import partial

from .behaviour import Behaviour, OneOff
from .core import Core
from .ecs_records import Container, Task
from .registry import PullError, choose_platform, labels_of, resolve
from .start_problems import find_start_problem
from .state import LogLine
from .targets import Targets

_ARCHITECTURES = {"X86_64": "linux/amd64", "ARM64": "linux/arm64"}
_SIGKILL = 137


class TaskLife:
    """Moves tasks through their states and tells the scheduler what it must know."""

    def __init__(self, core: Core, targets: Targets) -> None:
        self._core = core
        self._targets = targets
        self.on_pulled: Callable[[Task], None] = lambda _task: None
        self.on_running: Callable[[Task], None] = lambda _task: None
        self.on_health_changed: Callable[[Task], None] = lambda _task: None
        self.on_stopped: Callable[[Task], None] = lambda _task: None

    def launch(self, task: Task) -> None:
        self._core.state.tasks[task.arn] = task
        self._after(task, self._core.timings.provision, self._provisioned)

    def stop(self, task: Task, code: str, reason: str) -> None:
        """Stop as AWS does on an order: drain first, then SIGTERM, then SIGKILL."""
        if task.is_stopping:
            return
        self._mark_stopping(task, code, reason)
        task.status = "DEACTIVATING" if task.status == "RUNNING" else task.status
        drains = [self._targets.deregister(each, task) for each in self._targets.groups_of(task)]
        self._core.later(max(drains, default=0.0), lambda: self._terminate(task))

    def _after(self, task: Task, seconds: float, step: Callable[[Task], None]) -> None:
        """The next step of a task that nobody has told to stop meanwhile."""

        def go() -> None:
            if not task.is_stopping:
                task.version += 1
                step(task)

        self._core.later(seconds, go)

    def _provisioned(self, task: Task) -> None:
        task.status = "PENDING"
        problem = find_start_problem(self._core, task)
        if problem is not None:
            seconds, reason = problem
            self._after(task, seconds, lambda it: self._fail_start(it, reason))
            return
        task.pull_started_at = self._core.clock.now()
        pull = self._core.timings.pull
        for container in task.containers:
            try:
                self._pull(task, container)
            except PullError as error:
                seconds = self._core.behaviour(task, container).pull_error_seconds
                reason = f"CannotPullContainerError: {error}"
                self._after(task, seconds, self._failing(container, reason, None))
                return
        self._after(task, pull, self._pulled)

    def _pull(self, task: Task, container: Container) -> None:
        state = self._core.state
        digest = resolve(state, container.image, container.digest)
        behaviour = self._core.behaviour(task, container, digest)
        if behaviour.pull_error is not None:
            raise PullError(behaviour.pull_error)
        body = state.task_definitions[task.task_definition].body
        asked = body.get("runtimePlatform", {}).get("cpuArchitecture", "X86_64")
        choose_platform(state, container.image, digest, _ARCHITECTURES[asked])
        container.digest = digest

    def _pulled(self, task: Task) -> None:
        task.pull_stopped_at = self._core.clock.now()
        self.on_pulled(task)
        self._after(task, self._core.timings.start, self._start)

    def _start(self, task: Task) -> None:
        for container in task.containers:
            behaviour = self._core.behaviour(task, container)
            if behaviour.start_error is not None:
                reason = behaviour.start_error
                self._failing(container, reason, behaviour.start_exit_code)(task)
                return
        task.status = "RUNNING"
        task.started_at = self._core.clock.now()
        for container in task.containers:
            self._run(task, container)
        self._after(task, self._core.timings.settle, self._settle)
        self.on_running(task)

    def _run(self, task: Task, container: Container) -> None:
        container.status = "RUNNING"
        container.ran_at = self._core.clock.now()
        behaviour = self._core.behaviour(task, container)
        one_off = _one_off(task, container, behaviour)
        if one_off is not None:
            pause = one_off.seconds / max(len(one_off.log_lines), 1)
            for number, line in enumerate(one_off.log_lines):
                write = partial(self._log, container=container, lines=(line,))
                self._after(task, number * pause, write)
            self._after(
                task, one_off.seconds, lambda it: self._exit(it, container, one_off.exit_code, None)
            )
            return
        self._log(task, container, behaviour.log_lines)
        if behaviour.crash_exit_code is not None or behaviour.oom:
            self._after(
                task,
                behaviour.crash_after_seconds,
                lambda it: self._crash(it, container, behaviour),
            )
        if container.has_check:
            check = self._core.definition_of(task, container)["healthCheck"]
            self._after(task, check["interval"], lambda it: self._check(it, container))

    def _settle(self, task: Task) -> None:
        task.settled = True
        self.on_health_changed(task)

    def _check(self, task: Task, container: Container) -> None:
        """One run of the container's own health check."""
        check = self._core.definition_of(task, container)["healthCheck"]
        behaviour = self._core.behaviour(task, container)
        age = self._core.seconds_running(container)
        before = container.health
        if behaviour.container_health and age >= behaviour.start_seconds:
            container.failed_checks, container.health = 0, "HEALTHY"
        elif age > check["startPeriod"]:
            container.failed_checks += 1
            if container.failed_checks >= check["retries"]:
                container.health = "UNHEALTHY"
        if container.health != before:
            self.on_health_changed(task)
        self._after(task, check["interval"], lambda it: self._check(it, container))

    def _crash(self, task: Task, container: Container, behaviour: Behaviour) -> None:
        self._log(task, container, behaviour.crash_log_lines)
        if behaviour.oom:
            reason = "OutOfMemoryError: Container killed due to memory usage"
            self._exit(task, container, _SIGKILL, reason)
        else:
            self._exit(task, container, behaviour.crash_exit_code or 0, None)

    def _exit(self, task: Task, container: Container, code: int, reason: str | None) -> None:
        container.status, container.exit_code, container.reason = "STOPPED", code, reason
        container.ended = True
        if container.essential:
            self._mark_stopping(
                task, "EssentialContainerExited", "Essential container in task exited"
            )
            for group in self._targets.groups_of(task):
                self._targets.deregister(group, task)
            self._kill(task)

    def _failing(
        self, container: Container, reason: str, exit_code: int | None
    ) -> Callable[[Task], None]:
        def fail(task: Task) -> None:
            container.reason, container.exit_code = reason, exit_code
            self._fail_start(task, reason)

        return fail

    def _fail_start(self, task: Task, reason: str) -> None:
        self._mark_stopping(task, "TaskFailedToStart", reason)
        self._end(task)

    def _mark_stopping(self, task: Task, code: str, reason: str) -> None:
        task.desired_status = "STOPPED"
        task.stop_code, task.stopped_reason = code, reason
        task.stopping_at = self._core.clock.now()
        task.is_healthy = False

    def _terminate(self, task: Task) -> None:
        """SIGTERM to every container, and SIGKILL to those that do not listen."""
        task.status = "STOPPING"
        seconds = 0.0
        for container in task.containers:
            if container.ran_at is not None and not container.ended:
                behaviour = self._core.behaviour(task, container)
                timeout = self._core.definition_of(task, container).get("stopTimeout", 30)
                stubborn = behaviour.ignores_sigterm or behaviour.stop_seconds > timeout
                container.exit_code = _SIGKILL if stubborn else behaviour.sigterm_exit_code
                seconds = max(seconds, timeout if stubborn else behaviour.stop_seconds)
        self._core.later(seconds, lambda: self._end(task))

    def _kill(self, task: Task) -> None:
        for container in task.containers:
            if container.ran_at is not None and not container.ended:
                container.exit_code = _SIGKILL
        self._end(task)

    def _end(self, task: Task) -> None:
        task.execution_stopped_at = self._core.clock.now()
        task.status = "DEPROVISIONING"
        for container in task.containers:
            container.status = "STOPPED"
        self._core.later(self._core.timings.deprovision, lambda: self._gone(task))

    def _gone(self, task: Task) -> None:
        task.status = "STOPPED"
        task.stopped_at = self._core.clock.now()
        task.version += 1
        self.on_stopped(task)

    def _log(self, task: Task, container: Container, lines: tuple[str, ...]) -> None:
        options = log_options(self._core, task, container)
        if options is None:
            return
        stream = f"{options['awslogs-stream-prefix']}/{container.name}/{task.id}"
        group = self._core.state.logs.setdefault(options["awslogs-group"], {})
        written = group.setdefault(stream, [])
        for number, line in enumerate(lines):
            moment = self._core.clock.now() + timedelta(milliseconds=number)
            text = fill(self._core, task, container, line)
            written.append(LogLine(time=moment, message=text))


def log_options(core: Core, task: Task, container: Container) -> dict[str, str] | None:
    configuration = core.definition_of(task, container).get("logConfiguration")
    if configuration is None or configuration["logDriver"] != "awslogs":
        return None
    options: dict[str, str] = configuration["options"]
    return options


def fill(core: Core, task: Task, container: Container, text: str) -> str:
    """`text` with `{digest}`, `{label:NAME}` and `{env:NAME}` of this container filled in."""
    text = text.replace("{digest}", container.digest or "")
    for name, value in labels_of(core.state, container.image, container.digest).items():
        text = text.replace(f"{{label:{name}}}", value)
    for variable in core.definition_of(task, container).get("environment", []):
        text = text.replace(f"{{env:{variable['name']}}}", variable["value"])
    return text


def _one_off(task: Task, container: Container, behaviour: Behaviour) -> OneOff | None:
    overrides = task.overrides.get("containerOverrides", [])
    commanded = {each["name"] for each in overrides if "command" in each}
    return behaviour.one_off if container.name in commanded else None
