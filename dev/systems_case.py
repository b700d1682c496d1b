"""The five systems below examples/: what is played on each of them and how it must end.

A system is a folder with an application, its workflow, `infrastructure.yml` (a CloudFormation
template) and `cases.yml`, which is read here.
"""

from pathlib import Path
from typing import Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field

from dev.places import ROOT

_FOLDER: Final = ROOT / "examples"
_OWN: Final = frozenset({"cases.yml", "infrastructure.yml", "README.md"})


def _kebab(name: str) -> str:
    return name.replace("_", "-")


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, alias_generator=_kebab)


class Edit(_Strict):
    """What a commit changes in one file."""

    old: str
    new: str


class Call(_Strict):
    """A call of AWS by somebody else, for example the autoscaling."""

    client: str
    operation: str
    arguments: dict[str, Any]


class Case(_Strict):
    """One run of the workflow."""

    title: str
    stack: str
    """The environment that the run is for."""
    branch: str = "main"
    inputs: dict[str, str] = {}
    """The answers to *Run workflow*; none for a push."""
    commits: bool = True
    """Whether there is a new commit, or what is checked out runs again."""
    edits: dict[str, Edit] = {}
    before: tuple[Call, ...] = ()
    verdict: str
    says: str = ""
    """What the log has to contain."""
    answer: Literal["changed", "same"] | None = None
    """What the health page has to be compared to before; not looked at without this."""
    tested: bool = False
    """Whether `make test` plays it too."""


class Gap(_Strict):
    """A row of the team's trouble list that the emulator cannot show."""

    row: str
    why: str


class System(_Strict):
    """One of the five."""

    name: str
    region: str
    checks_access: bool = False
    """Whether the emulator asks its IAM."""
    source: str = "."
    """The folder that images are built from."""
    health: str = ""
    """The page that tells whether the service serves; none for a worker."""
    tells: bool = False
    """Whether the team is told of every end."""
    stacks: dict[str, dict[str, str]]
    """The environments, with the parameters of each."""
    variables: dict[str, str] = Field({}, description="GitHub variable to output of the stack")
    instead: dict[str, str] = Field({}, description="GitHub variables for the emulator alone")
    secrets: dict[str, str] = Field({}, description="GitHub secret to output of the stack")
    cases: tuple[Case, ...]
    not_shown: tuple[Gap, ...] = ()

    @property
    def folder(self) -> Path:
        return _FOLDER / self.name

    @property
    def template(self) -> Path:
        """The infrastructure, as CloudFormation."""
        return self.folder / "infrastructure.yml"

    def files(self) -> dict[str, str]:
        """The team's repository, by path."""
        found = sorted(path for path in self.folder.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.folder)): path.read_text()
            for path in found
            if path.name not in _OWN and path.suffix != ".pyc"
        }

    def environment_variables(self, stack: str) -> dict[str, str]:
        """What the team has in the variables of its GitHub environment."""
        path = self.folder / "environments" / f"{stack}.env"
        lines = path.read_text().splitlines() if path.is_file() else []
        return {name: value for name, _, value in (line.partition("=") for line in lines)}


def names() -> list[str]:
    """The systems there are."""
    return sorted(path.parent.name for path in _FOLDER.glob("*/cases.yml"))


def load(name: str) -> System:
    """Read a system, and refuse what is misspelt."""
    told = yaml.safe_load((_FOLDER / name / "cases.yml").read_text())
    return System.model_validate({"name": name, **told})
