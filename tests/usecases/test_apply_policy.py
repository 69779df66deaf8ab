"""Policy versions are numbered, immutable, and active one at a time."""

from dataclasses import replace

import pytest

from shared.domain.errors import BadInput, Conflict
from shared.domain.policy import Policy, Retention
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.apply_policy import Applied, ApplyPolicy
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, MASTERS, A, B, Died, World, a_policy


def apply(world: World, policy: Policy) -> Applied:
    return ApplyPolicy(
        policies=Policies(world.store),
        controls=Controls(world.store),
        slots=Slots(world.store),
        decisions=Decisions(world.store),
        clock=world.clock,
    ).run(policy, by="test")


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
