"""One version, told in three places."""

from __future__ import annotations

import re
import tomllib

import deploy_action
from tests.contract.repository import read

HEADING = re.compile(r"^## \[(.+?)\]", re.MULTILINE)


def test_package_and_project_have_the_same_version() -> None:
    project = tomllib.loads(read("pyproject.toml"))["project"]

    assert deploy_action.__version__ == project["version"]


def test_changelog_begins_with_what_is_unreleased_and_then_this_version() -> None:
    headings = HEADING.findall(read("CHANGELOG.md"))

    assert headings[0] == "Unreleased"
    assert headings[1:2] in ([deploy_action.__version__], [])
