"""Stories start from a stage."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.stage import Stage


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A load-balanced service with one task."""
    return Stage(tmp_path)


@pytest.fixture
def stage_with(tmp_path: Path) -> Callable[..., Stage]:
    """The same, with another service."""

    def make(**service: Any) -> Stage:  # noqa: ANN401 - as World.service
        return Stage(tmp_path, **service)

    return make
