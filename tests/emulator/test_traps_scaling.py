"""Traps of Auto Scaling, each sprung: what a program must expect that stops, switches or counts members."""

from emulator.slb.model import Backend
from tests.emulator.scaling_stage import ScalingStage


def test_a_member_that_we_stop_on_purpose_is_taken_for_unhealthy_and_replaced() -> None:
    stage = ScalingStage()
    stage.stop("i-two")  # entrusted: the group may release it

    stage.advance(600)

    assert "i-two" not in stage.cloud.ecs.instances, "released for ever, with the disk we wanted to roll back"
    assert stage.weight("i-two") is None
    assert len(stage.group.members) == 2
    assert stage.states()[stage.newcomers()[0]] == "InService"


def test_an_attached_member_that_is_not_entrusted_is_only_let_go() -> None:
    stage = ScalingStage()
    stage.stop("i-one")

    stage.advance(600)

    assert "i-one" in stage.cloud.ecs.instances
    assert "i-one" not in stage.group.members
    assert stage.weight("i-one") is None
    assert len(stage.newcomers()) == 1


def test_a_member_on_standby_may_stop_as_long_as_it_likes() -> None:
    stage = ScalingStage()
    stage.of_group("EnterStandby", InstanceIds=["i-two"])
    stage.stop("i-two")

    stage.advance(7200)

    assert stage.states() == {"i-one": "InService", "i-two": "Standby"}
    assert stage.cloud.ecs.instances["i-two"].state == "Stopped"


def test_exit_standby_gives_weight_50_and_not_the_weight_from_before() -> None:
    stage = ScalingStage()
    stage.cloud.slb.set_weights("lb-a", [_backend("i-two", 100)])

    stage.of_group("EnterStandby", InstanceIds=["i-two"])
    drained = stage.weight("i-two")
    stage.of_group("ExitStandby", InstanceIds=["i-two"])

    assert drained == 0
    assert stage.weight("i-two") == 50


def test_exit_standby_takes_the_weight_that_the_group_names() -> None:
    stage = ScalingStage(load_balancers={"lb-a": 80})

    stage.of_group("EnterStandby", InstanceIds=["i-two"])
    stage.of_group("ExitStandby", InstanceIds=["i-two"])

    assert stage.weight("i-two") == 80


def test_who_leaves_standby_before_it_runs_is_released_at_the_next_look() -> None:
    stage = ScalingStage()
    stage.of_group("EnterStandby", InstanceIds=["i-two"])
    stage.stop("i-two")
    stage.advance(60)

    stage.of_group("ExitStandby", InstanceIds=["i-two"])
    stage.advance(120)

    assert "i-two" not in stage.cloud.ecs.instances


def test_a_scale_out_boots_the_old_image_until_the_configuration_is_changed() -> None:
    stage = ScalingStage()
    stage.of_group("ModifyScalingGroup", DesiredCapacity=3)
    stage.advance(300)
    before = stage.newcomers()

    stage.ask("ModifyScalingConfiguration", ScalingConfigurationId="asc-old", ImageId="m-new")
    stage.of_group("ModifyScalingGroup", DesiredCapacity=4)
    stage.advance(300)

    images = {one: stage.cloud.ecs.instances[one].image_id for one in stage.newcomers()}
    assert [images[one] for one in before] == ["m-old"], "what runs keeps its image"
    assert sorted(images.values()) == ["m-new", "m-old"]


def test_an_accepted_call_may_still_fail_for_lack_of_stock() -> None:
    stage = ScalingStage(desired=None)
    stage.out_of_stock()

    answer = stage.of_group("ScaleWithAdjustment", AdjustmentType="TotalCapacity", AdjustmentValue=3)
    at_first = stage.activity(answer["ScalingActivityId"])
    stage.advance(60)
    in_the_end = stage.activity(answer["ScalingActivityId"])

    assert at_first["StatusCode"] == "InProgress"
    assert (in_the_end["StatusCode"], in_the_end["ErrorCode"]) == ("Failed", "OperationDenied.NoStock")
    assert "AUTOSCALING:SCALE_OUT_ERROR" in stage.told()


def test_some_stock_is_a_warning_and_not_a_success() -> None:
    stage = ScalingStage(desired=None)
    stage.out_of_stock()
    stage.cloud.ecs.set_stock("cn-hangzhou-i", "ecs.g7.large", 1)

    answer = stage.of_group("ScaleWithAdjustment", AdjustmentType="TotalCapacity", AdjustmentValue=4)
    stage.advance(120)
    activity = stage.activity(answer["ScalingActivityId"])

    assert activity["StatusCode"] == "Warning"
    assert len(activity["CreatedInstances"]) == 1
    assert stage.group.total == 3


def test_one_activity_at_a_time() -> None:
    stage = ScalingStage()
    stage.of_group("AttachInstances", InstanceIds=["i-free"])

    refused = stage.refusal("EnterStandby", InstanceIds=["i-one"])
    stage.advance(30)
    stage.of_group("EnterStandby", InstanceIds=["i-one"])

    assert refused == (400, "ScalingActivityInProgress")


