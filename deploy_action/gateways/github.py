"""The GitHub runner: its files for outputs and summary, and the job's OIDC token."""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import urllib.parse
from collections.abc import Mapping
from pathlib import Path

from deploy_action.errors import AwsError, Refusal
from deploy_action.ports import Http, NoAnswer

SUMMARY_LIMIT = 1_000_000
"""The runner refuses a step summary of more than 1 MiB."""
REPORTS = ".ecs-deploy"
STATE = "STATE_"
"""Prefix of the variables that the runner makes of a state file."""
ENTRY = re.compile(r"^(.+?)<<(\S+)\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)
TOKEN_SECONDS = 15
OK, TOO_MANY, SERVER_ERROR = 200, 429, 500


class RunnerFiles:
    """Outputs, state, summary and report. Outside a runner nothing of that is written."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._output = environ.get("GITHUB_OUTPUT")
        self._state = environ.get("GITHUB_STATE")
        self._temp = environ.get("RUNNER_TEMP")
        self._copy: Path | None = None
        self._summary = environ.get("GITHUB_STEP_SUMMARY")
        self._workspace = Path(environ.get("GITHUB_WORKSPACE") or ".")

    def set_output(self, name: str, value: str) -> None:
        """One output, closed by a delimiter that the value cannot contain."""
        if self._output:
            _append(Path(self._output), _entry(name, value))

    def save_state(self, name: str, value: str) -> None:
        """What the post step gets as `STATE_<name>`, even if this step is killed next."""
        for path in (self._state, self._copy):
            if path:
                _append(Path(path), _entry(name, value))

    def begin_state(self, container: str) -> None:
        """Save where this step lives, and from now on a copy of what it saves.

        The runner reads its own file when the client has ended, and removes it:
        a step that outlives its client writes in vain there.
        """
        if self._temp:
            copy = Path(self._temp) / f"ecs-deploy-{secrets.token_hex(8)}.state"
            with contextlib.suppress(OSError):
                copy.touch()
                self._copy = copy
                self.save_state("file", str(copy))
        self.save_state("container", container)

    def append_summary(self, markdown: str) -> None:
        if self._summary:
            # The limit is one of bytes, and a mark or an arrow takes three.
            kept = markdown.encode()[:SUMMARY_LIMIT].decode(errors="ignore")
            _append(Path(self._summary), kept + "\n")

    def write_report(self, name: str, text: str) -> str:
        """In the workspace, the one folder that every later step sees under the same path.

        Git is told to ignore it, and it belongs to the owner of the workspace:
        files of root break the next checkout on a runner that is kept.
        """
        folder = self._workspace / REPORTS
        try:
            folder.mkdir(exist_ok=True)
            (folder / ".gitignore").write_text("*\n", encoding="utf-8")
            path = folder / f"{_file_name(name)}.json"
            path.write_text(text, encoding="utf-8")
            _give_to_owner(self._workspace, folder, folder / ".gitignore", path)
        except OSError:
            # A read-only workspace must not turn a good release into a failure.
            return ""
        return f"{REPORTS}/{path.name}"


def saved_state(environ: Mapping[str, str]) -> dict[str, str]:
    """What the main step saved, also after the runner had read its file."""
    variables = environ.items()
    state = {name[len(STATE) :]: value for name, value in variables if name.startswith(STATE)}
    try:
        late = Path(state["file"]).read_text(encoding="utf-8")
    except (KeyError, OSError):
        return state
    return state | {name: value for name, _, value in ENTRY.findall(late)}


def identity_token(environ: Mapping[str, str], http: Http, audience: str) -> str:
    """A fresh OIDC token of the job.

    It is also asked for in mid-release, when the credentials run out. So a failure
    is that of an AWS call, and the story decides what it means.
    """
    url = environ.get("ACTIONS_ID_TOKEN_REQUEST_URL", "")
    bearer = environ.get("ACTIONS_ID_TOKEN_REQUEST_TOKEN", "")
    try:
        answer = http.get(
            f"{url}&audience={urllib.parse.quote(audience, safe='')}",
            headers={"Authorization": f"bearer {bearer}"},
            timeout_seconds=TOKEN_SECONDS,
        )
    except NoAnswer as silence:
        raise _no_token(Refusal.UNREACHABLE, f"it gave no answer ({silence})") from silence
    if answer.status != OK:
        passing = answer.status == TOO_MANY or answer.status >= SERVER_ERROR
        refusal = Refusal.UNREACHABLE if passing else Refusal.CREDENTIALS
        raise _no_token(refusal, f"it answered {answer.status}")
    try:
        return str(json.loads(answer.body)["value"])
    except (ValueError, KeyError, TypeError) as error:
        raise _no_token(Refusal.UNREACHABLE, "its answer holds no token") from error


def can_ask_for_token(environ: Mapping[str, str]) -> bool:
    """Whether the job has the permission `id-token: write`."""
    return bool(environ.get("ACTIONS_ID_TOKEN_REQUEST_URL"))


def _no_token(refusal: Refusal, why: str) -> AwsError:
    return AwsError(
        "sts:AssumeRoleWithWebIdentity",
        refusal,
        "NoIdentityToken",
        f"GitHub's token service was asked for a token of the job, and {why}",
    )


def _entry(name: str, value: str) -> str:
    delimiter = f"end-{secrets.token_hex(16)}"
    return f"{name}<<{delimiter}\n{value}\n{delimiter}\n"


def _append(path: Path, text: str) -> None:
    # The runner takes its files away when it has given the step up; what is still to be
    # undone matters more than telling it.
    with contextlib.suppress(FileNotFoundError), path.open("a", encoding="utf-8") as file:
        file.write(text)


def _file_name(name: str) -> str:
    return "".join(c if c.isalnum() or c in "-_" else "-" for c in name) or "report"


def _give_to_owner(workspace: Path, *paths: Path) -> None:
    owner = workspace.stat()
    for path in paths:
        with contextlib.suppress(OSError):
            os.chown(path, owner.st_uid, owner.st_gid)
