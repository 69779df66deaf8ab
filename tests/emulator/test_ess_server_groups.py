"""Scaling groups whose members join vServer groups, each at its port."""

from datetime import timedelta
from typing import Any

import pytest

from tests.emulator.scaling_stage import ScalingStage


@pytest.fixture
def stage() -> ScalingStage:
    stage = ScalingStage(load_balancers={})
    stage.cloud.slb.groups.create("lb-a", "web", [], id="rsp-web")
    return stage


def named(balancer: str = "lb-a", group: str = "rsp-web", **more: object) -> dict[str, Any]:
    place = "VServerGroups.1.VServerGroupAttributes.1"
    given = {"VServerGroupId": group, "Port": 8080, **more}
    return {"VServerGroups.1.LoadBalancerId": balancer, **{f"{place}.{name}": value for name, value in given.items()}}


def members(stage: ScalingStage) -> dict[str, int]:
    return {key: member.weight for key, member in stage.cloud.slb.groups.get("rsp-web").members.items()}


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        pytest.param(named(group="rsp-nobody"), (400, "InvalidParameter"), id="no such group"),
        pytest.param(named(balancer="lb-nobody"), (404, "InvalidLoadBalancerId.NotFound"), id="no such balancer"),
        pytest.param({}, (400, "MissingParameter"), id="no group at all"),
    ],
)
def test_a_group_that_is_not_there_cannot_be_filled(
    stage: ScalingStage, given: dict[str, Any], refused: tuple[int, str]
) -> None:
    assert stage.refusal("AttachVServerGroups", **given) == refused
    assert stage.group.server_groups == {}


def test_present_members_join_only_when_forced(stage: ScalingStage) -> None:
    stage.of_group("AttachVServerGroups", **named())
    assert members(stage) == {}
    stage.of_group("AttachVServerGroups", **named(Weight=70), ForceAttach="true")
    assert members(stage) == {"i-one:8080": 70, "i-two:8080": 70}
    assert stage.cloud.slb.get("lb-a").backends["i-one"].weight == 100  # the default pool is none of its business
    [shown] = stage.ask("DescribeScalingGroups")["ScalingGroups"]
    expected = {"VServerGroupId": "rsp-web", "Port": 8080, "Weight": 70}
    assert shown["VServerGroups"] == [{"LoadBalancerId": "lb-a", "VServerGroupAttributes": [expected]}]


def test_standby_drains_and_return_restores_the_groups_weight(stage: ScalingStage) -> None:
    stage.of_group("AttachVServerGroups", **named(), ForceAttach="true")
    stage.of_group("EnterStandby", InstanceIds=["i-one"])
    stage.advance(60)
    assert members(stage) == {"i-one:8080": 0, "i-two:8080": 50}
    stage.of_group("ExitStandby", InstanceIds=["i-one"])
    stage.advance(60)
    assert members(stage) == {"i-one:8080": 50, "i-two:8080": 50}


def test_members_come_and_go_while_the_balancer_is_being_configured(stage: ScalingStage) -> None:
    stage.cloud.slb.configuring_for = timedelta(hours=1)
    stage.of_group("AttachVServerGroups", **named(), ForceAttach="true")
    stage.of_group("DetachInstances", InstanceIds=["i-one"])
    stage.advance(60)
    assert "i-one:8080" not in members(stage)
    stage.of_group("DetachVServerGroups", **named(), ForceDetach="true")
    assert members(stage) == {}
