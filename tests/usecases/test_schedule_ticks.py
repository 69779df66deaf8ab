"""Ticks of the scheduler as stories: lost, doubled, slow and dying ones, pauses, blackouts and long absences."""

import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.policy import Blackout, Schedule
from shared.state.controls import Controls
from shared.state.slots import Slot, SlotState
from tests.usecases.accounts import Books
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, MASTERS, START, A, Died, World, a_policy

EVERY_DAY = (1, 2, 3, 4, 5, 6, 7)
FIVE_MINUTES = Schedule(
    name="often", hours=tuple(range(24)), weekdays=EVERY_DAY, zone="UTC", every=timedelta(minutes=5)
)
OFTEN = a_policy(replace(APPLICATIONS, schedules=(FIVE_MINUTES,)))
NIGHT = Blackout(name="night", zone="UTC", weekdays=EVERY_DAY, begins=22 * 60, ends=90)
WITH_NIGHT = a_policy(replace(APPLICATIONS, blackouts=(NIGHT,)))


def skipped(world: World) -> list[Slot]:
    return sorted((slot for slot in world.slots() if slot.state is SlotState.SKIPPED), key=lambda slot: slot.due)


def taken(world: World, subject: str = A) -> list[tuple[int, str]]:
    """Hour at which each slot was due, and how it ended."""
    ours = [slot for slot in world.slots() if slot.subject == subject and slot.state is not SlotState.SKIPPED]
    return [(slot.due.hour, slot.state.value) for slot in ours]


# -- long absences ---------------------------------------------------------------------------------------------------


def test_four_hundred_days_at_five_minutes_cost_a_few_batches() -> None:
    world = World(OFTEN)
    books = Books(world, OFTEN)
    world.advance(days=400)
    before = len(world.wire.labels)

    ticked = world.schedule()

    calls = Counter(world.wire.labels[before:])
    assert ticked.skipped == 400 * 288 - 1
    assert len(world.slots()) == 3 * 288  # each of the last three days, and one row for all before
    assert calls["store.put_many"] == 2  # the rows, and the decision
    assert calls.total() < 12
    world.advance(minutes=3)
    assert books.balance().balanced


def test_an_absence_of_years_is_accounted_for_by_several_ticks() -> None:
    world = World(OFTEN)
    books = Books(world, OFTEN)
    world.advance(days=1000)

    opened = [len(world.schedule().opened) for _ in range(3)]

    world.advance(minutes=3)
    assert opened == [0, 0, 1]
    assert books.balance().balanced
    assert books.balance().due == 1000 * 288


def test_a_tick_with_nothing_due_writes_nothing_even_in_a_blackout() -> None:
    world = World(WITH_NIGHT)
    world.run_for(minutes=20, prune=False)
    before = len(world.wire.labels)

    world.schedule()

    assert world.wire.labels[before:] == ["store.scan", "store.get"]


# -- ticks that die, linger or are doubled ----------------------------------------------------------------------------


def calls_of_a_tick() -> int:
    world = World()
    world.advance(hours=3, minutes=1)
    before = len(world.wire.labels)
    world.schedule()
    return len(world.wire.labels) - before


def disturbed(deed: Callable[[World], None], at: int, *, after: bool = False) -> tuple[World, Books]:
    """Three hours without a tick; then one, and `deed` before (or behind) its call number `at`."""
    world = World()
    books = Books(world, a_policy())
    world.advance(hours=3, minutes=1)
    start = len(world.wire.labels)

    def trouble(number: int, label: str, behind: bool) -> None:
        if number == start + at and behind is after:
            world.wire.trouble = lambda number, label, after: None
            deed(world)

    world.wire.trouble = trouble
    world.invoke(world.schedule)
    world.wire.trouble = lambda number, label, after: None
    return world, books


def much_slower(world: World) -> None:
    """The tick stands still for three hours, and another comes and goes meanwhile."""
    world.advance(hours=3)
    world.schedule()


def dies(_: World) -> None:
    raise Died


def test_a_tick_that_was_overtaken_by_hours_decides_nothing_a_second_time() -> None:
    for at in range(calls_of_a_tick()):
        world, books = disturbed(much_slower, at)
        world.advance(hours=1)
        world.run_for(minutes=20, prune=False)

        assert books.balance().balanced, (at, books.balance())
        assert len(world.slots()) == len({(slot.subject, slot.due) for slot in world.slots()})


@pytest.mark.parametrize("after", [False, True])
def test_what_a_dying_tick_decided_is_carried_out_though_the_policy_changed_or_backups_were_paused(after: bool) -> None:
    changed = a_policy(replace(APPLICATIONS, schedules=(replace(EVERY_HOUR, minute=30),)))
    for at in range(calls_of_a_tick()):
        for paused in (False, True):
            world, books = disturbed(dies, at, after=after)
            books.apply(changed)
            if paused:
                books.pause()
                world.advance(minutes=5)
                world.schedule()
                books.resume()
            world.run_for(minutes=20, prune=False)

            assert books.balance().balanced, (at, paused, books.balance())


