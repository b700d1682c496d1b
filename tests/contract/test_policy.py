"""The policy in the README allows exactly what the program can call."""

from __future__ import annotations

import json
import re

from tests.contract.repository import ROOT, read

PUSHED_BY_BUILDKIT = {
    "ecr:BatchCheckLayerAvailability",
    "ecr:CompleteLayerUpload",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
}
READ_FROM_THE_REGISTRY = {"ecr:GetDownloadUrlForLayer"}
"""The registry's own API asks for it where an image's labels are read."""
IMPLIED = {"ecs:TagResource", "iam:PassRole"}
"""What RegisterTaskDefinition needs besides itself."""


def allowed() -> set[str]:
    block = re.search(r"<!-- begin:policy -->\n```json\n(.*?)```", read("README.md"), re.DOTALL)
    assert block
    actions: set[str] = set()
    for statement in json.loads(block[1])["Statement"]:
        action = statement["Action"]
        actions |= {action} if isinstance(action, str) else set(action)
    return actions


def called() -> set[str]:
    """The IAM actions that the gateways declare, each beside its call."""
    code = "".join(p.read_text() for p in (ROOT / "deploy_action" / "gateways").glob("*.py"))
    return set(re.findall(r'answering\("([a-z]+:[A-Za-z]+)"\)', code))


def test_every_call_is_allowed_and_nothing_else() -> None:
    assert allowed() == called() | PUSHED_BY_BUILDKIT | READ_FROM_THE_REGISTRY | IMPLIED
