"""The defects that `make mutants` plants: each still has its place in the program."""

from __future__ import annotations

import pytest

from dev.mutants import MUTANTS, Mutant
from tests.contract.repository import read


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_fits_one_place(mutant: Mutant) -> None:
    text = read(mutant.file)

    assert text.count(mutant.old) == 1
    assert mutant.old != mutant.new
