"""The Python environments: the project's own, MiniStack's, and the one of the rivals.

MiniStack and the tools of the benchmark want other versions of botocore than ours, so
each has its own.
"""

import hashlib
import shutil
import sys
from pathlib import Path

from dev.commands import MissingPrerequisite, attempt, is_root, run, say
from dev.debian import install
from dev.places import BENCH_ENVIRONMENT, ENVIRONMENT, MINISTACK_ENVIRONMENT, ROOT


def prepare_project() -> None:
    """Make `.venv` hold exactly what the locks say."""
    _prepare(ENVIRONMENT, ROOT / "requirements-dev.txt", ROOT / "requirements.txt")


def prepare_ministack() -> None:
    """Make `.venv-ministack` hold exactly what its lock says."""
    _prepare(MINISTACK_ENVIRONMENT, ROOT / "requirements-ministack.txt")


def prepare_bench() -> None:
    """Make `.venv-bench` hold exactly what its lock says."""
    _prepare(BENCH_ENVIRONMENT, ROOT / "requirements-bench.txt")


def _prepare(environment: Path, lock: Path, *also: Path) -> None:
    """Install a lock once; a stamp of its content makes the next time a comparison."""
    stamp = environment / ".installed"
    wanted = _fingerprint(lock, *also)
    if stamp.is_file() and stamp.read_text() == wanted and _works(environment):
        return
    say(f"installing {lock.name} into {environment.name}")
    _create(environment)
    run(
        *(environment / "bin" / "python", "-m", "pip", "install", "--quiet"),
        *("--disable-pip-version-check", "--require-hashes", "-r", lock),
        cwd=ROOT,
    )
    stamp.write_text(wanted)


def _create(environment: Path) -> None:
    shutil.rmtree(environment, ignore_errors=True)
    done = attempt(sys.executable, "-m", "venv", environment)
    if done.returncode == 0:
        return
    package = f"python{sys.version_info.major}.{sys.version_info.minor}-venv"
    if not is_root():
        raise MissingPrerequisite(
            f"Python's venv module is missing: install {package} and run this again."
        )
    install(package, needed_for="Python's venv module")
    shutil.rmtree(environment, ignore_errors=True)
    run(sys.executable, "-m", "venv", environment)


def _works(environment: Path) -> bool:
    """An environment whose interpreter was removed or upgraded is made anew."""
    return attempt(environment / "bin" / "python", "-c", "").returncode == 0


def _fingerprint(*locks: Path) -> str:
    content = hashlib.sha256(sys.version.encode())
    for lock in locks:
        content.update(lock.read_bytes())
    return content.hexdigest()


if __name__ == "__main__":
    try:
        prepare_project()
    except MissingPrerequisite as missing:
        raise SystemExit(f"set-up: {missing}") from None
