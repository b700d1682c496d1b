"""The tables in the README are made from the code; `pytest --update` writes them."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.contract.policies import readme_block
from tests.contract.repository import ROOT, inputs_table, outputs_table, read, verdicts_table

BLOCKS: dict[str, Callable[[], str]] = {
    "inputs": inputs_table,
    "outputs": outputs_table,
    "verdicts": verdicts_table,
    "policy": readme_block,
}


@pytest.mark.parametrize("name", BLOCKS)
def test_shows_what_the_code_says(name: str, *, update: bool) -> None:
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    block = re.compile(f"{begin}\n.*?{end}", re.DOTALL)
    expected = f"{begin}\n{BLOCKS[name]()}\n{end}"
    readme = read("README.md")
    assert block.search(readme), f"README.md has no {begin} … {end}"

    if update:
        (ROOT / "README.md").write_text(block.sub(lambda _: expected, readme), "utf-8")
        return

    assert expected in readme, "run `pytest --update tests/contract`"
