"""The base images our Dockerfiles name: pulled where that is possible, else stood in for.

A stand-in has the same name and the same use as the image it replaces, and is assembled
from the Debian archive. It carries the machine's CA bundle and pip settings, so that the
Dockerfiles need to know nothing about the network they are built in.
"""

import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from dev.commands import MissingPrerequisite, attempt, is_root, run, say
from dev.debian import download, install, mirror
from dev.places import BUILDX, CACHE, ENVIRONMENT, ROOT

# A registry that is reached answers at once; one that is not may hang for minutes.
_FIRST_ANSWER_LIMIT: Final = 20.0
_PULL_LIMIT: Final = 600.0
# Says in the engine which machine settings a stand-in was made with.
_LABEL: Final = "stand-in"
_NEWEST_SUITE: Final = "forky"
_BUNDLE: Final = "etc/ssl/certs/ca-certificates.crt"
_BUILDX_IN_PACKAGE: Final = "usr/libexec/docker/cli-plugins/docker-buildx"
_BUILDX_IMAGE: Final = "docker/buildx-bin"
# What the official slim images leave out as well.
_LEFT_OUT: Final = (
    *("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/info"),
    *("var/lib/apt/lists", "var/cache/apt", "var/log", "run", "tmp"),
)


def prepare() -> None:
    """Have every base image in the engine, and buildx beside it for tests on the host."""
    for name in named():
        _provide(name)
    _extract_buildx(next(name for name in named() if name.startswith(f"{_BUILDX_IMAGE}:")))


def named() -> list[str]:
    """The images the project's own Dockerfiles start from."""
    files = [ROOT / "Dockerfile", ROOT / "demo" / "app" / "Dockerfile"]
    files += (ROOT / "examples").rglob("Dockerfile")
    text = "\n".join(path.read_text() for path in files if path.is_file())
    found = re.findall(r"^(?:FROM|COPY --from=)\s*(\S+:\S+)", text, re.MULTILINE)
    return sorted(set(found))


def python_image() -> str:
    """The Python base image, for applications that tests build."""
    return next(name for name in named() if name.startswith("python:"))


def _provide(name: str) -> None:
    made_with = _label(name)
    if made_with is not None and made_with in ("", _machine_settings()):
        return
    if made_with is None and _pull(name):
        return
    say(f"{name} cannot be pulled here: assembling a stand-in from the Debian archive")
    _assembly(name)(name)


def _label(name: str) -> str | None:
    """The settings a stand-in was made with, empty for a pulled image, none if absent."""
    template = f'{{{{index .Config.Labels "{_LABEL}"}}}}'
    asked = attempt("docker", "image", "inspect", "--format", template, name)
    return asked.stdout.strip() if asked.returncode == 0 else None


def _assembly(name: str) -> Callable[[str], None]:
    if name.startswith("python:"):
        return _assemble_python
    if name.startswith(f"{_BUILDX_IMAGE}:"):
        return _assemble_buildx
    raise MissingPrerequisite(f"The image {name} cannot be pulled and nothing can stand in for it.")


