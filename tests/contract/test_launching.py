"""Instances bought one by one or by the hundred, moved and left alone, through both doors: refusals first."""

import json
from datetime import timedelta

import pytest

from shared.domain.errors import (
    AddressTaken,
    Busy,
    Conflict,
    Forbidden,
    NoStock,
    NotFound,
    OutcomeUnknown,
    Permanent,
    Retryable,
)
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import Setup, VSwitch
from shared.ports.compute import DataDiskRequest, InstanceRequest
from tests.contract.conftest import Door
from tests.contract.disks import APP, LONG, MARK, OLD, stop
from tests.contract.faults import RPC, Mishap, Read, hold_read, with_faults

ZONE, TYPE = "cn-hangzhou-h", "ecs.g7.large"


def order(**changes: object) -> InstanceRequest:
    values: dict[str, object] = {
        "image": ImageId("m-base"),
        "instance_type": TYPE,
        "zone": ZONE,
        "vswitch": "vsw-h",
        "security_groups": ("sg-a",),
        "name": "web",
        "system_disk_category": "cloud_essd",
        "tags": MARK,
    }
    return InstanceRequest(**{**values, **changes})  # type: ignore[arg-type]  # fields by name


def stock(door: Door, count: int | None) -> None:
    door.run(lambda: door.cloud.ecs.set_stock(ZONE, TYPE, count))


def bought(door: Door) -> list[InstanceId]:
    return [one.id for one in door.inventory.instances(tags=MARK)]


