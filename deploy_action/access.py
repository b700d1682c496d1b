"""Read a refusal of access and write the policy statement that would lift it.

Pure. The words are those of the page "Troubleshoot access denied error messages"
in the IAM user guide; services that say less are read as far as they go.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

_ACTION = r"[a-z][a-z0-9-]*:[A-Z][A-Za-z]+"
_WHO = re.compile(r"(?:User: |[Rr]ole: ?|^)(?P<who>arn:aws[\w-]*:(?:sts|iam)::\d+:\S+)")
_WHAT = re.compile(
    rf"(?:perform:?|perform the|authorized to|is not authorized for:?|allows the) (?P<a>{_ACTION})"
)
_ON = re.compile(
    r"on (?:the )?resource:? [\"']?(?P<on>[^\s,'\"()]+)|with an explicit deny .*?(?P<arn>arn:\S+)"
)
_TYPES = (
    ("service control policy", r"service control polic"),
    ("resource control policy", r"resource control polic"),
    ("permissions boundary", r"permissions? boundar"),
    ("session policy", r"session polic"),
    ("VPC endpoint policy", r"VPC endpoint polic"),
    ("resource-based policy", r"resource-based polic|repository polic|key polic|bucket polic"),
    ("identity-based policy", r"identity-based polic"),
)
_WHERE = {
    "service control policy": (
        "A service control policy of the organisation stands in the way, and no policy of the "
        "account can lift that: ask whoever owns the organisation."
    ),
    "resource control policy": (
        "A resource control policy of the organisation stands in the way, and no policy of the "
        "account can lift that: ask whoever owns the organisation."
    ),
    "permissions boundary": (
        "The permissions boundary of {who} stands in the way: the action must be allowed there "
        "as well as in a policy of {who}."
    ),
    "session policy": (
        "The session policy that was passed when {who} was assumed stands in the way: widen it "
        "where the role is assumed."
    ),
    "VPC endpoint policy": (
        "The policy of the VPC endpoint that the call went through stands in the way: allow the "
        "action there."
    ),
    "resource-based policy": (
        "The policy of the resource itself stands in the way (a repository, key, secret or "
        "bucket, often of another account): allow {who} there."
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Denial:
    """Who may not do what on which resource, and which kind of policy says so."""

    who: str
    """ARN of a user, a role or a session; empty where it is not named."""
    action: str
    resource: str
    policy: str
    """The kind of policy that refused; empty where it is not named."""
    is_explicit: bool

    @classmethod
    def read(cls, message: str, action: str = "") -> Denial:
        """What the message tells; `action` where it names none."""
        text = " ".join(message.split())
        who, what, where = _WHO.search(text), _WHAT.search(text), _ON.search(text)
        resource = (where["on"] or "") if where else ""
        return cls(
            who=who["who"].rstrip(".,;") if who else "",
            action=what["a"] if what else action,
            resource=resource.rstrip(".,;") or "*",
            policy=next((k for k, p in _TYPES if re.search(p, text, re.IGNORECASE)), ""),
            is_explicit="explicit deny" in text,
        )

    @property
    def principal(self) -> str:
        """`the role NAME` or `the user NAME`: what a policy is attached to."""
        parts = self.who.rpartition(":")[2].split("/")
        if parts[0] == "assumed-role" and len(parts) > 1:
            return f"the role {parts[1]}"
        return f"the {parts[0]} {parts[-1]}" if len(parts) > 1 else ""

    def fix(self, *, passed: Sequence[str] = (), whom: str = "") -> str:
        """What to change. `passed` are all roles that the call hands over; `whom` a fallback."""
        who = self.principal or whom or "the role or user that the job runs as"
        elsewhere = _WHERE.get(self.policy, "").format(who=who)
        if self.is_explicit:
            kind = self.policy or "policy"
            lines = [f"Remove or narrow the explicit deny of `{self.action}` in the {kind}."]
            return " ".join([*lines, elsewhere]).rstrip()
        on = f" on {self.resource}" if self.resource != "*" else ""
        sentence = f"Allow `{self.action}`{on} for {who}."
        if self.policy in ("service control policy", "resource control policy"):
            return f"{sentence} {elsewhere}"
        return (
            f"{sentence} {elsewhere}".rstrip() + "\n" + json.dumps(self.statement(passed), indent=2)
        )

    def statement(self, passed: Sequence[str] = ()) -> dict[str, object]:
        """The statement, ready for the policy."""
        resource: str | list[str] = self.resource
        allow: dict[str, object] = {"Effect": "Allow", "Action": self.action, "Resource": resource}
        if self.action == "iam:PassRole":
            roles = list(dict.fromkeys([r for r in [self.resource, *passed] if r != "*"]))
            allow["Resource"] = roles[0] if len(roles) == 1 else roles or self.resource
            allow["Condition"] = {
                "StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
            }
        return allow