def _pull(name: str) -> bool:
    """Try the registry, and give up early only while it has not answered at all."""
    with subprocess.Popen(
        ["docker", "pull", name],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as pulling:
        assert pulling.stdout is not None
        clock = threading.Timer(_FIRST_ANSWER_LIMIT, pulling.kill)
        clock.start()
        for _ in pulling.stdout:
            clock.cancel()
            clock = threading.Timer(_PULL_LIMIT, pulling.kill)
            clock.start()
        clock.cancel()
    return pulling.returncode == 0


def _assemble_python(name: str) -> None:
    """A minimal Debian whose `python` and `pip` work as in the official image."""
    suite = name.rsplit("-", 1)[-1]
    with _temporary_tree() as tree:
        _bootstrap(suite, tree)
        _behave_like_the_official_image(tree)
        _settle_in(tree)
        _import(tree, name, "PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin")
    carried = run("docker", "run", "--rm", name, "python", "--version").split()[-1]
    say(f"{name} stands in with Debian's Python {carried}")


def _bootstrap(suite: str, tree: Path) -> None:
    if shutil.which("debootstrap") is None:
        install("debootstrap", "debian-archive-keyring", needed_for="debootstrap")
    if not is_root():
        raise MissingPrerequisite(
            "The base images cannot be pulled, and only root can assemble stand-ins."
        )
    run(
        *("debootstrap", "--variant=minbase", "--include=python3,ca-certificates"),
        *(suite, tree, _archive()),
        *_script_for(suite),
    )


def _script_for(suite: str) -> list[str]:
    """An older debootstrap does not know the name of a newer suite, only how Debian is made."""
    scripts = Path("/usr/share/debootstrap/scripts")
    return [] if (scripts / suite).exists() else [str(scripts / "sid")]


def _archive() -> str:
    found = mirror()
    if found is None:
        raise MissingPrerequisite(
            "The base images cannot be pulled, and apt knows no Debian archive to make them from."
        )
    return found


def _behave_like_the_official_image(tree: Path) -> None:
    """`python` and `pip` are there, and pip may install and be removed."""
    for marker in tree.glob("usr/lib/python3*/EXTERNALLY-MANAGED"):
        marker.unlink()
    (tree / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    library = next(tree.glob("usr/local/lib/python3*")) / "dist-packages"
    pip = (ENVIRONMENT / "bin" / "python", "-m", "pip", "--disable-pip-version-check")
    run(*pip, "install", "--quiet", "--no-compile", "--no-deps", "--target", library, "pip")
    shutil.rmtree(library / "bin", ignore_errors=True)
    script = tree / "usr/local/bin/pip"
    script.write_text('#!/bin/sh\nexec python -m pip "$@"\n')
    script.chmod(0o755)


def _settle_in(tree: Path) -> None:
    """Give the image the machine's CA bundle and pip settings; drop what slim images lack."""
    shutil.copyfile(_ca_bundle(), tree / _BUNDLE)
    (tree / "etc/pip.conf").write_text(_pip_settings())
    for folder in _LEFT_OUT:
        shutil.rmtree(tree / folder, ignore_errors=True)
    for folder in ("run", "tmp", "var/log", "var/lib/apt/lists/partial", "var/cache/apt"):
        (tree / folder).mkdir(parents=True, exist_ok=True)
    (tree / "tmp").chmod(0o1777)


def _assemble_buildx(name: str) -> None:
    """An image with nothing but /buildx, from the newest package Debian has."""
    package = download("docker-buildx", suite=_NEWEST_SUITE, archive=_archive())
    with _temporary_tree() as tree:
        run("dpkg-deb", "-x", package, tree / "package")
        (tree / "image").mkdir()
        shutil.copy2(tree / "package" / _BUILDX_IN_PACKAGE, tree / "image" / "buildx")
        carried = run(tree / "image" / "buildx", "version").split()[1]
        _import(tree / "image", name)
    say(f"{name} stands in with Debian's buildx {carried}")


def _extract_buildx(image: str) -> None:
    """Copy buildx out of its image, again whenever the image is another one."""
    identity = run("docker", "image", "inspect", "--format", "{{.Id}}", image)
    stamp = BUILDX.with_suffix(".image")
    if BUILDX.is_file() and stamp.is_file() and stamp.read_text() == identity:
        return
    BUILDX.parent.mkdir(parents=True, exist_ok=True)
    container = run("docker", "create", image, "/buildx").strip()
    try:
        fresh = BUILDX.with_suffix(".new")
        run("docker", "cp", f"{container}:/buildx", fresh)
        fresh.replace(BUILDX)
    finally:
        run("docker", "rm", container)
    stamp.write_text(identity)


def _import(tree: Path, name: str, *environment: str) -> None:
    changes = [f"LABEL {_LABEL}={_machine_settings()}", 'CMD ["python3"]']
    changes += [f"ENV {setting}" for setting in environment]
    flags = [part for change in changes for part in ("--change", change)]
    # Device and process files cannot be packed, and the engine brings its own.
    left_out = ("--exclude=./dev/*", "--exclude=./proc/*", "--exclude=./sys/*")
    with subprocess.Popen(
        ["tar", "-C", str(tree), "--numeric-owner", *left_out, "-c", "."],
        stdout=subprocess.PIPE,
    ) as packing:
        subprocess.run(
            ["docker", "import", *flags, "-", name],
            stdin=packing.stdout,
            stdout=subprocess.DEVNULL,
            check=True,
        )


@contextlib.contextmanager
def _temporary_tree() -> Iterator[Path]:
    CACHE.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=CACHE, prefix="tree-") as folder:
        yield Path(folder)


def _machine_settings() -> str:
    """A short mark of everything a stand-in takes over from this machine."""
    content = _ca_bundle().read_bytes() + _pip_settings().encode()
    return hashlib.sha256(content).hexdigest()[:16]


def _ca_bundle() -> Path:
    named_by_user = os.environ.get("SSL_CERT_FILE") or os.environ.get("PIP_CERT")
    return Path(named_by_user or f"/{_BUNDLE}")


def _pip_settings() -> str:
    """The machine's pip settings, without the ones that point to its own file system."""
    listed = run(ENVIRONMENT / "bin" / "python", "-m", "pip", "config", "list")
    settings = {"cert": f"/{_BUNDLE}"}
    for key, value in re.findall(r"^(?:global|:env:)\.([\w-]+)='(.*)'$", listed, re.MULTILINE):
        travels = [part for part in value.split() if not part.startswith(("/", "file:"))]
        if travels:
            settings[key] = " ".join(travels)
    lines = [f"{key} = {value}" for key, value in sorted(settings.items())]
    return "\n".join(["[global]", *lines]) + "\n"
