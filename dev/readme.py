"""What a command measures stands in the README between two markers that bear its name."""

from __future__ import annotations

from pathlib import Path

from dev.commands import say
from dev.places import ROOT


def write(name: str, text: str, readme: Path = ROOT / "README.md") -> bool:
    """Replace what stands between the markers of `name`; False, and told, if they are missing."""
    begin, end = f"<!-- begin:{name} -->", f"<!-- end:{name} -->"
    before, found, rest = readme.read_text("utf-8").partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        say(f"{readme.name} has no place for the result: {begin} … {end}")
        return False
    readme.write_text(f"{before}{begin}\n{text}\n{end}{after}", "utf-8")
    say(f"the result is in {readme.name}")
    return True
