"""Builds an image and pushes it, by running `buildx build` as a child process.

The child gets an environment of its own: no AWS credentials, no inputs, a
temporary home that is gone afterwards. Secrets and the registry password never
stand on its command line. This module must not decide what to build, and must
not print: steps go to `on_step`, failures into `BuildError`.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import select
import shutil
import signal
import subprocess
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import IO, Any, cast

from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin

# Compilers are silent for long, but not for this long: it is a hanging pull or push.
SILENCE_LIMIT_SECONDS = 30 * 60.0
# What fits on a screen and, with its step, into one annotation of 4,096 characters.
LOG_LINES = 30
LINE_LENGTH = 300
DETAIL_LENGTH = 3000
# BuildKit cuts a log at 2 MiB; thirty lines never need more than this of its end.
LOG_BYTES = 64 * 1024
# Two of the 7.5 seconds the runner leaves between its first signal and the next.
GRACE_SECONDS = 2.0
# Hiding `1` or `yes` wherever it stands would shred ordinary text and protect nothing.
SHORTEST_SECRET = 4

_HANDED_ON = (
    *("PATH", "DOCKER_HOST", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH"),
    *("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "ALL_PROXY"),
    *("http_proxy", "https_proxy", "no_proxy", "all_proxy"),
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "SOURCE_DATE_EPOCH"),
)
# A build argument travels in the child's environment under its own name. These
# names mean something to the child itself, so they go on the command line
# instead. Too many here costs nothing: a build argument is no secret, it stands
# in the history of the image.
_MEANT_FOR_THE_CHILD = re.compile(
    r"PATH|HOME|TMPDIR|TZ|TERM|NO_COLOR|COLUMNS|SOURCE_DATE_EPOCH|.*_PROXY|GO[A-Z]+"
    r"|(AWS|ACTIONS|BUILDKIT|BUILDX|DEPLOY_ACTION|DOCKER|DYLD|EXPERIMENTAL|GIT|GRPC|LD|OTEL"
    r"|SSH|SSL|XDG)_.*",
    re.IGNORECASE,
)
_PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Buildx:
    """BuildKit through the buildx client, as `ports.Builder`."""

    def __init__(
        self,
        environ: Mapping[str, str],
        *,
        silence_limit_seconds: float = SILENCE_LIMIT_SECONDS,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self._environ = dict(environ)
        self._silence_limit_seconds = silence_limit_seconds
        self._grace_seconds = grace_seconds

    def build_and_push(
        self, build: Build, login: RegistryLogin, on_step: Callable[[BuildStep], None]
    ) -> str:
        program = _find_program(self._environ)
        workspace = Path(self._environ.get("GITHUB_WORKSPACE") or Path.cwd())
        context, dockerfile = _paths(build, workspace)
        transcript = _Transcript(on_step, _redactor(build, login))
        with tempfile.TemporaryDirectory(prefix="deploy-action-") as folder:
            home = Path(folder)
            metadata = home / "metadata.json"
            _write_login(home / "docker", login)
            ending = _run(
                [program, *_arguments(build, context, dockerfile, metadata)],
                _environment(build, self._environ, home),
                transcript.read,
                silence_limit_seconds=self._silence_limit_seconds,
                grace_seconds=self._grace_seconds,
            )
            transcript.close()
            if ending:
                raise transcript.failure(ending, dockerfile)
            return _digest(metadata)


def hint(detail: str) -> str | None:
    """The sentence that tells a user what to change, for a failure that is well known."""
    # The command of a RUN says nothing about why it failed, whatever words stand in it.
    message = _QUOTED_COMMAND.sub("", detail)
    for pattern, fix in _HINTS:
        found = re.search(pattern, message, re.IGNORECASE)
        if found:
            return fix.format(*found.groups())
    return None


def _find_program(environ: Mapping[str, str]) -> str:
    path = environ.get("PATH", os.defpath)
    program = shutil.which("buildx", path=path)
    if program:
        return program
    # The CLI plugin is the same program and runs without the CLI.
    home = environ.get("HOME")
    folders = [f"{home}/.docker/cli-plugins"] if home else []
    plugin = shutil.which("docker-buildx", path=os.pathsep.join([path, *folders, *_PLUGIN_FOLDERS]))
    if plugin:
        return plugin
    raise BuildError(
        "buildx was not found: neither on PATH nor among the plugins of the Docker CLI"
    )


def _paths(build: Build, workspace: Path) -> tuple[Path, Path]:
    context = workspace / build.context
    if not context.is_dir():
        raise BuildError(f"the build context {build.context!r} is not a folder in {workspace}")
    dockerfile = workspace / build.dockerfile if build.dockerfile else context / "Dockerfile"
    if not dockerfile.is_file():
        raise BuildError(f"the Dockerfile {str(dockerfile)!r} does not exist")
    return context, dockerfile


def _write_login(folder: Path, login: RegistryLogin) -> None:
    folder.mkdir(mode=0o700)
    secret = base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
    file = os.open(folder / "config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump({"auths": {login.host: {"auth": secret}}}, stream)


def _arguments(build: Build, context: Path, dockerfile: Path, metadata: Path) -> Iterator[str]:
    yield from ("build", "--progress=rawjson", "--push")
    # One plain manifest: ECR cannot scan the index that a provenance record makes of it.
    yield "--provenance=false"
    yield from ("--metadata-file", str(metadata))
    yield from ("--platform", build.platform, "--tag", build.tag, "--file", str(dockerfile))
    if build.target:
        yield from ("--target", build.target)
    for name, value in build.build_args.items():
        hidden = not _MEANT_FOR_THE_CHILD.fullmatch(name)
        yield from ("--build-arg", name if hidden else f"{name}={value}")
    for number, name in enumerate(build.secrets):
        yield from ("--secret", _csv(f"id={name}", f"env={_secret_variable(number)}"))
    for name, value in build.labels.items():
        yield from ("--label", f"{name}={value}")
    if build.cache_from:
        yield from ("--cache-from", _csv("type=registry", f"ref={build.cache_from}"))
        yield from ("--cache-to", "type=inline")
    yield str(context)


def _environment(build: Build, environ: Mapping[str, str], home: Path) -> dict[str, str]:
    arguments = {
        name: value
        for name, value in build.build_args.items()
        if not _MEANT_FOR_THE_CHILD.fullmatch(name)
    }
    secrets = {
        _secret_variable(number): value for number, value in enumerate(build.secrets.values())
    }
    own = {name: environ[name] for name in _HANDED_ON if environ.get(name)}
    own |= {"HOME": str(home), "TMPDIR": str(home), "DOCKER_CONFIG": str(home / "docker")}
    own |= {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_METADATA_PROVENANCE": "disabled"}
    # Only provenance needs the commit; without this buildx starts a git of its own.
    own |= {"BUILDX_GIT_INFO": "false"}
    return {**arguments, **secrets, **own}


def _secret_variable(number: int) -> str:
    return f"DEPLOY_ACTION_SECRET_{number}"


def _csv(*fields: str) -> str:
    """Quoted where a field holds a comma, as buildx reads its list options."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _digest(metadata: Path) -> str:
    try:
        found = json.loads(metadata.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BuildError(f"buildx succeeded but left no metadata: {error}") from error
    digest = found.get("containerimage.digest") if isinstance(found, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BuildError(f"buildx succeeded but named no digest of what it pushed: {digest!r}")
    return digest


def _run(
    command: Sequence[str],
    environment: Mapping[str, str],
    read: Callable[[str], None],
    *,
    silence_limit_seconds: float,
    grace_seconds: float,
) -> str | None:
    """Hand every line to `read`; return how the child failed, None where it did not.

    However this function ends, the child has ended before it.
    """
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"buildx could not be started: {error}"
    try:
        for line in _lines(child, silence_limit_seconds):
            read(line)
        code = child.wait(silence_limit_seconds)
    except (_Silent, subprocess.TimeoutExpired):
        minutes = silence_limit_seconds / 60
        return f"buildx said nothing for {minutes:g} minutes and was stopped"
    finally:
        _end(child, grace_seconds)
    return None if code == 0 else f"buildx ended with {_ending(code)}"


class _Silent(Exception):
    """The child has not said a word for too long."""


def _lines(child: subprocess.Popen[bytes], silence_limit_seconds: float) -> Iterator[str]:
    pipe = cast("IO[bytes]", child.stdout).fileno()
    rest = b""
    while select.select([pipe], [], [], silence_limit_seconds)[0]:
        chunk = os.read(pipe, 65536)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines if chunk else [rest]:
            yield line.decode("utf-8", errors="replace")
        if not chunk:
            return
    raise _Silent


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


def _end(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """BuildKit drops the build and the push when their client is gone."""
    try:
        if child.poll() is None:
            _signal(child, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(grace_seconds)
    finally:
        # Reached also where a second signal of the runner cuts the wait short.
        if child.poll() is None:
            _signal(child, signal.SIGKILL)
            child.wait()
        cast("IO[bytes]", child.stdout).close()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    vertex: str
    name: str
    error: str


class _Transcript:
    """What buildx has said: the steps, the end of each step's log, the text between.

    Records are JSON objects, one on a line since buildx 0.14, indented over
    several lines before. Everything else is plain text.
    """

    def __init__(self, on_step: Callable[[BuildStep], None], clean: Callable[[str], str]) -> None:
        self._on_step = on_step
        self._clean = clean
        self._plain: deque[str] = deque(maxlen=200)
        self._indented: list[str] = []
        self._logs: dict[str, bytes] = {}
        self._failures: list[_Failure] = []
        self._running: dict[str, str] = {}
        self._inputs: set[str] = set()
        self._held: dict[str, BuildStep] = {}
        self._reported: set[str] = set()

    def read(self, line: str) -> None:
        if self._indented or line == "{":
            self._indented.append(line)
            if line != "}":
                return
            line = "\n".join(self._indented)
            self._indented.clear()
        record = _record(line)
        if record is None:
            self._plain.append(line)
            return
        for vertex in record.get("vertexes") or ():
            self._vertex(vertex)
        for log in record.get("logs") or ():
            before = self._logs.get(log["vertex"], b"")
            self._logs[log["vertex"]] = (before + base64.b64decode(log["data"]))[-LOG_BYTES:]

    def close(self) -> None:
        self._plain.extend(self._indented)
        for vertex in list(self._held):
            self._report(vertex)

    def _vertex(self, vertex: Mapping[str, Any]) -> None:
        digest, inputs = vertex["digest"], vertex.get("inputs") or ()
        self._inputs.update(inputs)
        if "started" not in vertex:
            return
        for source in inputs:
            self._report(source)
        if "completed" not in vertex:
            self._running[digest] = vertex["name"]
            return
        self._running.pop(digest, None)
        if vertex.get("error"):
            self._failures.append(
                _Failure(vertex=digest, name=vertex["name"], error=vertex["error"])
            )
        self._held[digest] = self._step(vertex)
        # A base image or a context ends once when it is looked up and again when
        # it is really fetched: such a source is told when the first step uses it.
        if inputs or digest not in self._inputs:
            self._report(digest)

    def _step(self, vertex: Mapping[str, Any]) -> BuildStep:
        started, completed = (
            datetime.fromisoformat(vertex[moment]) for moment in ("started", "completed")
        )
        return BuildStep(
            name=_visible(self._clean(vertex["name"])),
            seconds=max(0.0, (completed - started).total_seconds()),
            cached=bool(vertex.get("cached")),
            # The first build of all finds no cache to import, and goes on.
            failed=bool(vertex.get("error")) and not _is_cache_import(vertex["name"]),
        )

    def _report(self, digest: str) -> None:
        step = self._held.pop(digest, None)
        if step and digest not in self._reported:
            self._reported.add(digest)
            self._on_step(step)

    def failure(self, ending: str, dockerfile: Path) -> BuildError:
        detail = self._detail(ending)
        culprit = self._culprit(detail)
        line = _excerpt_line(list(self._plain), detail)
        if culprit and line is None:
            text = dockerfile.read_text(encoding="utf-8", errors="replace")
            line = _line_of_step(culprit.name, text)
        return BuildError(
            "\n".join(_visible(part, DETAIL_LENGTH) for part in self._clean(detail).split("\n")),
            step=_visible(self._clean(culprit.name)) if culprit else None,
            dockerfile_line=line,
            log=self._log(culprit.vertex) if culprit else (),
        )

    def _detail(self, ending: str) -> str:
        """The final `ERROR:` text, which may have several lines; else all there is."""
        lines = list(self._plain)
        starts = [number for number, line in enumerate(lines) if line.startswith("ERROR:")]
        if starts:
            return "\n".join(lines[starts[-1] :]).removeprefix("ERROR:").strip()
        return "\n".join([ending, *lines[-LOG_LINES:]]).strip()

    def _culprit(self, detail: str) -> _Failure | None:
        """The step that failed first by itself, not one that was cancelled with it."""
        own = [
            failure
            for failure in self._failures
            if not failure.error.endswith("context canceled") and not _is_cache_import(failure.name)
        ]
        hanging = [
            _Failure(vertex=digest, name=name, error="") for digest, name in self._running.items()
        ]
        named = [failure for failure in own if failure.error in detail]
        return next(iter(named or own or hanging[-1:]), None)

    def _log(self, vertex: str) -> tuple[str, ...]:
        text = self._clean(self._logs.get(vertex, b"").decode("utf-8", errors="replace"))
        # Of a progress bar drawn over itself only the last state is worth a line.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n")]
        return tuple([_visible(line) for line in lines if line.strip()][-LOG_LINES:])


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_cache_import(name: str) -> bool:
    return name.startswith("importing cache manifest from ")


def _visible(text: str, limit: int = LINE_LENGTH) -> str:
    """One line without colours, in which no control character acts on a terminal."""
    plain = _TERMINAL_SEQUENCE.sub("", text).expandtabs(4).rstrip()
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in plain
    )
    # The end of a long line says more than its middle: it holds the cause.
    half = limit // 2 - 1
    return shown if len(shown) <= limit else f"{shown[:half]} … {shown[-half:]}"


def _redactor(build: Build, login: RegistryLogin) -> Callable[[str], str]:
    """A build that prints its secret must not print it through us."""
    values = "\n".join([*build.secrets.values(), login.password]).splitlines()
    stripped = {value.strip() for value in values}
    hidden = sorted((value for value in stripped if len(value) >= SHORTEST_SECRET), key=len)

    def clean(text: str) -> str:
        for value in reversed(hidden):
            text = text.replace(value, "***")
        return text

    return clean


def _excerpt_line(lines: Sequence[str], detail: str) -> int | None:
    """Where BuildKit says the step stands: `Dockerfile:12` above an excerpt, or in words."""
    for place, below in pairwise(lines):
        found = re.fullmatch(r"\S.*:(\d+)", place)
        if found and re.fullmatch(r"-{10,}", below):
            return int(found[1])
    found = re.search(r"dockerfile parse error (?:on )?line (\d+)", detail)
    return int(found[1]) if found else None


def _line_of_step(step: str, dockerfile: str) -> int | None:
    """Count as BuildKit numbers its steps: engines before 23 print no excerpt."""
    wanted = re.match(r"\[(?:(\S+) )?(\d+)/\d+\] (\w+)", step)
    if not wanted:
        return None
    stage, number, instruction = wanted[1], int(wanted[2]), wanted[3]
    stages, names, count, continued = 0, {""}, 0, False
    for line_number, line in enumerate(dockerfile.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        word = words[0].upper()
        if not continued and word == "FROM":
            names = {f"stage-{stages}", words[-1].lower()}
            stages, count = stages + 1, 1
        elif not continued:
            count += word in {"RUN", "COPY", "ADD", "WORKDIR"}
        right_stage = stage is None or stage in names
        if not continued and right_stage and (count, word) == (number, instruction):
            return line_number
        continued = line.rstrip().endswith("\\")
    return None


_QUOTED_COMMAND = re.compile(
    r"(?<=executor failed running \[).*(?=\]: )|(?<=process \").*(?=\" did not complete)",
    re.DOTALL,
)
# The first that fits is told. The groups of a pattern fill its sentence.
_HINTS = (
    (
        r"buildx was not found",
        (
            "Run the action from its own image, or install Docker Buildx (the package"
            " docker-buildx-plugin or docker-buildx)."
        ),
    ),
    (
        r"the build context .* is not a folder|unable to prepare context",
        "Set `context` to a folder of the repository, and check that a checkout step runs first.",
    ),
    (
        r"the Dockerfile .* does not exist|failed to read dockerfile",
        "Set `dockerfile` to the path of the Dockerfile, relative to the repository.",
    ),
    (
        r"docker daemon|error during connect|docker\.sock: connect",
        (
            "Use a runner with a Docker Engine (`ubuntu-latest`, not `ubuntu-slim`), or set `image`"
            " to deploy an image that exists."
        ),
    ),
    (
        r"target stage .* could not be found|failed to reach build target",
        "Set `target` to the name of a stage of the Dockerfile (`FROM … AS name`).",
    ),
    (
        r"no space left on device",
        "Free disk space on the runner before this step, or use a larger runner.",
    ),
    (
        # On the containerd store ECR's reason is lost and only the status is left.
        r"tag invalid|tag .* is immutable|failed commit on ref \"manifest-.* 400 Bad Request",
        (
            "The repository does not let a tag move: set `image-tag` to one that is not taken, or"
            " leave `rebuild` off to use the image that is there."
        ),
    ),
    (
        r"not authorized to perform: ([\w-]+:\w+)",
        "Allow {0} on the ECR repository to the role the action uses.",
    ),
    (
        r"name unknown|repository with name .* does not exist",
        "Correct `ecr-repository`, or set `create-repository` to true.",
    ),
    (
        r"toomanyrequests|429 Too Many Requests",
        (
            "The registry of the base image limits anonymous pulls: take the base image from ECR,"
            " for example through a pull-through cache."
        ),
    ),
    (
        r"docker/dockerfile[:/@]",
        (
            "Remove the `# syntax=` line of the Dockerfile, or let the engine reach the registry it"
            " names."
        ),
    ),
    (
        r"token has expired",
        "The registry login ran out during the build: run the job again.",
    ),
    (
        (
            r"no basic auth credentials|authorization failed|unauthorized|\b40[13]\b|access denied"
            r"|denied: "
        ),
        (
            "Check that the role the action uses may pull the base image and push to the"
            " repository, and that `registry` and `ecr-repository` name the right account."
        ),
    ),
    (
        r"x509: ",
        "The engine does not trust the registry's certificate: install its CA on the runner.",
    ),
    (
        r"server gave HTTP response to HTTPS client",
        "The registry speaks plain HTTP: add it to `insecure-registries` of the engine.",
    ),
    (
        r"failed to resolve source metadata|/manifests/|no match for platform",
        (
            "Check the name and tag of the image in FROM, that it exists for the platform, and that"
            " the engine can reach its registry."
        ),
    ),
    (
        r"no such host|i/o timeout|connection refused|network is unreachable",
        "Check that the engine of the runner can reach the registry named in the message.",
    ),
    (
        r"dockerfile parse error",
        "Correct the Dockerfile at the line named in the message.",
    ),
    (
        r"failed to (?:compute|calculate) (?:cache key|checksum)",
        "Check that the path exists in `context` and is not listed in .dockerignore.",
    ),
    (
        r"secret .*not found",
        "Add the secret to `build-secrets`.",
    ),
    (
        r"exec format error",
        (
            "The image is for another processor than the runner's: set `platform`, or use a runner"
            " of that architecture."
        ),
    ),
    (
        r"exit code: 137|signal 9\b",
        "The build was killed, most often for want of memory: use a larger runner.",
    ),
    (
        r"said nothing for",
        "Look at the last step: it waits for something the build cannot reach.",
    ),
)
