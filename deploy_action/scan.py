"""The gate of `scan-severity`: no image with findings this bad is deployed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Blocked, Refusal
from deploy_action.model import Finding, RegistryImage, ReleaseImage, Scan, short_digest
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

SEVERITIES = ("CRITICAL", "HIGH", "MEDIUM", "LOW", "INFORMATIONAL")
"""Worst first. ECR has UNDEFINED and UNTRIAGED besides, of which nobody knows how bad they are."""
LIMIT_SECONDS = 300.0
"""A basic scan takes some seconds, a first enhanced one a minute or two."""
START_AFTER_SECONDS = 10.0
"""By then a scan that the push began can be seen."""
EMPTY_SECONDS = 30.0
"""So long a scan that is over and lists nothing is not believed."""
SHOWN = 10
DONE = {"COMPLETE", "ACTIVE"}
"""ACTIVE is an enhanced scan: it goes on for as long as the image is watched."""
ON_ITS_WAY = {"PENDING", "IN_PROGRESS"}
GONE = {"SCAN_ELIGIBILITY_EXPIRED", "FINDINGS_UNAVAILABLE"}
LEAVE_OUT = "leave `scan-severity` out"
ENDINGS = {
    "FAILED": (
        "The scan failed",
        f"Run the job again, and if it fails again {LEAVE_OUT} or change the base image.",
    ),
    "UNSUPPORTED_IMAGE": (
        "ECR has no scanner for this kind of image (its operating system, or `FROM scratch`)",
        f"Use a base image that ECR can scan, switch on enhanced scanning, or {LEAVE_OUT}.",
    ),
    "LIMIT_EXCEEDED": (
        "The limit of the scanner is reached",
        f"Run the job again later, or {LEAVE_OUT}.",
    ),
    "IMAGE_SIZE_EXCEEDED": (
        "The image is larger than the scanner takes",
        f"Make the image smaller, or {LEAVE_OUT}.",
    ),
    "IMAGE_ARCHIVED": (
        "The image is archived",
        "Restore it (`aws ecr update-image-storage-class`), or deploy another one.",
    ),
}
"""Ends of a scan without findings: why, and what to change."""


def check(
    image: ReleaseImage, platform: str, inputs: Inputs, gateways: Gateways, journal: Journal
) -> None:
    """Return where the image may be deployed; raise Blocked otherwise. Writes nothing but a scan.

    An image that cannot be judged is not deployed either: that is what a gate is for.
    """
    if inputs.scan_severity is None:
        return
    if image.record is None:
        raise Blocked(
            f"{image.tagged} cannot be scanned.",
            why="`scan-severity` is set, and the image is in no registry that this job scans.",
            fix="Give `ecr-repository`, so that the image is copied there and scanned; or "
            f"{LEAVE_OUT}.",
        )
    worst = SEVERITIES[: SEVERITIES.index(inputs.scan_severity.upper()) + 1]
    with journal.phase("Scan") as phase:
        scans = [
            _Wait(image.record, digest, gateways, journal).scan()
            for digest in scanned(image.record, platform)
        ]
        phase.result = _judged(image.tagged, scans, worst, journal)


def scanned(image: RegistryImage, platform: str) -> Sequence[str]:
    """The digests to ask for: ECR scans no index, but what is in it."""
    children = json.loads(image.manifest).get("manifests")
    if children is None:
        return [image.digest]
    named = [(_platform(child), str(child["digest"])) for child in children]
    return [digest for name, digest in named if name == platform] or [
        # A provenance record says that it is for `unknown/unknown`.
        digest for name, digest in named if not name.startswith("unknown/")
    ]  # fmt: skip


def _platform(child: dict[str, dict[str, str]]) -> str:
    stated = child.get("platform") or {}
    return f"{stated.get('os')}/{stated.get('architecture')}"


def _judged(image: str, scans: Sequence[Scan], worst: Sequence[str], journal: Journal) -> str:
    """In one line what was found, or Blocked."""
    counts = {
        severity: sum(scan.counts.get(severity, 0) for scan in scans)
        for severity in dict.fromkeys([*SEVERITIES, *(s for scan in scans for s in scan.counts)])
    }
    told = ", ".join(f"{count} {severity}" for severity, count in counts.items() if count)
    findings = sorted(
        (finding for scan in scans for finding in scan.findings if finding.severity in worst),
        key=lambda finding: worst.index(finding.severity),
    )
    bad = sum(counts[severity] for severity in worst)
    if not bad:
        return f"nothing of {worst[-1]} or worse" + (f" ({told})" if told else "")
    lines = tuple(_line(finding) for finding in findings[:SHOWN])
    for line in lines:
        journal.say(line)
    more = (f"and {bad - len(lines)} more",) if bad > len(lines) else ()
    raise Blocked(
        f"The scan of {short_digest(image)} found {bad} of {worst[-1]} or worse.",
        why=f"It found {told}; `scan-severity: {worst[-1].lower()}` lets none of these through.",
        fix="Update what is named below (a newer base image often does) and push again, or accept "
        "it: raise `scan-severity`, or suppress the finding in Amazon Inspector.",
        evidence=(*lines, *more),
    )


def _line(finding: Finding) -> str:
    package = f"{finding.package} {finding.installed}".strip() or "no package named"
    fixed = f"fixed in {finding.fixed}" if finding.fixed else "no fixed version known"
    return f"{finding.severity} {finding.name}: {package}, {fixed}"


class _Wait:
    """Waits for the scan of one digest, and asks for one where none begins by itself."""

    def __init__(
        self, image: RegistryImage, digest: str, gateways: Gateways, journal: Journal
    ) -> None:
        self._image = image
        self._digest = digest
        self._scans = gateways.scans
        self._clock = gateways.clock
        self._journal = journal
        self._started = gateways.clock.monotonic()
        self._has_asked = False
        self._refused = ""
        """What ECR said where it did not take our request for a scan."""
        self._last: Scan | None = None

    def scan(self) -> Scan:
        found = watch(
            self._look, clock=self._clock, journal=self._journal, limit_seconds=LIMIT_SECONDS
        )
        if found is None:
            raise self._too_late()
        if found.status in DONE:
            return found
        why, fix = ENDINGS.get(
            found.status,
            (f"The scan ended with {found.status or 'no status'}", f"Look at it, or {LEAVE_OUT}."),
        )
        raise self._blocked(f"{why}{f': {found.description}' if found.description else ''}.", fix)

    def _look(self) -> Look[Scan]:
        scan = self._last = self._scans.scan(self._image.repository, self._digest)
        elapsed = self._clock.monotonic() - self._started
        status = scan.status if scan else ""
        if scan is None or status in GONE:
            if not self._has_asked and (scan or elapsed >= START_AFTER_SECONDS):
                self._ask()
            return Look(f"the findings are gone ({status})" if scan else "no scan yet", None)
        if status in ON_ITS_WAY:
            return Look("the scan is on its way", None)
        if status in DONE and not scan.is_filled and elapsed < EMPTY_SECONDS:
            return Look("the scan is over and lists nothing yet", None)
        return Look(f"the scan is {status}", scan)

    def _ask(self) -> None:
        self._has_asked = True
        try:
            self._scans.start(self._image.repository, self._digest)
        except AwsError as error:
            if error.refusal is not Refusal.INVALID:
                raise
            if "UnsupportedImageType" in error.code:
                why, fix = ENDINGS["UNSUPPORTED_IMAGE"]
                raise self._blocked(f"{why}: {error.message}.", fix) from error
            # Once a day for an image, and never where enhanced scanning does it.
            self._refused = f" Asked for one, ECR said: {error.message}"
            self._journal.say(f"ECR does not start a scan now: {error.message}")
        else:
            self._journal.say("a scan was asked for")

    def _too_late(self) -> Blocked:
        within = f"within {LIMIT_SECONDS / 60:.0f} min"
        name = self._image.repository.name
        if self._last is None:
            return self._blocked(
                f"ECR showed no scan of it {within}.{self._refused}",
                "Switch on scanning for the repository (`aws ecr put-image-scanning-configuration "
                f"--repository-name {name} --image-scanning-configuration scanOnPush=true`, or "
                f"the scanning settings of the registry), or {LEAVE_OUT}.",
            )
        if self._last.status in GONE:
            return self._blocked(
                f"Its findings have expired ({self._last.status}).{self._refused}",
                "Push the image again (`rebuild: true`), or let enhanced scanning watch images "
                f"for longer; otherwise {LEAVE_OUT}.",
            )
        return self._blocked(
            f"The scan did not end {within}; it is {self._last.status}.{self._refused}",
            "Run the job again: what is built already is not built twice.",
        )

    def _blocked(self, why: str, fix: str) -> Blocked:
        what = f"{self._image.repository.uri}@{self._digest}"
        return Blocked(f"{short_digest(what)} was not scanned.", why=why, fix=fix)
