"""Auto Scaling as the official SDK sees it: groups, members, activities, and what is refused."""

from collections.abc import Iterator
from typing import Any

import pytest
from alibabacloud_ess20220222 import models as m
from alibabacloud_ess20220222.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator.seed import load_text
from emulator.slb.model import Backend, Balancer, Check, Listener
from emulator.testing import Local, mock_aliyun
from tests.emulator.scaling_stage import WORLD

REGION = "cn-hangzhou"
NAMES = iter(range(1000))


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    with mock_aliyun() as cloud:
        cloud.run(lambda: load_text(WORLD, cloud.cloud, where="world", settings={}))
        yield cloud


@pytest.fixture(scope="module")
def ess(local: Local) -> Client:
    key, secret = local.access_key
    return Client(
        Config(endpoint=local.host, protocol="http", access_key_id=key, access_key_secret=secret, region_id=REGION)
    )


@pytest.fixture
def group(local: Local, ess: Client) -> Iterator[str]:
    """An enabled group of its own, without members, that goes away with them."""
    made = ess.create_scaling_group(
        m.CreateScalingGroupRequest(
            region_id=REGION,
            scaling_group_name=f"group-{next(NAMES)}",
            min_size=0,
            max_size=3,
            v_switch_ids=["vsw-h", "vsw-i"],
            load_balancer_configs=[m.CreateScalingGroupRequestLoadBalancerConfigs(load_balancer_id="lb-a", weight=70)],
            tags=[m.CreateScalingGroupRequestTags(key="role", value="app", propagate=True)],
        )
    ).body.scaling_group_id
    configuration = ess.create_scaling_configuration(
        m.CreateScalingConfigurationRequest(
            scaling_group_id=made,
            image_id="m-old",
            instance_type="ecs.g7.large",
            security_group_id="sg-a",
            system_disk=m.CreateScalingConfigurationRequestSystemDisk(category="cloud_essd", size=40),
            tags='{"made-by": "ess"}',
            user_data="aGVsbG8=",
        )
    ).body.scaling_configuration_id
    ess.enable_scaling_group(
        m.EnableScalingGroupRequest(scaling_group_id=made, active_scaling_configuration_id=configuration)
    )
    yield made
    local.advance(300)
    ess.delete_scaling_group(m.DeleteScalingGroupRequest(region_id=REGION, scaling_group_id=made, force_delete=True))


def described(ess: Client, group: str) -> Any:
    answer = ess.describe_scaling_groups(m.DescribeScalingGroupsRequest(region_id=REGION, scaling_group_ids=[group]))
    (found,) = answer.body.scaling_groups
    return found


def members(ess: Client, group: str) -> list[Any]:
    request = m.DescribeScalingInstancesRequest(region_id=REGION, scaling_group_id=group)
    found: list[Any] = ess.describe_scaling_instances(request).body.scaling_instances
    return found


def activity(ess: Client, id: str) -> Any:
    request = m.DescribeScalingActivitiesRequest(region_id=REGION, scaling_activity_ids=[id])
    (found,) = ess.describe_scaling_activities(request).body.scaling_activities
    return found


def code(refused: "pytest.ExceptionInfo[ClientException]") -> tuple[int, str]:
    return refused.value.status_code, refused.value.code


def test_a_group_is_told_back_as_it_was_made(ess: Client, group: str) -> None:
    found = described(ess, group)

    assert (found.lifecycle_state, found.min_size, found.max_size, found.total_capacity) == ("Active", 0, 3, 0)
    assert found.enable_desired_capacity is False
    assert found.v_switch_ids == ["vsw-h", "vsw-i"]
    assert found.vpc_id == "vpc-a"
    assert [(one.load_balancer_id, one.weight) for one in found.load_balancer_configs] == [("lb-a", 70)]
    assert found.health_check_types == ["ECS"]
    assert [(tag.tag_key, tag.tag_value, tag.propagate) for tag in found.tags] == [("role", "app", True)]


def test_a_configuration_is_told_back_as_it_was_made(ess: Client, group: str) -> None:
    request = m.DescribeScalingConfigurationsRequest(region_id=REGION, scaling_group_id=group)
    (found,) = ess.describe_scaling_configurations(request).body.scaling_configurations

    assert (found.image_id, found.lifecycle_state, found.system_disk_size) == ("m-old", "Active", 40)
    assert found.load_balancer_weight == 50
    assert [(tag.key, tag.value) for tag in found.tags] == [("made-by", "ess")]
    assert found.user_data == "aGVsbG8="


