"""Throw-away git repositories: the user's application, and the action as others see it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dev.commands import run
from dev.places import ROOT

_AUTHOR: Final = (
    *("-c", "user.name=Demo", "-c", "user.email=demo@example.com"),
    *("-c", "commit.gpgsign=false", "-c", "core.hooksPath=/dev/null"),
)


def create(folder: Path, *, name: str) -> Path:
    """Start a repository whose origin says `owner/name`, which is where act takes it from."""
    folder.mkdir(parents=True)
    run("git", "init", "--quiet", "--initial-branch=main", ".", cwd=folder)
    run("git", "remote", "add", "origin", f"https://github.com/{name}.git", cwd=folder)
    return folder


def commit(repository: Path, message: str, files: Mapping[str, str]) -> str:
    """Write files, commit everything and return the commit's SHA."""
    for name, content in files.items():
        path = repository / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    run("git", "add", "--all", cwd=repository)
    run("git", *_AUTHOR, "commit", "--quiet", "--allow-empty", "-m", message, cwd=repository)
    return run("git", "rev-parse", "HEAD", cwd=repository).strip()


def check_out(repository: Path, commit_sha: str) -> None:
    """Go to a commit on a branch of its own, as a person who picks it in the browser does."""
    run("git", "checkout", "--quiet", "-B", "main", commit_sha, cwd=repository)


def export_action(folder: Path, *, source: Path = ROOT) -> Path:
    """Copy the action's own files, without environments and caches lying beside them."""
    folder.mkdir(parents=True)
    for name in ("action.yml", "Dockerfile", ".dockerignore", *_sent_to_the_builder(source)):
        _copy(source / name, folder / name)
    create_in_place(folder)
    return folder


def _sent_to_the_builder(source: Path) -> list[str]:
    """The exceptions of a `.dockerignore` that begins by ignoring everything."""
    lines = (source / ".dockerignore").read_text().splitlines()
    return [line[1:] for line in lines if line.startswith("!")]


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


def create_in_place(folder: Path) -> None:
    """Make a folder with files a repository with one commit."""
    run("git", "init", "--quiet", "--initial-branch=main", ".", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", *_AUTHOR, "commit", "--quiet", "-m", "release", cwd=folder)
