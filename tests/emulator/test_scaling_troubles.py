"""Auto Scaling when things go wrong in the middle: refused changes, deleted groups, instances that never come up."""

from datetime import timedelta

import pytest

from emulator.ess.activity import BY_ALARM, Trigger
from tests.emulator.scaling_stage import ScalingStage

BY_AN_ALARM = Trigger(kind=BY_ALARM, id="alarm-1")


# What is refused changes nothing


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"MinSize": 2, "MaxSize": 99_999}, "InvalidParameter"),
        ({"MaxSize": 3, "VSwitchIds": ["vsw-nobody"]}, "InvalidVSwitchId.NotFound"),
        ({"MaxSize": 3, "DefaultCooldown": -5}, "InvalidParameter"),
        ({"MinSize": 0, "RemovalPolicies": ["Youngest"]}, "UnsupportedParameter"),
        ({"MaxSize": 3, "ActiveScalingConfigurationId": "asc-nobody"}, "InvalidScalingConfigurationId.NotFound"),
    ],
)
def test_a_refused_change_of_a_group_changes_nothing_of_it(given: dict[str, object], code: str) -> None:
    stage = ScalingStage()
    before = repr(stage.group)

    assert stage.refusal("ModifyScalingGroup", ScalingGroupId="asg-a", **given)[1] == code

    assert repr(stage.group) == before


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"InstanceIds": ["i-nobody"]}, "InvalidInstanceId.NotFound"),
        ({"InstanceIds": ["i-free"], "LoadBalancerWeights": [10, 20]}, "InvalidParameter"),
        ({"InstanceIds": ["i-free"], "LoadBalancerWeights": [101]}, "InvalidParameter"),
    ],
)
def test_a_group_whose_members_are_refused_is_not_enabled(given: dict[str, object], code: str) -> None:
    stage = ScalingStage(enabled=False)

    assert stage.refusal("EnableScalingGroup", ScalingGroupId="asg-a", **given)[1] == code

    assert stage.group.state == "Inactive"


def test_a_refresh_towards_an_image_that_is_not_there_leaves_the_configuration_as_it_was() -> None:
    stage = ScalingStage()
    made = stage.of_group(
        "CreateScalingConfiguration", ImageId="m-new", InstanceType="ecs.g7.large", SecurityGroupId="sg-a"
    )

    refused = stage.refusal(
        "StartInstanceRefresh",
        ScalingGroupId="asg-a",
        **{
            "DesiredConfiguration.ScalingConfigurationId": made["ScalingConfigurationId"],
            "DesiredConfiguration.ImageId": "m-nobody",
        },
    )

    assert refused == (404, "InvalidImageId.NotFound")
    assert stage.group.configuration_id == "asc-old"


# What does not come up


def test_instances_that_never_run_are_released_and_do_not_pile_up() -> None:
    stage = ScalingStage()
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)

    stage.of_group("ModifyScalingGroup", DesiredCapacity=3)
    stage.advance(3600)

    assert stage.newest_activity()["StatusCode"] in ("Failed", "InProgress")
    assert len(_launched(stage)) <= 1, "only the one that is awaited just now"


def test_an_awaited_instance_that_is_stopped_is_released_and_the_next_one_launched() -> None:
    stage = ScalingStage()
    stage.of_group("ModifyScalingGroup", DesiredCapacity=3)
    lost = _until_a_newcomer_runs(stage)

    stage.cloud.ecs.lifecycle.power_off(stage.cloud.ecs.instances[lost], force=True)
    stage.advance(1200)

    assert lost not in stage.cloud.ecs.instances
    assert sorted(stage.states().values()) == ["InService"] * 3


def test_a_member_that_its_owner_protected_from_release_is_released_by_the_group_all_the_same() -> None:
    stage = ScalingStage()
    stage.cloud.ecs.instances["i-two"].deletion_protection = True

    stage.of_group("RemoveInstances", InstanceIds=["i-two"])
    stage.advance(120)

    assert "i-two" not in stage.cloud.ecs.instances


def test_balance_takes_from_other_zones_what_one_does_not_have() -> None:
    stage = ScalingStage()
    stage.of_group("ModifyScalingGroup", MultiAZPolicy="BALANCE")
    stage.cloud.ecs.buying.stock.set("cn-hangzhou-i", "ecs.g7.large", 0)

    stage.of_group("ModifyScalingGroup", DesiredCapacity=4)
    stage.advance(300)

    zones = {stage.cloud.ecs.instances[one].zone for one in stage.newcomers()}
    assert (len(stage.newcomers()), zones) == (2, {"cn-hangzhou-h"})


# What goes away meanwhile


def test_deleting_a_group_while_it_takes_somebody_in_stops_nothing_else() -> None:
    stage = ScalingStage()
    activity = stage.of_group("AttachInstances", InstanceIds=["i-free"])["ScalingActivityId"]

    stage.of_group("DeleteScalingGroup", ForceDelete="true")
    stage.advance(600)

    assert stage.activity(activity)["StatusCode"] == "Failed"
    assert stage.cloud.ecs.instances["i-free"].state == "Running"