def test_a_rule_adds_an_instance_that_serves_with_the_groups_weight(local: Local, ess: Client, group: str) -> None:
    rule = ess.create_scaling_rule(
        m.CreateScalingRuleRequest(
            region_id=REGION,
            scaling_group_id=group,
            adjustment_type="QuantityChangeInCapacity",
            adjustment_value=1,
            scaling_rule_name="one-more",
        )
    ).body

    begun = ess.execute_scaling_rule(m.ExecuteScalingRuleRequest(scaling_rule_ari=rule.scaling_rule_ari)).body
    pending = activity(ess, begun.scaling_activity_id)
    local.advance(120)
    ended = activity(ess, begun.scaling_activity_id)

    (member,) = members(ess, group)
    instance = local.run(lambda: local.cloud.ecs.instances[member.instance_id])
    assert (pending.status_code, ended.status_code, ended.progress) == ("InProgress", "Successful", 100)
    assert ended.created_instances == [member.instance_id]
    assert (ended.total_capacity, ended.auto_created_capacity) == ("1", "1"), "texts, as the cloud has them"
    assert (member.lifecycle_state, member.health_status, member.creation_type) == (
        "InService",
        "Healthy",
        "AutoCreated",
    )
    assert instance.image_id == "m-old"
    assert instance.user_data == b"hello"
    assert {"role": "app", "made-by": "ess"}.items() <= instance.tags.items()
    weight = local.run(lambda: local.cloud.slb.get("lb-a").backends[member.instance_id].weight)
    assert weight == 70
    listed = ess.describe_scaling_rules(
        m.DescribeScalingRulesRequest(region_id=REGION, scaling_group_id=group)
    ).body.scaling_rules
    assert [one.scaling_rule_id for one in listed] == [rule.scaling_rule_id]
    ess.delete_scaling_rule(m.DeleteScalingRuleRequest(region_id=REGION, scaling_rule_id=rule.scaling_rule_id))


def test_attached_servers_join_and_are_let_go_again(local: Local, ess: Client, group: str) -> None:
    ess.attach_instances(
        m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-one"], load_balancer_weights=[30])
    )
    local.advance(30)
    (joined,) = members(ess, group)
    weight = local.run(lambda: local.cloud.slb.get("lb-a").backends["i-one"].weight)

    ess.detach_instances(m.DetachInstancesRequest(scaling_group_id=group, instance_ids=["i-one"]))
    local.advance(60)

    assert (joined.instance_id, joined.creation_type, joined.entrusted) == ("i-one", "Attached", False)
    assert weight == 30
    assert members(ess, group) == []
    assert "i-one" in local.cloud.ecs.instances
    local.run(lambda: local.cloud.slb.attach("lb-a", [Backend(server="i-one")]))


def test_the_same_token_begins_one_activity(local: Local, ess: Client, group: str) -> None:
    request = m.ScaleWithAdjustmentRequest(
        scaling_group_id=group, adjustment_type="TotalCapacity", adjustment_value=1, client_token="t-1"
    )

    first = ess.scale_with_adjustment(request).body.scaling_activity_id
    again = ess.scale_with_adjustment(request).body.scaling_activity_id
    local.advance(120)

    assert first == again
    assert len(members(ess, group)) == 1


def test_an_instance_refresh_replaces_members_one_after_another(local: Local, ess: Client, group: str) -> None:
    ess.scale_with_adjustment(
        m.ScaleWithAdjustmentRequest(scaling_group_id=group, adjustment_type="TotalCapacity", adjustment_value=2)
    )
    local.advance(120)
    before = {member.instance_id for member in members(ess, group)}

    task = ess.start_instance_refresh(
        m.StartInstanceRefreshRequest(
            region_id=REGION,
            scaling_group_id=group,
            min_healthy_percentage=50,
            desired_configuration=m.StartInstanceRefreshRequestDesiredConfiguration(image_id="m-new"),
        )
    ).body.instance_refresh_task_id
    fewest = 2
    for _ in range(40):
        local.advance(30)
        fewest = min(fewest, sum(member.lifecycle_state == "InService" for member in members(ess, group)))
    (told,) = ess.describe_instance_refreshes(
        m.DescribeInstanceRefreshesRequest(region_id=REGION, scaling_group_id=group, instance_refresh_task_ids=[task])
    ).body.instance_refresh_tasks

    after = {member.instance_id for member in members(ess, group)}
    images = {local.cloud.ecs.instances[one].image_id for one in after}
    assert (told.status, told.finished_update_capacity, told.total_need_update_capacity) == ("Successful", 2, 2)
    assert (len(after), before & after, images) == (2, set(), {"m-new"})
    assert fewest == 1, "half of them served all the time"


