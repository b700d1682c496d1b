"""The distribution's package tool, as this machine has it configured.

Archive addresses are read from that configuration: a mirror or a proxy chosen by the
machine's owner keeps working, and none is written down here.
"""

import re
import shutil
from pathlib import Path

from dev.commands import MissingPrerequisite, attempt, is_root, run, say
from dev.places import CACHE

_QUIET = {"DEBIAN_FRONTEND": "noninteractive", "NEEDRESTART_SUSPEND": "1"}
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"


def install(*packages: str, needed_for: str) -> None:
    """Install distribution packages, refreshing the package lists only when that is needed."""
    names = " ".join(packages)
    if not is_root() or shutil.which("apt-get") is None:
        raise MissingPrerequisite(
            f"{needed_for} is missing: run this as root on Debian or Ubuntu,"
            f" or install {names} yourself."
        )
    say(f"installing {names}")
    if attempt(*_install(*packages), environment=_QUIET).returncode == 0:
        return
    attempt("apt-get", "update", "-q", environment=_QUIET)
    run(*_install(*packages), environment=_QUIET)


def has_package(name: str) -> bool:
    """Whether the configured archives offer this package."""
    return "Candidate: (none)" not in (run("apt-cache", "policy", name) or "Candidate: (none)")


def mirror() -> str | None:
    """The Debian archive this machine uses, or none on another distribution."""
    listed = attempt(
        "apt-get",
        "indextargets",
        "--format",
        "$(ORIGIN) $(REPO_URI)",
        "Created-By: Packages",
    ).stdout
    found = re.search(r"^Debian (\S+/debian/?)$", listed, re.MULTILINE)
    return found[1] if found else None


def download(package: str, *, suite: str, archive: str) -> Path:
    """Fetch one package of another suite, without touching the machine's own package lists.

    The signature is checked; the expiry date is not, because a testing suite that was
    mirrored some days ago is still the one we want.
    """
    home = CACHE / "apt" / suite
    for folder in ("lists/partial", "archives/partial"):
        (home / folder).mkdir(parents=True, exist_ok=True)
    sources = home / "sources.list"
    sources.write_text(f"deb [signed-by={_KEYRING}] {archive} {suite} main\n")
    options = [
        f"-oDir::State::Lists={home}/lists",
        f"-oDir::Cache={home}",
        f"-oDir::Etc::SourceList={sources}",
        "-oDir::Etc::SourceParts=/dev/null",
        "-oAcquire::Check-Valid-Until=false",
        "-oAPT::Sandbox::User=root",
    ]
    run("apt-get", *options, "-q", "update")
    run("apt-get", *options, "-q", "download", package, cwd=home)
    return max(home.glob(f"{package}_*.deb"), key=lambda path: path.stat().st_mtime)


def _install(*packages: str) -> list[str]:
    return ["apt-get", "install", "-y", "-q", "--no-install-recommends", *packages]
