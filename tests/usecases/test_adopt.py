"""Foreign snapshots, named by an operator, become restore points: which ones do not and why, and every interruption."""

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from emulator.ecs.attachments import Attachments
from emulator.ecs.policies import Settings
from shared.domain.errors import BadInput
from shared.domain.ids import DiskId, InstanceId, SnapshotId
from shared.domain.inventory import DiskKind
from shared.domain.policy import DiskSelection, Protection, Retention, Selection
from shared.domain.rebuild import REPLACES
from shared.domain.retention import Level
from shared.state.decisions import Decisions
from shared.state.points import Points
from shared.usecases.backup.adopting import MOST
from tests.usecases.backup_world import APPLICATIONS, MASTERS, PLACE, START, A, B, M, World, a_policy
from tests.usecases.test_backup_interruptions import TROUBLES, Trouble, calls_of
from understudy.simulation.compute import InProcessClouds, InProcessSnapshots
from understudy.simulation.store import InProcessStore

KEPT = replace(APPLICATIONS, keep=Retention(last=2))


class Stage(World):
    def __init__(self, *protections: Protection) -> None:
        super().__init__(a_policy(*(protections or (KEPT, MASTERS))))
        self.real = InProcessClouds(self.cloud).at(PLACE)

    def by_hand(self, disk: str = "d-a-sys", *, tags: dict[str, str] | None = None, whole: bool = True) -> str:
        """Somebody else's; some hours later it is complete."""
        made = self.real.snapshots.create(DiskId(disk), name="by-hand", tags=tags or {}, token="")
        if whole:
            self.advance(hours=4)
        return made

    def adopt(self, *snapshots: str, protection: str = "applications", **more: Any) -> dict[str, str]:
        """The operation's result; `because` of one that was refused."""
        asked: dict[str, Any] = dict(command="adopt", by="li", protection=protection, snapshots=list(snapshots), **more)
        answer = self.command(**asked)
        self.advance(minutes=10)
        operation = self.journal.find(answer["operation"])  # type: ignore[arg-type]  # a plain text is enough here
        assert operation is not None
        return dict(operation.result)

    def why_not(self, snapshot: str, **more: Any) -> str:
        """The reason for which one is refused. Nothing was marked, and nothing written down."""
        before = self.tags(snapshot)
        because = self.adopt(snapshot, **more)["because"]
        assert self.tags(snapshot) == before
        assert not self.adopted()
        return because.removeprefix(f"{snapshot}: ")

    def tags(self, snapshot: str) -> dict[str, str]:
        found = self.shown(snapshot)
        return {} if found is None else dict(found.tags)

    def loose(self, *, gone: bool = False) -> str:
        """A snapshot of a disk that was taken off its instance, and maybe deleted."""
        made = self.by_hand("d-a-data")
        Attachments(self.cloud.ecs).detach("d-a-data", "i-app-a")
        self.advance(minutes=1)
        if gone:
            self.cloud.ecs.disks.delete("d-a-data")
        return made

    def shown(self, snapshot: str) -> Any:
        return next(InProcessSnapshots(self.cloud).list(ids=[SnapshotId(snapshot)]), None)

    def adopted(self) -> list[Any]:
        return [one for one in Points(InProcessStore(self.cloud, "understudy")).all() if one.adopted]

    def decisions(self, event: str) -> list[Any]:
        found = Decisions(InProcessStore(self.cloud, "understudy")).of("applications")
        return [one for one in found if one.event == event]


# Bad input ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        pytest.param({"protection": "nobody"}, "protection 'nobody' is not in policy 1; it has", id="protection"),
        pytest.param({"snapshots": []}, "must be a list of snapshot ids", id="no snapshot"),
        pytest.param({"snapshots": "s-1"}, "must be a list of snapshot ids", id="no list"),
        pytest.param({"snapshots": [f"s-{at}" for at in range(MOST + 1)]}, f"at most {MOST} at once", id="too many"),
    ],
)
def test_a_request_that_names_nothing_sound_is_refused_at_once(arguments: dict[str, Any], says: str) -> None:
    world = Stage()

    with pytest.raises(BadInput, match=says):
        world.command(**{"command": "adopt", "protection": "applications", "snapshots": ["s-1"], **arguments})
    assert world.open_operations() == 0


# Refusals, each with its reason --------------------------------------------------------------------------------------


def test_one_that_the_cloud_does_not_show() -> None:
    assert "the cloud does not show it" in Stage().why_not("s-nobody")


def test_one_that_is_not_complete() -> None:
    world = Stage()

    assert "it is not complete" in world.why_not(world.by_hand(whole=False), at="2026-03-02T00:00:00Z")


def test_one_that_failed() -> None:
    world = Stage()
    failed = world.by_hand(whole=False)
    world.fail_snapshot(failed)

    assert world.why_not(failed) == "it failed: nothing can be restored from it"