# What is gone, taken or not ready -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"image": ImageId("m-nobody")}, "m-nobody"),
        ({"vswitch": "vsw-nobody"}, "vsw-nobody"),
        ({"security_groups": ("sg-nobody",)}, "sg-nobody"),
        ({"key_pair": "gone"}, "gone"),
        ({"data_disks": (DataDiskRequest(snapshot=SnapshotId("s-nobody"), category="cloud_essd"),)}, "s-nobody"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_what_is_gone_is_named(door: Door, changes: dict[str, object], names: str) -> None:
    door.run(lambda: door.cloud.ecs.buying.key_pairs.add("ops"))

    with pytest.raises(NotFound, match=names):
        door.instances.run(order(**changes), token="t")
    with pytest.raises(NotFound, match=names):
        door.instances.run_many(order(**changes), amount=3, least=1, token="t2")
    assert bought(door) == []


def test_an_image_that_is_still_being_made_starts_nothing(door: Door) -> None:
    young = door.images.create_from_instance(APP, name="golden", family="app", tags={}, token="image")

    with pytest.raises(Permanent, match="IncorrectImageStatus"):
        door.instances.run(order(image=young), token="t")

    door.advance(LONG)
    assert door.instances.run(order(image=young), token="t")


def test_a_data_disk_waits_for_its_snapshot(door: Door) -> None:
    def older_kind() -> DiskId:
        ecs = door.cloud.ecs
        disk = ecs.disks.add(kind="data", category="cloud_efficiency", size_gib=20, zone="cn-hangzhou-i")
        ecs.disks.hang(disk, ecs.find_instance(OLD))
        return DiskId(disk.id)

    young = door.snapshots.create(door.run(older_kind), name="slow", tags={}, token="s")
    asked = order(data_disks=(DataDiskRequest(snapshot=young, category="cloud_essd"),))

    with pytest.raises(Busy, match="NotReady"):
        door.instances.run(asked, token="t")

    door.advance(LONG)
    assert door.instances.run(asked, token="t")


def test_an_address_that_somebody_has_is_told_apart(door: Door) -> None:
    with pytest.raises(AddressTaken):
        door.instances.run(order(private_address="10.0.1.11"), token="t")
    with pytest.raises(AddressTaken):
        door.instances.run_many(order(private_address="10.0.1.10"), amount=3, least=1, token="t2")
    with pytest.raises(Permanent, match="InvalidPrivateIpAddress"):
        door.instances.run(order(private_address="10.9.9.9"), token="t3")
    assert bought(door) == []


def test_a_vswitch_that_is_being_changed_is_asked_for_later(door: Door) -> None:
    def changing(status: str) -> None:
        network = door.cloud.ecs.network
        vswitch = network.vswitch("vsw-h")
        vswitch.about = network.about(vswitch)
        vswitch.about.status = status

    door.run(lambda: changing("Pending"))
    with pytest.raises(Retryable, match="IncorrectVSwitchStatus"):
        door.instances.run(order(), token="t")

    door.run(lambda: changing("Available"))
    assert door.instances.run(order(), token="t")


# Stock ----------------------------------------------------------------------------------------------------------------


def test_less_than_the_least_is_no_stock_and_buys_nothing(door: Door) -> None:
    stock(door, 2)

    with pytest.raises(NoStock):
        door.instances.run_many(order(), amount=5, least=3, token="t1")

    assert bought(door) == []
    stock(door, 5)
    with pytest.raises(NoStock):  # its token stays refused
        door.instances.run_many(order(), amount=5, least=3, token="t1")
    assert len(door.instances.run_many(order(), amount=5, least=3, token="t2")) == 5


def test_as_many_are_bought_as_there_are_from_the_least_on(door: Door) -> None:
    stock(door, 3)

    made = door.instances.run_many(order(), amount=5, least=2, token="t")

    assert len(made) == 3
    assert door.instances.run_many(order(), amount=5, least=2, token="t") == made
    assert sorted(bought(door)) == sorted(made)


def test_what_was_sold_may_vanish_and_says_so_only_in_its_events(door: Door) -> None:
    """The second form of no stock."""
    door.run(lambda: door.cloud.ecs.buying.stock.vanish(ZONE, TYPE))
    made = door.instances.run_many(order(), amount=2, least=2, token="t")
    assert sorted(bought(door)) == sorted(made)

    door.advance(60)

    assert bought(door) == []
    for one in made:
        assert [(event.type, event.status) for event in door.inventory.system_events(one)] == [
            ("SystemFailure.Delete", "executed")
        ]
    assert door.instances.run_many(order(), amount=2, least=2, token="t") == made  # the token knows them still


def test_a_type_that_is_no_longer_sold_is_no_stock(door: Door) -> None:
    door.run(lambda: door.cloud.ecs.buying.stock.discontinued.add(TYPE))

    with pytest.raises(NoStock):
        door.instances.run(order(), token="t")


def test_a_plan_sees_what_is_sold(door: Door) -> None:
    assert door.market.sells(ZONE, TYPE)
    stock(door, 1)
    assert door.market.sells(ZONE, TYPE)
    stock(door, 0)
    assert not door.market.sells(ZONE, TYPE)
    assert door.market.sells("cn-hangzhou-i", TYPE)
    assert not door.market.sells(ZONE, "no.such.type")
    with pytest.raises(NotFound):
        door.market.sells("cn-hangzhou-x", TYPE)


def test_a_plan_does_not_see_what_will_vanish(door: Door) -> None:
    door.run(lambda: door.cloud.ecs.buying.stock.vanish(ZONE, TYPE))

    assert door.market.sells(ZONE, TYPE)


# Vswitches ------------------------------------------------------------------------------------------------------------


def test_vswitches_show_their_room(door: Door) -> None:
    [there] = door.market.vswitches(["vsw-i"])
    assert there == VSwitch(id="vsw-i", zone="cn-hangzhou-i", vpc="vpc-a", free_addresses=251)

    found = {one.id: one for one in door.market.vswitches(["vsw-i", "vsw-h", "vsw-nobody"])}
    assert found.keys() == {"vsw-h", "vsw-i"}
    assert list(door.market.vswitches([])) == []
    assert list(door.market.vswitches(["vsw-nobody"])) == []

    door.instances.run(order(), token="t")
    [here] = door.market.vswitches(["vsw-h"])
    assert here.free_addresses == found["vsw-h"].free_addresses - 1


# Many -----------------------------------------------------------------------------------------------------------------


def test_a_hundred_are_one_call_each_with_its_number(door: Door) -> None:
    made = door.instances.run_many(order(), amount=100, least=100, token="t")

    found = {one.id: one for one in door.inventory.instances(ids=made)}
    assert len(found) == 100
    assert sorted(one.name for one in found.values()) == [f"web{n:03d}" for n in range(1, 101)]
    assert all(one.tags == MARK for one in found.values())
    assert len({one.private_address for one in found.values()}) == 100
    with pytest.raises(Permanent, match="InvalidAmount"):
        door.instances.run_many(order(), amount=101, least=1, token="t2")


def test_many_take_consecutive_addresses(door: Door) -> None:
    made = door.instances.run_many(order(private_address="10.0.1.40"), amount=3, least=3, token="t")

    found = door.inventory.instances(ids=made)
    assert sorted(one.private_address for one in found) == ["10.0.1.40", "10.0.1.41", "10.0.1.42"]


def test_one_of_many_is_not_numbered(door: Door) -> None:
    [made] = door.instances.run_many(order(), amount=1, least=1, token="t")

    assert [one.name for one in door.inventory.instances(ids=[made])] == ["web"]


def test_the_same_token_with_another_amount_is_a_conflict(door: Door) -> None:
    door.instances.run_many(order(), amount=2, least=1, token="t")

    with pytest.raises(Conflict):
        door.instances.run_many(order(), amount=3, least=1, token="t")


@pytest.mark.parametrize("mishap", [one for one in RPC if one.applied], ids=str)
def test_many_whose_answer_was_lost_are_not_bought_twice(door: Door, mishap: Mishap) -> None:
    with with_faults(door.cloud, door.run, mishap.fault("ecs", "RunInstances")), pytest.raises(OutcomeUnknown):
        door.instances.run_many(order(), amount=3, least=1, token="t")
    there = bought(door)

    assert sorted(door.instances.run_many(order(), amount=3, least=1, token="t")) == sorted(there)
    assert len(there) == 3


# What it was made with ------------------------------------------------------------------------------------------------


def test_role_and_user_data_are_read_back_as_given(door: Door) -> None:
    script = "#!/bin/sh\necho grüezi\n"
    new = door.instances.run(order(role="web-role", user_data=script), token="t")

    assert door.instances.setup(new) == Setup(role="web-role", user_data=script)


def test_one_without_a_role_and_without_user_data_says_so(door: Door) -> None:
    assert door.instances.setup(APP) == Setup()


def test_user_data_that_is_no_text_passes_through_unharmed(door: Door) -> None:
    """A compressed script: what is read of one instance can be given to the next."""
    packed = b"\x1f\x8b\x08\x00\xff\xfe\x00tail"

    def give() -> None:
        door.cloud.ecs.find_instance(APP).user_data = packed

    door.run(give)

    read = door.instances.setup(APP)
    assert json.loads(json.dumps(read.user_data, ensure_ascii=False).encode()) == read.user_data
    new = door.instances.run(order(user_data=read.user_data), token="t")

    assert door.cloud.ecs.find_instance(new).user_data == packed


def test_the_setup_of_nobody_is_not_found(door: Door) -> None:
    with pytest.raises(NotFound):
        door.instances.setup(InstanceId("i-nobody"))


def test_a_role_that_may_not_be_handed_on_is_forbidden(door: Door) -> None:
    """In process nobody is asked: there are no keys. Over the wire it is the cloud's own answer."""
    denied = {"kind": "error", "how": (("code", "InvalidUser.PassRoleForbidden"), ("status", 403))}
    with (
        with_faults(door.cloud, door.run, Mishap(**denied).fault("ecs", "RunInstances")),  # type: ignore[arg-type]  # fields by name
        pytest.raises(Forbidden),
    ):
        door.instances.run(order(role="web-role"), token="t")


# Private addresses ----------------------------------------------------------------------------------------------------


def test_an_address_stays_with_what_is_not_stopped(door: Door) -> None:
    with pytest.raises(Permanent, match="IncorrectInstanceStatus"):
        door.instances.move_address(APP, vswitch="vsw-h")
    stop(door)
    with pytest.raises(AddressTaken):  # it keeps it while it stands still, too
        door.instances.run(order(private_address="10.0.1.11"), token="t")


def test_an_address_moves_only_within_the_zone_and_to_a_free_one(door: Door) -> None:
    stop(door)

    with pytest.raises(Permanent, match=r"InvalidVSwitchId\.Mismatch"):
        door.instances.move_address(APP, vswitch="vsw-i")
    with pytest.raises(NotFound, match="vsw-nobody"):
        door.instances.move_address(APP, vswitch="vsw-nobody")
    with pytest.raises(AddressTaken):
        door.instances.move_address(APP, vswitch="vsw-h", address="10.0.1.11")
    with pytest.raises(Permanent, match="Mismatch"):
        door.instances.move_address(APP, vswitch="vsw-h", address="10.0.2.50")
    with pytest.raises(NotFound):
        door.instances.move_address(InstanceId("i-nobody"), vswitch="vsw-h")


def test_a_new_instance_gets_the_address_that_the_old_one_was_moved_off(door: Door) -> None:
    stop(door)

    door.instances.move_address(APP, vswitch="vsw-h", address="10.0.1.200")
    new = door.instances.run(order(private_address="10.0.1.11"), token="t")

    found = {one.id: one.private_address for one in door.inventory.instances(ids=[APP, new])}
    assert found == {APP: "10.0.1.200", new: "10.0.1.11"}


def test_the_cloud_chooses_where_nothing_is_asked_for(door: Door) -> None:
    stop(door)

    door.instances.move_address(APP, vswitch="vsw-h")

    [app] = door.inventory.instances(ids=[APP])
    assert app.private_address != "10.0.1.11"
    assert app.vswitch == "vsw-h"


def test_between_two_moves_it_must_have_been_started(door: Door) -> None:
    stop(door)
    door.instances.move_address(APP, vswitch="vsw-h")

    with pytest.raises(Permanent, match="Changing"):
        door.instances.move_address(APP, vswitch="vsw-h")


def test_a_freed_address_may_be_taken_for_a_while(door: Door) -> None:
    door.cloud.ecs.network.release_delay = timedelta(seconds=90)
    stop(door)
    door.instances.move_address(APP, vswitch="vsw-h")

    with pytest.raises(AddressTaken):
        door.instances.run(order(private_address="10.0.1.11"), token="t1")
    door.advance(120)
    assert door.instances.run(order(private_address="10.0.1.11"), token="t2")


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_move_that_goes_wrong_shows_in_the_address(door: Door, mishap: Mishap) -> None:
    stop(door)
    with (
        with_faults(door.cloud, door.run, mishap.fault("ecs", "ModifyInstanceVpcAttribute")),
        pytest.raises(mishap.write),
    ):
        door.instances.move_address(APP, vswitch="vsw-h", address="10.0.1.200")

    [app] = door.inventory.instances(ids=[APP])
    assert (app.private_address == "10.0.1.200") == mishap.applied


# What the platform does when a host fails -----------------------------------------------------------------------------


def test_the_platform_restarts_what_it_was_not_told_to_leave_alone(door: Door) -> None:
    assert door.instances.leaves_alone([APP, OLD]) == frozenset()

    door.instances.leave_alone(APP)
    door.instances.leave_alone(APP)

    assert door.instances.leaves_alone([APP, OLD, InstanceId("i-nobody")]) == {APP}
    assert door.instances.leaves_alone([]) == frozenset()
    with pytest.raises(NotFound):
        door.instances.leave_alone(InstanceId("i-nobody"))


def test_more_than_a_page_is_asked_about(door: Door) -> None:
    made = door.instances.run_many(order(), amount=100, least=100, token="t")
    door.instances.leave_alone(made[70])
    door.instances.leave_alone(OLD)

    assert door.instances.leaves_alone([*made, APP, OLD]) == {made[70], OLD}


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_question_that_goes_wrong_is_no_answer(door: Door, mishap: Mishap) -> None:
    for question in (
        Read(action="DescribeAvailableResource", ask=lambda: door.market.sells(ZONE, TYPE)),
        Read(action="DescribeVSwitches", ask=lambda: list(door.market.vswitches(["vsw-h", "vsw-i"]))),
        Read(action="DescribeInstanceRamRole", ask=lambda: door.instances.setup(APP)),
        Read(action="DescribeUserData", ask=lambda: door.instances.setup(APP)),
        Read(action="DescribeInstanceMaintenanceAttributes", ask=lambda: door.instances.leaves_alone([APP])),
    ):
        hold_read(door.cloud, door.run, "ecs", question, mishap)


def test_the_regions_of_the_account_are_known(door: Door) -> None:
    assert {"cn-hangzhou", "cn-shanghai"} <= door.market.regions()
