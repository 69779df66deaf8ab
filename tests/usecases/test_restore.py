"""Going back: in place, by clone and swap, by an image; and back from that."""

import json
from dataclasses import replace
from typing import Any

import pytest

from shared.domain.errors import BadInput
from shared.domain.ids import DiskId, ImageId, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.place import Place
from shared.domain.restoring import DiskChange, Way
from shared.state.points import Points
from shared.usecases.recovery.recovery_requests import RestoreRequest
from tests.usecases.backup_world import PLACE
from tests.usecases.recovery_world import DB, GROUP, LB, WEB_1, WEB_2
from tests.usecases.restore_stage import AFTER, BEFORE, RestoreWorld, at_the_point
from understudy.simulation.compute import InProcessClouds
from understudy.simulation.store import InProcessStore

DATA, SYSTEM = "d-web-1-data", "d-web-1-sys"


def rolled_back(world: RestoreWorld, instance: str, **arguments: Any) -> Operation:
    shown = world.preview("rollback", instance=instance, **arguments)
    assert [check for check in shown["checks"] if not check["ok"]] == []
    return world.restored(world.ask("rollback", instance=instance, confirm=shown["token"], **arguments))


def undone(world: RestoreWorld, operation: Operation) -> Operation:
    shown = world.preview("undo_rollback", operation=operation.id)
    world.advance(seconds=1)  # an id has seconds
    return world.restored(world.ask("undo_rollback", operation=operation.id, confirm=shown["token"]))


def change(world: RestoreWorld, disk: str, way: Way, *, instance: str = WEB_1, **what: Any) -> Operation:
    """As a command opens it, for a way that no command names."""
    request = RestoreRequest(
        place=PLACE,
        instance=instance,  # type: ignore[arg-type]  # a plain text is enough here
        disks=(DiskChange(disk=DiskId(disk), way=way, **what),),
        asked=world.clock.now().replace(microsecond=0),
        by="li",
        confirm=instance,
    )
    version, _ = world.policies.active()
    return world.restored(
        world.start(request.operation(policy=version, now=world.clock.now(), because="asked for by li"))
    )


def newest_snapshot(world: RestoreWorld, disk: str) -> SnapshotId:
    return max((one.created, SnapshotId(one.id)) for one in world.in_cloud() if one.disk == disk)[1]


# -- the four ways -------------------------------------------------------------------------------------------------


def test_a_data_disk_behind_a_balancer_is_rolled_back() -> None:
    world = RestoreWorld()
    world.marked(DATA)

    ended = rolled_back(world, WEB_1, disks=[DATA])

    assert at_the_point(world, DATA)
    assert dict(world.picture()["pools"][LB])["web-1"] == 80
    assert world.cloud.ecs.instances[WEB_1].state == "Running"
    phases = json.loads(ended.result["phases"])
    assert sum(phases.values()) == pytest.approx(float(ended.result["rto_seconds"]))
    assert set(phases) == {"decide", "prepare", "drain", "stop", "secure", "change", "start", "serve"}


def test_a_member_of_a_scaling_group_is_restored_whole_and_never_released() -> None:
    world = RestoreWorld()
    world.balancer.set_weight(LB, WEB_2, weight=77)
    world.marked("d-web-2-sys", "d-web-2-data")
    standby: list[str] = []
    stop = world.cloud.ecs.lifecycle.stop

    def seen(instance: Any, **how: Any) -> None:
        standby.append(world.cloud.ess.group_of[instance.id].members[instance.id].state)
        stop(instance, **how)

    world.cloud.ecs.lifecycle.stop = seen  # type: ignore[method-assign]  # stands in for it
    rolled_back(world, WEB_2)

    assert standby == ["Standby"]
    assert at_the_point(world, "d-web-2-sys")
    assert at_the_point(world, "d-web-2-data")
    assert world.picture()["groups"][GROUP] == [("web-2", "InService")]
    assert dict(world.picture()["pools"][LB])["web-2"] == 77
    assert len(world.cloud.ecs.instances) == 3


