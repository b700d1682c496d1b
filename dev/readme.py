"""The parts of the README that a command writes: between two comments with one name."""

from pathlib import Path
from typing import Final

from dev.places import ROOT

README: Final = ROOT / "README.md"


class NoPlace(Exception):
    """The README has no pair of comments for this part."""


def write(name: str, text: str, readme: Path = README) -> None:
    """Put the text between `<!-- begin:name -->` and `<!-- end:name -->`; raise NoPlace."""
    first, last = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    before, begin, rest = readme.read_text(encoding="utf-8").partition(first)
    _, end, after = rest.partition(last)
    if not (begin and end):
        raise NoPlace(f"{readme.name} has no place for this: {first} … {last}")
    readme.write_text(f"{before}{first}\n{text}\n{last}{after}", encoding="utf-8")
    print(f"the text is in {readme.name}")
