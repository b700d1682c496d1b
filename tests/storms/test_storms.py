"""Thousands of random worlds with several faults each. `make storm N=20000` plays more of them."""

from __future__ import annotations

import pytest

from tests.storms.weather import storm

STORMS = 2000
A_TEST = 50


@pytest.mark.parametrize("first", range(0, STORMS, A_TEST))
def test_no_storm_breaks_an_invariant(first: int) -> None:
    results = (storm(seed) for seed in range(first, first + A_TEST))
    broken = [
        f"seed {result.seed}: {'; '.join(result.complaints)}\n"
        f"    again: .venv/bin/python -m dev.storm seed {result.seed}"
        for result in results
        if result.complaints
    ]
    assert not broken, "\n".join(broken)


@pytest.mark.parametrize("seed", [3, 10, 24])
def test_a_seed_decides_everything(seed: int) -> None:
    assert storm(seed, keep_history=True) == storm(seed, keep_history=True)
