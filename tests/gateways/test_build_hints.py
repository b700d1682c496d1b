"""The sentences that say what to change, for the messages of real engines and registries."""

from __future__ import annotations

import pytest

from deploy_action.gateways.build_hints import hint

ECR = "https://1.dkr.ecr.eu-west-1.amazonaws.com/v2"


@pytest.mark.parametrize(
    ("detail", "fix"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "`image`"),
        ("permission denied while trying to connect to the Docker daemon socket", "`image`"),
        ('target stage "web" could not be found', "`target`"),
        ("write /layer.tar: no space left on device", "disk space"),
        ("tag invalid: The image tag 'a' already exists in the 'web' repository", "`image-tag`"),
        (
            'failed commit on ref "manifest-sha256:ab": unexpected status: 400 Bad Request',
            "`image-tag`",
        ),
        (
            "denied: User: someone is not authorized to perform: ecr:InitiateLayerUpload on",
            "Allow `ecr:InitiateLayerUpload`",
        ),
        (
            f"unexpected status from HEAD request to {ECR}/web/blobs/sha256:ab: 403 Forbidden",
            "Allow `ecr:BatchCheckLayerAvailability`",
        ),
        (
            f"unexpected status from HEAD request to {ECR}/web/manifests/latest: 403 Forbidden",
            "Allow `ecr:BatchGetImage`",
        ),
        (
            "unexpected status from HEAD request to https://r.example/v2/web/manifests/1: 403",
            "role",
        ),
        ("name unknown: The repository with name 'web' does not exist", "`create-repository`"),
        ("429 Too Many Requests: toomanyrequests: You have reached your limit", "pull-through"),
        ("docker.io/docker/dockerfile:1: dial tcp: i/o timeout", "`# syntax=`"),
        ("denied: Your authorization token has expired. Reauthenticate", "again"),
        ("no basic auth credentials", "role"),
        ("unexpected status from HEAD request to https://r/v2/: 403 Forbidden", "role"),
        ("tls: failed to verify certificate: x509: unknown authority", "CA"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("python:9: failed to resolve source metadata for docker.io/library/python:9", "FROM"),
        ('Get "https://r.example/v2/": dial tcp: lookup r.example: no such host', "reach"),
        ("dockerfile parse error on line 3: unknown instruction: RUNN", "line"),
        ('failed to calculate checksum of ref x: "/a": not found', ".dockerignore"),
        ("secret token: not found", "`build-secrets`"),
        ("exec /bin/sh: exec format error", "`platform`"),
        ('process "/bin/sh -c make" did not complete successfully: exit code: 137', "memory"),
        ("buildx ended with signal 9", "memory"),
        ("buildx said nothing for 30 minutes and was stopped", "last step"),
    ],
)
def test_well_known_failures_have_a_fix(detail: str, fix: str) -> None:
    assert fix in (hint(detail) or "")


@pytest.mark.parametrize(
    "detail",
    [
        'process "/bin/sh -c echo no such host, 401" did not complete successfully: exit code: 1',
        "executor failed running [/bin/sh -c echo unauthorized]: exit code: 1",
        "something nobody has seen before",
    ],
)
def test_a_failure_that_is_not_known_has_none(detail: str) -> None:
    assert hint(detail) is None