def test_processes_protection_health_and_balancers_are_switched_by_the_sdk(
    local: Local, ess: Client, group: str
) -> None:
    ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-free"]))
    local.advance(30)

    ess.suspend_processes(m.SuspendProcessesRequest(scaling_group_id=group, processes=["HealthCheck", "ScaleIn"]))
    suspended = described(ess, group).suspended_processes
    ess.resume_processes(m.ResumeProcessesRequest(scaling_group_id=group, processes=["HealthCheck", "ScaleIn"]))
    ess.set_instances_protection(
        m.SetInstancesProtectionRequest(scaling_group_id=group, instance_ids=["i-free"], protected_from_scale_in=True)
    )
    protected = described(ess, group).protected_capacity
    ess.set_instances_protection(
        m.SetInstancesProtectionRequest(scaling_group_id=group, instance_ids=["i-free"], protected_from_scale_in=False)
    )
    ess.detach_load_balancers(
        m.DetachLoadBalancersRequest(scaling_group_id=group, load_balancers=["lb-a"], force_detach=True)
    )
    outside = local.run(lambda: "i-free" in local.cloud.slb.get("lb-a").backends)
    ess.attach_load_balancers(
        m.AttachLoadBalancersRequest(scaling_group_id=group, load_balancers=["lb-a"], force_attach=True)
    )
    weight = local.run(lambda: local.cloud.slb.get("lb-a").backends["i-free"].weight)
    ess.set_instance_health(m.SetInstanceHealthRequest(instance_id="i-free", health_status="Unhealthy"))
    local.advance(120)

    assert suspended == ["HealthCheck", "ScaleIn"]
    assert protected == 1
    assert (outside, weight) == (False, 50)
    assert members(ess, group) == []
    assert "i-free" in local.cloud.ecs.instances, "attached, so only let go"


def test_a_refresh_can_be_called_off(local: Local, ess: Client, group: str) -> None:
    ess.scale_with_adjustment(
        m.ScaleWithAdjustmentRequest(scaling_group_id=group, adjustment_type="TotalCapacity", adjustment_value=2)
    )
    local.advance(120)
    started = ess.start_instance_refresh(
        m.StartInstanceRefreshRequest(region_id=REGION, scaling_group_id=group, skip_matching=False)
    ).body

    ess.cancel_instance_refresh(
        m.CancelInstanceRefreshRequest(
            region_id=REGION, scaling_group_id=group, instance_refresh_task_id=started.instance_refresh_task_id
        )
    )
    local.advance(600)
    (told,) = ess.describe_instance_refreshes(
        m.DescribeInstanceRefreshesRequest(region_id=REGION, scaling_group_id=group)
    ).body.instance_refresh_tasks

    assert (told.status, told.finished_update_capacity) == ("Cancelled", 0)
    assert len(members(ess, group)) == 1, "what was under way ran to its end"


def test_a_configuration_in_use_stays_and_another_goes(ess: Client, group: str) -> None:
    active = described(ess, group).active_scaling_configuration_id
    other = ess.create_scaling_configuration(
        m.CreateScalingConfigurationRequest(
            scaling_group_id=group, image_family="app", instance_types=["ecs.g7.large"], security_group_ids=["sg-a"]
        )
    ).body.scaling_configuration_id

    ess.delete_scaling_configuration(m.DeleteScalingConfigurationRequest(scaling_configuration_id=other))
    with pytest.raises(ClientException) as refused:
        ess.delete_scaling_configuration(m.DeleteScalingConfigurationRequest(scaling_configuration_id=active))

    assert code(refused) == (400, "IncorrectScalingGroupStatus")


# What is refused ------------------------------------------------------------------------------------------------------


def test_an_unknown_group_is_not_found(ess: Client) -> None:
    with pytest.raises(ClientException) as refused:
        ess.enter_standby(m.EnterStandbyRequest(scaling_group_id="asg-none", instance_ids=["i-one"]))
    assert code(refused) == (404, "InvalidScalingGroupId.NotFound")


