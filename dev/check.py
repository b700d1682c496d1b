"""Run every check of the repository: one line each, all of them even if one fails.

Usage: `.venv/bin/python dev/check.py`, or `make check`. The tools come from
requirements-dev.txt and stand beside this interpreter; their configuration is in
pyproject.toml and .github/. Nothing here needs a network.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one check ended."""

    name: str
    passed: bool
    seconds: float
    output: str


def checks() -> dict[str, list[str]]:
    """Name and command line of every check."""
    copied = files("examples/*.yml", "examples/*/.github/workflows/*.yml", "demo/*.yml")
    return {
        "ruff check": ["ruff", "check"],
        "ruff format": ["ruff", "format", "--check"],
        "mypy": ["mypy"],
        "lint-imports": ["lint-imports"],
        "zizmor": [
            *("zizmor", "--offline", "--strict-collection", "--persona", "pedantic"),
            *("--config", ".github/zizmor.yml", "--quiet", "--no-progress"),
            *(".github", "action.yml", *copied),
        ],
        "actionlint": ["actionlint", *files(".github/workflows/*.yml"), *copied],
        "cfn-lint": ["cfn-lint", *files("bootstrap/*.yml", "examples/*/infrastructure.yml")],
        "hadolint": [
            *("hadolint", "--config", ".github/hadolint.yaml"),
            *files("Dockerfile", "demo/**/Dockerfile*", "examples/**/Dockerfile*"),
            *files("tests/**/Dockerfile*"),
        ],
    }


def files(*patterns: str) -> list[str]:
    """Files of the repository, relative to its root."""
    found = (path for pattern in patterns for path in sorted(ROOT.glob(pattern)))
    return [str(path.relative_to(ROOT)) for path in found]


def run(name: str, command: list[str]) -> Result:
    """Run one check to its end."""
    start = time.monotonic()
    try:
        done = subprocess.run(
            [TOOLS / command[0], *command[1:]],
            cwd=ROOT,
            env=os.environ | {"PYTHONPATH": str(ROOT), "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            check=False,
        )
    except FileNotFoundError:
        advice = f"{command[0]} is not beside {sys.executable}: run this through `make check`.\n"
        return Result(name=name, passed=False, seconds=0, output=advice)
    seconds = time.monotonic() - start
    return Result(name=name, passed=done.returncode == 0, seconds=seconds, output=done.stdout)


def main() -> int:
    """Run the checks side by side and tell the results in a fixed order."""
    failed = []
    todo = checks()
    with ThreadPoolExecutor(max_workers=os.cpu_count()) as pool:
        for result in pool.map(run, todo.keys(), todo.values()):
            tick = "✓" if result.passed else "✗"
            print(f"{result.name:<14}{tick} {result.seconds:.1f}s", flush=True)
            if not result.passed:
                failed.append(result.name)
                print(result.output.rstrip(), flush=True)
    if failed:
        print(f"\nFailed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
