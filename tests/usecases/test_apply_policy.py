"""Policy versions are numbered, immutable, and active one at a time."""

from dataclasses import replace

import pytest

from shared.domain.errors import BadInput, Conflict
from shared.domain.policy import Policy, Retention
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from shared.usecases.apply_policy import Applied, ApplyPolicy
from tests.usecases.backup_world import APPLICATIONS, A, Died, World, a_policy


def apply(world: World, policy: Policy) -> Applied:
    return ApplyPolicy(
        policies=Policies(world.store),
        controls=Controls(world.store),
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


def test_a_head_that_names_no_version_is_refused() -> None:
    world = World()
    world.store.delete("policies", ("understudy", "00000001"), condition=Anything())

    with pytest.raises(BadInput, match="policy version 1 is not in the state store"):
        Policies(world.store).active()
