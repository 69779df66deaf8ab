"""Instances from an image: refusals first, then stock that runs out in both its forms, then what comes out."""

import json
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.errors import Forbidden
from shared.domain.ids import ImageId, InstanceId, LoadBalancerId, SnapshotId
from shared.domain.launching import CALL
from shared.domain.operation import OperationState
from shared.domain.place import Place
from shared.domain.policy import Elsewhere
from shared.domain.provenance import OPERATION
from shared.domain.retention import RestorePoint
from shared.state.points import Points
from tests.usecases.launch_stage import (
    IN_H,
    IN_I,
    OTHER_TYPE,
    TYPE,
    WIDE,
    a_request,
    begin,
    creates,
    launch,
    launched,
    preview,
)
from tests.usecases.recovery_world import GROUP, LB, STANDS, WEB_1, H, I, RecoveryWorld

# -- refused, and nothing is left over ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ({"image": ImageId("m-gone")}, "image m-gone is not in cn-hangzhou"),
        ({"family": "unknown"}, "family unknown has no usable image in cn-hangzhou"),
        ({"like": InstanceId("i-gone")}, "instance i-gone is not in cn-hangzhou"),
        ({"like": None}, "none is given. Give one with --security-group"),
        ({"where": (replace(IN_H, vswitch="vsw-gone"),)}, "vSwitch vsw-gone does not exist"),
        ({"where": (replace(IN_H, vswitch="vsw-i"),)}, "vSwitch vsw-i lies in cn-hangzhou-i, not in cn-hangzhou-h"),
        ({"instance_types": ("no.such.type",)}, "none is sold now: no.such.type in cn-hangzhou-h"),
        ({"snapshots": (SnapshotId("s-gone"),)}, "snapshot s-gone does not exist"),
        ({"balancer": LoadBalancerId("lb-gone")}, "lb-gone does not exist. Name another with --behind"),
        ({"group": "asg-gone"}, "asg-gone is not shown by the cloud"),
        ({"group": GROUP}, "asg-web has 1 of at most 1 instances, 1 do not fit. Raise its maximum size"),
        ({"amount": 0, "least": 0}, "0 are asked for. Ask for 1-1000"),
        ({"amount": 1001, "least": 1}, "1001 are asked for. Ask for 1-1000"),
        ({"amount": 2, "least": 3}, "at least 3 of 2. --least is 1-2"),
        ({"name": "7up", "confirm": "7up"}, "'7up' is no name"),
        ({"point": "p-gone", "subject": WEB_1}, "i-web-1 has no restore point 'p-gone'"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_cannot_be_is_refused_with_its_remedy_and_makes_nothing(what: dict[str, object], says: str) -> None:
    world = RecoveryWorld()

    end = launch(world, **what)

    assert end.state is OperationState.REFUSED
    assert says in end.result["because"]
    assert launched(world) == []
    assert creates(world) == 0


def test_every_condition_that_does_not_hold_is_named_at_once() -> None:
    world = RecoveryWorld()

    shown = preview(world, image=ImageId("m-gone"), instance_types=("no.such.type",), amount=0)

    assert not shown.may_start
    assert {one.name for one in shown.checks if not one.ok} == {"image", "instance types", "amount"}
    assert all(one.remedy for one in shown.checks if not one.ok)


@pytest.mark.parametrize("status", ["Creating", "Deprecated", "CreateFailed"])
def test_an_image_that_is_not_available_is_refused(status: str) -> None:
    world = RecoveryWorld()
    world.cloud.ecs.images.find("m-web").status = status

    end = launch(world)

    assert end.state is OperationState.REFUSED
    assert "m-web: it is " in end.result["because"]
    assert "--family" in end.result["because"]


def test_an_image_that_is_deleted_after_the_plan_is_refused_at_the_call() -> None:
    world = RecoveryWorld()
    gone_before_the_call(world)

    end = launch(world)

    assert end.state is OperationState.REFUSED
    assert "no instance was made" in end.result["because"]
    assert "InvalidImageId.NotFound" in end.result["because"]
    assert launched(world) == []


def gone_before_the_call(world: RecoveryWorld) -> None:
    def trouble(number: int, label: str, after: bool) -> None:
        if label == "instances.run_many" and not after:
            world.cloud.ecs.images.delete("m-web", force=True)

    world.wire.trouble = trouble


def test_a_key_pair_that_is_gone_is_a_clear_refusal() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.key_pairs.add("another")

    end = launch(world, key_pair="lost", where=(IN_H, IN_I))

    assert end.state is OperationState.REFUSED
    assert "InvalidKeyPairName.NotFound" in end.result["because"]
    assert "Nothing is left over" in end.result["because"]
    assert creates(world) == 1, "no other place would have it"
    assert launched(world) == []


def test_what_was_confirmed_is_what_is_done() -> None:
    world = RecoveryWorld()
    token = preview(world, family="web", amount=2).token
    newer_image(world)

    end = launch(world, family="web", amount=2, confirm=token)

    assert end.state is OperationState.REFUSED
    assert f"'{token}' was confirmed, and what it would do now is " in end.result["because"]
    assert "m-newer" in end.result["because"]
    assert launched(world) == []


def newer_image(world: RecoveryWorld) -> None:
    web = world.cloud.ecs.images.find("m-web")
    world.advance(minutes=1)
    world.cloud.ecs.images.shelf.add(replace(web, id="m-newer", name="newer", created=world.clock.now()))


def test_without_a_confirmation_nothing_is_made() -> None:
    world = RecoveryWorld()

    end = launch(world, confirm="")

    assert end.state is OperationState.REFUSED
    assert launched(world) == []


def test_a_vswitch_that_is_too_small_is_said_before() -> None:
    world = RecoveryWorld()

    end = launch(world, amount=250, least=250)

    assert end.state is OperationState.REFUSED
    assert "vsw-h has 249 free: too few for 250" in end.result["because"]
    assert creates(world) == 0


# -- stock and quotas --------------------------------------------------------------------------------------------------


def test_without_stock_anywhere_every_offer_is_tried_and_nothing_is_left_over() -> None:
    world = RecoveryWorld()
    for zone in (H, I):
        for kind in (TYPE, OTHER_TYPE):
            world.cloud.ecs.buying.stock.vanish(zone, kind)

    end = launch(world, amount=3, instance_types=(TYPE, OTHER_TYPE), where=(IN_H, IN_I))

    assert end.state is OperationState.REFUSED
    assert end.result["because"].count("3 vanished again") == 4
    assert creates(world) == 4
    assert launched(world) == []


def test_a_refused_offer_is_followed_by_the_next_type_and_then_the_next_zone() -> None:
    world = RecoveryWorld()
    stock = world.cloud.ecs.buying.stock
    stock.vanish(H, TYPE)
    sold_out_after_the_plan(world, (H, OTHER_TYPE), (I, TYPE))

    end = launch(world, amount=3, instance_types=(TYPE, OTHER_TYPE), where=(IN_H, IN_I))

    assert end.state is OperationState.DONE, end.result
    assert {(one.zone, one.instance_type) for one in launched(world)} == {(I, OTHER_TYPE)}
    assert len(launched(world)) == 3
    why = json.loads(end.result["not_got"])
    assert [one.partition(" (")[0] for one in why] == [
        f"3 of {TYPE} in {H}",
        f"3 of {OTHER_TYPE} in {H}",
        f"3 of {TYPE} in {I}",
    ]


def sold_out_after_the_plan(world: RecoveryWorld, *pools: tuple[str, str]) -> None:
    def trouble(number: int, label: str, after: bool) -> None:
        if label == "instances.run_many" and not after:
            for zone, kind in pools:
                world.cloud.ecs.buying.stock.set(zone, kind, 0)

    world.wire.trouble = trouble


def test_what_the_market_does_not_sell_is_tried_last() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.stock.set(H, TYPE, 0)

    end = launch(world, instance_types=(TYPE, OTHER_TYPE))

    assert end.state is OperationState.DONE
    assert [one.instance_type for one in launched(world)] == [OTHER_TYPE]
    assert creates(world) == 1


def test_a_partial_answer_is_completed_elsewhere() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.stock.set(H, TYPE, 60)

    end = launch(world, amount=100, where=(IN_H, IN_I))

    assert end.state is OperationState.DONE, end.result
    assert sorted(one.zone for one in launched(world)) == [H] * 60 + [I] * 40
    assert [one.name for one in launched(world)] == [f"shop{number:03d}" for number in range(1, 101)]
    assert creates(world) == 2


def test_fewer_than_the_least_go_to_an_operator_and_stand() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.stock.set(H, TYPE, 4)

    end = launch(world, amount=10, least=5, balancer=LB)

    assert end.state is OperationState.NEEDS_OPERATOR
    assert "4 of 10 can be used, at least 5 were asked for" in end.result["because"]
    assert end.result["runbook"] == "launch-needs-operator"
    assert [one.state for one in launched(world)] == ["Running"] * 4
    assert len(world.cloud.slb.balancers["lb-web"].backends) == 2, "too few are not given traffic"


def test_enough_but_not_all_is_done_and_says_what_was_not_got() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.stock.set(H, TYPE, 4)

    end = launch(world, amount=10, least=3)

    assert end.state is OperationState.DONE
    assert end.result["outcome"] == "launched in part"
    assert end.result["amount"] == "4"
    assert json.loads(end.result["not_got"]) == [f"10 of {TYPE} in {H} (vsw-h): 4 were given"]


def test_a_full_quota_says_which_and_how_many_stand() -> None:
    world = RecoveryWorld(stands=WIDE)
    world.cloud.ecs.buying.core_quota = 2 * 2 + 4 + 2 * 150

    end = launch(world, amount=250, least=250)

    assert end.state is OperationState.NEEDS_OPERATOR
    assert "100 of 250 can be used" in end.result["because"]
    assert "QuotaExceed.ElasticQuota" in end.result["because"]
    assert len(launched(world)) == 100


def test_a_quota_that_is_full_from_the_start_is_a_refusal() -> None:
    world = RecoveryWorld()
    world.cloud.ecs.buying.core_quota = 1

    end = launch(world)

    assert end.state is OperationState.REFUSED
    assert "QuotaExceed.ElasticQuota" in end.result["because"]


def test_address_space_is_used_up_place_by_place() -> None:
    world = RecoveryWorld()

    end = launch(world, amount=300, least=300, where=(IN_H, IN_I))

    assert end.state is OperationState.DONE, end.result
    zones = [one.zone for one in launched(world)]
    assert (zones.count(H), zones.count(I)) == (249, 51)
    assert creates(world) == 4


# -- service -----------------------------------------------------------------------------------------------------------


def test_what_answers_is_put_behind_the_balancer_with_its_weight() -> None:
    world = RecoveryWorld()

    end = launch(world, amount=3, port=8080, balancer=LB, weight=70)

    assert end.state is OperationState.DONE
    pool = world.picture()["pools"]["lb-web"]
    assert pool[:4] == [("shop001", 70), ("shop002", 70), ("shop003", 70), ("web-1", 80)]
    phases = json.loads(end.result["phases"])
    assert list(phases) == ["answer", "ask", "boot", "create", "image", "serve"]
    assert sum(phases.values()) == pytest.approx(float(end.result["rto_seconds"]))


def test_one_that_never_answers_is_told_and_gets_no_traffic() -> None:
    world = RecoveryWorld()
    id_ = begin(world, amount=3, least=2, port=8080, balancer=LB)
    world.advance(seconds=20)
    sick = launched(world)[0]
    world.sick.add(sick.id)
    world.run_recovery(minutes=10)

    end = world.operation(id_)
    assert end.state is OperationState.DONE
    assert end.result["outcome"] == "launched in part"
    assert f"{sick.id} ({sick.private_ip}) does not answer on port 8080" in end.result["because"]
    assert end.result["others"] == sick.id
    assert sick.id not in world.cloud.slb.balancers["lb-web"].backends


def test_they_join_a_scaling_group_and_get_the_weight_that_was_asked_for() -> None:
    world = RecoveryWorld()
    group = world.cloud.ess.group(GROUP)
    group.max_size = 40

    end = launch(world, amount=30, least=30, group=GROUP, balancer=LB, weight=60)

    assert end.state is OperationState.DONE, end.result
    assert len(group.members) == 31
    weights = {weight for name, weight in world.picture()["pools"]["lb-web"] if name.startswith("shop")}
    assert weights == {60}
    assert sum(label == "scaling.attach" for label in world.wire.labels) == 2, "20 at once"


def test_a_group_that_has_no_room_after_all_leaves_them_standing_for_an_operator() -> None:
    world = RecoveryWorld()
    group = world.cloud.ess.group(GROUP)
    group.max_size = 10
    id_ = begin(world, amount=3, least=3, group=GROUP)
    world.advance(seconds=15)
    group.max_size = 1
    world.run_recovery(minutes=10)

    end = world.operation(id_)
    assert end.state is OperationState.NEEDS_OPERATOR
    assert "is not in asg-web" in end.result["because"]
    assert len(launched(world)) == 3


def test_a_balancer_that_is_deleted_meanwhile_leaves_them_standing_for_an_operator() -> None:
    world = RecoveryWorld()
    id_ = begin(world, amount=2, balancer=LB)
    world.advance(seconds=15)
    del world.cloud.slb.balancers["lb-web"]
    world.run_recovery(minutes=10)

    end = world.operation(id_)
    assert end.state is OperationState.NEEDS_OPERATOR
    assert "InvalidLoadBalancerId.NotFound" in end.result["because"]
    assert len(launched(world)) == 2


# -- what comes out ----------------------------------------------------------------------------------------------------


def test_settings_are_those_of_the_model_unless_given() -> None:
    world = RecoveryWorld()
    model = world.cloud.ecs.instances["i-web-1"]
    model.key_pair, model.ram_role, model.user_data = "ops", "WebRole", b"#!/bin/sh\necho hello\n"
    model.tags |= {"team": "shop", OPERATION: "rebuild/old", "acs:autoscaling": "x"}

    end = launch(world, tags={"role": "canary"}, role="OtherRole")

    assert end.state is OperationState.DONE
    (made,) = launched(world)
    assert (made.name, made.instance_type, made.vswitch_id) == ("shop", TYPE, "vsw-h")
    assert (made.key_pair, made.ram_role, made.user_data) == ("ops", "OtherRole", model.user_data)
    assert made.security_group_ids == ("sg-test",)
    assert made.tags == {"role": "canary", "team": "shop", OPERATION: end.id, CALL: "001"}
    (system,) = made.disks()
    assert (system.category, system.size_gib) == ("cloud_essd", 20)


def test_every_instance_has_the_images_bytes_and_those_of_further_snapshots() -> None:
    world = RecoveryWorld()
    world.write("d-web-1-sys", b"system of web-1")
    world.write("d-web-1-data", b"data of web-1")
    world.write("d-web-2-data", b"data of web-2")
    points = {one.subject: one for one in world.take_points()}
    world.write("d-web-1-data", b"written later!")
    further = next(s for d, s in points[InstanceId("i-web-2")].disks if d == "d-web-2-data")

    end = launch(world, point=points[WEB_1].id, subject=WEB_1, amount=3, snapshots=(further,))

    assert end.state is OperationState.DONE, end.result
    for one in launched(world):
        system, data, more = one.disks()
        assert system.volume.read(0, 15) == b"system of web-1"
        assert (data.device, data.volume.read(0, 13)) == ("/dev/vdb", b"data of web-1")
        assert (more.device, more.volume.read(0, 13)) == ("/dev/vdc", b"data of web-2")
    assert len(launched(world)) == 3
    assert json.loads(end.result["phases"])["image"] > 0


def test_a_point_is_not_launched_where_it_does_not_stand() -> None:
    world = RecoveryWorld()
    point = next(one for one in world.take_points() if one.subject == WEB_1)
    there = replace(a_request(world).place, region="cn-shanghai")

    shown = preview(world, point=point.id, subject=WEB_1, place=there)

    says = next(one for one in shown.checks if one.name == "point")
    assert not says.ok
    assert says.says == f"{point.id} does not stand in cn-shanghai, only in cn-hangzhou"


def test_two_hundred_and_fifty_come_in_three_calls_with_names_that_count_on() -> None:
    world = RecoveryWorld(stands=WIDE)

    end = launch(world, amount=250, least=250)

    assert end.state is OperationState.DONE, end.result
    assert [one.name for one in launched(world)] == [f"shop{number:03d}" for number in range(1, 251)]
    assert creates(world) == 3


def test_a_hundred_cost_one_create_and_a_describe_every_five_seconds_and_little_more_than_the_cloud_takes() -> None:
    world = RecoveryWorld(stands=WIDE)
    slowest: list[timedelta] = []
    began = world.clock.now()
    world.cloud.ecs.on_instance(
        lambda instance, _, state: slowest.append(world.clock.now() - began) if state == "Running" else None
    )
    before = len(world.wire.labels)

    end = launch(world, amount=100, least=100, within=timedelta(minutes=4))

    assert end.state is OperationState.DONE
    cloud, ours = max(slowest).total_seconds(), float(end.result["rto_seconds"])
    assert len(slowest) == 100
    assert ours <= 1.3 * cloud
    spent = world.wire.labels[before:]
    assert spent.count("instances.run_many") == 1
    others = [one for one in spent if one.split(".")[0] in ("inventory", "images", "instances", "market", "snapshots")]
    assert others.count("instances.run_many") + others.count("instances.setup") == 2
    planning, strays = 2, 1  # the model and its disks; one look by tag at the end
    looks = others.count("inventory.instances") - planning - strays
    assert looks <= ours / 5
    print(f"100 instances: {ours:.1f} s, the cloud's own {cloud:.1f} s, {len(others)} calls of ECS")


def test_a_doubled_trigger_makes_them_once() -> None:
    world = RecoveryWorld()
    id_ = begin(world, amount=2)
    for _ in range(3):
        world.functions.invoke_async("recover", json.dumps({"operation": id_, "look": "now"}).encode())
    begin(world, amount=2)
    world.run_recovery(minutes=10)

    assert world.operation(id_).state is OperationState.DONE
    assert len(launched(world)) == 2
    assert creates(world) == 1


# -- elsewhere, and what is forbidden ----------------------------------------------------------------------------------

SHANGHAI = Place("cn-shanghai")
TWO_REGIONS = (
    STANDS
    + """
elsewhere:
  - region: cn-shanghai
    zones: [cn-shanghai-b]
    vpc: {id: vpc-sh, cidr: 10.8.0.0/16}
    vswitches: [{id: vsw-sh, zone: cn-shanghai-b, cidr: 10.8.1.0/24}]
    security_groups: [{id: sg-sh, vpc: vpc-sh}]
"""
)
IN_SHANGHAI = Elsewhere(zone="cn-shanghai-b", vswitch="vsw-sh")


def copied_there(world: RecoveryWorld, point: RestorePoint) -> RestorePoint:
    """A copy of it in the other region, as the copying operation leaves one."""
    disks = tuple(
        (disk, world.here.snapshots.copy(snapshot, to=SHANGHAI.region, name=f"copy-{disk}", tags={}, token=snapshot))
        for disk, snapshot in point.disks
    )
    world.advance(hours=3)
    copy = replace(point, id=f"{point.id}@{SHANGHAI}", place=SHANGHAI, disks=disks, copy_of=point.id)
    Points(world.store).put([copy])
    return copy


def test_a_copied_point_is_launched_in_its_region_with_the_points_bytes() -> None:
    world = RecoveryWorld(stands=TWO_REGIONS)
    world.write("d-web-1-data", b"data of web-1")
    point = next(one for one in world.take_points() if one.subject == WEB_1)
    copied_there(world, point)

    end = launch(
        world,
        place=SHANGHAI,
        point=point.id,
        subject=WEB_1,
        amount=2,
        least=2,
        where=(IN_SHANGHAI,),
        security_groups=("sg-sh",),
    )

    assert end.state is OperationState.DONE, end.result
    made = list(world.cloud.realm(world.cloud.account, SHANGHAI.region).ecs.instances.values())
    assert [(one.zone, one.state, one.tags["role"]) for one in made] == [("cn-shanghai-b", "Running", "web")] * 2
    assert [one.disks()[1].volume.read(0, 13) for one in made] == [b"data of web-1"] * 2
    assert launched(world) == []


def test_network_and_service_of_home_are_of_no_use_elsewhere_and_that_is_said() -> None:
    world = RecoveryWorld(stands=TWO_REGIONS)

    shown = preview(world, place=SHANGHAI, image=ImageId("m-web"), balancer=LB)

    amiss = {one.name: one.says for one in shown.checks if not one.ok}
    assert amiss["places"] == "no zone and vSwitch is known"
    assert amiss["security groups"] == "none is given"
    assert amiss["service"] == "balancers and scaling groups are used in cn-hangzhou only, not in cn-shanghai"
    assert any(
        "its network, security groups and key pair are of no use in cn-shanghai" in one for one in shown.warnings
    )


def forbidden(world: RecoveryWorld, until: datetime) -> None:
    """As without `ram:PassRole` on the model's role."""

    def trouble(number: int, label: str, after: bool) -> None:
        if label == "instances.run_many" and not after and world.clock.now() < until:
            raise Forbidden("ecs RunInstances: InvalidUser.PassRoleForbidden")

    world.wire.trouble = trouble


def test_a_role_that_may_not_be_passed_is_asked_about_after_a_quarter_of_an_hour() -> None:
    world = RecoveryWorld()
    forbidden(world, until=world.clock.now() + timedelta(hours=2))

    end = launch(world, within=timedelta(minutes=30))

    assert end.state is OperationState.NEEDS_OPERATOR
    assert "our role has been forbidden this for" in end.result["because"]
    assert "PassRoleForbidden" in end.result["because"]
    assert launched(world) == []
    assert "launch.forbidden" in world.told(end.id)


def test_a_role_that_is_mended_in_time_lets_it_go_on() -> None:
    world = RecoveryWorld()
    forbidden(world, until=world.clock.now() + timedelta(minutes=5))

    end = launch(world, within=timedelta(minutes=30))

    assert end.state is OperationState.DONE, end.result
    assert len(launched(world)) == 1


def test_instances_that_are_deleted_by_hand_while_they_boot_are_told_and_not_asked_for_again() -> None:
    world = RecoveryWorld()
    id_ = begin(world, amount=3, least=1)
    world.advance(seconds=8)
    instance = launched(world)[0]
    world.cloud.ecs.lifecycle.release(instance)
    world.run_recovery(minutes=20)

    end = world.operation(id_)
    assert end.state is OperationState.DONE
    assert end.result["outcome"] == "launched in part"
    assert "1 are not listed any more" in end.result["because"]
    assert creates(world) == 1
