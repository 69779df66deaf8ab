"""Rebuilds on the real models: what the old one had, its replacement has, and nothing is lost, doubled or left over."""

from dataclasses import replace

import pytest

from shared.domain.operation import OperationKind, OperationState
from shared.domain.policy import Address, DataFrom, PlatformRestart
from shared.observability.page import render
from shared.observability.view import StatusView
from shared.state import codec
from shared.state.certificates import Certificates
from shared.state.decisions import Decisions
from shared.state.failovers import Failovers
from shared.state.fleet import Fleet
from shared.state.heartbeats import Heartbeats
from shared.state.journal import Journal
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.slots import Slots
from shared.usecases.status import Status
from tests.usecases.rebuild_world import ALONE, AT_ONCE, IN_I, RebuildWorld
from tests.usecases.recovery_world import GROUP, STANDS, WEB_1, WEB_2, H, I

TYPE, OTHER = "ecs.g7.large", "ecs.g6.large"


def test_address_disks_public_address_and_weight_move_to_the_replacement() -> None:
    world = RebuildWorld()
    world.write("d-web-1-data", b"newest bytes")
    allocation = world.give_public_address(WEB_1)
    world.lose(WEB_1)

    done = world.rebuilt(WEB_1)
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert new.private_ip == "10.0.1.11"
    assert world.disk_of(new.id, "/dev/vdb") == "d-web-1-data"
    assert world.read("d-web-1-data", 12) == b"newest bytes"
    assert world.pool() == {new.id: 80, WEB_2: 50}
    assert world.cloud.vpc.find(allocation).instance_id == new.id
    assert done.result["rpo_seconds"] == "0.0"
    assert "mapped" not in done.result
    assert world.made() == [new.id]
    assert world.open_operations() == 0
    assert world.cloud.ecs.instances[WEB_1].tags["understudy:isolated"] == done.id


def test_the_data_of_a_restore_point_comes_back_in_another_zone_when_its_own_has_no_stock() -> None:
    world = RebuildWorld(replace(AT_ONCE, elsewhere=(IN_I,), instance_types=(OTHER,)))
    world.write("d-web-1-data", b"in the point")
    world.take_points()
    world.write("d-web-1-data", b"written later")
    world.cloud.ecs.set_stock(H, TYPE, 0)
    world.cloud.ecs.set_stock(H, OTHER, 0)
    world.lose(WEB_1)

    done = world.rebuilt(WEB_1)
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert new.zone == I
    assert world.read(world.disk_of(new.id, "/dev/vdb"), 12) == b"in the point"
    assert done.result["mapped"] == f"10.0.1.11 -> {new.private_ip}"
    assert f"10.0.1.11 -> {new.private_ip}" in world.why(WEB_1)
    assert world.pool() == {new.id: 80, WEB_2: 50}


def test_an_order_that_vanishes_is_no_stock_too_and_leaves_nothing_behind() -> None:
    world = RebuildWorld(replace(AT_ONCE, instance_types=(OTHER,)))
    world.cloud.ecs.buying.stock.vanish(H, TYPE)
    world.lose(WEB_1)

    done = world.rebuilt(WEB_1)
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert new.instance_type == OTHER
    assert new.private_ip == "10.0.1.11"
    assert world.made() == [new.id]
    assert world.disk_of(new.id, "/dev/vdb") == "d-web-1-data"


def test_no_stock_anywhere_needs_an_operator_and_says_what_was_tried() -> None:
    world = RebuildWorld(replace(AT_ONCE, elsewhere=(IN_I,)))
    world.take_points()
    for zone in (H, I):
        world.cloud.ecs.set_stock(zone, TYPE, 0)
    world.lose(WEB_1)

    ended = world.ended(WEB_1)
    assert ended.state is OperationState.NEEDS_OPERATOR
    assert "no stock or quota after 6 attempts" in ended.result["because"]
    assert world.made() == []


