"""The status view tells what the store remembers: RPO per disk, every slot, what is under way, what was let go."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from shared.domain.failover_fsm import State
from shared.domain.ids import DiskId, Epoch, InstanceId, PairName, PolicyVersion, SiteName, SnapshotId
from shared.domain.objectives import Freshness
from shared.domain.place import Place
from shared.domain.policy import CopyRule, Retention, Schedule
from shared.domain.retention import RestorePoint
from shared.observability.page import render
from shared.observability.view import DiskView, StatusView, Tone
from shared.ports.store import Anything, Row
from shared.state import codec
from shared.state.certificates import Certificates
from shared.state.controls import Controls
from shared.state.failovers import Failover, Failovers
from shared.state.fleet import Fleet
from shared.state.heartbeats import Heartbeat, Heartbeats, WatchBeat
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.slots import Slot, Slots, SlotState
from shared.usecases.failover.pairs_standing import warnings_of
from shared.usecases.status import SUBJECTS, Status
from tests.simulation.failover_world import pair_policy
from tests.simulation.pair_world import PAIR
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, A, World, a_policy


def view_of(world: World, *, after: str = "") -> StatusView:
    return Status(
        policies=world.policies,
        controls=Controls(world.store),
        journal=world.journal,
        points=Points(world.store),
        slots=Slots(world.store),
        certificates=Certificates(world.store),
        leases=Leases(world.store, tokens=lambda: "never"),
        heartbeats=Heartbeats(world.store),
        failovers=Failovers(world.store),
        fleet=Fleet(world.store),
        clock=world.clock,
    ).view(after=after)


def disk(world: World, id_: str) -> DiskView:
    return next(one for one in view_of(world).disks if one.disk == id_)


def test_rpo_now_is_the_age_of_the_newest_usable_point() -> None:
    world = World()
    world.run_for(hours=2, minutes=20, prune=False)

    seen = disk(world, "d-a-data")
    assert seen.rpo_now == timedelta(minutes=20)
    assert seen.points == 2
    assert not seen.breached


def test_the_worst_rpo_remembers_points_that_prune_let_go() -> None:
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1))))
    world.run_for(hours=2, minutes=10)
    world.command(command="pause", scope="backups", because="test", by="li")
    world.run_for(hours=4)
    world.command(command="resume", scope="backups", by="li")
    world.run_for(hours=2, minutes=40)

    seen = disk(world, "d-a-sys")
    assert seen.points == 1
    assert seen.rpo_worst is not None
    assert timedelta(hours=5) <= seen.rpo_worst <= timedelta(hours=5, minutes=30)
    assert view_of(world).prune is not None


def test_a_disk_without_a_fresh_point_is_in_breach_and_the_skips_say_why() -> None:
    world = World(a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)
    world.command(command="pause", scope="all", because="migration", by="li")
    world.advance(hours=5)
    view = view_of(world)

    assert all(one.breached for one in view.disks)
    assert view.pauses[0].because == "migration (li)"
    assert "migration (li)" in render(view)


def test_operations_under_way_show_their_steps() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)

    (operation,) = view_of(world).operations
    assert operation.steps == ("bundle:1: done", "snapshot:i-app-a: done", "snapshot:i-app-b: done")
    assert "is due by schedule hourly" in operation.because


def test_before_the_first_point_the_page_says_that_there_is_none() -> None:
    assert "No restore point yet." in render(view_of(World()))


def test_the_page_only_reads_even_beside_a_pointer_that_a_crash_left() -> None:
    """Its role may delete nothing: one stale pointer must not cost the page."""
    world = World()
    left = Row(key=("back_up", "of-long-ago"), columns={"at": codec.moment(world.clock.now() - timedelta(days=9))})
    world.store.put("open_operations", left, condition=Anything())
    before = len(world.wire.labels)

    view_of(world)

    assert set(world.wire.labels[before:]) == {"store.get", "store.scan"}
    assert world.open_operations() == 1


def test_each_protection_shows_its_bound_with_the_reason_and_each_disk_its_level() -> None:
    world = World()
    world.run_for(hours=3, minutes=20, prune=False)
    view = view_of(world)

    bounds = {one.protection: one for one in view.bounds}
    assert bounds["applications"].at_most == timedelta(minutes=70)
    assert "a snapshot could be used at once (measured on 6 points)" in bounds["applications"].because
    assert "a snapshot took at most 2 min to become usable (measured on 3 points)" in bounds["masters"].because
    seen = disk(world, "d-a-data")
    assert (seen.level, seen.protections, seen.freshness) == ("crash", ("applications",), Freshness.FRESH)
    assert seen.rpo_bound == bounds["applications"].at_most


def test_freshness_goes_from_fresh_over_stale_to_critical_at_twice_the_target() -> None:
    world = World(a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)
    states = []
    for _ in range(3):
        states.append(disk(world, "d-a-data").freshness)
        world.advance(minutes=75)

    assert states == [Freshness.FRESH, Freshness.STALE, Freshness.CRITICAL]
    page = render(view_of(world))
    assert "4 critical" in page


def test_skips_are_counted_by_reason_without_their_particulars() -> None:
    world = World(a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)
    world.command(command="pause", scope="backups", because="migration", by="li")
    world.run_for(hours=3, prune=False)
    world.command(command="resume", scope="backups", by="li")
    world.run_for(hours=2, prune=False)

    (slots,) = view_of(world).slots
    assert slots.skipped == sum(slots.reasons.values()) > 0
    assert slots.reasons == {"paused": slots.skipped}
    assert f"{slots.skipped} paused" in render(view_of(world))


def test_copies_that_are_awaited_and_overdue_are_counted() -> None:
    rule = CopyRule(region="cn-beijing", keep=Retention(daily=7), within=timedelta(hours=2))
    world = World(a_policy(replace(APPLICATIONS, copies=(rule,))))
    taken = world.clock.now()
    world.advance(hours=5)
    made = [
        RestorePoint(
            id=f"p-{hour}",
            subject=A,
            slot=taken + timedelta(hours=hour),
            schedule="hourly",
            taken=taken + timedelta(hours=hour),
            usable=True,
            complete=True,
            disks=((DiskId("d-a-sys"), SnapshotId(f"s-{hour}")),),
            protection="applications",
            policy=PolicyVersion(1),
            copy_to=("cn-beijing",),
        )
        for hour in range(5)
    ]
    Points(world.store).put(made)
    Points(world.store).copied(made[0], "cn-beijing", because="it is complete")
    there = replace(made[0], id="p-0@cn-beijing", copy_of="p-0", copy_to=(), place=Place("cn-beijing"))
    Points(world.store).put([there])

    (copies,) = view_of(world).copies
    assert (copies.region, copies.waiting, copies.overdue) == ("cn-beijing", 4, 2)
    assert copies.oldest == taken + timedelta(hours=1)
    seen = disk(world, "d-a-sys")
    assert (seen.points, seen.copies) == (5, 1), "a copy is no point of its own at home"
    assert "Copies that are awaited" in render(view_of(world))


def a_fleet(world: World, count: int) -> None:
    now = world.clock.now()
    Points(world.store).put(
        RestorePoint(
            id="p",
            subject=InstanceId(f"i-{number:05}"),
            slot=now,
            schedule="hourly",
            taken=now,
            usable=True,
            complete=True,
            disks=((DiskId(f"d-{number:05}"), SnapshotId(f"s-{number}")),),
            protection="applications",
            policy=PolicyVersion(1),
        )
        for number in range(count)
    )


def test_a_large_fleet_is_shown_in_parts_and_each_says_what_it_leaves_out() -> None:
    world = World()
    a_fleet(world, 2 * SUBJECTS + 10)

    first = view_of(world)
    second = view_of(world, after=first.following)
    third = view_of(world, after=second.following)

    assert [len(one.disks) for one in (first, second, third)] == [SUBJECTS, SUBJECTS, 10]
    assert (first.after, first.following) == ("", f"i-{SUBJECTS - 1:05}")
    assert third.following == ""
    assert len({one.disk for view in (first, second, third) for one in view.disks}) == 2 * SUBJECTS + 10
    assert f"The next part: ?after={first.following}" in render(first)
    assert f"the instances behind {second.following}, to the end" in render(third)
    assert "disks on this page" in render(first)


def test_what_is_read_for_one_part_does_not_grow_with_the_fleet() -> None:
    reads = []
    for count in (SUBJECTS + 1, 10 * SUBJECTS):
        world = World()
        a_fleet(world, count)
        before = len(world.wire.labels)
        view_of(world)
        reads.append(len(world.wire.labels) - before)

    assert reads[0] == reads[1]


def test_a_long_history_of_one_instance_ends_its_part() -> None:
    """At five minutes a week is 2,016 slots of each instance, and what is older is not read at all."""
    world = World()
    now = world.clock.now()
    old = [
        Slot(
            subject=A,
            due=now - timedelta(minutes=5 * number),
            protection="applications",
            schedule="fine",
            state=SlotState.TAKEN,
            at=now,
            point=f"p-{number}",
            taken=now - timedelta(minutes=5 * number),
            disks=(DiskId("d-a-sys"),),
        )
        for number in range(9_000)
    ]
    Slots(world.store).put(old)

    (slots,) = view_of(world).slots
    assert slots.due == 7 * 288 + 1


def test_a_stretch_of_skipped_slots_counts_as_many_as_fell_into_the_window() -> None:
    often = Schedule(
        name="often", hours=tuple(range(24)), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC", every=timedelta(minutes=5)
    )
    world = World(a_policy(replace(APPLICATIONS, schedules=(often,))))
    world.advance(days=60)
    world.schedule()
    world.advance(minutes=3)

    (counted,) = view_of(world).slots

    assert counted.taken == 2  # of two instances
    assert counted.skipped == 7 * 288 - 1


def test_a_stretch_among_the_skips_says_how_many_slots_it_stands_for() -> None:
    world = World(a_policy(replace(APPLICATIONS, schedules=(replace(EVERY_HOUR, hours=(1,)),))))
    world.advance(days=6, hours=2)
    world.schedule()

    skips = view_of(world).skips

    assert [skip.due.day for skip in skips] == [7, 6, 5]
    assert skips[-1].because.endswith("stands in for it (4 slots since 2026-03-02 01:00Z)")


LOST_AT = datetime(2026, 3, 2, tzinfo=UTC)


def test_what_keeps_a_pair_from_failing_over_stands_on_the_page() -> None:
    lost = Failover(
        pair=PairName("control"), state=State.REPROTECTING, since=LOST_AT, because="", unprotected="hz-h",
        unprotected_since=LOST_AT, loss_s=3.5, surged="hz-i", short={"hz-i": "group asg-i may have 3 at most"},
    )  # fmt: skip

    unprotected, short, raised = warnings_of(lost)

    assert unprotected.startswith(f"unprotected since {LOST_AT:%Y-%m-%dT%H:%M:%SZ}: nothing moves to hz-h by itself")
    assert "up to 3.5 s of data were lost; runbook: pair-is-unprotected" in unprotected
    assert short == "hz-i is short of room: group asg-i may have 3 at most; runbook: capacity-is-short"
    assert raised.startswith("hz-i is raised")
    assert warnings_of(Failover(pair=PairName("control"), state=State.WATCHING, since=LOST_AT, because="")) == ()


def test_whoever_has_a_clock_that_is_ahead_is_not_shown_as_heard_just_now() -> None:
    world = World(replace(a_policy(APPLICATIONS), pairs=(pair_policy(),)))
    ahead = world.clock.now() + timedelta(hours=1)
    told = Heartbeats(world.store)
    told.beat(
        PAIR,
        Heartbeat(
            site=SiteName("hz-h"), sequence=1, run="r", at=ahead, active=True, epoch=Epoch(1), address="", ready=True
        ),
    )
    told.tick(PAIR, WatchBeat(site=SiteName("hz-h"), run="r", at=ahead))

    (pair,) = view_of(world).pairs

    assert str(pair.agents[0]) == "hz-h: active, ready, its clock is 3600 s ahead: when it was heard is not known"
    assert str(pair.watches[0]) == "hz-h: its clock is 3600 s ahead: when it ran is not known"
    assert not pair.watches[0].running


def test_a_pair_is_told_in_fields_for_whoever_counts_and_does_not_read_sentences() -> None:
    world = World(replace(a_policy(APPLICATIONS), pairs=(pair_policy(),)))
    well = view_of(world).pairs[0]
    assert (well.unprotected, well.unprotected_since, well.loss_s) == (None, None, None)
    assert (well.automatic_at, well.blocked_until, well.surged, well.short) == (None, None, None, ())

    now = world.clock.now()
    Failovers(world.store).save(
        Failover(
            pair=PAIR, state=State.REPROTECTING, since=now, because="", unprotected="hz-h", unprotected_since=now,
            loss_s=3.5, automatic_at=now, surged="hz-i", short={"hz-i": "group asg-i may have 3 at most"},
        )
    )  # fmt: skip
    (lost,) = json.loads(codec.dump(view_of(world)))["pairs"]

    assert (lost["failover"], lost["unprotected"], lost["loss_s"]) == ("reprotecting", "hz-h", 3.5)
    assert lost["unprotected_since"] == lost["automatic_at"] == codec.moment(now)
    assert lost["blocked_until"] == codec.moment(now + pair_policy().block)
    assert (lost["surged"], lost["short"]) == ("hz-i", ["hz-i"])


HELD = Epoch(4)


def a_pair_at_work(*, hz_h_said: timedelta, hz_h_active: bool = True) -> World:
    """hz-i holds epoch 4, taken over from hz-h, whose agent said its last word so long ago."""
    world = World(replace(a_policy(APPLICATIONS), pairs=(pair_policy(),)))
    now = world.clock.now()
    seen = Leases(world.store, tokens=lambda: "t").create(PAIR, SiteName("hz-i"), length=timedelta(seconds=5))
    row = world.store.get("leases", (PAIR,))
    assert row is not None
    assert seen.epoch == 1
    world.store.put("leases", replace(row, columns={**row.columns, "epoch": HELD}), condition=Anything())
    told = Heartbeats(world.store)
    for site, at, active, epoch in (("hz-h", now - hz_h_said, hz_h_active, 3), ("hz-i", now, True, HELD)):
        beat = Heartbeat(
            site=SiteName(site), sequence=1, run="r", at=at, active=active, epoch=Epoch(epoch), address="", ready=True
        )
        told.beat(PAIR, beat)
        told.tick(PAIR, WatchBeat(site=SiteName(site), run="r", at=now))
    return world


def test_a_side_that_died_while_it_was_active_is_not_shown_as_active() -> None:
    (pair,) = view_of(a_pair_at_work(hz_h_said=timedelta(seconds=85))).pairs

    assert [str(one) for one in pair.agents] == [
        "hz-h: said 85 s ago: active under epoch 3, ready",
        "hz-i: active, ready, heard 0 s ago",
    ]
    assert [one.doubted for one in pair.agents] == [True, False]
    assert pair.tone is Tone.WARN


def test_right_after_a_switchover_the_old_sides_last_word_is_told_as_one_of_before() -> None:
    (pair,) = view_of(a_pair_at_work(hz_h_said=timedelta(seconds=2))).pairs

    assert str(pair.agents[0]) == "hz-h: said 2 s ago: active under epoch 3, ready"


def test_a_pair_whose_both_sides_answer_is_well() -> None:
    (pair,) = view_of(a_pair_at_work(hz_h_said=timedelta(seconds=2), hz_h_active=False)).pairs

    assert str(pair.agents[0]) == "hz-h: standing by, ready, heard 2 s ago"
    assert pair.tone is Tone.GOOD


def test_a_damaged_lease_row_is_told_with_its_runbook_and_hides_nothing_else() -> None:
    world = a_pair_at_work(hz_h_said=timedelta(seconds=2), hz_h_active=False)
    row = world.store.get("leases", (PAIR,))
    assert row is not None
    columns = {name: value for name, value in row.columns.items() if name != "owner"}
    world.store.put("leases", replace(row, columns=columns), condition=Anything())

    view = view_of(world)
    (pair,) = view.pairs

    assert (pair.lease_owner, pair.lease_state, pair.tone) == (None, "damaged", Tone.BAD)
    assert "lease row of pair control is damaged" in pair.warnings[0]
    assert pair.warnings[0].endswith("; runbook: lease-row-missing")
    assert view.bounds
    assert "lease row of pair control is damaged" in render(view)


def test_an_agent_that_never_told_anything_is_named() -> None:
    world = World(replace(a_policy(APPLICATIONS), pairs=(pair_policy(),)))

    (pair,) = view_of(world).pairs

    assert [str(one) for one in pair.agents] == ["hz-h: its agent was never heard", "hz-i: its agent was never heard"]
    assert pair.tone is Tone.BAD


def test_a_block_that_keeps_a_second_failover_back_is_told_with_the_command_that_lifts_it() -> None:
    moved = Failover(pair=PairName("control"), state=State.WATCHING, since=LOST_AT, because="", automatic_at=LOST_AT)

    (said,) = warnings_of(moved, blocked=LOST_AT + timedelta(hours=1))

    assert said == (
        "no second failover by itself before 2026-03-02T01:00:00Z: it moved by itself at 2026-03-02T00:00:00Z; "
        "`understudy acknowledge control` lifts that"
    )