def test_a_stopped_server_cannot_be_attached(local: Local, ess: Client, group: str) -> None:
    def stop() -> None:
        local.cloud.ecs.lifecycle.stop(local.cloud.ecs.find_instance("i-free"))

    local.run(stop)
    local.advance(60)

    with pytest.raises(ClientException) as refused:
        ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-free"]))

    assert code(refused) == (400, "IncorrectInstanceStatus")
    local.run(lambda: local.cloud.ecs.lifecycle.start(local.cloud.ecs.find_instance("i-free")))
    local.advance(60)


def test_a_member_of_one_group_cannot_join_another(local: Local, ess: Client, group: str) -> None:
    ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))
    local.advance(30)

    with pytest.raises(ClientException) as refused:
        ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))

    assert code(refused) == (400, "InvalidInstanceId.InUse")


def test_no_more_can_be_attached_than_the_group_may_have(ess: Client, group: str) -> None:
    ess.modify_scaling_group(m.ModifyScalingGroupRequest(scaling_group_id=group, max_size=1))

    with pytest.raises(ClientException) as refused:
        ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two", "i-free"]))

    assert code(refused) == (400, "IncorrectCapacity.MaxSize")


def test_a_group_is_not_taken_below_its_minimum(local: Local, ess: Client, group: str) -> None:
    ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))
    local.advance(30)
    ess.modify_scaling_group(m.ModifyScalingGroupRequest(scaling_group_id=group, min_size=1))

    with pytest.raises(ClientException) as refused:
        ess.remove_instances(m.RemoveInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))

    assert code(refused) == (400, "IncorrectCapacity.MinSize")


def test_a_rule_that_changes_nothing_is_an_error(ess: Client, group: str) -> None:
    with pytest.raises(ClientException) as refused:
        ess.scale_with_adjustment(
            m.ScaleWithAdjustmentRequest(scaling_group_id=group, adjustment_type="TotalCapacity", adjustment_value=0)
        )
    assert code(refused) == (400, "IncorrectCapacity.NoChange")


def test_standby_is_left_only_by_who_is_in_it(local: Local, ess: Client, group: str) -> None:
    ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))
    local.advance(30)

    with pytest.raises(ClientException) as refused:
        ess.exit_standby(m.ExitStandbyRequest(scaling_group_id=group, instance_ids=["i-two"]))

    assert code(refused) == (400, "IncorrectInstanceStatus")


def test_activities_are_asked_for_by_group_or_by_ids_and_not_by_both(ess: Client, group: str) -> None:
    with pytest.raises(ClientException) as both:
        ess.describe_scaling_activities(
            m.DescribeScalingActivitiesRequest(region_id=REGION, scaling_group_id=group, scaling_activity_ids=["asa-1"])
        )
    with pytest.raises(ClientException) as neither:
        ess.describe_scaling_activities(m.DescribeScalingActivitiesRequest(region_id=REGION))

    assert code(both) == (400, "InvalidParameter")
    assert code(neither) == (400, "MissingParameter")


def test_a_group_with_members_is_deleted_only_by_force(local: Local, ess: Client, group: str) -> None:
    ess.attach_instances(m.AttachInstancesRequest(scaling_group_id=group, instance_ids=["i-two"]))
    local.advance(30)

    with pytest.raises(ClientException) as refused:
        ess.delete_scaling_group(m.DeleteScalingGroupRequest(region_id=REGION, scaling_group_id=group))

    assert code(refused) == (400, "IncorrectScalingGroupStatus")


def test_a_balancer_whose_health_check_is_off_is_refused(local: Local, ess: Client, group: str) -> None:
    def without_check() -> None:
        bare = Balancer(
            id="lb-bare",
            name="bare",
            address="127.99.0.99",
            created=local.cloud.clock.now(),
            listeners={80: Listener(port=80, backend_port=80, check=Check(enabled=False))},
        )
        local.cloud.slb.balancers["lb-bare"] = bare  # nobody is told: no forwarder is wanted here

    local.run(without_check)

    with pytest.raises(ClientException) as refused:
        ess.attach_load_balancers(
            m.AttachLoadBalancersRequest(scaling_group_id=group, load_balancers=["lb-bare"], force_attach=True)
        )

    assert code(refused) == (400, "IncorrectLoadBalancerHealthCheck")
