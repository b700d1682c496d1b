"""What this run is about to do to a service, in a form that outlives the process.

Saved before the first write, so that whoever comes after a cancelled or killed
run knows what "as it was" means and which deployment is ours. Pure.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any, Literal

from deploy_action.model import Baseline, Rollout, Service

Before = Literal["full", "status", "nothing"]
"""How much of the health expectation the old revision met; `status`: not body and JSON."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """One release, as far as it is decided."""

    service: str
    task_definition: str
    """The revision that the service is to run."""
    baseline: Baseline
    started_at: datetime
    sent_desired: bool
    sent_configuration: bool = False
    url: str
    before: Before
    deployment_id: str = ""
    """Empty until ECS has named it."""

    def rollout(self, service: Service) -> Rollout | None:
        """Our rollout as `service` shows it; None where it shows none.

        A run that died while it asked does not know the id of its deployment: it
        is the one of our revision that was not there before.
        """
        ours = service.deployment(self.deployment_id) or next(
            (
                d
                for d in service.deployments
                if d.task_definition == self.task_definition
                and d.id not in self.baseline.deployment_ids
            ),
            None,
        )
        deployment_id = ours.id if ours else self.deployment_id
        if not deployment_id:
            return None
        return Rollout(
            service=self.service,
            task_definition=self.task_definition,
            deployment_id=deployment_id,
            baseline=self.baseline,
            started_at=(ours.created_at if ours else None) or self.started_at,
            sent_desired=self.sent_desired,
            sent_configuration=self.sent_configuration,
        )

    def started(self, rollout: Rollout) -> Intent:
        """The same, now that ECS has named the deployment."""
        return replace(self, deployment_id=rollout.deployment_id, started_at=rollout.started_at)

    def to_text(self) -> str:
        """JSON, for the state file of the runner. It holds no secrets."""
        document = asdict(self)
        document["started_at"] = self.started_at.isoformat()
        document["baseline"]["deployment_ids"] = sorted(self.baseline.deployment_ids)
        return json.dumps(document)

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> Intent:
        baseline = document["baseline"]
        baseline["deployment_ids"] = frozenset(baseline["deployment_ids"])
        return cls(
            **{
                **document,
                "baseline": Baseline(**baseline),
                "started_at": datetime.fromisoformat(document["started_at"]),
            }
        )

    @classmethod
    def read(cls, text: str) -> list[Intent]:
        """What a step saved: one intent, or those of its services that came to no verdict.

        Raise ValueError, KeyError or TypeError for any other text.
        """
        saved = json.loads(text or "[]")
        return [
            cls._from_document(each) for each in (saved if isinstance(saved, list) else [saved])
        ]