def test_a_clone_takes_the_place_of_a_data_disk_which_is_kept() -> None:
    world = RestoreWorld()
    world.marked(DATA)

    ended = change(world, DATA, Way.CLONE, snapshot=newest_snapshot(world, DATA))

    made = json.loads(ended.result["disks"])[0]["now"]
    assert made != DATA
    assert at_the_point(world, made)
    assert world.disk_of(WEB_1, "/dev/vdb") == made
    kept = world.cloud.ecs.disks.find(DATA)
    assert (kept.state, kept.instance_id) == ("Available", None)
    assert kept.tags["understudy:replaced-by"] == ended.id
    assert world.read(DATA, len(AFTER)) == AFTER


def test_points_of_a_disk_go_on_being_points_of_its_clone() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    ended = change(world, DATA, Way.CLONE, snapshot=newest_snapshot(world, DATA))
    first = json.loads(ended.result["disks"])[0]["now"]
    world.write(first, AFTER)

    again = rolled_back(world, WEB_1, disks=[DATA])

    (disk,) = json.loads(again.result["disks"])
    assert (disk["disk"], disk["way"]) == (first, "clone")
    assert at_the_point(world, disk["now"])


def test_a_disk_is_made_as_it_was_when_it_was_new() -> None:
    world = RestoreWorld()
    world.write(DATA, AFTER)

    shown = world.preview("reinitialise", instance=WEB_1, disks=[DATA])
    world.restored(world.ask("reinitialise", instance=WEB_1, disks=[DATA], confirm=shown["token"]))

    assert world.read(DATA, len(AFTER)) == bytes(len(AFTER))


def test_a_system_disk_is_replaced_by_an_image_and_data_stays() -> None:
    world = RestoreWorld()
    world.write(DATA, AFTER)
    wanted = {"instance": WEB_1, "disk": SYSTEM, "image": "m-db"}

    shown = world.preview("replace_system_disk", **wanted)
    ended = world.restored(world.ask("replace_system_disk", **wanted, confirm=shown["token"]))

    (disk,) = json.loads(ended.result["disks"])
    assert world.disk_of(WEB_1, "/dev/vda") == disk["now"] != SYSTEM
    assert world.cloud.ecs.instances[WEB_1].image_id == "m-db"
    assert world.read(DATA, len(AFTER)) == AFTER


def test_an_older_point_of_a_replaced_system_disk_comes_back_by_an_image() -> None:
    world = RestoreWorld()
    world.marked(SYSTEM, DATA)
    change(world, SYSTEM, Way.REPLACE, image=ImageId("m-db"))

    ended = rolled_back(world, WEB_1)

    ways = {one["disk"]: one["way"] for one in json.loads(ended.result["disks"])}
    assert sorted(ways.values()) == ["replace", "reset"]
    assert at_the_point(world, world.disk_of(WEB_1, "/dev/vda"))
    assert at_the_point(world, DATA)


def test_a_disk_of_the_older_kind_waits_until_its_safety_snapshot_is_complete() -> None:
    world = RestoreWorld()
    world.marked("d-db-data")

    rolled_back(world, DB, disks=["d-db-data"])

    assert at_the_point(world, "d-db-data")
    (safety,) = [one for one in world.points() if one.protection == "safety"]
    assert safety.complete


def test_a_rollback_whose_progress_the_cloud_does_not_show_is_waited_for_all_the_same() -> None:
    world = RestoreWorld()
    world.cloud.ecs.contents.shown_while_resetting = None
    world.marked(DATA)

    rolled_back(world, WEB_1, disks=[DATA])

    assert at_the_point(world, DATA)


# -- and back ------------------------------------------------------------------------------------------------------


def test_a_rollback_is_undone_in_place() -> None:
    world = RestoreWorld()
    world.marked(SYSTEM, DATA)
    first = rolled_back(world, WEB_1)
    world.write(DATA, b"written after the rollback")

    second = undone(world, first)

    assert world.read(DATA, len(AFTER)) == AFTER
    assert world.read(SYSTEM, len(AFTER)) == AFTER
    assert {one["way"] for one in json.loads(second.result["disks"])} == {"reset"}
    assert second.result["undoes"] == first.id