def test_one_of_an_instance_that_the_protection_does_not_select() -> None:
    world = Stage()

    assert world.why_not(world.by_hand("d-m-sys")) == "protection applications does not select i-master"


def test_one_of_a_disk_that_the_protection_leaves_out() -> None:
    only_data = Selection(tags={"role": "app"}, disks=DiskSelection(kinds=(DiskKind.DATA,)))
    world = Stage(replace(KEPT, select=only_data))

    assert world.why_not(world.by_hand()) == "protection applications leaves its disk d-a-sys out"


def test_one_whose_disk_is_attached_elsewhere_than_was_said() -> None:
    world = Stage()

    assert "attached to i-app-a, not to i-app-b" in world.why_not(world.by_hand(), instance="i-app-b")


def test_one_of_a_native_policy_unless_that_is_said() -> None:
    world = Stage()
    policies = world.cloud.ecs.snapshots.policies
    days = [str(day) for day in range(1, 8)]
    made = policies.create(Settings(name="nightly", hours=["9"], weekdays=days, retention_days=7), tags={})
    policies.apply(made.id, ["d-a-sys"])
    world.advance(hours=5)
    [automatic] = world.in_cloud()

    assert "say --automatic" in world.why_not(automatic.id)
    assert "adopted" in world.adopt(automatic.id, automatic=True)
    assert [point.disks for point in world.adopted()] == [(("d-a-sys", automatic.id),)]


def test_one_that_an_image_refers_to() -> None:
    world = Stage()
    world.real.images.create_from_instance(A, name="golden", family="golden", tags={}, token="t")
    world.advance(hours=4)

    assert "it is in use (image)" in world.why_not(world.in_cloud()[0].id)


def test_one_that_another_product_of_the_cloud_marked() -> None:
    world = Stage()
    made = world.by_hand()
    world.cloud.ecs.snapshots.find(made).tags["acs:hbr:vault"] = "v-1"

    assert world.why_not(made) == "it belongs to another product (tag acs:hbr:vault)"


def test_one_that_understudy_made_itself() -> None:
    world = Stage()
    made = world.by_hand(tags={"understudy:operation": "back_up/x", "understudy:schedule": "hourly"})

    assert "Understudy made it itself" in world.why_not(made)


def test_one_that_is_a_restore_point_already_of_whichever_protection() -> None:
    everything = replace(KEPT, name="everything", select=Selection(ids=(A, B, M)))
    world = Stage(KEPT, everything)
    made = world.by_hand()
    world.adopt(made)
    [point] = world.adopted()

    again = world.adopt(made)
    elsewhere = world.adopt(made, protection="everything")

    assert again["because"] == elsewhere["because"] == f"{made}: it is restore point {point.id} already"
    assert world.adopted() == [point]


@pytest.mark.parametrize("gone", [True, False])
def test_one_whose_disk_is_gone_or_loose_needs_to_be_told_its_instance(gone: bool) -> None:
    world = Stage()
    made = world.loose(gone=gone)

    because = world.why_not(made)
    not_selected = world.why_not(made, instance="i-master")
    world.adopt(made, instance="i-app-a")

    assert ("is gone" if gone else "is attached to no instance") in because
    assert "--instance" in because
    assert not_selected == "protection applications does not select i-master"
    assert [(one.subject, one.level) for one in world.adopted()] == [(A, Level.DISK)]


def test_one_of_an_instance_that_is_gone_too_is_taken_at_the_operators_word() -> None:
    world = Stage()

    world.adopt(world.loose(gone=True), instance="i-long-gone")

    assert [one.subject for one in world.adopted()] == ["i-long-gone"]


# What is taken over --------------------------------------------------------------------------------------------------


def test_a_point_has_the_clock_of_the_cloud_and_our_marks() -> None:
    world = Stage()
    world.advance(minutes=7)
    made = world.by_hand(tags={"date": "2031-01-01"})
    taken = START + timedelta(minutes=7)

    world.adopt(made)

    [point] = world.adopted()
    assert (point.id, point.subject) == (f"applications/adopted/2026-03-02T00:07:00Z/{made}", A)
    assert (point.taken, point.slot, point.schedule) == (taken, taken, "adopted")
    assert (point.usable, point.complete, point.level, point.place) == (True, True, Level.DISK, PLACE)
    assert point.copy_to == ()
    tags = world.shown(made).tags
    assert tags["date"] == "2031-01-01"
    assert (tags["understudy:protection"], tags["understudy:schedule"]) == ("applications", "adopted")
    assert (tags["understudy:instance"], tags["understudy:slot"]) == (A, "2026-03-02T00:07:00Z")


