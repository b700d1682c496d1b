"""The sample application in its versions, good and broken, as files of a repository."""

import tempfile
from pathlib import Path
from typing import Final

from dev.commands import run
from dev.places import BUILDX, ROOT

_FOLDER: Final = ROOT / "demo" / "app"
_READS_A_VARIABLE: Final = 'DATABASE_URL = os.environ["DATABASE_URL"]\n'


def good(version: str) -> dict[str, str]:
    """A version that works."""
    files = {name: (_FOLDER / name).read_text() for name in ("server.py", "Dockerfile")}
    return {**files, "VERSION": f"{version}\n"}


def crashing(version: str) -> dict[str, str]:
    """A version that needs a variable nobody has set, so it ends when it starts."""
    return _changed(good(version), "\n\nclass Health", f"{_READS_A_VARIABLE}\n\nclass Health")


def ailing(version: str) -> dict[str, str]:
    """A version that starts and stays up, but says it is not healthy."""
    return _changed(good(version), "self.send_response(200)", "self.send_response(503)")


def build_and_push(files: dict[str, str], image: str) -> None:
    """Put an image into a registry without the action, to have something to begin with."""
    with tempfile.TemporaryDirectory() as folder:
        for name, content in files.items():
            (Path(folder) / name).write_text(content)
        # An empty configuration: the developer's own builder may live in a container,
        # from where a registry on this machine cannot be reached.
        settings = {"DOCKER_CONFIG": folder, "BUILDX_BUILDER": "default"}
        command = (BUILDX, "build", "--provenance=false", "--push", "--tag", image, folder)
        run(*command, environment=settings)


def _changed(files: dict[str, str], old: str, new: str) -> dict[str, str]:
    if old not in files["server.py"]:
        raise LookupError(f"demo/app/server.py no longer contains {old!r}")
    return {**files, "server.py": files["server.py"].replace(old, new, 1)}
