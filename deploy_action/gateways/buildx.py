"""Builds an image and pushes it, by running `buildx build` as a child process.

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
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from deploy_action.gateways.buildx_process import find_program, run
from deploy_action.gateways.buildx_transcript import Transcript
from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin

# Compilers are silent for long, but not for this long: it is a hanging pull or push.
SILENCE_LIMIT_SECONDS = 30 * 60.0
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
        program = find_program(self._environ)
        workspace = Path(self._environ.get("GITHUB_WORKSPACE") or Path.cwd())
        context, dockerfile = _paths(build, workspace)
        transcript = Transcript(on_step, _redactor(build, login))
        with tempfile.TemporaryDirectory(prefix="deploy-action-") as folder:
            home = Path(folder)
            metadata = home / "metadata.json"
            _write_login(home / "docker", login)
            ending = run(
                [program, *_arguments(build, context, dockerfile, metadata)],
                _environment(build, self._environ, home),
                transcript.read,
                silence_limit_seconds=self._silence_limit_seconds,
                grace_seconds=self._grace_seconds,
            )
            transcript.close()
            if ending:
                text = dockerfile.read_text(encoding="utf-8", errors="replace")
                raise transcript.failure(ending, text)
            return _digest(metadata)


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
