"""Links into the AWS console, in each partition that has a known one."""

from __future__ import annotations

import pytest

from deploy_action.report import links

CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"


@pytest.mark.parametrize(
    ("region", "host"),
    [
        ("eu-west-1", "console.aws.amazon.com"),
        ("cn-north-1", "console.amazonaws.cn"),
        ("us-gov-west-1", "console.amazonaws-us-gov.com"),
    ],
)
def test_every_partition_has_its_own_host(region: str, host: str) -> None:
    service = f"https://{host}/ecs/v2/clusters/prod/services/web"

    assert links.service(region, "prod", "web") == f"{service}/health?region={region}"
    assert links.deployments(region, CLUSTER, "web") == f"{service}/deployments?region={region}"
    assert links.log_group(region, "/ecs/web") == (
        f"https://{host}/cloudwatch/home?region={region}"
        "#logsV2:log-groups/log-group/$252Fecs$252Fweb"
    )
    assert links.alarm(region, "web 5xx (prod)") == (
        f"https://{host}/cloudwatch/home?region={region}#alarmsV2:alarm/web%205xx%20%28prod%29"
    )


@pytest.mark.parametrize("region", ["", "us-iso-east-1", "us-isob-east-1", "eusc-de-east-1"])
def test_where_the_console_is_not_known_there_is_no_link(region: str) -> None:
    assert links.service(region, "prod", "web") == ""
    assert links.log_group(region, "/ecs/web") == ""