def test_deleting_a_group_while_it_launches_releases_what_it_launched() -> None:
    stage = ScalingStage()
    stage.of_group("ModifyScalingGroup", DesiredCapacity=4)
    while not stage.newcomers():
        stage.advance(1)
    activity = stage.newest_activity()["ScalingActivityId"]

    stage.of_group("DeleteScalingGroup", ForceDelete="true")
    stage.advance(1200)

    assert _launched(stage) == []
    assert stage.activity(activity)["ErrorCode"] == "InvalidScalingGroupId.NotFound"


def test_an_instance_that_is_named_twice_joins_once() -> None:
    stage = ScalingStage()
    activity = stage.of_group("AttachInstances", InstanceIds=["i-free", "i-free"])["ScalingActivityId"]
    stage.stop("i-free")

    stage.advance(120)

    assert stage.activity(activity)["StatusCode"] == "Failed"
    assert "i-free" not in stage.group.members


def test_a_refresh_waits_for_an_activity_that_runs_beside_it() -> None:
    stage = ScalingStage(max=6)
    stage.of_group("StartInstanceRefresh", **{"DesiredConfiguration.ImageId": "m-new"})
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)  # whatever is launched now takes its time
    stage.of_group(
        "ScaleWithAdjustment", AdjustmentType="QuantityChangeInCapacity", AdjustmentValue=1, SyncActivity="true",
        ParallelTask="true",
    )  # fmt: skip
    stage.advance(120)
    stage.cloud.zones.set_dark("cn-hangzhou-h", False)
    stage.advance(3600)

    task = stage.of_group("DescribeInstanceRefreshes")["InstanceRefreshTasks"][0]
    assert (task["Status"], task["FinishedUpdateCapacity"]) == ("Successful", 2)
    assert {stage.cloud.ecs.instances[one].image_id for one in stage.newcomers()} == {"m-new"}
    assert len(stage.group.members) == stage.group.desired


def test_a_refresh_ends_with_its_group() -> None:
    stage = ScalingStage()
    stage.of_group("StartInstanceRefresh", **{"DesiredConfiguration.ImageId": "m-new"})

    stage.of_group("DeleteScalingGroup", ForceDelete="true")
    stage.advance(600)

    task = stage.of_group("DescribeInstanceRefreshes")["InstanceRefreshTasks"][0]
    assert task["Status"] == "Cancelled"


# Cooling down


def test_an_alarm_finds_the_group_cooling_down_for_as_long_as_the_rule_says() -> None:
    stage = ScalingStage(desired=None)
    ari = stage.of_group(
        "CreateScalingRule", AdjustmentType="QuantityChangeInCapacity", AdjustmentValue=1, Cooldown=1000
    )["ScalingRuleAri"]
    rule = stage.cloud.ess.rule(ari)
    stage.cloud.ess.execute(rule, BY_AN_ALARM)
    stage.advance(600)

    early = stage.cloud.ess.execute(rule, BY_AN_ALARM)
    stage.advance(600)
    late = stage.cloud.ess.execute(rule, BY_AN_ALARM)

    assert (early.status, late.status) == ("Rejected", "InProgress")


def test_standing_by_does_not_make_a_group_cool_down() -> None:
    stage = ScalingStage(desired=None)
    stage.of_group("EnterStandby", InstanceIds=["i-two"])

    assert stage.group.cooling_until is None


def test_a_launch_that_brought_nothing_does_not_make_a_group_cool_down() -> None:
    stage = ScalingStage()
    stage.out_of_stock()
    stage.of_group("ModifyScalingGroup", DesiredCapacity=3)

    stage.advance(60)

    assert stage.newest_activity()["StatusCode"] == "Failed"
    assert stage.group.cooling_until is None


def _until_a_newcomer_runs(stage: ScalingStage) -> str:
    end = stage.cloud.clock.now() + timedelta(minutes=5)
    while stage.cloud.clock.now() < end:
        for one in stage.newcomers():
            if stage.cloud.ecs.instances[one].state == "Running":
                return one
        stage.advance(0.5)
    raise AssertionError("no newcomer runs within five minutes")


def _launched(stage: ScalingStage) -> list[str]:
    """Whatever the group bought and still pays for, member or not."""
    return [one for one in stage.cloud.ecs.instances if one not in ("i-one", "i-two", "i-free")]


# A network that goes


@pytest.mark.parametrize("policy", ["PRIORITY", "BALANCE"])
def test_a_vswitch_that_was_deleted_fails_its_own_share_only(policy: str) -> None:
    stage = ScalingStage()
    stage.ask("ModifyScalingGroup", ScalingGroupId="asg-a", MultiAZPolicy=policy)
    stage.cloud.ecs.network.vswitches.pop("vsw-i")

    stage.ask("ScaleWithAdjustment", ScalingGroupId="asg-a", AdjustmentType="TotalCapacity", AdjustmentValue=4)
    stage.advance(200)

    [activity] = stage.ask("DescribeScalingActivities", ScalingGroupId="asg-a")["ScalingActivities"]
    assert activity["StatusCode"] == "Successful"
    assert len(stage.group.members) == 4