def test_the_snapshot_of_an_only_disk_is_of_one_instant() -> None:
    world = Stage()
    world.adopt(world.by_hand("d-m-sys"), protection="masters")

    assert [one.level for one in world.adopted()] == [Level.CRASH]


def test_those_that_are_refused_are_named_and_hold_up_no_other() -> None:
    world = Stage()
    good, foreign = world.by_hand(), world.by_hand("d-m-sys")

    result = world.adopt(good, foreign, "s-nobody", good)

    [point] = world.adopted()
    assert json.loads(result["adopted"]) == [point.id]
    assert set(json.loads(result["refused"])) == {foreign, "s-nobody"}
    [told] = world.decisions("restore_points.adopted")
    assert told.because[0] == "asked for by li"
    assert any(foreign in reason and "does not select" in reason for reason in told.because)
    assert "understudy:operation" not in world.shown(foreign).tags


def test_what_replaced_a_named_instance_stands_for_it() -> None:
    world = Stage(replace(KEPT, select=Selection(ids=(InstanceId("i-before"),))))
    world.cloud.ecs.instances["i-app-a"].tags[REPLACES] = "i-before"

    world.adopt(world.by_hand())

    assert [one.subject for one in world.adopted()] == [A]


def test_a_lock_that_somebody_set_is_written_down() -> None:
    world = Stage()
    made = world.by_hand()
    lock = world.real.snapshots.lock(SnapshotId(made), days=30, cool_off_hours=0, token="t")

    world.adopt(made)

    assert [one.locked_until for one in world.adopted()] == [lock.expires]


def test_afterwards_retention_judges_it_like_any_other() -> None:
    world = Stage()
    old = world.by_hand()
    world.adopt(old)
    world.run_for(hours=2, prune=False)

    pruned = world.prune()

    assert world.adopted() == []
    assert world.shown(old) is None
    assert any(old in one for one in pruned.deleted)


def test_it_never_displaces_a_point_of_all_disks() -> None:
    world = Stage(replace(KEPT, keep=Retention(daily=1)))
    world.run_for(hours=2, prune=False)
    [whole] = [one for one in world.points() if one.subject == A and one.slot.hour == 2]
    world.adopt(world.by_hand(whole=True))

    world.prune()

    assert whole.id in {one.id for one in world.points()}


# Interruptions -------------------------------------------------------------------------------------------------------


def two_of_hand() -> Stage:
    world = Stage()
    world.named = [world.by_hand(), world.by_hand("d-b-sys")]  # type: ignore[attr-defined]  # of this world alone
    return world


def adopting(world: World) -> None:
    # The operator repeats the same request when the answer was lost.
    at = world.clock.now().isoformat()
    asked = {"command": "adopt", "protection": "applications", "snapshots": world.named, "at": at, "by": "li"}  # type: ignore[attr-defined]
    for _ in range(2):
        world.invoke(lambda: world.command(**asked))
    world.advance(minutes=10)


@TROUBLES
def test_an_adoption_survives_every_interruption(trouble: Trouble) -> None:
    build: Callable[[], World] = two_of_hand
    numbers = calls_of(adopting, build)
    for at in numbers:
        world = two_of_hand()
        world.wire.trouble = trouble(world, at)
        adopting(world)
        what = f"{trouble.__name__} call {at} {world.wire.labels[at]}"
        for _ in range(12):
            world.advance(minutes=10)
            world.invoke(world.backup)

        assert world.open_operations() == 0, what
        assert sorted(one.disks[0][1] for one in world.adopted()) == sorted(world.named), what  # type: ignore[attr-defined]
        assert all(world.shown(one).tags["understudy:schedule"] == "adopted" for one in world.named), what  # type: ignore[attr-defined]
    assert len(numbers) > 15
    print(f"{trouble.__name__}: {len(numbers)} interruptions of an adoption")


def test_one_that_was_marked_and_forgotten_can_be_adopted_again() -> None:
    world = Stage()
    made = world.by_hand()
    marks = {"understudy:operation": "adopt/applications/2026-03-01T00:00:00Z/x", "understudy:schedule": "adopted"}
    world.real.instances.tag([made], resource_type="snapshot", tags=marks)

    world.adopt(made)

    assert [one.disks[0][1] for one in world.adopted()] == [made]


def test_one_that_goes_while_it_is_taken_over_becomes_no_point() -> None:
    world = Stage()
    good, going = world.by_hand(), world.by_hand("d-b-sys")

    def goes(number: int, label: str, after: bool) -> None:
        if label == "instances.tag" and not after and world.shown(going) is not None:
            world.cloud.ecs.snapshots.delete(going)

    world.wire.trouble = goes
    result = world.adopt(good, going)
    world.advance(minutes=30)
    world.backup()

    assert [one.disks[0][1] for one in world.adopted()] == [good]
    assert going in result.get("refused", going)