def test_a_swap_is_undone_by_another_one() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    first = change(world, DATA, Way.CLONE, snapshot=newest_snapshot(world, DATA))

    undone(world, first)

    assert world.read(world.disk_of(WEB_1, "/dev/vdb"), len(AFTER)) == AFTER


def test_a_replaced_system_disk_comes_back() -> None:
    world = RestoreWorld()
    world.write(SYSTEM, BEFORE)
    first = change(world, SYSTEM, Way.REPLACE, image=ImageId("m-db"))

    undone(world, first)

    assert world.read(world.disk_of(WEB_1, "/dev/vda"), len(BEFORE)) == BEFORE


def test_a_shrunk_disk_gets_its_size_back() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    world.cloud.ecs.attachments.resize(DATA, 60, online=True)
    shown = world.preview("rollback", instance=WEB_1, disks=[DATA])
    refused = [check for check in shown["checks"] if not check["ok"]]
    assert [one["says"] for one in refused] == [f"{DATA} shrinks from 60 to 40 GiB, as its snapshot was"]

    first = rolled_back(world, WEB_1, disks=[DATA], accept_size=True)
    assert world.cloud.ecs.disks.find(DATA).size_gib == 40
    undone(world, first)

    assert world.cloud.ecs.disks.find(DATA).size_gib == 60


# -- refused, and put back -----------------------------------------------------------------------------------------


def test_a_safety_snapshot_that_fails_puts_everything_back() -> None:
    world = RestoreWorld()
    world.marked("d-web-2-data")
    before = world.picture()
    world.cloud.ecs.snapshots.fail_next("d-web-2-data", 1)

    asked = world.ask("rollback", instance=WEB_2, disks=["d-web-2-data"], confirm=WEB_2)
    world.run_recovery(minutes=20)

    ended = world.operation(asked)
    assert ended.state is OperationState.REFUSED
    assert "safety snapshot" in ended.result["because"]
    assert "Nothing was changed" in ended.result["because"]
    after = world.picture()
    assert {key: after[key] for key in ("instances", "disks", "pools", "groups", "open")} == {
        key: before[key] for key in ("instances", "disks", "pools", "groups", "open")
    }
    assert world.read("d-web-2-data", len(AFTER)) == AFTER


def test_what_was_confirmed_must_still_be_what_would_be_done() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    shown = world.preview("rollback", instance=WEB_1, disks=[DATA])

    asked = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=shown["token"], accept_size=True)
    world.cloud.ecs.attachments.resize(DATA, 60, online=True)
    world.run_recovery(minutes=5)

    ended = world.operation(asked)
    assert ended.state is OperationState.REFUSED
    assert "confirms something else than what would be done now" in ended.result["because"]
    assert world.cloud.ecs.instances[WEB_1].state == "Running"


def test_a_token_of_something_else_is_refused_before_anything_is_opened() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    shown = world.preview("rollback", instance=WEB_1, disks=[DATA])
    world.cloud.ecs.attachments.resize(DATA, 60, online=True)

    with pytest.raises(BadInput, match="look at it again without confirm, nothing was begun"):
        world.ask("rollback", instance=WEB_1, disks=[DATA], confirm=shown["token"], accept_size=True)

    assert not world.operations(OperationKind.RESTORE)


def test_a_released_instance_is_named_as_such() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    world.cloud.ecs.lifecycle.release(world.cloud.ecs.instances[WEB_1])

    shown = world.preview("rollback", instance=WEB_1, disks=[DATA])

    (refused,) = [check for check in shown["checks"] if not check["ok"]]
    assert refused["says"] == "the inventory does not list i-web-1"
    assert "understudy launch" in refused["remedy"]


