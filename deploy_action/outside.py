"""The real outside: real AWS, real engine, real time."""

from __future__ import annotations

from collections.abc import Mapping

import boto3

from deploy_action.app import Outside
from deploy_action.gateways.buildx import Buildx
from deploy_action.gateways.clock import SystemClock
from deploy_action.gateways.engine import DockerEngine
from deploy_action.gateways.http import UrlHttp


def real(environ: Mapping[str, str]) -> Outside:
    """Everything as it is outside of tests."""
    return Outside(
        session=lambda region: boto3.Session(region_name=region or None),
        http=UrlHttp(environ),
        builder=Buildx(environ),
        engine=DockerEngine(environ),
        clock=SystemClock(),
    )
