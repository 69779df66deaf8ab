"""Prune as stories: what may never go, however the records, the cloud and the operator look."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import Permanent, Retryable
from shared.domain.policy import PruneLimits, Retention
from shared.state.certificates import Certificate, Certificates, CertificateState
from shared.state.points import Points
from tests.usecases.backup_world import APPLICATIONS, MASTERS, A, B, M, World, a_policy
from understudy.simulation.store import InProcessStore


def certificates(world: World) -> list[Certificate]:
    return list(Certificates(InProcessStore(world.cloud, "understudy")).newest(None))


def three_hours(**policy: object) -> World:
    """Three points of each instance; the policy keeps one."""
    one = Retention(last=1)
    prune = policy.get("prune")
    assert prune is None or isinstance(prune, PruneLimits)
    world = World(a_policy(replace(APPLICATIONS, keep=one), replace(MASTERS, keep=one), prune=prune))
    world.run_for(hours=3, minutes=15, prune=False)
    assert len(world.points()) == 9
    return world


def test_three_days_of_hourly_points_keeps_what_the_rules_name_and_nothing_else() -> None:
    keep = Retention(hourly=6, daily=3)
    world = World(a_policy(replace(APPLICATIONS, keep=keep)))

    world.run_for(days=3, minutes=45)

    # Six hours, and the newest of each of three days: those of today and yesterday are among the six.
    assert Counter(point.subject for point in world.points()) == {A: 7, B: 7}
    assert len(world.in_cloud()) == 7 * 4
    assert {snapshot.id for snapshot in world.in_cloud()} == {
        snapshot for point in world.points() for _, snapshot in point.disks
    }


def test_the_certificate_says_what_went_by_which_rule_and_what_every_disk_has_left() -> None:
    world = three_hours()

    world.prune()

    (certificate,) = certificates(world)
    assert certificate.state is CertificateState.ENDED
    assert {deletion.outcome for deletion in certificate.deletions} == {"gone"}
    assert {deletion.rule for deletion in certificate.deletions} == {"not among 1 last"}
    assert set(certificate.remaining.values()) == {1}
    assert set(certificate.newest) == {"d-a-sys", "d-a-data", "d-b-sys", "d-b-data", "d-m-sys"}
    assert set(certificate.newest.values()) == {snapshot.id for snapshot in world.in_cloud()}


def test_a_dry_run_names_the_points_and_touches_nothing() -> None:
    world = three_hours()

    pruned = world.prune(dry=True)

    assert len(pruned.planned) == 6
    assert len(world.in_cloud()) == 15
    assert certificates(world) == []
    assert "snapshots.delete" not in world.wire.labels


def test_nothing_to_do_costs_two_reads_and_leaves_no_certificate() -> None:
    world = three_hours()
    world.prune()
    before = len(world.wire.labels)

    world.prune()

    assert world.wire.labels[before:] == ["store.scan", "store.get", "store.scan"]
    assert len(certificates(world)) == 1


def test_a_listing_that_breaks_off_refuses_the_whole_run() -> None:
    world = three_hours()

    def breaks(number: int, label: str, after: bool) -> None:
        if label == "snapshots.list":
            raise Retryable("DescribeSnapshots: page 2: Throttling")

    world.wire.trouble = breaks
    pruned = world.prune()

    assert "could not be read to its end" in pruned.refused[0]
    assert "snapshots.delete" not in world.wire.labels
    assert certificates(world)[0].state is CertificateState.REFUSED


def test_an_answer_without_any_of_our_snapshots_is_taken_for_a_missing_permission() -> None:
    world = three_hours()
    for snapshot in world.in_cloud():
        world.cloud.ecs.snapshots.delete(snapshot.id)

    pruned = world.prune()

    assert "is the permission missing?" in pruned.refused[0]
    assert len(world.points()) == 9


def test_the_last_snapshot_that_the_cloud_calls_usable_stays_whatever_our_records_say() -> None:
    """Somebody deleted the kept points by hand: what was to go is now the last there is."""
    world = three_hours()
    for point in world.points():
        if point.slot == max(one.slot for one in world.points()):
            for _, snapshot in point.disks:
                world.cloud.ecs.snapshots.delete(snapshot)

    pruned = world.prune()

    assert pruned.deleted == ()
    assert len(pruned.spared) == 6
    assert all("would keep 0" in spared for spared in pruned.spared)
    assert len(world.in_cloud()) == 10


def test_a_cap_refuses_the_run_and_says_which_number_to_raise() -> None:
    world = three_hours(prune=PruneLimits(max_items=5, max_percent=100))

    pruned = world.prune()

    assert "6 restore points would go, more than max_items 5" in pruned.refused[0]
    assert len(world.in_cloud()) == 15


def test_a_refused_dry_run_says_so_and_leaves_no_trace() -> None:
    world = three_hours(prune=PruneLimits(max_items=5, max_percent=100))
    before = world.certificates()

    pruned = world.prune(dry=True)

    assert "more than max_items 5" in pruned.refused[0]
    assert world.certificates() == before


def test_a_pinned_point_stays_until_it_is_unpinned() -> None:
    world = three_hours()
    oldest = min((point for point in world.points() if point.subject == A), key=lambda point: point.slot)
    world.command(command="pin", instance=A, point=oldest.id, by="li")

    world.prune()
    assert oldest.id in {point.id for point in world.points()}

    world.command(command="unpin", instance=A, point=oldest.id, by="li")
    world.prune()
    assert Counter(point.subject for point in world.points()) == {A: 1, B: 1, M: 1}


def test_a_pin_survives_that_its_point_is_written_again() -> None:
    world = three_hours()
    store = InProcessStore(world.cloud, "understudy")
    point = world.points()[0]
    world.command(command="pin", instance=point.subject, point=point.id, by="li")

    Points(store).put([point])

    assert [one.pinned for one in world.points() if one.id == point.id] == [True]


def test_a_snapshot_that_an_image_or_disk_was_made_of_is_spared() -> None:
    world = three_hours()
    oldest = min((point for point in world.points() if point.subject == M), key=lambda point: point.slot)
    (_, snapshot) = oldest.disks[0]
    world.cloud.ecs.snapshots.find(snapshot).images.add("m-rebuilt")

    pruned = world.prune()

    assert any("in use by image" in spared for spared in pruned.spared)
    assert snapshot in {one.id for one in world.in_cloud()}
    assert len(pruned.deleted) == 5


def test_a_refused_deletion_keeps_its_record_and_the_next_run_tries_again() -> None:
    world = three_hours()
    refused: list[int] = []

    def locked(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete" and not after and not refused:
            refused.append(number)
            raise Permanent("DeleteSnapshot: InvalidOperation.SnapshotIsLocked")

    world.wire.trouble = locked
    first = world.prune()
    second = world.prune()

    assert len(first.deleted) == 5
    assert "still there" in {deletion.outcome for deletion in certificates(world)[1].deletions}
    assert len(second.deleted) == 1


def test_a_cloud_that_asks_for_patience_ends_the_run_early_and_the_next_one_goes_on() -> None:
    world = three_hours()
    deletions: list[int] = []

    def throttled(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete" and not after:
            deletions.append(number)
            if len(deletions) == 4:
                raise Retryable("DeleteSnapshot: Throttling.User")

    world.wire.trouble = throttled
    first = world.prune()
    second = world.prune()

    assert "Throttling.User" in first.stopped
    assert len(first.deleted) + len(second.deleted) == 6
    assert len(world.in_cloud()) == 5


def test_a_frozen_run_that_thaws_deletes_nothing_more() -> None:
    world = three_hours()
    frozen: list[int] = []

    def freeze(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete" and after and not frozen:
            frozen.append(number)
            world.advance(hours=1)

    world.wire.trouble = freeze
    pruned = world.prune()

    assert world.wire.labels.count("snapshots.delete") <= 2  # the rest of the point it was at, no further point
    assert "older than" in pruned.stopped
    assert len(world.prune().deleted) >= 5


def test_a_run_whose_policy_is_superseded_meanwhile_stops_before_it_deletes() -> None:
    world = three_hours()

    def a_longer_retention(number: int, label: str, after: bool) -> None:
        if label == "snapshots.list" and after:
            world.policies.append(a_policy(APPLICATIONS, MASTERS))

    world.wire.trouble = a_longer_retention
    pruned = world.prune()

    assert "superseded" in pruned.stopped
    assert len(world.in_cloud()) == 15


def test_a_paused_prune_does_nothing_and_says_so() -> None:
    world = three_hours()
    world.command(command="pause", scope="prune", because="audit", by="li")

    assert "audit" in world.prune().stopped
    assert len(world.in_cloud()) == 15


def test_points_of_a_protection_that_the_policy_no_longer_names_are_kept() -> None:
    world = three_hours()
    world.policies.append(a_policy(replace(APPLICATIONS, keep=Retention(last=1))))

    world.prune()

    assert Counter(point.subject for point in world.points()) == {A: 1, B: 1, M: 3}


def test_drift_reports_what_has_no_record_and_what_has_no_snapshot() -> None:
    world = three_hours()
    stray = world.cloud.ecs.snapshots.create(
        "d-a-sys", name="stray", tags={"understudy:operation": "x", "understudy:protection": "applications"}
    )
    world.advance(minutes=10)
    lost = next(point for point in world.points() if point.subject == B)
    world.cloud.ecs.snapshots.delete(lost.disks[0][1])

    pruned = world.prune(drift=True)

    assert pruned.orphans == (stray.id,)
    assert pruned.missing == (lost.id,)
    assert stray.id in {snapshot.id for snapshot in world.in_cloud()}  # reported, not deleted


def test_what_an_unfinished_operation_made_is_not_called_an_orphan() -> None:
    world = World()
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=3)  # created, not yet looked at

    assert len(world.in_cloud()) == 5
    assert world.prune(drift=True).orphans == ()


@pytest.mark.parametrize("gap", [timedelta(hours=1), timedelta(days=40)])
def test_after_a_long_silence_the_old_points_are_still_there(gap: timedelta) -> None:
    """A job that stopped a month ago keeps what it had: rules by count do not count empty hours."""
    world = World(a_policy(APPLICATIONS))
    world.run_for(hours=5, minutes=45)
    kept = len(world.points())

    world.advance(days=gap.days, seconds=gap.seconds)
    world.prune()

    assert len(world.points()) == kept == 8
