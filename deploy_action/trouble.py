"""Why a release failed, before it is undone: the words of the error that its end will be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from deploy_action.errors import ActionError


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why the release failed, and which end that is once the service is put back."""

    end: type[ActionError]
    what: str
    why: str
    fix: str
    is_own: bool = True
    """Whether it is this service that failed, and not one that goes back with it."""
    is_known: bool = False
    """Whether `why` is the cause itself, which evidence can add to and not replace."""