def test_a_deleted_snapshot_is_named_with_the_way_to_another() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    world.cloud.ecs.snapshots.delete(newest_snapshot(world, DATA), force=True)

    shown = world.preview("rollback", instance=WEB_1, disks=[DATA])

    (refused,) = [check for check in shown["checks"] if not check["ok"]]
    assert refused["name"] == "snapshot exists"
    assert refused["remedy"].endswith("`understudy points i-web-1`")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ({"instance": WEB_1, "point": "no-such"}, "has no restore point 'no-such'"),
        ({"instance": WEB_1, "disks": ["d-none"]}, "no usable restore point with d-none"),
        ({"instance": "i-none"}, "instance i-none has no usable restore point"),
        ({"instance": WEB_1, "as_of": "2020-01-01T00:00:00Z"}, "that was taken by 2020-01-01T00:00:00Z"),
        ({"instance": WEB_1, "as_of": "yesterday"}, "write it as 2026-03-02T10:00:00Z"),
        ({}, "argument instance is None"),
    ],
)
def test_a_wrong_argument_is_named(arguments: dict[str, Any], says: str) -> None:
    world = RestoreWorld()
    world.take_points()

    with pytest.raises(BadInput) as refused:
        world.command(command="rollback", by="li", **arguments)

    assert says in str(refused.value)


def test_nothing_is_undone_that_changed_nothing() -> None:
    world = RestoreWorld()
    world.marked(DATA)
    asked = world.ask("rollback", instance=WEB_1, disks=[DATA], confirm="something else")
    world.run_recovery(minutes=1)

    with pytest.raises(BadInput, match="changed nothing, so there is nothing to undo"):
        world.command(command="undo_rollback", operation=asked, by="li")


def test_points_are_listed_newest_first() -> None:
    world = RestoreWorld()
    world.take_points()
    world.take_points()

    listed = world.command(command="points", instance=WEB_1, by="li")["points"]

    assert isinstance(listed, list)
    assert [one["state"] for one in listed] == ["usable", "usable"]
    assert listed[0]["taken"] > listed[1]["taken"]
    assert set(listed[0]["disks"]) == {SYSTEM, DATA}


def test_a_stopped_instance_is_restored_and_left_stopped() -> None:
    world = RestoreWorld()
    world.marked("d-db-data")
    world.here.instances.stop(DB, force=True)
    world.advance(minutes=2)

    rolled_back(world, DB, disks=["d-db-data"])

    assert at_the_point(world, "d-db-data")
    assert world.cloud.ecs.instances[DB].state == "Stopped"


# -- from another region -------------------------------------------------------------------------------------------


def copied(world: RestoreWorld, *disks: str) -> None:
    """The point of WEB_1 stands in another region too."""
    there = Place("cn-shanghai")
    point = world.pointed(WEB_1, *disks)
    home = InProcessClouds(world.cloud).at(PLACE).snapshots
    made = {
        disk: home.copy(snapshot, to=there.region, name=f"copy-{disk}", tags={}, token=f"copy-{disk}")
        for disk, snapshot in point.disks
    }
    world.advance(hours=2)
    copy = replace(point, id="copied", copy_of=point.id, place=there, disks=tuple(made.items()))
    Points(InProcessStore(world.cloud, "understudy")).put([copy])


def test_a_copied_point_comes_back_by_a_clone_and_an_image() -> None:
    world = RestoreWorld()
    copied(world, SYSTEM, DATA)

    ended = rolled_back(world, WEB_1, point="copied")

    ways = {one["disk"]: one["way"] for one in json.loads(ended.result["disks"])}
    assert ways == {SYSTEM: "replace", DATA: "clone"}
    assert at_the_point(world, world.disk_of(WEB_1, "/dev/vda"))
    assert at_the_point(world, world.disk_of(WEB_1, "/dev/vdb"))
    assert ended.result["left_snapshots"].count(",") == 1


def test_a_copy_is_taken_only_when_it_is_named() -> None:
    world = RestoreWorld()
    copied(world, DATA)

    answer = world.command(command="rollback", instance=WEB_1, by="li")

    assert answer["point"] == "by-hand"
