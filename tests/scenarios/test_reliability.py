"""Releases of a good version on a bad day, a handful of those that `make reliability` plays."""

from __future__ import annotations

import pytest

from dev.reliability import RATES, Release, release, render


@pytest.mark.parametrize("seed", range(4))
def test_a_good_version_is_deployed_whatever_its_calls_meet(seed: int) -> None:
    played = release(seed)

    assert played.end == "deployed"
    assert played.struck


def test_a_seed_decides_everything() -> None:
    assert release(5) == release(5)


def test_the_figure_stands_beside_the_rates() -> None:
    ends = ("deployed", "deployed", "blocked", "deployed")
    releases = [Release(seed=n, end=end, calls=100, struck=7) for n, end in enumerate(ends)]

    text = render(releases)

    assert text.startswith("**3 of 4** simulated releases of a good version (75.0 %)")
    assert "the others: 1 `blocked`." in text
    assert "28 were struck" in text
    assert all(rate.name in text for rate in RATES)
