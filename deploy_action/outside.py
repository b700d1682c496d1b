"""The real outside: real AWS, real engine, real time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import boto3

from deploy_action.app import Outside
from deploy_action.gateways.buildx import Buildx
from deploy_action.gateways.clock import SystemClock
from deploy_action.gateways.engine import DockerEngine
from deploy_action.gateways.http import UrlHttp
from deploy_action.gateways.notices import AppriseNotices

T = TypeVar("T")
THREADS = 8
"""Enough for the checks of a usual service in one go, and few enough for AWS's rates."""


def real(environ: Mapping[str, str]) -> Outside:
    """Everything as it is outside of tests."""
    return Outside(
        session=lambda region: boto3.Session(region_name=region or None),
        http=UrlHttp(environ),
        builder=Buildx(environ),
        engine=DockerEngine(environ),
        clock=SystemClock(),
        concurrently=concurrently,
        notices=AppriseNotices(),
    )


def concurrently(calls: Sequence[Callable[[], T]]) -> list[T]:
    """As `ports.Concurrently`, in a few threads."""
    pool = ThreadPoolExecutor(THREADS)
    try:
        return [future.result() for future in [pool.submit(call) for call in calls]]
    finally:
        # A signal may have come: what has not begun is dropped, what has is left behind.
        pool.shutdown(wait=False, cancel_futures=True)