def test_two_decisions_that_nobody_carried_out_are_both_carried_out() -> None:
    """A tick dies behind its cursor, then an apply does."""
    world, books = disturbed(dies, 2, after=True)  # its compare-and-set on the first cursor
    world.advance(hours=2)
    other = a_policy(replace(APPLICATIONS, schedules=(replace(EVERY_HOUR, minute=30),)), MASTERS)
    start = len(world.wire.labels)

    def trouble(number: int, label: str, after: bool) -> None:
        if number > start and label == "store.put_many":
            raise Died

    world.wire.trouble = trouble
    with pytest.raises(Died):
        books.apply(other)
    world.wire.trouble = lambda number, label, after: None
    world.advance(minutes=5)
    books.apply(other)
    world.run_for(minutes=20, prune=False)

    assert [slot.due.hour for slot in skipped(world) if slot.subject == "applications"] == [1, 2, 4, 5]
    assert taken(world) == [(3, "late")]


def test_a_cursor_that_a_wrong_clock_moved_ahead_is_told_at_every_tick(caplog: pytest.LogCaptureFixture) -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    Controls(world.store).advance("applications/hourly", seen=START, to=START + timedelta(days=3))

    with caplog.at_level(logging.INFO, logger="understudy"):
        ticked = world.schedule()

    assert ticked.opened == ()
    assert [record.getMessage() for record in caplog.records] == ["cursor.ahead"]


# -- pauses ----------------------------------------------------------------------------------------------------------


def test_a_resume_runs_nothing_before_the_next_due_time() -> None:
    world = World(a_policy(APPLICATIONS))
    world.run_for(minutes=50, prune=False)
    world.command(command="pause", scope="backups", because="migration", by="li")
    world.advance(minutes=15)
    world.command(command="resume", scope="backups", by="li")

    world.run_for(minutes=50, prune=False)

    assert world.in_cloud() == []
    assert [slot.because for slot in skipped(world)] == ["paused from 2026-03-02T00:50:00Z: migration (li)"]
    world.run_for(minutes=20, prune=False)
    assert taken(world) == [(2, "taken")]


def test_a_slot_that_was_missed_before_the_pause_does_not_run_at_the_resume_either() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1, minutes=2)
    world.command(command="pause", scope="backups", because="migration", by="li")
    world.advance(minutes=15)
    world.command(command="resume", scope="backups", by="li")

    world.run_for(minutes=30, prune=False)

    assert world.in_cloud() == []
    assert [slot.because for slot in skipped(world)] == [
        "missed, then paused from 2026-03-02T01:02:00Z: migration (li)"
    ]


def test_pauses_that_follow_each_other_without_a_tick_are_each_remembered() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(minutes=50)
    for because in ("first", "second", "third"):
        world.command(command="pause", scope="backups", because=because, by="li")
        world.advance(hours=1)
        world.command(command="resume", scope="backups", by="li")
        world.advance(minutes=1)

    world.schedule()

    assert [(slot.due.hour, slot.because.split(": ")[1]) for slot in skipped(world)] == [
        (1, "first (li)"),
        (2, "second (li)"),
        (3, "third (li)"),
    ]
    assert world.in_cloud() == []


def test_only_so_many_past_pauses_are_kept() -> None:
    world = World(a_policy(APPLICATIONS))
    for number in range(30):
        world.command(command="pause", scope="backups", because=str(number), by="li")
        world.advance(seconds=10)
        world.command(command="resume", scope="backups", by="li")

    past = Controls(world.store).read().past_pauses

    assert [pause.because for pause in past] == [f"{number} (li)" for number in range(10, 30)]


# -- blackouts -------------------------------------------------------------------------------------------------------


def test_slots_in_a_blackout_are_skipped_as_they_fall_due_and_each_says_which() -> None:
    world = World(WITH_NIGHT)
    world.run_for(days=1, hours=2, prune=False)

    assert [hour for hour, _ in taken(world)] == [*range(2, 22), 2]
    assert [slot.due.hour for slot in skipped(world)] == [1, 22, 23, 0, 1]
    assert skipped(world)[1].because == "blackout night, from 2026-03-02 22:00Z to 2026-03-03 01:30Z"


def test_a_slot_that_was_due_before_the_blackout_runs_behind_it_late() -> None:
    world = World(WITH_NIGHT)
    books = Books(world, WITH_NIGHT)
    world.advance(hours=21, minutes=58)  # no tick came for 02:00 to 21:00
    world.run_for(hours=3, minutes=30, prune=False)  # to 01:28
    assert world.in_cloud() == []
    assert skipped(world) == []

    world.run_for(minutes=20, prune=False)

    assert taken(world) == [(21, "late")]
    reasons = Counter(slot.because.split(",")[0].split(":")[0] for slot in skipped(world))
    assert reasons == {"blackout night": 5, "missed": 19}
    assert books.balance().balanced


def test_a_blackout_holds_once_between_two_moments() -> None:
    once = Blackout(name="move", zone="UTC", since=START + timedelta(hours=2), until=START + timedelta(hours=4))
    world = World(a_policy(replace(APPLICATIONS, blackouts=(once,))))

    world.run_for(hours=5, minutes=10, prune=False)

    assert [hour for hour, _ in taken(world)] == [1, 4, 5]
    assert [slot.due.hour for slot in skipped(world)] == [2, 3]


def test_a_backup_asked_for_by_hand_is_taken_in_a_blackout() -> None:
    """Whoever asks has a reason; the schedule goes on as if nothing were."""
    world = World(WITH_NIGHT)
    world.advance(minutes=10)

    world.command(command="back_up", protection="applications", by="li")
    world.advance(minutes=10)

    assert taken(world) == [(0, "taken")]
