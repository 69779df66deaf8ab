"""The deployed handlers against a cloud that throttles, and against their own budget: everything ends, with few calls
wasted, and the store is asked seldom."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import functions.backup as backup
import functions.prune as prune
import functions.schedule as schedule
from emulator.faults.fault import Fault
from emulator.testing import Local, mock_aliyun
from shared.adapters.ots import OtsTables
from shared.domain.policy import ApiLimits, Policy, Retention
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.apply_policy import ApplyPolicy
from shared.wiring import foundation
from tests.functions.test_backup_functions import TICK, call
from tests.functions.wired import environment_of, forget, use
from tests.usecases.backup_world import APPLICATIONS, SEED, a_policy

GROUP, DISK = "CreateSnapshotGroup", "CreateSnapshot"


class Wired:
    def __init__(self, local: Local) -> None:
        self.local = local

    def apply(self, policy: Policy) -> None:
        store = foundation.store()
        foundation.clock().sync()
        ApplyPolicy(
            policies=Policies(store),
            controls=Controls(store),
            slots=Slots(store),
            decisions=Decisions(store),
            clock=foundation.clock(),
        ).run(policy, by="test")

    def due(self) -> list[str]:
        self.local.advance(3600)
        return list(call(schedule, TICK)["opened"])

    def run(self, *operations: str) -> dict[str, str]:
        ended: dict[str, str] = {}
        for operation in operations:
            ended |= call(backup, {"operation": operation})["operations"]
        return ended

    def fault(self, **how: Any) -> None:
        self.local.run(lambda: self.local.cloud.faults.add_all([Fault(**how)]))

    def calls(self, *actions: str, service: str = "ecs") -> int:
        entries = self.local.run(lambda: list(self.local.cloud.requests.entries))
        return sum(1 for one in entries if one.service == service and (not actions or one.action in actions))

    def forget_calls(self) -> None:
        self.local.run(self.local.cloud.requests.entries.clear)


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Wired]:
    seed = tmp_path / "small.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed) as local:
        use(monkeypatch, environment_of(local))
        configured = foundation.configuration()
        OtsTables(
            endpoint=configured.ots_endpoint, instance=configured.ots_instance, credentials=foundation.credentials
        ).create_tables()
        yield Wired(local)
        forget()


def test_a_throttled_operation_costs_one_call_a_minute_and_ends(wired: Wired) -> None:
    wired.apply(a_policy(APPLICATIONS))
    [operation] = wired.due()
    wired.fault(kind="throttle", action=GROUP)  # until the minute is over
    for _ in range(5):
        assert wired.run(operation) == {operation: "resume"}
    assert wired.calls(GROUP) == 1

    wired.local.advance(60)
    assert wired.run(operation) == {operation: "resume"}
    assert wired.calls(GROUP) == 2
    wired.local.advance(300)
    assert wired.run(operation) == {operation: "done"}
    assert {slot.state.value for slot in Slots(foundation.store()).all()} == {"taken"}


def test_other_instances_of_the_function_hear_of_it(wired: Wired) -> None:
    wired.apply(a_policy(APPLICATIONS))
    [operation] = wired.due()
    wired.fault(kind="throttle", action=GROUP)
    wired.run(operation)
    forget()  # as a fresh instance begins

    wired.run(operation)

    assert wired.calls(GROUP) == 1


def test_a_throttled_listing_is_no_empty_inventory(wired: Wired) -> None:
    wired.apply(a_policy(APPLICATIONS))
    [operation] = wired.due()
    wired.fault(kind="throttle", action="DescribeInstances")

    assert wired.run(operation) == {operation: "resume"}

    wired.local.advance(60)
    assert wired.run(operation) == {operation: "resume"}
    assert wired.calls(GROUP) == 1


def test_our_own_budget_spreads_a_wave_over_minutes(wired: Wired) -> None:
    """Two protections, and a budget of one call a minute for each of the actions that make snapshots."""
    tight = ApiLimits(actions={GROUP: 1, DISK: 1}, reserve_percent=0)
    wired.apply(replace(a_policy(), limits=tight))
    for _ in range(2):
        operations = wired.due()
        assert set(wired.run(*operations).values()) == {"resume"}
        for _ in range(3):
            wired.run(*operations)
            assert wired.calls(GROUP) <= 1
            assert wired.calls(DISK) <= 1
        wired.forget_calls()
        wired.local.advance(600)
        assert set(wired.run(*operations).values()) == {"done"}


def test_prune_under_a_throttle_comes_again_and_ends(wired: Wired) -> None:
    wired.apply(a_policy(replace(APPLICATIONS, keep=Retention(last=1))))
    for _ in range(3):
        [operation] = wired.due()
        wired.run(operation)
        wired.local.advance(300)
        wired.run(operation)
    wired.fault(kind="throttle", action="DeleteSnapshot*")
    timer = (Path(__file__).resolve().parents[2] / "events" / "timer-prune.json").read_bytes()

    call(prune, timer)
    wasted = wired.calls("DeleteSnapshot", "DeleteSnapshotGroup")
    assert 1 <= wasted <= 2
    wired.local.advance(60)
    call(prune, timer)

    left = wired.local.run(lambda: len(wired.local.cloud.ecs.snapshots.shelf.by_id))
    assert left == 4


def test_what_the_budget_costs_at_the_store(wired: Wired) -> None:
    """For each hundred calls of one action six calls of the store; see `test_pacing`. Here the other end: a small
    operation by a fresh instance, which asks for each of its actions once."""
    wired.apply(a_policy(APPLICATIONS))
    [operation] = wired.due()
    wired.forget_calls()
    wired.run(operation)
    entries = wired.local.run(lambda: list(wired.local.cloud.requests.entries))
    actions = {one.action for one in entries if one.service == "ecs"}
    windows = {row.key[1]: row.columns["taken"] for row in foundation.store().scan("budgets", ())}

    assert windows == dict.fromkeys(actions, 21)  # a tenth of 70 percent of 300 each: one read, one write