def test_an_address_that_stays_taken_for_long_is_given_up_and_mapped() -> None:
    world = RebuildWorld()
    world.cloud.ecs.network.release_delay = world.cloud.ecs.network.release_delay.__class__(minutes=10)
    world.lose(WEB_1)

    done = world.rebuilt(WEB_1)
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert new.private_ip != "10.0.1.11"
    assert done.result["mapped"].startswith("10.0.1.11 -> ")
    assert world.made() == [new.id]


def test_an_address_that_is_freed_after_a_while_is_kept() -> None:
    world = RebuildWorld()
    world.cloud.ecs.network.release_delay = world.cloud.ecs.network.release_delay.__class__(seconds=25)
    world.lose(WEB_1)

    assert world.rebuilt(WEB_1).result["address"] == "10.0.1.11"


def test_a_rule_may_ask_for_a_new_address_and_for_the_points() -> None:
    world = RebuildWorld(replace(AT_ONCE, address=Address.NEW, data_from=DataFrom.POINTS))
    world.write("d-web-1-data", b"in the point")
    world.take_points()
    world.lose(WEB_1)

    done = world.rebuilt(WEB_1)
    new = world.cloud.ecs.instances[done.result["replacement"]]
    assert world.read(world.disk_of(new.id, "/dev/vdb"), 12) == b"in the point"
    assert world.cloud.ecs.instances[WEB_1].private_ip == "10.0.1.11"
    assert world.disk_of(WEB_1, "/dev/vdb") == "d-web-1-data"


def test_role_user_data_key_pair_and_host_name_are_taken_over() -> None:
    world = RebuildWorld()
    old = world.cloud.ecs.instances[WEB_1]
    old.ram_role, old.user_data, old.key_pair, old.host_name = "web-role", b"#!/bin/sh\n", "ops", "web-1"
    world.lose(WEB_1)

    new = world.cloud.ecs.instances[world.rebuilt(WEB_1).result["replacement"]]
    assert (new.ram_role, new.user_data, new.key_pair, new.host_name) == ("web-role", b"#!/bin/sh\n", "ops", "web-1")
    assert new.security_group_ids == old.security_group_ids
    assert new.tags["role"] == "web"


@pytest.mark.parametrize(
    ("breaks", "says"),
    [
        pytest.param("key pair", "InvalidKeyPairName.NotFound", id="key pair gone"),
        pytest.param("image", "image family web has no available image", id="image deleted"),
        pytest.param("vswitch", "vSwitch vsw-h is gone", id="vSwitch gone"),
        pytest.param("quota", "QuotaExceed.ElasticQuota", id="quota full"),
        pytest.param("balancer", "InvalidLoadBalancerId", id="load balancer deleted"),
    ],
)
def test_what_is_missing_is_missed_before_the_old_one_is_touched(breaks: str, says: str) -> None:
    world = RebuildWorld()
    ecs = world.cloud.ecs
    match breaks:
        case "key pair":
            ecs.instances[WEB_1].key_pair = "gone"
            ecs.buying.key_pairs.add("ops")
        case "image":
            ecs.images.shelf.by_id.pop("m-web")
        case "vswitch":
            ecs.network.vswitches.pop("vsw-h")
        case "quota":
            ecs.buying.core_quota = 1
        case "balancer":
            world.cloud.slb.balancers.pop("lb-web")
    before = len(world.wire.labels)
    world.lose(WEB_1)

    ended = world.ended(WEB_1)
    assert ended.state is OperationState.NEEDS_OPERATOR, ended.result
    assert says in ended.result["because"]
    assert "instances.stop" not in world.wire.labels[before:]
    assert "rebuild.needs_operator" in world.told(WEB_1)


def test_a_member_of_a_scaling_group_is_replaced_in_it_and_the_group_launches_none() -> None:
    world = RebuildWorld()
    world.lose(WEB_2)

    done = world.rebuilt(WEB_2)
    new = done.result["replacement"]
    group = world.cloud.ess.group(GROUP)
    assert world.members(GROUP) == {new: "InService"}
    assert (group.min_size, group.max_size) == (1, 1)
    assert sorted(world.cloud.ecs.instances) == sorted(["i-db", WEB_1, WEB_2, new])
    assert world.pool() == {WEB_1: 80, new: 50}


