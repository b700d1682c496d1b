"""Throw-away git repositories: the user's application, and the action as others see it."""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dev.commands import run
from dev.places import ROOT

# What a checkout of a release of the action is made of, as far as the runner reads it.
_ACTION: Final = ("action.yml", "Dockerfile", ".dockerignore", "entrypoint.py", "requirements.txt")
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
    for name in _ACTION:
        if (source / name).is_file():
            shutil.copy2(source / name, folder / name)
    ignored = shutil.ignore_patterns("__pycache__", "*.pyc")
    if (source / "deploy_action").is_dir():
        shutil.copytree(source / "deploy_action", folder / "deploy_action", ignore=ignored)
    create_in_place(folder)
    return folder


def create_in_place(folder: Path) -> None:
    """Make a folder with files a repository with one commit."""
    run("git", "init", "--quiet", "--initial-branch=main", ".", cwd=folder)
    run("git", "add", "--all", cwd=folder)
    run("git", *_AUTHOR, "commit", "--quiet", "-m", "release", cwd=folder)
