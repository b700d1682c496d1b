"""The scans of ECR: basic ones as moto keeps them, and every answer that AWS describes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.ecr import MEDIA_TYPES
from deploy_action.gateways.scans import MOST_PAGES, Scans
from deploy_action.model import Finding, Repository
from tests.gateways.wire import Json, Wire

DIGEST = "sha256:" + "7d" * 32
WEB = Repository(name="web", uri="host/web", registry_id="", mutability="", exclusions=())
BASIC: Json = {
    "name": "CVE-2026-0001",
    "severity": "HIGH",
    "attributes": [
        {"key": "package_name", "value": "zlib"},
        {"key": "package_version", "value": "1.2"},
    ],
}
NEWER = {"key": "fixed_in_version", "value": "1.3"}


@pytest.fixture
def wire() -> Wire:
    return Wire()


def over(wire: Wire, registry: str | None = None) -> Scans:
    return Scans(wire.session, registry)


def enhanced(**differences: Any) -> Json:  # noqa: ANN401 - as the answer
    packages = differences.pop("packages", [{"name": "openssl", "version": "3.0.1"}])
    return {
        "severity": "CRITICAL",
        "status": "ACTIVE",
        "title": "CVE-2026-0002 - openssl",
        "packageVulnerabilityDetails": {
            "vulnerabilityId": "CVE-2026-0002",
            "vulnerablePackages": packages,
        },
        **differences,
    }


def answer(status: str, **findings: Any) -> Json:  # noqa: ANN401 - as the answer
    return {"imageScanStatus": {"status": status}, "imageScanFindings": findings}


# -- basic --


@pytest.fixture
def client() -> Iterator[Any]:
    with mock_aws():
        session = boto3.Session(
            region_name="eu-west-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"
        )
        client = session.client("ecr")
        client.create_repository(repositoryName="web")
        yield client


def test_starts_a_basic_scan_and_reads_its_findings(client: Any) -> None:  # noqa: ANN401
    manifest = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": MEDIA_TYPES[0],
            "config": {"digest": "sha256:1"},
            "layers": [],
        }
    )
    put = client.put_image(repositoryName="web", imageManifest=manifest, imageTag="v1")
    digest = put["image"]["imageId"]["imageDigest"]
    scans = Scans(boto3.Session(region_name="eu-west-1"), None)
    assert scans.scan(WEB, digest) is None

    scans.start(WEB, digest)
    found = scans.scan(WEB, digest)

    assert found is not None
    assert (found.status, found.is_filled) == ("COMPLETE", True)
    assert found.counts == {"HIGH": 1}
    assert [finding.severity for finding in found.findings] == ["HIGH"]


def test_a_basic_finding_in_our_words(wire: Wire) -> None:
    fixed = {**BASIC, "attributes": [*BASIC["attributes"], NEWER]}
    said = answer("COMPLETE", findings=[BASIC, fixed], findingSeverityCounts={"HIGH": 2})
    wire.answers("DescribeImageScanFindings", said)

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    plain = Finding(
        name="CVE-2026-0001", severity="HIGH", package="zlib", installed="1.2", fixed=""
    )
    assert found.findings[0] == plain
    assert found.findings[1].fixed == "1.3"
    assert found.counts == {"HIGH": 2}


def test_counts_that_are_told_are_believed_and_others_are_counted(wire: Wire) -> None:
    wire.answers("DescribeImageScanFindings", answer("COMPLETE", findings=[BASIC, BASIC]))

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert found.counts == {"HIGH": 2}


# -- enhanced --


def test_an_enhanced_finding_in_our_words(wire: Wire) -> None:
    packages = [
        {"name": "libssl", "version": "3.0.1", "fixedInVersion": "NotAvailable"},
        {"name": "openssl", "version": "3.0.1", "fixedInVersion": "3.0.2"},
    ]
    raw = enhanced(packages=packages)
    wire.answers("DescribeImageScanFindings", answer("ACTIVE", enhancedFindings=[raw]))

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert found.findings == (
        Finding(
            name="CVE-2026-0002",
            severity="CRITICAL",
            package="openssl",
            installed="3.0.1",
            fixed="3.0.2",
        ),
    )


def test_what_was_suppressed_or_closed_does_not_count_whatever_the_counts_say(wire: Wire) -> None:
    raws = [enhanced(status=status) for status in ("ACTIVE", "SUPPRESSED", "CLOSED")]
    said = answer("ACTIVE", enhancedFindings=raws, findingSeverityCounts={"CRITICAL": 3})
    wire.answers("DescribeImageScanFindings", said)

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert found.counts == {"CRITICAL": 1}


def test_a_finding_without_a_package_is_one_too(wire: Wire) -> None:
    raw = {"severity": "HIGH", "title": "Open port", "status": "ACTIVE"}
    wire.answers("DescribeImageScanFindings", answer("ACTIVE", enhancedFindings=[raw]))

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert [finding.name for finding in found.findings] == ["Open port"]
    assert found.counts == {"HIGH": 1}


# -- states --


@pytest.mark.parametrize("code", ["ScanNotFoundException", "ImageNotFoundException"])
def test_no_scan_yet_is_none(wire: Wire, code: str) -> None:
    wire.refuses("DescribeImageScanFindings", code)

    assert over(wire).scan(WEB, DIGEST) is None


def test_a_refusal_is_not_taken_for_no_scan(wire: Wire) -> None:
    wire.refuses("DescribeImageScanFindings", "AccessDeniedException")

    with pytest.raises(AwsError) as caught:
        over(wire).scan(WEB, DIGEST)

    assert caught.value.refusal is Refusal.DENIED


@pytest.mark.parametrize(
    ("told", "is_filled"),
    [
        ({}, False),
        ({"findings": []}, False),
        ({"imageScanCompletedAt": 1795000000.0, "findings": []}, True),
        ({"findingSeverityCounts": {"LOW": 1}}, True),
    ],
    ids=["nothing", "an empty list", "an empty list with a date", "counts"],
)
def test_a_scan_without_results_is_told_from_one_that_found_nothing(
    wire: Wire, told: Json, *, is_filled: bool
) -> None:
    wire.answers("DescribeImageScanFindings", answer("COMPLETE", **told))

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert found.is_filled is is_filled


def test_a_status_alone_is_an_answer(wire: Wire) -> None:
    status = {"status": "UNSUPPORTED_IMAGE", "description": "no package manager"}
    wire.answers("DescribeImageScanFindings", {"imageScanStatus": status})

    found = over(wire).scan(WEB, DIGEST)

    assert found is not None
    assert (found.status, found.description) == ("UNSUPPORTED_IMAGE", "no package manager")


def test_all_pages_are_read_of_the_right_image_of_the_right_registry(wire: Wire) -> None:
    def page(asked: Json) -> Json:
        more = {} if "nextToken" in asked else {"nextToken": "2"}
        return answer("ACTIVE", enhancedFindings=[enhanced()]) | more

    wire.answers_by("DescribeImageScanFindings", page)

    found = over(wire, "999999999999.dkr.ecr.us-east-1.amazonaws.com").scan(WEB, DIGEST)

    assert found is not None
    assert len(found.findings) == 2
    first, second = wire.sent("DescribeImageScanFindings")
    assert first == {
        "registryId": "999999999999",
        "repositoryName": "web",
        "imageId": {"imageDigest": DIGEST},
        "maxResults": 1000,
    }
    assert second == {**first, "nextToken": "2"}
    assert "us-east-1" in wire.requests[0].url


def test_an_answer_without_an_end_is_given_up(wire: Wire) -> None:
    endless = answer("ACTIVE", enhancedFindings=[enhanced()]) | {"nextToken": "again"}
    wire.answers("DescribeImageScanFindings", endless)

    over(wire).scan(WEB, DIGEST)

    assert len(wire.requests) == MOST_PAGES


@pytest.mark.parametrize(
    "code", ["LimitExceededException", "ValidationException", "UnsupportedImageTypeException"]
)
def test_a_scan_that_ecr_does_not_start_is_an_invalid_request(wire: Wire, code: str) -> None:
    wire.refuses("StartImageScan", code, "why not")

    with pytest.raises(AwsError) as caught:
        over(wire).start(WEB, DIGEST)

    assert (caught.value.refusal, caught.value.code) == (Refusal.INVALID, code)