def test_a_member_that_the_platform_brings_back_is_in_service_again_with_its_weight() -> None:
    world = RebuildWorld(replace(AT_ONCE, platform_restart=PlatformRestart.WAIT))
    world.lose(WEB_2, recovers=True)

    ended = world.ended(WEB_2)
    assert ended.result["outcome"] == "recovered"
    assert world.members(GROUP) == {WEB_2: "InService"}
    assert world.pool() == {WEB_1: 80, WEB_2: 50}
    assert world.made() == []


def test_a_place_that_the_group_has_filled_meanwhile_is_not_filled_twice() -> None:
    world = RebuildWorld()
    world.run_recovery(minutes=6)
    world.fail_host(WEB_2)  # and no event of it arrives
    world.run_recovery(minutes=20)

    (ended,) = world.operations(OperationKind.REBUILD)
    assert ended.result["outcome"] == "filled"
    assert world.made() == []
    assert len(world.members(GROUP)) == 1
    assert WEB_2 not in world.members(GROUP)


def test_without_a_group_nothing_of_a_group_is_asked_for() -> None:
    world = RebuildWorld(stands=ALONE)
    world.lose(WEB_1)
    world.rebuilt(WEB_1)

    assert {label for label in world.wire.labels if label.startswith("scaling.")} == {"scaling.memberships"}


# Whether the platform's own restart is waited for -------------------------------------------------------------------


def phases(world: RebuildWorld) -> dict[str, float]:
    (done,) = world.operations(OperationKind.REBUILD)
    return codec.load(dict[str, float], done.result["phases"])


def test_the_tick_disarms_the_platforms_restart_once_and_tells_it_once() -> None:
    world = RebuildWorld()
    for instance in world.cloud.ecs.instances.values():
        instance.on_maintenance = "AutoRecover"
    world.run_recovery(minutes=16)

    assert {one.id for one in world.cloud.ecs.instances.values() if one.on_maintenance == "Stop"} == {WEB_1, WEB_2}
    assert world.told("rebuild rule web") == ["platform_restart.disarmed"]
    assert world.wire.labels.count("instances.leave_alone") == 2


def test_a_disarmed_instance_is_replaced_at_once_and_an_armed_one_after_the_platforms_time() -> None:
    disarmed, armed = RebuildWorld(), RebuildWorld(replace(AT_ONCE, platform_restart=PlatformRestart.WAIT))
    for world in (disarmed, armed):
        world.lose(WEB_1)
        world.rebuilt(WEB_1)

    assert phases(disarmed)["decide"] < 5
    assert phases(armed)["decide"] == pytest.approx(360, abs=5)


def test_a_rule_that_disarms_still_waits_for_one_that_the_tick_has_not_reached() -> None:
    world = RebuildWorld()
    world.cloud.ecs.instances[WEB_1].on_maintenance = "AutoRecover"
    world.lose(WEB_1, recovers=True)

    assert world.ended(WEB_1).result["outcome"] == "recovered"
    assert world.made() == []


# How many at once ---------------------------------------------------------------------------------------------------


def test_no_more_begin_within_an_hour_than_the_rule_allows_and_the_next_one_says_why() -> None:
    world = RebuildWorld(replace(AT_ONCE, max_per_hour=1), stands=ALONE)
    world.lose(WEB_1)
    world.rebuilt(WEB_1)
    world.lose(WEB_2)
    world.run_recovery(minutes=20)

    why = [text for one in Decisions(world.store).of(WEB_2) for text in one.because]
    assert "1 rebuilds of web began within the last hour, max_per_hour allows no more" in why
    assert world.told(WEB_2).count("rebuild.waits") == 1
    assert len(world.made()) == 1

    world.run_recovery(minutes=60)
    assert len(world.made()) == 2


def test_what_was_refused_does_not_count() -> None:
    world = RebuildWorld(replace(AT_ONCE, max_per_hour=1), stands=ALONE)
    world.cloud.ecs.instances[WEB_2].key_pair = "gone"
    world.cloud.ecs.buying.key_pairs.add("ops")
    world.lose(WEB_2)
    assert world.ended(WEB_2).state is OperationState.NEEDS_OPERATOR
    world.lose(WEB_1)

    assert world.rebuilt(WEB_1).state is OperationState.DONE


