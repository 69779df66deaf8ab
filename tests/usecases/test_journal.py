"""Claims and compare-and-set: who may execute an operation, and what happens to those who may not any more."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.errors import Conflict, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import OperationId, PolicyVersion
from shared.domain.operation import Operation, OperationKind, OperationState, StepState
from shared.state.journal import FORGET_AFTER, Claim
from shared.usecases.operations import (
    CLAIM_FOR,
    Done,
    Executor,
    NotOurs,
    Outcome,
    Refused,
    Resume,
    Work,
    intended,
)
from tests.usecases.backup_world import World

ID = OperationId("back_up/web/hourly/2026-03-02T01:00:00Z")


def an_operation(world: World) -> Operation:
    return Operation(
        id=ID,
        kind=OperationKind.BACK_UP,
        subject="web",
        state=OperationState.OPEN,
        created=world.clock.now(),
        policy=PolicyVersion(1),
        because="test",
        inputs={},
    )


class Recipe:
    kind = OperationKind.BACK_UP

    def __init__(self, advance: Callable[[Work], Outcome]) -> None:
        self._advance = advance

    def advance(self, work: Work) -> Outcome:
        return self._advance(work)


def run(world: World, advance: Callable[[Work], Outcome], owner: str = "one") -> Outcome:
    return Executor(world.journal, world.clock).run(ID, {OperationKind.BACK_UP: Recipe(advance)}, owner=owner)


def claim(world: World, owner: str) -> Claim:
    taken = world.journal.claim(ID, owner, CLAIM_FOR)
    assert taken is not None
    return taken


def test_opening_twice_gives_the_same_operation_as_it_stands() -> None:
    world = World()
    world.journal.open(an_operation(world))
    claim(world, "one")

    again = world.journal.open(replace(an_operation(world), because="a doubled tick"))

    assert (again.because, again.version) == ("test", 2)


def test_a_second_executor_gets_no_claim_until_the_first_one_ran_out() -> None:
    world = World()
    world.journal.open(an_operation(world))
    claim(world, "one")

    assert world.journal.claim(ID, "two", CLAIM_FOR) is None
    world.advance(minutes=11, seconds=1)
    claim(world, "two")


def test_a_claim_stops_allowing_effects_before_others_may_take_over() -> None:
    world = World()
    world.journal.open(an_operation(world))
    held = claim(world, "one")

    assert held.allows(timedelta(seconds=30))
    world.advance(minutes=10, seconds=31)
    assert not held.allows(timedelta(seconds=30))
    assert world.journal.claim(ID, "two", CLAIM_FOR) is None  # there is a gap between ours ending and theirs beginning


def test_whoever_lost_the_claim_meets_a_conflict_at_the_next_save() -> None:
    world = World()
    world.journal.open(an_operation(world))
    first = claim(world, "one")
    world.advance(minutes=12)
    claim(world, "two")

    with pytest.raises(Conflict):
        world.journal.record(first, first.operation)


@pytest.mark.parametrize("applied", [True, False], ids=["applied", "not applied"])
def test_a_claim_whose_answer_was_lost_is_settled_by_reading_back(applied: bool) -> None:
    world = World()
    world.journal.open(an_operation(world))
    lost: list[int] = []

    def trouble(number: int, label: str, after: bool) -> None:
        if label == "store.update" and after is applied and not lost:
            lost.append(number)
            raise OutcomeUnknown("UpdateRow: no answer")

    world.wire.trouble = trouble
    held = claim(world, "one")

    assert held.operation.version == 2
    assert world.journal.load(ID).version == 2


def test_a_pointer_whose_operation_never_came_is_swept_when_it_is_old() -> None:
    world = World()

    def dies(number: int, label: str, after: bool) -> None:
        if label == "store.put" and after:
            raise Retryable("the process died after the pointer")

    world.wire.trouble = dies
    with pytest.raises(Retryable):
        world.journal.open(an_operation(world))
    world.wire.trouble = lambda number, label, after: None

    assert list(world.journal.open_of(OperationKind.BACK_UP)) == []
    assert world.open_operations() == 1  # it may still be on its way
    world.advance(days=FORGET_AFTER.days, seconds=1)
    assert list(world.journal.open_of(OperationKind.BACK_UP, sweep=False)) == []
    assert world.open_operations() == 1  # who may only read leaves it to others
    assert list(world.journal.open_of(OperationKind.BACK_UP)) == []
    assert world.open_operations() == 0


def test_a_transient_failure_resumes_with_what_was_learnt_and_lets_go_of_the_claim() -> None:
    world = World()
    world.journal.open(an_operation(world))

    def throttled(work: Work) -> Outcome:
        work.intend(intended("step", "token", world.clock.now()))
        raise Retryable("Throttling", retry_after=timedelta(seconds=42))

    outcome = run(world, throttled)

    assert outcome == Resume(after=timedelta(seconds=42), because="Throttling")
    assert [step.state for step in world.journal.load(ID).steps] == [StepState.INTENDED]
    assert run(world, lambda work: Done(), owner="two") == Done()


def test_a_refusal_ends_the_operation_and_is_remembered() -> None:
    world = World()
    world.journal.open(an_operation(world))

    def refuses(work: Work) -> Outcome:
        raise Permanent("DescribeDisks: InvalidParameter")

    assert run(world, refuses) == Refused(because="DescribeDisks: InvalidParameter")
    assert world.journal.load(ID).state is OperationState.REFUSED
    assert world.open_operations() == 0
    assert isinstance(run(world, lambda work: Done()), NotOurs)


def test_steps_that_an_earlier_run_left_intended_are_marked_as_inherited() -> None:
    world = World()
    world.journal.open(an_operation(world))
    seen: list[frozenset[str]] = []

    def intends(work: Work) -> Outcome:
        seen.append(work.inherited)
        if not work.operation.steps:
            work.intend(intended("step", "token", world.clock.now()))
        return Resume(after=timedelta(0), because="later")

    run(world, intends)
    run(world, intends, owner="two")

    assert seen == [frozenset(), frozenset({"step"})]
