"""Where things are in the AWS console. Pure.

A link leads to a page of today's console; where there is none that is known, there is no link.
"""

from __future__ import annotations

from urllib.parse import quote

HOSTS = (
    ("cn-", "console.amazonaws.cn"),
    ("us-gov-", "console.amazonaws-us-gov.com"),
    # Partitions that few can reach, whose consoles are elsewhere.
    ("eusc-", ""),
    ("us-iso", ""),
    ("eu-iso", ""),
    ("", "console.aws.amazon.com"),
)
"""The host of the console, by how the region begins."""


def service(region: str, cluster: str, name: str) -> str:
    """The page of a service; `cluster` is a name or an ARN."""
    return _page(region, f"{_service_path(cluster, name)}/health")


def deployments(region: str, cluster: str, name: str) -> str:
    """The deployments of a service, newest first."""
    return _page(region, f"{_service_path(cluster, name)}/deployments")


def log_group(region: str, name: str) -> str:
    # The console wants its fragment encoded twice, with a dollar for the percent sign.
    twice = quote(quote(name, safe=""), safe="").replace("%", "$")
    return _page(region, "cloudwatch/home", f"#logsV2:log-groups/log-group/{twice}")


def alarm(region: str, name: str) -> str:
    return _page(region, "cloudwatch/home", f"#alarmsV2:alarm/{quote(name, safe='')}")


def _service_path(cluster: str, name: str) -> str:
    parts = (cluster.rpartition("/")[2], name)
    return "ecs/v2/clusters/{}/services/{}".format(*(quote(part, safe="") for part in parts))


def _page(region: str, path: str, fragment: str = "") -> str:
    """Empty where the region is not known or its console is not."""
    host = next(host for start, host in HOSTS if region.startswith(start))
    if not (region and host):
        return ""
    return f"https://{host}/{path}?region={quote(region, safe='')}{fragment}"
