"""Prune as stories: what may never go, however the records, the cloud and the operator look."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import Permanent, Retryable
from shared.domain.ids import InstanceId, SnapshotId
from shared.domain.policy import PruneLimits, Retention
from shared.domain.retention import RestorePoint
from shared.state.certificates import Certificate, Certificates, CertificateState, Part
from shared.state.points import Points
from shared.usecases.prune.prune_deletions import CALLS, FRESH_FOR
from tests.usecases.backup_world import APPLICATIONS, MASTERS, SEED, A, B, M, World, a_policy
from understudy.simulation.store import InProcessStore


def certificates(world: World) -> list[Certificate]:
    return list(Certificates(InProcessStore(world.cloud, "understudy")).newest(None))


def parts(world: World, certificate: Certificate) -> list[Part]:
    return list(Certificates(InProcessStore(world.cloud, "understudy")).parts(certificate))


def fates(world: World, certificate: Certificate) -> Counter[str]:
    return Counter(certificate.outcomes)


def three_hours_one_by_one() -> World:
    """With disks of an older kind, which no group takes: each snapshot goes by a call of its own."""
    return three_hours(stands=SEED.replace("cloud_essd", "cloud_ssd"))


def three_hours(stands: str = SEED, **policy: object) -> World:
    """Three points of each instance; the policy keeps one."""
    one = Retention(last=1)
    prune = policy.get("prune")
    assert prune is None or isinstance(prune, PruneLimits)
    world = World(a_policy(replace(APPLICATIONS, keep=one), replace(MASTERS, keep=one), prune=prune), stands=stands)
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
    (part,) = parts(world, certificate)
    points = [point for instance in part["instances"] for point in instance["points"]]
    went = [point for point in points if point["fate"] == "gone"]
    assert certificate.state is CertificateState.ENDED
    assert certificate.outcomes == {"gone": 6, "kept": 3}
    assert {reason for point in went for reason in point["because"]} == {"not among 1 last"}
    assert {line["disk"] for line in part["after"].values()} == {
        "d-a-sys",
        "d-a-data",
        "d-b-sys",
        "d-b-data",
        "d-m-sys",
    }
    assert set(part["after"]) == {snapshot.id for snapshot in world.in_cloud()}
    assert all(line["usable"] and line["complete"] for line in part["after"].values())


def test_a_dry_run_names_the_points_and_touches_nothing() -> None:
    world = three_hours()

    pruned = world.prune(dry=True)

    assert len(pruned.planned) == 6
    assert len(world.in_cloud()) == 15
    assert certificates(world) == []
    assert "snapshots.delete" not in world.wire.labels


def test_nothing_to_do_costs_three_reads_and_leaves_no_certificate() -> None:
    world = three_hours()
    world.prune()
    before = len(world.wire.labels)

    world.prune()

    assert world.wire.labels[before:] == ["store.scan", "store.get", "store.scan", "store.scan"]
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
    world.command(command="pin", instance=A, point=oldest.id, by="li", because="audit")

    world.prune()
    assert oldest.id in {point.id for point in world.points()}

    world.command(command="unpin", instance=A, point=oldest.id, by="li")
    world.prune()
    assert Counter(point.subject for point in world.points()) == {A: 1, B: 1, M: 1}


def test_a_pin_survives_that_its_point_is_written_again() -> None:
    world = three_hours()
    store = InProcessStore(world.cloud, "understudy")
    point = world.points()[0]
    world.command(command="pin", instance=point.subject, point=point.id, by="li", because="audit")

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
    assert certificates(world)[1].outcomes["still there"] == 1
    assert len(second.deleted) == 1


def test_a_cloud_that_asks_for_patience_ends_the_run_early_and_the_next_one_goes_on() -> None:
    world = three_hours_one_by_one()
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
    world = three_hours_one_by_one()
    frozen: list[int] = []

    def freeze(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete" and after and not frozen:
            frozen.append(number)
            world.advance(hours=1)

    world.wire.trouble = freeze
    pruned = world.prune()

    assert world.wire.labels.count("snapshots.delete") == 1  # not even the rest of the point it was at
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


def test_a_failed_upload_never_leaves_a_disk_with_nothing() -> None:
    """One o'clock is complete, two o'clock usable while it uploads; prune runs; the upload fails."""
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1)), MASTERS))
    world.run_for(hours=1, minutes=30, prune=False)
    (one,) = (point for point in world.points() if point.subject == A)
    assert one.complete
    world.run_for(minutes=29, prune=False)
    uploads: set[str] = set()
    hold_uploads(world, until_points=2, uploads=uploads)

    first = world.prune()
    for snapshot in uploads:
        world.fail_snapshot(snapshot)
    world.run_for(minutes=20, prune=False)
    second = world.prune()

    assert not any(point.startswith(one.id) for point in (*first.deleted, *second.deleted))
    (left,) = (point for point in world.points() if point.subject == A and point.counts)
    assert left.id == one.id
    assert {snapshot for _, snapshot in left.disks} <= {found.id for found in world.in_cloud()}


def test_the_guard_alone_keeps_the_last_complete_point_when_our_records_are_wrong() -> None:
    """Our records call the newer point complete; the cloud says that it still uploads."""
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1)), MASTERS))
    world.run_for(hours=1, minutes=59, prune=False)
    uploads: set[str] = set()
    hold_uploads(world, until_points=2, uploads=uploads)
    store = Points(InProcessStore(world.cloud, "understudy"))
    store.put([replace(point, complete=True) for point in world.points() if point.usable])

    pruned = world.prune()

    assert pruned.deleted == ()
    assert any("snapshots that the cloud calls complete" in spared for spared in pruned.spared)


def hold_uploads(world: World, *, until_points: int, uploads: set[str]) -> None:
    """Go on in small steps until each application has so many usable points, the last of which still uploads."""
    for _ in range(300):
        world.run_for(seconds=2, prune=False)
        world.invoke(world.schedule)
        world.invoke(world.backup)
        for found in world.cloud.ecs.snapshots.shelf:
            if found.available and found.status == "progressing":
                uploads.add(found.id)
        usable = [point for point in world.points() if point.subject in (A, B) and point.usable]
        if len(usable) == 2 * until_points:
            break
    assert any(not point.complete for point in usable), "no upload was caught while it ran"
    uploads &= {snapshot for point in usable if not point.complete for _, snapshot in point.disks}


def after_the_first_deletion(world: World, do: object) -> None:
    """And some seconds later the next one is about to be sent."""
    done: list[int] = []

    def at(number: int, label: str, after: bool) -> None:
        if label == "snapshots.delete" and after and not done:
            done.append(number)
            assert callable(do)
            do()
            world.advance(seconds=FRESH_FOR.total_seconds())

    world.wire.trouble = at


def test_a_pause_stops_a_running_prune_within_seconds() -> None:
    world = three_hours_one_by_one()
    after_the_first_deletion(world, lambda: world.command(command="pause", scope="prune", because="audit", by="li"))

    pruned = world.prune()

    assert "paused meanwhile" in pruned.stopped
    assert "audit" in pruned.stopped
    assert len(pruned.deleted) == 1


def test_a_policy_that_is_superseded_stops_a_running_prune_within_seconds() -> None:
    world = three_hours_one_by_one()
    after_the_first_deletion(world, lambda: world.policies.append(a_policy(APPLICATIONS, MASTERS)))

    pruned = world.prune()

    assert "superseded" in pruned.stopped
    assert len(pruned.deleted) == 1


def test_a_point_that_is_pinned_while_prune_runs_stays_and_the_others_go() -> None:
    world = three_hours()
    last = max(world.prune(dry=True).planned)
    subject = next(point.subject for point in world.points() if point.id == last)
    after_the_first_deletion(
        world, lambda: world.command(command="pin", instance=subject, point=last, by="li", because="audit")
    )

    pruned = world.prune()

    assert len(pruned.deleted) == 5
    assert f"{last}: never pinned: pinned meanwhile" in pruned.spared
    assert last in {point.id for point in world.points()}
    assert certificates(world)[0].outcomes == {"gone": 5, "kept": 3, "spared": 1}


def test_one_reading_of_controls_and_pins_holds_for_a_few_calls() -> None:
    world = three_hours_one_by_one()
    before = len(world.wire.labels)

    world.prune()

    calls = world.wire.labels[before:]
    first, last = calls.index("snapshots.delete"), len(calls) - calls[::-1].index("snapshots.delete")
    deletions = calls.count("snapshots.delete")
    assert calls[first - 2 : first] == ["store.scan", "store.scan"]
    assert calls[first - 2 : last].count("store.scan") == 2 * -(-deletions // CALLS)
    assert calls[first:last].count("store.get") == 0


def test_a_run_that_froze_between_two_deletions_reads_controls_and_pins_again() -> None:
    world = three_hours_one_by_one()
    before = len(world.wire.labels)
    after_the_first_deletion(world, lambda: None)

    world.prune()

    calls = world.wire.labels[before:]
    first, last = calls.index("snapshots.delete"), len(calls) - calls[::-1].index("snapshots.delete")
    assert calls[first:last].count("snapshots.delete") <= CALLS
    assert calls[first:last].count("store.scan") == 2


def test_a_store_that_falls_silent_stops_the_deletions() -> None:
    world = three_hours_one_by_one()
    silent: list[int] = []

    def falls_silent(number: int, label: str, after: bool) -> None:
        if label == "store.scan" and "snapshots.delete" in world.wire.labels and not silent:
            silent.append(number)
            raise Retryable("GetRange: OTSServerBusy")

    after_the_first_deletion(world, lambda: None)
    waits = world.wire.trouble

    def both(number: int, label: str, after: bool) -> None:
        waits(number, label, after)
        falls_silent(number, label, after)

    world.wire.trouble = both
    pruned = world.prune()

    assert "nobody can say whether it may go on: GetRange" in pruned.stopped
    assert len(pruned.deleted) == 1


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


def partly_blind(world: World, hidden: set[SnapshotId]) -> None:
    """A listing that leaves some out, and says nothing of it."""
    whole = world.here.snapshots

    class Partial:
        def __getattr__(self, name: str) -> object:
            return getattr(whole, name)

        def list(self, **asked: object) -> object:
            return iter([one for one in whole.list(**asked) if one.id not in hidden])

    world.here.snapshots = Partial()


def one_of_b(world: World) -> RestorePoint:
    found: RestorePoint = next(point for point in world.points() if point.subject == B)
    return found


def test_a_point_that_one_listing_left_out_is_reported_and_stays_what_it_was() -> None:
    world = three_hours()
    hidden: set[SnapshotId] = {snapshot for _, snapshot in one_of_b(world).disks}
    partly_blind(world, hidden)

    first = world.prune(drift=True)
    again = world.prune(drift=True)  # at once: no second witness

    assert first.missing == again.missing == (one_of_b(world).id,)
    assert one_of_b(world).usable
    hidden.clear()
    world.advance(hours=24)
    assert world.prune(drift=True).missing == ()
    assert one_of_b(world).missing_since is None


def test_a_point_missed_on_two_days_is_lost_and_is_healed_when_it_is_shown_again() -> None:
    world = three_hours()
    world.prune()
    before = one_of_b(world)
    hidden = {snapshot for _, snapshot in before.disks}
    partly_blind(world, hidden)

    world.prune(drift=True)
    world.advance(hours=24)
    world.prune(drift=True)

    assert one_of_b(world).failed
    assert not one_of_b(world).counts
    hidden.clear()
    world.prune(drift=True)
    assert one_of_b(world) == before


def test_a_dry_comparison_writes_nothing() -> None:
    world = three_hours()
    partly_blind(world, {snapshot for _, snapshot in one_of_b(world).disks})
    before = len(world.wire.labels)

    assert world.prune(dry=True, drift=True).missing == (one_of_b(world).id,)
    assert set(world.wire.labels[before:]) <= {"store.scan", "store.get", "snapshots.list"}


def test_a_pinned_point_that_was_missed_can_be_unpinned() -> None:
    world = three_hours()
    point = one_of_b(world)
    world.command(command="pin", instance=B, point=point.id, by="li", because="audit")
    partly_blind(world, {snapshot for _, snapshot in point.disks})
    world.prune(drift=True)

    Points(InProcessStore(world.cloud, "understudy")).put([one_of_b(world)])  # whoever writes it as it was read
    world.command(command="unpin", instance=B, point=point.id, by="li")

    assert not one_of_b(world).pinned


def test_a_lost_point_goes_with_all_that_was_said_of_it() -> None:
    world = three_hours()
    lost = one_of_b(world)
    for _, snapshot in lost.disks:
        world.cloud.ecs.snapshots.delete(snapshot)
    world.prune(drift=True)
    world.advance(hours=24)
    world.prune(drift=True)
    world.prune()

    rows = InProcessStore(world.cloud, "understudy").scan("points", (InstanceId(B),))
    assert not any(lost.id in row.key[1] for row in rows)


def test_our_records_are_compared_once_a_day_at_whatever_minute_the_timer_ticks() -> None:
    world = three_hours()

    for _ in range(48):
        world.prune(drift=None)
        world.advance(hours=1, minutes=1)

    # Once on the first day, and once on each of the next two.
    assert sum(1 for label in world.wire.labels if label == "snapshots.list") > 0
    compared = [one for one in certificates(world) if not one.parts]
    assert len(compared) == 2
    assert len({one.at.date() for one in certificates(world)}) == 3


def test_a_comparison_that_breaks_off_does_not_hold_up_the_deletions() -> None:
    world = three_hours()
    broken: list[int] = []

    def breaks(number: int, label: str, after: bool) -> None:
        if label == "snapshots.list" and not broken:
            broken.append(number)
            raise Retryable("DescribeSnapshots: Throttling")

    world.wire.trouble = breaks

    assert len(world.prune(drift=None).deleted) == 6
    assert Certificates(InProcessStore(world.cloud, "understudy")).compared() is None


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
