"""Prune over a fleet: whole groups by one call, batch by batch, with as few calls as there can be."""

from collections import Counter
from collections.abc import Callable

import pytest

from shared.domain.errors import Forbidden, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import SnapshotId
from shared.domain.retention import Pin
from shared.usecases.prune import prune_survey
from tests.usecases.backup_world import PLACE, Died
from tests.usecases.certified import all_accepted, documents, unfinished
from tests.usecases.prune_stage import Stage, ids, snapshots
from understudy.certificate_checker import verify
from understudy.simulation.compute import InProcessClouds


def test_a_group_that_goes_whole_goes_by_one_call_and_all_is_looked_at_twice() -> None:
    stage = Stage(20)
    old, new = stage.hours(2, each=16)
    before = len(stage.wire.labels)

    pruned = stage.prune()

    # 40 snapshots go, in groups of 16, 16 and 8; with the witnesses 80 are asked for, which is one call over the wire.
    assert Counter(stage.calls(before)) == {
        "snapshots.list": 2,
        "snapshots.groups": 1,
        "snapshots.delete_group": 3,
    }
    assert pruned.gone == 20
    assert ids(stage.points()) == ids(new)
    assert stage.in_place() == snapshots(new)
    assert not snapshots(old) & stage.in_place()
    assert all_accepted(stage) == 1


def test_the_store_is_asked_as_often_for_a_large_fleet_as_for_a_small_one_but_for_the_deletions() -> None:
    def asked(instances: int) -> Counter[str]:
        stage = Stage(instances)
        stage.hours(2, each=16)
        before = len(stage.wire.labels)
        stage.prune()
        calls = Counter(label for label in stage.wire.labels[before:])
        del calls["snapshots.delete_group"]
        return calls

    assert asked(4) == asked(24)


def test_a_member_that_is_pinned_keeps_its_group_from_going_whole() -> None:
    stage = Stage(4)
    old, _ = stage.hours(2, each=8)
    stage.command(command="pin", instance=old[1].subject, point=old[1].id, by="li", because="audit")

    pruned = stage.prune()

    assert pruned.gone == 3
    assert snapshots([old[1]]) <= stage.in_place()
    assert "snapshots.delete_group" not in stage.wire.labels
    assert all_accepted(stage) == 1


def test_a_member_that_is_pinned_just_before_the_call_keeps_its_group_from_going_whole() -> None:
    stage = Stage(4)
    old, _ = stage.hours(2, each=8)

    def pins(number: int, label: str, after: bool) -> None:
        if label == "snapshots.groups" and after:
            stage.known.pin(old[1], Pin(by="li", because="audit", at=stage.clock.now()))

    stage.wire.trouble = pins
    pruned = stage.prune()

    assert pruned.gone == 3
    assert snapshots([old[1]]) <= stage.in_place()
    assert f"{old[1].id}: never pinned: pinned meanwhile" in pruned.spared
    assert all_accepted(stage) == 1


def test_a_member_that_our_records_do_not_know_keeps_its_group_from_going_whole() -> None:
    stage = Stage(4)
    old, _ = stage.hours(2, each=8)
    stage.known.forget([old[3]])

    stage.prune()

    assert "snapshots.delete_group" not in stage.wire.labels
    assert snapshots([old[3]]) <= stage.in_place()
    assert not snapshots(old[:3]) & stage.in_place()


def test_what_a_group_keeps_back_is_still_there_and_is_tried_again() -> None:
    stage = Stage(2)
    old, _ = stage.hours(2, each=4)
    (_, snapshot) = old[0].disks[0]
    held = stage.cloud.ecs.snapshots.find(snapshot).images

    def used(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete_group" and not after:
            held.add("m-late")  # after the look

    stage.wire.trouble = used
    first = stage.prune()
    second = stage.prune()
    stage.wire.trouble = lambda number, label, after: None
    held.clear()
    third = stage.prune()

    assert (first.gone, second.gone, third.gone) == (1, 0, 1)
    (spared,) = second.spared
    assert "never in use" in spared
    assert all_accepted(stage) == 3


def test_groups_that_may_not_be_described_go_member_by_member() -> None:
    stage = Stage(2)
    stage.hours(2, each=4)

    def forbidden(number: int, label: str, after: bool) -> None:
        if label == "snapshots.groups":
            raise Forbidden("ecs DescribeSnapshotGroups: Forbidden.RAM")

    stage.wire.trouble = forbidden

    assert stage.prune().gone == 2
    assert stage.wire.labels.count("snapshots.delete") == 4


@pytest.fixture
def small_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prune_survey, "AT_ONCE", 8)
    monkeypatch.setattr(prune_survey, "HELD", 0)


@pytest.mark.usefixtures("small_batches")
def test_a_fleet_that_takes_many_batches_ends_in_one_certificate_of_many_parts() -> None:
    stage = Stage(12)
    *_, new = stage.hours(3, each=8)

    pruned = stage.prune()

    (document,) = documents(stage)
    assert pruned.gone == 24
    assert len(document["parts"]) >= 6
    assert document["head"]["outcomes"] == {"gone": 24, "kept": 12}
    assert stage.in_place() == snapshots(new)
    assert all_accepted(stage) == 1


