"""Interruptions of restores. A rollback of a member of a scaling group behind a balancer is interrupted at every call;
other kinds here at every call that changes the cloud, and everywhere by `python -m tests.usecases.restore_sweep`."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from tests.usecases.recovery_world import TICK
from tests.usecases.restore_stage import RestoreWorld
from tests.usecases.restore_sweep import KINDS, ending, play, reads, swept

PARTS = 4


@pytest.mark.timeout(300)
@pytest.mark.parametrize("part", range(PARTS))
def test_a_rollback_survives_every_interruption(part: int) -> None:
    count, wrong = swept(KINDS["rollback"], part=part, of=PARTS)

    assert wrong == []
    print(f"{count} interruptions of a rollback (part {part + 1} of {PARTS})")


@pytest.mark.timeout(180)
@pytest.mark.parametrize("kind", [name for name in KINDS if name != "rollback"])
def test_every_kind_survives_interruptions_of_what_it_changes(kind: str) -> None:
    count, wrong = swept(KINDS[kind], only_effects=True)

    assert wrong == []
    assert count > 12
    print(f"{count} interruptions of {kind}")


# -- an executor that froze ----------------------------------------------------------------------------------------


def changes_the_cloud(label: str) -> bool:
    return not reads(label) and not label.startswith(("store.", "functions."))


def frozen(world: RestoreWorld, at: int) -> Callable[[int, str, bool], None]:
    """The executor that made call `at` hears its answer only after others have finished the operation."""
    still = True

    def trouble(number: int, label: str, after: bool) -> None:
        nonlocal still
        if number == at and after and still:
            still = False
            end = world.clock.now() + timedelta(minutes=30)
            while world.clock.now() < end:
                world.cloud.clock.advance(TICK)
                world.invoke(world.recover_tick)

    return trouble


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["rollback", "clone", "replace", "undo-half-way"])
def test_an_executor_that_thaws_after_others_finished_does_no_harm(kind: str) -> None:
    calm, first = play(KINDS[kind])
    wanted = ending(calm)
    count, wrong = 0, []
    for at in range(first, len(calm.wire.labels)):
        label = calm.wire.labels[at]
        if kind != "rollback" and not any(changes_the_cloud(one) for one in calm.wire.labels[at : at + 2]):
            continue
        world = KINDS[kind].build()
        world.wire.trouble = frozen(world, at)
        KINDS[kind].ask(world)
        world.run_recovery(minutes=60)
        count += 1
        found: dict[str, Any] = ending(world)
        if found != wanted:
            wrong.append(
                (at - first, label, {key: (found[key], wanted[key]) for key in wanted if found[key] != wanted[key]})
            )

    assert wrong == []
    print(f"{count} freezes of {kind}")
