"""The locks pin everything, and hold nothing of the machine that made them."""

from __future__ import annotations

import re

import pytest

from tests.contract.repository import ROOT, read

LOCKS = sorted(path.name for path in ROOT.glob("requirements*.txt"))


def entries(lock: str) -> list[str]:
    """Every package of a lock with its hashes, on one line each."""
    lines = re.sub(r" \\\n\s*", " ", read(lock)).splitlines()
    return [line for line in lines if line and not line.lstrip().startswith("#")]


@pytest.mark.parametrize("lock", LOCKS)
def test_pins_every_package_with_its_hashes(lock: str) -> None:
    pinned = re.compile(r"[a-z0-9-]+==\S+( --hash=sha256:[0-9a-f]{64})+")

    assert [line for line in entries(lock) if not pinned.fullmatch(line)] == []


@pytest.mark.parametrize("lock", LOCKS)
def test_names_no_host_and_no_folder(lock: str) -> None:
    assert re.findall(r"\S*(?:://|file:|--index|--find-links|/\w+/)\S*", read(lock)) == []


def test_tests_run_on_the_packages_that_are_shipped() -> None:
    shipped, developed = (
        {line.split()[0] for line in entries(lock)}
        for lock in ("requirements.txt", "requirements-dev.txt")
    )

    assert shipped <= developed
