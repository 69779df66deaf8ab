"""Policy versions are numbered, immutable, and active one at a time."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import BadInput, Conflict
from shared.domain.policy import Blackout, Retention
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.policies import Policies
from shared.usecases.apply_policy import Applied
from tests.usecases.accounts import Books, apply
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, MASTERS, A, B, Died, World, a_policy

OTHER = a_policy(replace(APPLICATIONS, keep=Retention(last=9)))


def test_an_unchanged_policy_keeps_its_number_and_a_changed_one_gets_the_next() -> None:
    world = World()

    assert apply(world, a_policy()) == Applied(version=1, changed=False)  # type: ignore[arg-type]
    assert apply(world, OTHER) == Applied(version=2, changed=True)  # type: ignore[arg-type]
    assert apply(world, a_policy()) == Applied(version=3, changed=True)  # type: ignore[arg-type]
    assert Policies(world.store).at(apply(world, OTHER).version) == OTHER


def test_two_applies_at_once_leave_one_winner_and_tell_the_other() -> None:
    world = World()

    def another_first(number: int, label: str, after: bool) -> None:
        if label == "store.put" and not after:
            world.wire.trouble = lambda number, label, after: None
            apply(world, OTHER)

    world.wire.trouble = another_first
    with pytest.raises(Conflict, match="another `understudy apply`"):
        apply(world, a_policy(replace(APPLICATIONS, keep=Retention(last=5))))
    assert Policies(world.store).active()[1] == OTHER


def test_a_crash_anywhere_leaves_the_old_or_the_new_policy_and_a_repetition_ends_it() -> None:
    calls = World()
    before = len(calls.wire.labels)
    apply(calls, OTHER)
    for at in range(before, len(calls.wire.labels)):
        for behind in (False, True):
            world = World()

            def dies(number: int, label: str, after: bool, at: int = at, behind: bool = behind) -> None:
                if number == at and after is behind:
                    raise Died

            world.wire.trouble = dies
            with pytest.raises(Died):
                apply(world, OTHER)
            assert Policies(world.store).active()[1] in (a_policy(), OTHER)
            apply(world, OTHER)
            assert Policies(world.store).active()[1] == OTHER


def test_a_schedules_slots_count_from_the_moment_its_policy_was_applied() -> None:
    world = World(a_policy())
    world.advance(minutes=58)
    apply(world, a_policy(APPLICATIONS))
    world.advance(minutes=4)

    world.schedule()
    world.advance(minutes=10)

    assert [slot.state.value for slot in world.slots() if slot.subject == A] == ["taken"]


def test_a_schedule_that_was_away_owes_nothing_for_that_time() -> None:
    world = World(a_policy(APPLICATIONS, MASTERS))
    world.run_for(hours=2, minutes=10, prune=False)
    apply(world, a_policy(MASTERS))
    world.run_for(days=5, prune=False)
    before = len([slot for slot in world.slots() if slot.subject == A])

    apply(world, a_policy(APPLICATIONS, MASTERS))
    world.run_for(minutes=55, prune=False)

    states = [slot.state.value for slot in world.slots() if slot.subject == A]
    assert (before, states) == (2, ["taken"] * 3)


def test_new_times_count_from_now_and_what_the_old_ones_owed_is_recorded() -> None:
    daily = replace(EVERY_HOUR, hours=(1,))
    world = World(a_policy(replace(APPLICATIONS, schedules=(daily,))))
    world.advance(hours=20)  # no tick came for 01:00

    apply(world, a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)

    assert [(slot.subject, slot.due.hour, slot.state.value) for slot in world.slots()] == [
        ("applications", 1, "skipped"),
        (A, 21, "taken"),
        (B, 21, "taken"),
    ]


def test_an_apply_that_died_after_its_cursors_is_ended_by_the_next_one() -> None:
    calls = World(a_policy(MASTERS))
    before = len(calls.wire.labels)
    apply(calls, a_policy(APPLICATIONS, MASTERS))
    for at in range(before, len(calls.wire.labels)):
        world = World(a_policy(APPLICATIONS, MASTERS))
        apply(world, a_policy(MASTERS))
        world.advance(days=3)
        shift = len(world.wire.labels) - before

        def dies(number: int, label: str, after: bool, at: int = at + shift) -> None:
            if number == at and after:
                raise Died

        world.wire.trouble = dies
        with pytest.raises(Died):
            apply(world, a_policy(APPLICATIONS, MASTERS))
        world.wire.trouble = lambda number, label, after: None
        world.advance(hours=3)
        apply(world, a_policy(APPLICATIONS, MASTERS))
        world.run_for(hours=1, minutes=10, prune=False)
        states = [slot.state.value for slot in world.slots() if slot.subject == A]
        assert states[-1] == "taken"
        assert len(states) <= 4  # from the first apply on, at most


def test_a_head_that_names_no_version_is_refused() -> None:
    world = World()
    world.store.delete("policies", ("understudy", "00000001"), condition=Anything())

    with pytest.raises(BadInput, match="policy version 1 is not in the state store"):
        Policies(world.store).active()


def test_a_policy_applied_twice_moves_no_cursor_and_owes_nothing() -> None:
    world = World()
    world.advance(hours=1, minutes=1)
    before = Controls(world.store).read().cursors

    apply(world, a_policy())

    assert Controls(world.store).read().cursors == before
    world.schedule()
    world.advance(minutes=5)
    assert {slot.state.value for slot in world.slots()} == {"taken"}


def test_a_renamed_protection_counts_from_now_and_the_old_name_keeps_its_history() -> None:
    world = World(a_policy(APPLICATIONS))
    books = Books(world, a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)
    world.advance(hours=2)  # no tick for 02:00 and 03:00

    books.apply(a_policy(replace(APPLICATIONS, name="servers")))
    world.run_for(hours=1, prune=False)

    ends = [(slot.protection, slot.due.hour, slot.state.value) for slot in world.slots()]
    assert sorted(set(ends)) == [
        ("applications", 1, "taken"),
        ("applications", 2, "skipped"),
        ("applications", 3, "skipped"),
        ("servers", 4, "taken"),
    ]
    assert books.balance().balanced


def test_what_a_removed_schedule_owed_for_a_year_is_one_row() -> None:
    often = replace(EVERY_HOUR, every=timedelta(minutes=5))
    world = World(a_policy(replace(APPLICATIONS, schedules=(often,)), MASTERS))
    world.advance(days=365)
    before = len(world.wire.labels)

    apply(world, a_policy(MASTERS))

    rows = [slot for slot in world.slots() if slot.protection == "applications"]
    assert sum(slot.count for slot in rows) == 365 * 288
    assert len(rows) == 3 * 288 + 1
    assert {slot.because for slot in rows} == {"the schedule was removed, or its times changed, before a tick took it"}
    assert len(world.wire.labels) - before < 20


def test_an_added_blackout_holds_from_the_next_tick_on_and_moves_no_cursor() -> None:
    night = Blackout(name="night", zone="UTC", weekdays=(1, 2, 3, 4, 5, 6, 7), begins=60, ends=150)
    world = World(a_policy(APPLICATIONS))
    books = Books(world, a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)

    books.apply(a_policy(replace(APPLICATIONS, blackouts=(night,))))
    world.run_for(hours=2, prune=False)

    ends = [(slot.due.hour, slot.state.value) for slot in world.slots() if slot.subject in (A, "applications")]
    assert sorted(ends) == [(1, "taken"), (2, "skipped"), (3, "taken")]
    assert not books.balance().missing


def test_an_apply_does_not_lose_the_slot_that_a_dying_tick_had_decided_to_take() -> None:
    world = World(a_policy(APPLICATIONS))
    books = Books(world, a_policy(APPLICATIONS))
    world.advance(hours=1, minutes=1)

    def dies_behind_its_cursor(number: int, label: str, after: bool) -> None:
        if label == "store.put" and after:
            raise Died

    world.wire.trouble = dies_behind_its_cursor
    world.invoke(world.schedule)
    world.wire.trouble = lambda number, label, after: None
    books.apply(a_policy(replace(APPLICATIONS, schedules=(replace(EVERY_HOUR, minute=30),))))
    world.run_for(minutes=15, prune=False)

    assert [(slot.due.hour, slot.state.value) for slot in world.slots() if slot.subject == A] == [(1, "taken")]
    assert books.balance().balanced