def test_a_hundred_instances_of_a_lost_zone_are_one_decision_and_no_rebuild() -> None:
    world = RebuildWorld(stands=a_hundred())
    lost = [one for one, found in world.cloud.ecs.instances.items() if found.zone == H]
    assert len(lost) == 100
    world.cloud.zones.set_dark(H, True)
    for instance in lost:
        world.lose(instance)
    world.run_recovery(minutes=5.5)

    assert world.told(f"zone {H}") == ["zone.lost"]
    assert {event for instance in lost for event in world.told(instance)} == {"alarm.followed"}
    assert "instances.stop" not in world.wire.labels
    assert world.made() == []
    assert len(world.operations(OperationKind.REBUILD)) == world.open_operations() == 100


def test_a_hundred_that_wait_for_one_zone_look_once_for_all_and_find_it_back() -> None:
    world = RebuildWorld(replace(AT_ONCE, max_at_once=100, max_per_hour=1000), stands=a_hundred())
    lost = [one for one, found in world.cloud.ecs.instances.items() if found.zone == H]
    world.cloud.zones.set_dark(H, True)
    for instance in lost:
        world.lose(instance)
    world.run_recovery(minutes=10)
    before = len(world.wire.labels)
    world.run_recovery(minutes=20)
    asked = [one for one in world.wire.labels[before:] if not one.startswith(("store.", "functions."))]
    assert len(asked) < 20 / 2 * 30 + 20 / 5 * 10  # one look at the zone in two minutes, and the ticks

    world.cloud.zones.set_dark(H, False)
    for instance in lost[:2]:
        world.cloud.ecs.lifecycle.arrive_running(world.cloud.ecs.instances[instance])
    world.run_recovery(minutes=8)
    assert world.told(f"zone {H}") == ["zone.lost", "zone.back"]
    assert len(world.made()) == 98


def a_hundred() -> str:
    """Web servers of one zone, and nothing else there."""
    head = STANDS.partition("instances:")[0]
    lines = [
        f"  - {{id: i-{n:03d}, name: web-{n}, image: m-web, vswitch: vsw-h, address: 10.0.1.{n + 10},"
        " type: ecs.g7.large, tags: {role: web}, state: Running,"
        f" system_disk: {{id: d-{n:03d}, size_gib: 20, category: cloud_essd}}}}"
        for n in range(100)
    ]
    return "\n".join((f"{head}instances:", *lines, BALANCED))


BALANCED = """
load_balancers:
  - id: lb-web
    name: web
    address: 10.0.1.200
    listeners: [{port: 80, backend_port: 8080, health: {interval: 2, timeout: 2, healthy: 2, unhealthy: 2}}]
    backends: []
scaling_groups: []
"""


def test_an_address_that_could_not_be_kept_stands_on_the_status_page_once() -> None:
    world = RebuildWorld(replace(AT_ONCE, elsewhere=(IN_I,)), stands=ALONE)
    world.take_points()
    world.cloud.ecs.set_stock(H, TYPE, 0)
    world.lose(WEB_1)
    done = world.rebuilt(WEB_1)

    view = status_of(world)
    (changed,) = view.addresses
    assert f"{changed.before} -> {changed.now}" == done.result["mapped"]
    assert (changed.instance, changed.replacement) == (WEB_1, done.result["replacement"])
    assert f"<code>{changed.before}</code> &rarr; <code>{changed.now}</code>" in render(view)


def status_of(world: RebuildWorld) -> StatusView:
    store = world.store
    return Status(
        policies=world.policies,
        controls=world.controls(),
        journal=Journal(store, world.clock),
        points=Points(store),
        slots=Slots(store),
        certificates=Certificates(store),
        leases=Leases(store, tokens=lambda: "t"),
        heartbeats=Heartbeats(store),
        failovers=Failovers(store),
        fleet=Fleet(store),
        clock=world.clock,
        decisions=Decisions(store),
    ).view()