def test_a_parallel_task_does_not_wait() -> None:
    stage = ScalingStage(desired=None)
    stage.of_group("AttachInstances", InstanceIds=["i-free"])

    stage.of_group("ScaleWithAdjustment", AdjustmentType="TotalCapacity", AdjustmentValue=4, ParallelTask=True)
    stage.advance(120)

    assert stage.group.total == 4


def test_an_inactive_group_is_listed_and_one_that_is_gone_is_missing_without_an_error() -> None:
    stage = ScalingStage()
    stage.of_group("DisableScalingGroup")

    inactive = stage.ask("DescribeScalingGroups", {"ScalingGroupIds.1": "asg-a"})["ScalingGroups"]
    stage.of_group("DeleteScalingGroup", ForceDelete="true")
    gone = stage.ask("DescribeScalingGroups", {"ScalingGroupIds.1": "asg-a"})

    assert [one["LifecycleState"] for one in inactive] == ["Inactive"]
    assert (gone["ScalingGroups"], gone["TotalCount"]) == ([], 0)


def test_an_inactive_group_looks_after_nobody() -> None:
    stage = ScalingStage()
    stage.of_group("DisableScalingGroup")
    stage.stop("i-two")

    stage.advance(7200)

    assert "i-two" in stage.group.members
    assert stage.cloud.ecs.instances["i-two"].state == "Stopped"


def test_a_suspended_health_check_spares_the_stopped_until_it_is_resumed() -> None:
    stage = ScalingStage()
    stage.of_group("SuspendProcesses", Processes=["HealthCheck"])
    stage.stop("i-two")
    stage.advance(3600)
    spared = "i-two" in stage.cloud.ecs.instances

    stage.of_group("ResumeProcesses", Processes=["HealthCheck"])
    stage.advance(300)

    assert spared
    assert "i-two" not in stage.cloud.ecs.instances


def test_with_scale_out_suspended_nobody_can_be_attached_and_with_scale_in_nobody_detached() -> None:
    stage = ScalingStage()
    stage.of_group("SuspendProcesses", Processes=["ScaleOut", "ScaleIn"])

    joins = stage.refusal("AttachInstances", InstanceIds=["i-free"])
    leaves = stage.refusal("DetachInstances", InstanceIds=["i-one"])

    assert joins == leaves == (400, "IncorrectScalingGroupStatus")


def test_an_unhealthy_member_stays_while_scale_in_is_suspended() -> None:
    stage = ScalingStage()
    stage.of_group("SuspendProcesses", Processes=["ScaleIn"])
    stage.stop("i-two")
    stage.advance(3600)
    stayed = "i-two" in stage.group.members

    stage.of_group("ResumeProcesses", Processes=["ScaleIn"])
    stage.advance(600)

    assert stayed
    assert "i-two" not in stage.group.members


def test_a_full_group_at_its_minimum_lets_nobody_leave_even_if_one_would_be_launched_instead() -> None:
    stage = ScalingStage(min=2, max=2)

    for decrease in ("true", "false"):
        assert stage.refusal("DetachInstances", InstanceIds=["i-one"], DecreaseDesiredCapacity=decrease) == (
            400,
            "IncorrectCapacity.MinSize",
        )
    assert stage.refusal("AttachInstances", InstanceIds=["i-free"]) == (400, "IncorrectCapacity.MaxSize")


def test_a_protected_member_is_its_owners_business() -> None:
    stage = ScalingStage()
    stage.of_group("SetInstancesProtection", InstanceIds=["i-two"], ProtectedFromScaleIn=True)
    stage.stop("i-two")
    stage.of_group("ModifyScalingGroup", DesiredCapacity=1)

    stage.advance(3600)

    assert stage.states() == {"i-two": "Protected"}, "the scale-in took the other one"


def test_seven_days_of_failed_launches_suspend_the_group() -> None:
    stage = ScalingStage(desired=3)
    stage.out_of_stock()

    stage.advance(8 * 86_400)
    stage.cloud.ecs.set_stock("cn-hangzhou-h", "ecs.g7.large", None)
    stage.advance(86_400)

    assert stage.ask("DescribeScalingGroups")["ScalingGroups"][0]["SystemSuspended"] is True
    assert stage.group.total == 2, "stock came back, and nobody noticed"
    stage.of_group("ResumeProcesses", Processes=["ScaleOut"])
    stage.advance(300)
    assert stage.group.total == 3


def test_a_changed_desired_capacity_answers_without_an_activity() -> None:
    stage = ScalingStage()

    answer = stage.of_group("ScaleWithAdjustment", AdjustmentType="QuantityChangeInCapacity", AdjustmentValue=1)
    stage.advance(120)

    assert answer == {"ActivityType": "CapacityChange"}
    assert stage.group.total == 3


def test_auto_scaling_does_not_see_what_a_balancer_finds_unhealthy() -> None:
    stage = ScalingStage()
    stage.cloud.slb.get("lb-a").health[(80, "i-two")] = "abnormal"

    stage.advance(3600)

    assert "i-two" in stage.group.members


def test_a_cloud_whose_groups_are_content_has_nothing_on_its_calendar() -> None:
    assert ScalingStage().cloud.clock.next_due() is None


def _backend(server: str, weight: int) -> Backend:
    return Backend(server=server, weight=weight)
