"""Prune in every place: copies by their own rules, sources that wait, locks, adopted points, and one place dark."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import Forbidden, Retryable
from shared.domain.ids import AccountName, ImageId, OperationId
from shared.domain.place import Place
from shared.domain.policy import CopyRule, Lock, Policy, Retention
from shared.domain.pruning import Rules, judge
from shared.state.images import ImageRecord, Images
from shared.usecases.prune import prune_drift
from tests.unit.points import point, utc
from tests.usecases.backup_world import APPLICATIONS, PLACE, a_policy
from tests.usecases.certified import all_accepted, documents
from tests.usecases.prune_stage import OPERATION, SHANGHAI, Stage, ids, keeping, snapshots
from understudy.simulation.compute import InProcessClouds
from understudy.simulation.store import InProcessStore


def copied(*, there: Retention, lock: Lock | None = None) -> Policy:
    rule = CopyRule(region=SHANGHAI.region, keep=there, within=timedelta(hours=6), lock=lock)
    return a_policy(replace(keeping(last=1), copies=(rule,)))


def test_copies_go_by_the_retention_of_their_region_and_their_sources_by_that_of_home() -> None:
    stage = Stage(2, copied(there=Retention(last=2)))
    rounds = [stage.take() for _ in range(3)]
    copies = [stage.copy(points) for points in rounds]

    pruned = stage.prune()

    assert stage.in_place() == snapshots(rounds[2])
    assert stage.in_place(SHANGHAI) == snapshots([*copies[1], *copies[2]])
    assert pruned.gone == 4 + 2
    assert [part["region"] for part in documents(stage)[0]["parts"]] == ["cn-hangzhou", "cn-shanghai"]
    assert all_accepted(stage) == 1


def test_a_source_stays_until_its_copy_is_complete_and_says_so() -> None:
    stage = Stage(1, copied(there=Retention(last=2)))
    old, new = stage.take(), stage.take()
    stage.copy(old, complete=False)

    waiting = stage.prune(dry=True)
    stage.prune()
    assert stage.in_place() == snapshots([*old, *new])
    stage.known.copied(old[0], SHANGHAI.region, because="complete")
    stage.prune()

    assert "never uncopied: its copy in cn-shanghai is not complete yet" in waiting.spared[0]
    assert stage.in_place() == snapshots(new)


def test_without_a_rule_for_a_region_its_copies_are_kept() -> None:
    stage = Stage(1, copied(there=Retention(last=1)))
    rounds = [stage.take() for _ in range(3)]
    copies = [stage.copy(points) for points in rounds]
    stage.policies.append(a_policy(keeping(last=1)))

    stage.prune()

    assert stage.in_place() == snapshots(rounds[2])
    assert stage.in_place(SHANGHAI) == snapshots([one for each in copies for one in each])


@pytest.mark.parametrize(
    "error", [Retryable("DescribeSnapshots: Throttling"), Forbidden("DescribeSnapshots: Forbidden.RAM")]
)
def test_a_region_that_cannot_be_read_holds_up_no_other(error: Exception) -> None:
    stage = Stage(2, copied(there=Retention(last=1)))
    rounds = [stage.take() for _ in range(2)]
    copies = [stage.copy(points) for points in rounds]
    stage.dark(SHANGHAI, error)

    pruned = stage.prune()

    assert stage.in_place() == snapshots(rounds[1])
    assert stage.in_place(SHANGHAI) == snapshots([*copies[0], *copies[1]])
    assert "cn-shanghai" in pruned.refused[0]
    assert str(error) in pruned.refused[0]
    assert all_accepted(stage) == 1


def test_a_region_that_shows_nothing_is_taken_for_one_without_permission() -> None:
    stage = Stage(2, copied(there=Retention(last=1)))
    rounds = [stage.take() for _ in range(2)]
    copies = [stage.copy(points) for points in rounds]
    elsewhere = stage.cloud.realm(stage.cloud.account, SHANGHAI.region).ecs
    for snapshot in list(elsewhere.snapshots.shelf):
        elsewhere.snapshots.delete(snapshot.id)

    pruned = stage.prune()

    assert "is the permission missing?" in pruned.refused[0]
    assert ids([*copies[0], *copies[1]]) <= ids(stage.points())
    assert stage.in_place() == snapshots(rounds[1])


def test_an_account_that_cannot_be_entered_is_named_and_holds_up_no_other() -> None:
    policy = a_policy(keeping(last=1), replace(keeping(last=1), name="theirs", account=AccountName("other")))
    stage = Stage(1, policy)
    stage.hours(2)
    for hour in (1, 2):
        theirs = Place(PLACE.region, AccountName("other"))
        stage.known.put([point(f"2026-02-0{hour}", protection="theirs", place=theirs)])

    pruned = stage.prune()

    assert pruned.gone == 1
    assert "other/cn-hangzhou cannot be reached" in pruned.refused[0]


# -- locks -----------------------------------------------------------------------------------------------------------


def test_what_our_records_call_locked_is_not_even_asked_about() -> None:
    stage = Stage(1)
    old, _ = stage.hours(2)
    stage.known.locked(old[0], stage.clock.now() + timedelta(days=1))
    before = len(stage.wire.labels)

    stage.prune()

    assert stage.calls(before) == []
    assert ids(old) <= ids(stage.points())


def test_where_the_policy_locks_the_cloud_is_asked_and_what_it_calls_locked_stays() -> None:
    stage = Stage(1, a_policy(replace(keeping(last=1), lock=Lock(days=7))))
    old, _ = stage.hours(2)
    stage.here.snapshots.lock(old[0].disks[0][1], days=7, cool_off_hours=0, token="t")
    before = len(stage.wire.labels)

    pruned = stage.prune()

    assert "never locked" in pruned.spared[0]
    assert stage.calls(before) == ["snapshots.list", "snapshots.locks", "snapshots.list"]
    assert snapshots(old) <= stage.in_place()
    stage.advance(days=8)
    assert stage.prune().gone == 1
    assert all_accepted(stage) == 2


def test_a_lock_made_by_hand_shows_as_a_refusal_and_is_remembered() -> None:
    stage = Stage(1)
    old, _ = stage.hours(2)
    for _, snapshot in old[0].disks:
        stage.here.snapshots.lock(snapshot, days=7, cool_off_hours=0, token=f"t{snapshot}")

    first = stage.prune()
    before = len(stage.wire.labels)
    second = stage.prune()

    assert "the cloud says that" in first.spared[0]
    assert second.gone == 0
    assert stage.calls(before) == []
    stage.advance(days=8)
    assert stage.prune().gone == 1
    assert all_accepted(stage) == 2


# -- adopted ones ----------------------------------------------------------------------------------------------------


def test_an_adopted_point_goes_only_when_our_tag_is_on_it() -> None:
    stage = Stage(1)
    by_hand = [
        (disk, stage.here.snapshots.create(disk, name="mine", tags={}, token=disk))
        for disk in ("d-000-sys", "d-000-data")
    ]
    adopted = stage.record(stage.subjects[0], stage.clock.now(), by_hand, adopted=True)  # type: ignore[arg-type]
    stage.advance(minutes=30)
    stage.take()

    untagged = stage.prune()
    tags = {"understudy:operation": OPERATION}
    stage.here.instances.tag([one for _, one in by_hand], resource_type="snapshot", tags=tags)
    tagged = stage.prune()

    assert "only what we made" in untagged.spared[0]
    assert untagged.gone == 0
    assert tagged.deleted == (adopted.id,)


def test_a_snapshot_that_is_of_another_disk_than_we_wrote_down_is_not_touched() -> None:
    stage = Stage(1)
    old, _ = stage.hours(2)
    (sys, one), (data, other) = old[0].disks
    stage.known.put([replace(old[0], disks=((sys, other), (data, one)))])

    pruned = stage.prune()

    assert "only what we made" in pruned.spared[0]
    assert snapshots(old) <= stage.in_place()


# -- leftovers of images ---------------------------------------------------------------------------------------------


def with_an_image(place: Place = PLACE) -> tuple[Stage, ImageId, set[str]]:
    """An image of i-000 as the operation that makes it leaves it: written down, its snapshots marked."""
    stage = Stage(1, copied(there=Retention(last=1)))
    stage.copy(stage.take())
    real = InProcessClouds(stage.cloud)
    subject = stage.subjects[0]
    image = real.at(PLACE).images.create_from_instance(subject, name="understudy-i", family="app", tags={}, token="t")
    stage.advance(minutes=30)
    if place != PLACE:
        image = real.at(PLACE).images.copy(image, to=place.region, name="understudy-i", tags={}, token="c")
        stage.advance(hours=1)
    (shown,) = real.at(place).images.list(ids=[image])
    assert shown.snapshots
    tags = {"understudy:operation": "image/i-000"}
    real.at(place).instances.tag(list(shown.snapshots), resource_type="snapshot", tags=tags)
    record = ImageRecord(
        place=place, image=image, family="app", instance=subject, operation=OperationId("image/i-000"),
        made=shown.created, snapshots=shown.snapshots,
    )  # fmt: skip
    Images(InProcessStore(stage.cloud, "understudy")).put(record)
    return stage, image, set(shown.snapshots)


@pytest.mark.parametrize("place", [PLACE, SHANGHAI], ids=str)
def test_what_a_deleted_image_left_over_goes_after_two_comparisons_missed_it(place: Place) -> None:
    stage, image, left = with_an_image(place)
    stage.prune(drift=True)
    assert left <= stage.in_place(place), "one of an image that exists is never touched"
    InProcessClouds(stage.cloud).at(place).images.delete(image)

    stage.prune(drift=True)
    stage.prune(drift=True)  # at once: no second witness
    assert left <= stage.in_place(place)
    stage.advance(hours=24)
    before = len(stage.wire.labels)
    pruned = stage.prune(drift=True)

    assert not left & stage.in_place(place)
    assert stage.in_place(place) == stage.recorded(place)
    assert pruned.orphans == ()
    assert stage.calls(before).count("snapshots.delete") == len(left)
    (leftover,) = documents(stage)[0]["parts"][0]["leftovers"]
    assert leftover["because"] == [f"left over from image {image}"]
    assert leftover["fate"] == "gone"
    assert list(Images(InProcessStore(stage.cloud, "understudy")).all()) == []
    all_accepted(stage)


def test_an_image_that_is_shown_again_leaves_nothing_over() -> None:
    stage, image, left = with_an_image()
    whole = stage.here.images
    hidden = {image}

    class Partial:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **asked: object) -> object:
            return iter([one for one in whole.list(**asked) if one.id not in hidden])

    stage.here.images = Partial()
    stage.prune(drift=True)
    stage.advance(hours=24)
    hidden.clear()
    stage.prune(drift=True)
    hidden.add(image)
    stage.advance(hours=24)
    stage.prune(drift=True)

    assert left <= stage.in_place()


def test_an_image_that_a_listing_always_hides_loses_nothing_as_its_snapshots_are_in_use() -> None:
    stage, _, left = with_an_image()

    class Hidden:
        def list(self, **_asked: object) -> object:
            return iter(())

    stage.here.images = Hidden()
    stage.prune(drift=True)
    stage.advance(hours=24)
    stage.prune(drift=True)

    assert left <= stage.in_place()
    (leftover,) = documents(stage)[0]["parts"][0]["leftovers"]
    assert leftover["fate"] == "spared"
    assert "in use by image" in leftover["because"][0]
    all_accepted(stage)


# -- drift -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("filtered", [0, 900], ids=["the whole list is read", "the cloud filters"])
def test_points_made_and_deleted_by_hand_are_reported_in_every_place(
    filtered: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune_drift, "FILTERED", filtered)
    stage = Stage(2, copied(there=Retention(last=5)))
    copies = stage.copy(stage.take())
    real = InProcessClouds(stage.cloud)
    (_, lost) = copies[0].disks[0]
    real.at(SHANGHAI).snapshots.delete(lost)
    tags = {"understudy:operation": "x", "understudy:protection": "applications"}
    stray = real.at(PLACE).snapshots.create(copies[0].disks[0][0], name="stray", tags=tags, token="s")
    stage.advance(minutes=10)
    foreign = real.at(PLACE).snapshots.create(copies[1].disks[0][0], name="not-ours", tags={}, token="f")
    stage.advance(minutes=10)

    found = stage.prune(drift=True)

    assert found.orphans == (stray,)
    assert found.missing == (copies[0].id,)
    assert foreign in stage.in_place()
    assert "drift.found" in stage.told()


def test_a_place_that_shows_nothing_of_ours_concludes_nothing_there_and_says_so() -> None:
    stage = Stage(1, copied(there=Retention(last=5)))
    stage.copy(stage.take())
    whole = stage.clouds.at(SHANGHAI).snapshots

    class Blind:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **_asked: object) -> object:
            return iter(())

    stage.clouds.at(SHANGHAI).snapshots = Blind()
    stage.prune(drift=True)
    stage.advance(hours=24)
    found = stage.prune(drift=True)

    assert found.missing == ()
    assert not any(point.missing_since for point in stage.points())
    assert "drift.unknown" in stage.told()


# -- which rule holds ------------------------------------------------------------------------------------------------


def test_points_of_an_older_version_are_at_home_and_each_place_is_judged_by_itself() -> None:
    policy = copied(there=Retention(last=1))
    old = [point(f"2026-03-0{day}", protection=APPLICATIONS.name) for day in (1, 2)]
    there = [replace(one, id=f"{one.id}@x", place=SHANGHAI, copy_of=one.id) for one in old]

    home, away = judge([*old, *there], Rules(policy), now=utc("2026-04-01"))

    assert (home.place, away.place) == (PLACE, SHANGHAI)
    assert home.expire == (old[0],)
    assert away.expire == (there[0],)
