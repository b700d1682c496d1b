"""Builds an image and pushes it, or copies one, by running `buildx` as a child process.

The child gets an environment of its own: no AWS credentials, no inputs, a
temporary home that is gone afterwards. Secrets and the registry password never
stand on its command line. This module must not decide what to build, must
not print, and leaves to `buildx_transcript` what the child says.
"""

from __future__ import annotations

import base64
import csv
import io
import json
import os
import re
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from deploy_action.gateways.buildx_process import find_program, run
from deploy_action.gateways.buildx_transcript import Transcript
from deploy_action.ports import Build, BuildError, BuildStep, Cache, RegistryLogin

# Compilers are silent for long, but not for this long: it is a hanging pull or push.
SILENCE_LIMIT_SECONDS = 30 * 60.0
# Two of the 7.5 seconds the runner leaves between its first signal and the next.
GRACE_SECONDS = 2.0
# To remove a BuildKit container; a cancelled run has no more to give.
REMOVAL_SECONDS = 4.0
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
_CACHE_OF_GITHUB = (
    "ACTIONS_RUNTIME_TOKEN",
    "ACTIONS_RESULTS_URL",
    "ACTIONS_CACHE_URL",
    "ACTIONS_CACHE_MODE",
)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


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
        workspace = Path(self._environ.get("GITHUB_WORKSPACE") or Path.cwd())
        context, dockerfile = _paths(build, workspace)
        transcript = Transcript(on_step, _redactor([*build.secrets.values(), login.password]))
        with self._child([login], _own_environment(build, self._environ)) as child:
            metadata = child.home / "metadata.json"
            with _builder(child, build, login) as builder:
                ending = child.run(
                    [*_arguments(build, dockerfile, metadata), *builder, str(context)],
                    transcript.read,
                )
            transcript.close()
            if ending:
                text = dockerfile.read_text(encoding="utf-8", errors="replace")
                raise transcript.failure(ending, text)
            return _digest(metadata)

    def resolve(self, reference: str, logins: Sequence[RegistryLogin]) -> str:
        said: list[str] = []
        with self._child(logins) as child:
            ending = child.run(
                ("imagetools", "inspect", "--format", "{{json .Manifest}}", reference), said.append
            )
        if ending:
            raise _failure(said, ending, logins)
        return _digest_in("\n".join(said), "digest")

    def copy(self, source: str, target: str, logins: Sequence[RegistryLogin]) -> None:
        said: list[str] = []
        # An index around a single image would have another digest.
        create = ("imagetools", "create", "--progress=rawjson", "--prefer-index=false")
        with self._child(logins) as child:
            ending = child.run((*create, "--tag", target, source), said.append)
        if ending:
            raise _failure(said, ending, logins)

    @contextmanager
    def _child(
        self, logins: Sequence[RegistryLogin], environment: Mapping[str, str] | None = None
    ) -> Iterator[_Child]:
        program = find_program(self._environ)
        with tempfile.TemporaryDirectory(prefix="deploy-action-") as folder:
            home = Path(folder)
            _write_logins(home / "docker", logins)
            yield _Child(
                program=program,
                home=home,
                environment={**(environment or {}), **_environment(self._environ, home)},
                silence_limit_seconds=self._silence_limit_seconds,
                grace_seconds=self._grace_seconds,
            )


@dataclass(frozen=True, kw_only=True)
class _Child:
    """Buildx with a home and an environment of its own, ready to be run."""

    program: str
    home: Path
    environment: Mapping[str, str]
    silence_limit_seconds: float
    grace_seconds: float

    def run(self, arguments: Sequence[str], read: Callable[[str], None]) -> str | None:
        """As `buildx_process.run`."""
        return run(
            [self.program, *arguments],
            self.environment,
            read,
            silence_limit_seconds=self.silence_limit_seconds,
            grace_seconds=self.grace_seconds,
        )


@contextmanager
def _builder(child: _Child, build: Build, login: RegistryLogin) -> Iterator[Sequence[str]]:
    """The options that choose where the build runs: nothing for the engine's own BuildKit."""
    if not build.in_own_builder:
        yield ()
        return
    name = f"deploy-action-{uuid.uuid4().hex[:12]}"
    said: list[str] = []
    # Inside of a container another loopback is called localhost.
    is_near = login.host.partition(":")[0] in {"localhost", "127.0.0.1"}
    network = ("--driver-opt", "network=host") if is_near else ()
    try:
        create = ("create", "--name", name, "--driver", "docker-container", *network, "--bootstrap")
        if ending := child.run(create, said.append):
            raise BuildError(
                "\n".join([f"no BuildKit container could be started: {ending}", *said[-5:]]),
                fix="Let the engine pull `moby/buildkit:buildx-stable-1`, use a runner whose engine"
                " has the containerd image store, or set `cache: inline`, which needs neither.",
            )
        yield ("--builder", name)
    finally:
        replace(child, silence_limit_seconds=REMOVAL_SECONDS).run(
            ("rm", "--force", name), lambda _: None
        )


