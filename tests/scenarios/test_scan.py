"""`scan-severity`: what ECR's scanner finds decides before the service is touched."""

from __future__ import annotations

import pytest

from tests.scenarios.stage import GOOD, Outcome, Stage
from tests.simulator import Vulnerability
from tests.simulator.state import Repository

HIGH = Vulnerability(name="CVE-2026-0002", severity="HIGH", package="zlib", installed="1.2")
CRITICAL = Vulnerability(
    name="CVE-2026-0001", severity="CRITICAL", package="openssl", installed="3.0.1", fixed="3.0.2"
)
LOW = Vulnerability(name="CVE-2026-0009", severity="LOW")


def web(stage: Stage) -> Repository:
    return stage.world.state.repositories["web"]


def assert_stopped(stage: Stage, outcome: Outcome, *words: str) -> None:
    """Blocked with these words, in a bounded time, and nothing but ECR touched."""
    assert (outcome.code, outcome.verdict) == (3, "blocked"), outcome.log
    for word in words:
        assert word in outcome.log
    assert stage.runs_the_old()
    assert stage.latest() is None
    assert set(stage.changes()) <= {"image-pushed", "tag-moved"}
    assert outcome.seconds < 400
    assert len(outcome.annotations) == 1


@pytest.mark.parametrize("scanner", ["basic", "enhanced"])
def test_findings_this_bad_stop_the_release_and_are_listed(stage: Stage, scanner: str) -> None:
    web(stage).scanner = scanner  # type: ignore[assignment]
    stage.world.builder.findings = [LOW, HIGH, CRITICAL]

    outcome = stage.deploy(scan_severity="high")

    assert_stopped(stage, outcome, "found 2 of HIGH or worse", "1 CRITICAL, 1 HIGH, 1 LOW")
    first = "CRITICAL CVE-2026-0001: openssl 3.0.1, fixed in 3.0.2"
    for text in (outcome.log, outcome.summary):
        assert (first in text) is (scanner == "enhanced")
        assert "HIGH CVE-2026-0002: zlib 1.2, no fixed version known" in text
        assert "CVE-2026-0009" not in text


@pytest.mark.parametrize("scanner", ["basic", "enhanced"])
def test_an_image_with_lesser_findings_is_deployed(stage: Stage, scanner: str) -> None:
    web(stage).scanner = scanner  # type: ignore[assignment]
    stage.world.builder.findings = [LOW, HIGH]

    outcome = stage.deploy(scan_severity="CRITICAL")

    assert outcome.verdict == "deployed"
    assert "Scan: nothing of CRITICAL or worse (1 HIGH, 1 LOW)" in outcome.log
    assert "nothing of CRITICAL or worse" in outcome.summary


def test_without_the_input_no_scan_is_asked_for(stage: Stage) -> None:
    stage.world.builder.findings = [CRITICAL]

    assert stage.deploy().verdict == "deployed"
    assert "Scan" not in {call.operation[:4] for call in stage.world.history.calls}


def test_a_clean_image_is_deployed(stage: Stage) -> None:
    assert stage.deploy(scan_severity="informational").verdict == "deployed"


def test_a_suppressed_finding_does_not_count(stage: Stage) -> None:
    web(stage).scanner = "enhanced"
    accepted = Vulnerability(severity="CRITICAL", status="SUPPRESSED")
    stage.world.builder.findings = [accepted]

    assert stage.deploy(scan_severity="critical").verdict == "deployed"


def test_many_findings_are_counted_over_all_pages_and_few_are_shown(stage: Stage) -> None:
    web(stage).scanner = "enhanced"
    stage.world.builder.findings = [LOW] * 150 + [CRITICAL] * 30

    outcome = stage.deploy(scan_severity="critical")

    assert_stopped(stage, outcome, "found 30 of CRITICAL or worse", "and 20 more")


def test_no_tag_moves_before_the_scan(stage: Stage) -> None:
    stage.world.builder.findings = [CRITICAL]

    outcome = stage.deploy(scan_severity="critical", latest_when="pushed")

    assert_stopped(stage, outcome)


