"""Every way to end badly, with its verdict and its exit code.

ActionError                     what happened, why, what to change
├── InvalidInput       2        the workflow file must change; nothing was called
├── Blocked            3        refused before anything was touched
├── BuildFailed        4        build or push; service untouched
├── RolledBack         5        the new revision failed; the old one serves
├── TimedOut           6        as 5, but slow rather than wrong
├── Unhealthy          7        ECS was content, the endpoint was not; rolled back
├── RollbackFailed     8        a human must act
├── Failed             9        nothing or only a revision was changed, or rollback is off
├── Superseded        10        another deployment replaced ours; nothing was touched
└── Unknown           11        AWS could not be read to the end
AwsError                        one refused or lost AWS call; the story decides what it means
Cancelled           130/143     SIGINT or SIGTERM; a BaseException, so nothing swallows it
"""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from deploy_action.access import Denial

SUCCESSES = {
    "deployed": "the new revision is verified",
    "unchanged": "the service already runs this image and definition, verified",
    "deployed-unverified": "desired count is 0, so nothing could be probed",
    "verified": "what runs now is well; nothing was changed",
    "restarted": "new tasks of the same revision are verified",
    "planned": "shown what a release would do; nothing was written",
}
"""Every verdict of a good end, and what it means."""


class ActionError(Exception):
    """An end that is not a success, told to the user in three sentences.

    `what` happened, `why` it happened, and the `fix`: what to change or do next.
    `evidence` is raw proof, one line each, already bounded.
    """

    verdict: ClassVar[str]
    exit_code: ClassVar[int]
    meaning: ClassVar[str]

    def __init__(self, what: str, *, why: str, fix: str, evidence: tuple[str, ...] = ()) -> None:
        if not (what and why and fix):
            msg = "an error says what, why and how to fix it"
            raise ValueError(msg)
        super().__init__(what)
        self.what = what
        self.why = why
        self.fix = fix
        self.evidence = evidence


class InvalidInput(ActionError):
    verdict = "invalid"
    exit_code = 2
    meaning = "the workflow file must change; nothing was called"


class Blocked(ActionError):
    verdict = "blocked"
    exit_code = 3
    meaning = "a check before the release refused; the service was not touched"


class BuildFailed(ActionError):
    verdict = "build-failed"
    exit_code = 4
    meaning = "build or push failed; the service was not touched"


class RolledBack(ActionError):
    verdict = "rolled-back"
    exit_code = 5
    meaning = "the new revision failed; the old one serves and was verified"


class TimedOut(ActionError):
    verdict = "timed-out"
    exit_code = 6
    meaning = "as `rolled-back`, but the new revision was slow rather than wrong"


class Unhealthy(ActionError):
    verdict = "unhealthy"
    exit_code = 7
    meaning = "ECS was content, the endpoint was not; rolled back and the old one verified"


class RollbackFailed(ActionError):
    verdict = "rollback-failed"
    exit_code = 8
    meaning = "the service could not be put back; a human must act, commands are in the log"


class Failed(ActionError):
    verdict = "failed"
    exit_code = 9
    meaning = "the release failed and nothing was rolled back: the words say what was changed"


class Superseded(ActionError):
    verdict = "superseded"
    exit_code = 10
    meaning = "another deployment replaced ours; it was left alone"


class Unknown(ActionError):
    verdict = "unknown"
    exit_code = 11
    meaning = "AWS could not be read to the end; neither success nor failure is claimed"


class Refusal(Enum):
    """What kind of no an AWS call ended with; decides whether to try again."""

    DENIED = "denied"
    CREDENTIALS = "credentials"
    """Expired, unknown or wrong credentials: no call will work any more."""
    THROTTLED = "throttled"
    UNREACHABLE = "unreachable"
    """No answer, or a 5xx: a write may have taken effect all the same."""
    MISSING = "missing"
    CONFLICT = "conflict"
    UNSUPPORTED = "unsupported"
    """The endpoint does not know the operation."""
    INVALID = "invalid"


class AwsError(Exception):
    """One AWS call that did not succeed."""

    def __init__(
        self, action: str, refusal: Refusal, code: str, message: str, *, advice: str = ""
    ) -> None:
        super().__init__(f"{action}: {code}: {message}")
        self.action = action
        """As IAM spells it: `ecs:UpdateService`."""
        self.refusal = refusal
        self.code = code
        self.message = message
        self.passes: tuple[str, ...] = ()
        """The roles that the call hands over, where it does."""
        self._advice = advice

    @property
    def fix(self) -> str:
        """What the user can do about it. It may have several lines: a policy statement."""
        if self._advice:
            return self._advice
        match self.refusal:
            case Refusal.DENIED:
                return Denial.read(self.message, self.action).fix(passed=self.passes)
            case Refusal.CREDENTIALS:
                return (
                    "Check the AWS credentials of the job: set `role-to-assume`, or run "
                    "aws-actions/configure-aws-credentials in an earlier step. If they expired "
                    "during the run, ask for a longer session."
                )
            case Refusal.THROTTLED:
                return "Run the workflow again later, or start fewer deployments at once."
            case Refusal.UNREACHABLE:
                return "Check `aws-region` and the network of the runner, then run it again."
            case Refusal.UNSUPPORTED:
                return "Use an endpoint or region that offers this operation."
            case Refusal.MISSING | Refusal.CONFLICT | Refusal.INVALID:
                return "Correct what the message names, then run the workflow again."

    @property
    def brief_fix(self) -> str:
        """The first sentence of it, for the middle of a text."""
        return self.fix.partition("\n")[0]


class Cancelled(BaseException):
    """The runner asked us to stop. `signal_number` is SIGINT or SIGTERM."""

    def __init__(self, signal_number: int) -> None:
        super().__init__(signal_number)
        self.signal_number = signal_number

    @property
    def exit_code(self) -> int:
        """128 plus the signal, as shells count."""
        return 128 + self.signal_number