def test_a_group_of_instances_that_are_far_apart_still_goes_by_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids are in another order than the groups, and a batch holds two groups."""
    monkeypatch.setattr(prune_survey, "AT_ONCE", 8)
    monkeypatch.setattr(prune_survey, "HELD", 0)
    stage = Stage(8)
    ordered = type(stage).subjects
    mixed = tuple(stage.subjects[n] for n in (0, 4, 1, 5, 2, 6, 3, 7))
    monkeypatch.setattr(Stage, "subjects", property(lambda self: mixed))
    stage.hours(2, each=4)
    monkeypatch.setattr(Stage, "subjects", ordered)

    assert stage.prune().gone == 8
    assert stage.wire.labels.count("snapshots.delete_group") == 4
    assert "snapshots.delete" not in stage.wire.labels


@pytest.mark.usefixtures("small_batches")
def test_a_throttled_batch_ends_the_place_and_the_next_run_goes_on() -> None:
    stage = Stage(12)
    *_, new = stage.hours(2, each=8)
    deletions: list[int] = []

    def throttled(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete_group" and not after:
            deletions.append(number)
            if len(deletions) == 2:
                raise Retryable("DeleteSnapshotGroup: Throttling")

    stage.wire.trouble = throttled
    first, second = stage.prune(), stage.prune()

    assert "Throttling" in first.stopped
    assert (first.gone, second.gone) == (4, 8)
    assert stage.in_place() == snapshots(new)
    assert all_accepted(stage) == 2


@pytest.mark.usefixtures("small_batches")
def test_a_run_that_takes_too_long_begins_no_other_batch() -> None:
    stage = Stage(12)
    stage.hours(2, each=8)

    def slow(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete_group" and after:
            stage.advance(minutes=9)

    stage.wire.trouble = slow
    pruned = stage.prune()

    assert pruned.gone == 4
    assert "the next run goes on" in pruned.stopped
    assert all_accepted(stage) == 1


Trouble = Callable[[Stage, int], Callable[[int, str, bool], None]]


def struck(kind: str) -> Trouble:
    reads = {"get", "scan", "list", "groups", "locks"}

    def trouble(stage: Stage, at: int) -> Callable[[int, str, bool], None]:
        def strike(number: int, label: str, after: bool) -> None:
            if number != at or after != (kind in ("died after", "lost")):
                return
            if kind.startswith("died"):
                raise Died(label)
            if label.split(".")[1] in reads:
                raise Retryable(label)
            raise OutcomeUnknown(label)

        return strike

    return trouble


def ready() -> Stage:
    stage = Stage(6)
    stage.hours(3, each=8)
    return stage


@pytest.mark.parametrize("kind", ["died before", "died after", "lost", "never sent"])
@pytest.mark.usefixtures("small_batches")
def test_a_prune_in_batches_and_groups_survives_every_interruption(kind: str) -> None:
    whole = ready()
    first = len(whole.wire.labels)
    whole.invoke(whole.prune)
    for at in range(first, len(whole.wire.labels)):
        stage = ready()
        stage.wire.trouble = struck(kind)(stage, at)
        newest = snapshots([point for point in stage.points() if point.slot == max(p.slot for p in stage.points())])
        stage.invoke(stage.prune)
        what = f"{kind} call {at} {stage.wire.labels[at]}"
        assert newest <= stage.in_place(), what
        for _ in range(2):
            stage.advance(hours=1)
            stage.invoke(stage.prune)

        assert stage.in_place() == stage.recorded() == newest, what
        assert all_accepted(stage) > 0, what
        assert not unfinished(stage), what


def test_prune_after_prune_changes_nothing() -> None:
    stage = Stage(6)
    stage.hours(4, each=8)
    stage.prune()
    shown, points, certificates = stage.in_place(), stage.points(), stage.certificates()

    again = stage.prune()

    assert again.gone == 0
    assert (stage.in_place(), stage.points(), stage.certificates()) == (shown, points, certificates)


def test_a_read_back_that_is_short_once_is_asked_again() -> None:
    stage = Stage(2)
    stage.hours(2)
    whole = stage.here.snapshots
    asked: list[int] = []

    class Short:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **how: object) -> object:
            asked.append(1)
            found = list(whole.list(**how))
            return iter(found[:0] if len(asked) == 2 else found)

    stage.here.snapshots = Short()

    assert stage.prune().gone == 2
    assert len(asked) == 3
    assert all_accepted(stage) == 1


def test_a_read_back_that_shows_nothing_at_all_proves_nothing_and_the_verifier_says_so() -> None:
    stage = Stage(2)
    stage.hours(2)
    whole = stage.here.snapshots
    asked: list[int] = []

    class Blind:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **how: object) -> object:
            asked.append(1)
            return iter([] if len(asked) > 1 else list(whole.list(**how)))

    stage.here.snapshots = Blind()
    pruned = stage.prune()
    stage.here.snapshots = whole

    assert pruned.gone == 0
    assert len(stage.points()) == 4
    (document,) = documents(stage)
    verdict = verify(document)
    assert any("has no usable snapshot left" in reason for reason in verdict.reasons)
    assert stage.prune().gone == 2


def test_a_snapshot_whose_deletion_was_refused_is_not_called_gone_because_it_is_not_shown() -> None:
    stage = Stage(1)
    old, _ = stage.hours(2)
    whole = stage.here.snapshots
    hidden: set[SnapshotId] = set()

    class Refuses:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def delete(self, snapshot: SnapshotId) -> None:
            hidden.add(snapshot)
            raise Permanent("DeleteSnapshot: InvalidOperation.ResourceManagedByCloudProduct")

        def list(self, **how: object) -> object:
            return iter([one for one in whole.list(**how) if one.id not in hidden])

    stage.here.snapshots = Refuses()

    assert stage.prune().gone == 0
    assert ids(old) <= ids(stage.points())
    assert snapshots(old) <= {one.id for one in InProcessClouds(stage.cloud).at(PLACE).snapshots.list()}