def _paths(build: Build, workspace: Path) -> tuple[Path, Path]:
    context = workspace / build.context
    if not context.is_dir():
        raise BuildError(
            f"the build context {build.context!r} is not a folder in {workspace}",
            fix="Set `context` to a folder of the repository, and check that a checkout step runs"
            " first.",
        )
    dockerfile = workspace / build.dockerfile if build.dockerfile else context / "Dockerfile"
    if not dockerfile.is_file():
        raise BuildError(
            f"the Dockerfile {str(dockerfile)!r} does not exist",
            fix="Set `dockerfile` to the path of the Dockerfile, relative to the repository.",
        )
    return context, dockerfile


def _redactor(secrets: Iterable[str]) -> Callable[[str], str]:
    """A build that prints its secret must not print it through us."""
    stripped = {value.strip() for value in "\n".join(secrets).splitlines()}
    hidden = sorted((value for value in stripped if len(value) >= SHORTEST_SECRET), key=len)

    def clean(text: str) -> str:
        for value in reversed(hidden):
            text = text.replace(value, "***")
        return text

    return clean


def _write_logins(folder: Path, logins: Sequence[RegistryLogin]) -> None:
    folder.mkdir(mode=0o700)
    secrets = {
        login.host: base64.b64encode(f"{login.user}:{login.password}".encode()).decode()
        for login in logins
    }
    file = os.open(folder / "config.json", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="utf-8") as stream:
        json.dump({"auths": {host: {"auth": secret} for host, secret in secrets.items()}}, stream)


def _failure(said: Iterable[str], ending: str, logins: Sequence[RegistryLogin]) -> BuildError:
    """Why one of the `imagetools` failed. Other hints for builds do not fit it."""
    transcript = Transcript(lambda _: None, _redactor(login.password for login in logins))
    for line in said:
        transcript.read(line)
    error = transcript.failure(ending, "")
    is_about_rights = error.fix is not None and error.fix.startswith("Allow ")
    return BuildError(error.detail, fix=error.fix if is_about_rights else None)


def _arguments(build: Build, dockerfile: Path, metadata: Path) -> Iterator[str]:
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
    if build.cache:
        yield from _cache(build.cache)


def _cache(cache: Cache) -> Iterator[str]:
    """A cache that cannot be written must not fail a build that succeeded."""
    match cache.kind:
        case "inline":
            yield from ("--cache-from", _csv("type=registry", f"ref={cache.place}"))
            yield from ("--cache-to", "type=inline")
        case "registry":
            where = _csv("type=registry", f"ref={cache.place}")
            # ECR stores no index that lists blobs, which older BuildKits make of a cache.
            form = "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true"
            yield from ("--cache-from", where, "--cache-to", f"{where},{form}")
        case "gha":
            where = _csv("type=gha", f"scope={cache.place}")
            form = "mode=max,ignore-error=true"
            yield from ("--cache-from", where, "--cache-to", f"{where},{form}")


def _own_environment(build: Build, environ: Mapping[str, str]) -> dict[str, str]:
    """What only this build needs: its arguments, its secrets, the cache of GitHub."""
    arguments = {
        name: value
        for name, value in build.build_args.items()
        if not _MEANT_FOR_THE_CHILD.fullmatch(name)
    }
    secrets = {
        _secret_variable(number): value for number, value in enumerate(build.secrets.values())
    }
    if build.cache is None or build.cache.kind != "gha":
        return {**arguments, **secrets}
    github = {name: environ[name] for name in _CACHE_OF_GITHUB if environ.get(name)}
    if "ACTIONS_RESULTS_URL" in github:
        # Said to JavaScript actions only; without it buildx asks a service that is gone.
        github["ACTIONS_CACHE_SERVICE_V2"] = "true"
    return {**arguments, **secrets, **github}


def _environment(environ: Mapping[str, str], home: Path) -> dict[str, str]:
    own = {name: environ[name] for name in _HANDED_ON if environ.get(name)}
    own |= {"HOME": str(home), "TMPDIR": str(home), "DOCKER_CONFIG": str(home / "docker")}
    own |= {"BUILDX_NO_DEFAULT_ATTESTATIONS": "1", "BUILDX_METADATA_PROVENANCE": "disabled"}
    # Only provenance needs the commit; without this buildx starts a git of its own.
    return own | {"BUILDX_GIT_INFO": "false"}


def _secret_variable(number: int) -> str:
    return f"DEPLOY_ACTION_SECRET_{number}"


def _csv(*fields: str) -> str:
    """Quoted where a field holds a comma, as buildx reads its list options."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow(fields)
    return line.getvalue()


def _digest(metadata: Path) -> str:
    try:
        text = metadata.read_text(encoding="utf-8")
    except OSError as error:
        raise BuildError(f"buildx succeeded but left no metadata: {error}") from error
    return _digest_in(text, "containerimage.digest")


def _digest_in(text: str, key: str) -> str:
    try:
        found = json.loads(text)
    except ValueError as error:
        raise BuildError(f"buildx succeeded but left no metadata: {error}") from error
    digest = found.get(key) if isinstance(found, dict) else None
    if not isinstance(digest, str) or not _DIGEST.fullmatch(digest):
        raise BuildError(f"buildx succeeded but named no digest: {digest!r}")
    return digest