def test_a_scan_that_no_push_began_is_asked_for(stage: Stage) -> None:
    web(stage).scan_on_push = False
    stage.world.builder.findings = [CRITICAL]

    outcome = stage.deploy(scan_severity="critical")

    assert_stopped(stage, outcome, "a scan was asked for", "found 1 of CRITICAL")


ENDS = {
    "FAILED": "The scan failed",
    "UNSUPPORTED_IMAGE": "ECR has no scanner for this kind of image",
    "LIMIT_EXCEEDED": "The limit of the scanner is reached",
    "IMAGE_SIZE_EXCEEDED": "larger than the scanner takes",
    "IMAGE_ARCHIVED": "The image is archived",
    "SCAN_ELIGIBILITY_EXPIRED": "Its findings have expired",
    "FINDINGS_UNAVAILABLE": "Its findings have expired",
    "PENDING": "The scan did not end within 5 min",
}


@pytest.mark.parametrize(("status", "words"), ENDS.items(), ids=ENDS.keys())
def test_a_scan_that_says_nothing_stops_the_release_with_the_reason(
    stage: Stage, status: str, words: str
) -> None:
    web(stage).scan_end = status

    assert_stopped(stage, stage.deploy(scan_severity="high"), "was not scanned.", words)


def test_a_scan_that_never_ends_is_not_waited_for_for_ever(stage: Stage) -> None:
    web(stage).scan_seconds = 10**6

    outcome = stage.deploy(scan_severity="high")

    assert_stopped(stage, outcome, "The scan did not end within 5 min; it is IN_PROGRESS.")


def test_where_nothing_scans_it_is_said_how_to_switch_it_on(stage: Stage) -> None:
    """Enhanced scanning is on, but its filters leave the repository out."""
    web(stage).scan_on_push = False
    web(stage).scanner = "enhanced"

    outcome = stage.deploy(scan_severity="high")

    assert_stopped(
        stage, outcome, "ECR showed no scan of it within 5 min", "enhanced scanning is on",
        "aws ecr put-image-scanning-configuration --repository-name web",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("action", "is_scanned"),
    [("ecr:DescribeImageScanFindings", True), ("ecr:StartImageScan", False)],
)
def test_what_the_job_may_not_ask_is_named(stage: Stage, action: str, *, is_scanned: bool) -> None:
    web(stage).scan_on_push = is_scanned
    stage.world.deny(action)

    assert_stopped(stage, stage.deploy(scan_severity="high"), f"Allow `{action}`")


def test_of_an_index_the_image_for_the_platform_is_scanned(stage: Stage) -> None:
    platforms = ("linux/amd64", "linux/arm64")
    image = stage.world.image("web", tag="v7", behaviour=GOOD, platforms=platforms)
    _, amd, arm, index = web(stage).manifests.values()
    assert index.digest == image.digest
    web(stage).findings[arm.digest] = [CRITICAL]

    assert stage.deploy(image=image.by_tag, scan_severity="critical").verdict == "deployed"
    web(stage).findings[amd.digest] = [CRITICAL]
    outcome = stage.deploy(image=image.by_tag, scan_severity="critical")

    assert outcome.verdict == "blocked"


def test_an_image_from_elsewhere_cannot_be_judged_unless_it_is_copied(stage: Stage) -> None:
    image = stage.world.public_image("docker.io/acme/web:7", GOOD)

    outcome = stage.deploy(image=image, ecr_repository="", scan_severity="high")

    assert_stopped(stage, outcome, "cannot be scanned", "Give `ecr-repository`")


def test_a_copy_is_scanned_before_it_is_deployed(stage: Stage) -> None:
    stage.world.repository("staging")
    image = stage.world.image("staging", tag="v7", behaviour=GOOD)
    web(stage).findings[image.digest] = [CRITICAL]

    outcome = stage.deploy(image=image.by_tag, scan_severity="critical")

    assert outcome.verdict == "blocked"
    assert stage.runs_the_old()
