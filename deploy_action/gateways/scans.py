"""Amazon ECR's scans of images for known vulnerabilities, basic and enhanced."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import WRITES, answering
from deploy_action.gateways.ecr import client_of
from deploy_action.model import Finding, Repository, Scan
from deploy_action.permissions import Permission, Permissions, Scope

if TYPE_CHECKING:
    import boto3

PERMISSIONS: Permissions = {
    "ecr:DescribeImageScanFindings": Permission(scope=Scope.REPOSITORY, only_with="scan-severity"),
    "ecr:StartImageScan": Permission(
        scope=Scope.REPOSITORY, writes=True, only_with="scan-severity"
    ),
}
PAGE, MOST_PAGES = 1000, 20
"""No image has so many findings; without a limit an answer could go on for ever."""
COUNTED = ("", "ACTIVE")
"""Enhanced findings may be suppressed by a rule or closed by a fix; basic ones have no status."""


class Scans:
    """The scans of one registry: the account's own, or `registry`."""

    def __init__(self, session: boto3.Session, registry: str | None) -> None:
        self._client, self._account = client_of(session, registry)
        # Botocore takes "once a day for an image" for a throttle and would try again.
        self._writes, _ = client_of(session, registry, WRITES)

    def scan(self, repository: Repository, digest: str) -> Scan | None:
        """The scan of an image as it is now; None where there is none (or not yet)."""
        try:
            first, *others = self._pages(repository, digest)
        except AwsError as error:
            # The image itself may not be visible yet, right after its push.
            if error.refusal is Refusal.MISSING:
                return None
            raise
        status: Mapping[str, str] = first.get("imageScanStatus") or {}
        told = [answer.get("imageScanFindings") or {} for answer in (first, *others)]
        findings = [finding for part in told for finding in _findings(part)]
        is_enhanced = any("enhancedFindings" in part for part in told)
        counts = {} if is_enhanced else told[0].get("findingSeverityCounts") or {}
        return Scan(
            status=status.get("status", ""),
            description=status.get("description", ""),
            counts=counts or Counter(finding.severity for finding in findings),
            findings=tuple(findings),
            is_filled=bool(findings or counts or told[0].get("imageScanCompletedAt")),
        )

    def start(self, repository: Repository, digest: str) -> None:
        """Ask for a basic scan; AwsError with INVALID where ECR does not take the request."""
        with answering("ecr:StartImageScan"):
            self._writes.start_image_scan(
                repositoryName=repository.name, imageId={"imageDigest": digest}, **self._account
            )

    def _pages(self, repository: Repository, digest: str) -> Sequence[Any]:
        answers: list[Any] = []
        token: dict[str, str] = {}
        while not answers or (token and len(answers) < MOST_PAGES):
            with answering("ecr:DescribeImageScanFindings"):
                answer = self._client.describe_image_scan_findings(
                    repositoryName=repository.name,
                    imageId={"imageDigest": digest},
                    maxResults=PAGE,
                    **token,
                    **self._account,
                )
            answers.append(answer)
            token = {"nextToken": answer["nextToken"]} if answer.get("nextToken") else {}
        return answers


def _findings(told: Mapping[str, Any]) -> Iterator[Finding]:
    for raw in told.get("findings") or ():
        attributes = {a.get("key", ""): a.get("value", "") for a in raw.get("attributes") or ()}
        fixed = (value for key, value in attributes.items() if "fixed" in key.lower())
        yield Finding(
            name=raw.get("name", ""),
            severity=raw.get("severity", ""),
            package=attributes.get("package_name", ""),
            installed=attributes.get("package_version", ""),
            fixed=next(fixed, ""),
        )
    for raw in told.get("enhancedFindings") or ():
        if raw.get("status", "") not in COUNTED:
            continue
        details = raw.get("packageVulnerabilityDetails") or {}
        packages = details.get("vulnerablePackages") or [{}]
        package = next((p for p in packages if _fix_of(p)), packages[0])
        yield Finding(
            name=details.get("vulnerabilityId") or raw.get("title", ""),
            severity=raw.get("severity", ""),
            package=package.get("name", ""),
            installed=package.get("version", ""),
            fixed=_fix_of(package),
        )


def _fix_of(package: Mapping[str, str]) -> str:
    """Inspector writes out that there is none."""
    version = package.get("fixedInVersion", "")
    return "" if version == "NotAvailable" else version
