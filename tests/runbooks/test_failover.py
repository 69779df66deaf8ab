"""Runbooks of failover, followed to the letter: each in the trouble that it is about, which is over at its end."""

from collections.abc import Callable
from typing import Any

import pytest

from shared.domain.failover_fsm import State
from shared.domain.pair import Fence, FenceBy
from shared.ports.store import Anything
from shared.wiring import foundation
from tests.runbooks.book import procedures
from tests.runbooks.conftest import Open
from tests.runbooks.stage import Stage
from tests.simulation.pair_world import PAIR, H, I

LOSS = 10.0
Trouble = Callable[[Stage], None]


def add(stage: Stage, **record: object) -> None:
    fields: dict[str, Any] = {"rr": "master", "type": "A", "value": "10.9.9.9", "ttl": 5, **record}
    stage.wired.run(lambda: stage.wired.cloud.pvtz.add_record("z-t", **fields))


def drop(stage: Stage) -> None:
    (record,) = stage.records()
    stage.wired.run(lambda: stage.wired.cloud.pvtz.delete_record(int(record.record_id)))


def replaced_by_cname(stage: Stage) -> None:
    drop(stage)
    add(stage, type="CNAME", value="elsewhere.example")


def disabled(stage: Stage) -> None:
    (record,) = stage.records()
    stage.wired.run(lambda: stage.wired.cloud.pvtz.set_status(int(record.record_id), "DISABLE"))


def remarked(stage: Stage) -> None:
    (record,) = stage.records()
    stage.wired.run(lambda: stage.wired.cloud.pvtz.set_remark(int(record.record_id), "epoch=9"))


def without_a_zone(stage: Stage) -> None:
    stage.wired.run(lambda: stage.wired.cloud.pvtz.delete_zone("z-t"))


NAMES: dict[str, Trouble] = {
    "no-record": drop,
    "several-records": add,
    "another-type": replaced_by_cname,
    "disabled": disabled,
    "newer-remark": remarked,
    "no-zone": without_a_zone,
}


@pytest.mark.parametrize("situation", NAMES)
def test_a_name_that_could_not_be_moved_is_moved_once_it_is_mended(open_stage: Open, situation: str) -> None:
    stage = open_stage()
    stage.run(LOSS)
    NAMES[situation](stage)
    stage.pair.go_dark(H)
    stage.run_until(lambda: stage.pair.failover().state is State.NEEDS_OPERATOR)
    assert "name-cannot-be-rebound" in " ".join(stage.pair.decisions()[-1].because), stage.pair.events()
    assert stage.pair.rebinds == []

    last = stage.follow(procedures("name-cannot-be-rebound")[situation], ADDRESS="10.0.2.21", N="2")

    stage.run_until(lambda: stage.serves(I))
    assert stage.serves(I), stage.told()
    assert last.code == 0, stage.told()


def test_a_lease_row_that_was_deleted_is_written_anew(open_stage: Open) -> None:
    stage = open_stage()
    stage.run(LOSS)
    foundation.store().delete("leases", (PAIR,), condition=Anything())
    stage.run_until(lambda: stage.pair.failover().state is State.NEEDS_OPERATOR)
    assert "lease-row-missing" in " ".join(stage.pair.decisions()[-1].because)

    last = stage.follow(procedures("lease-row-missing")["restore"], SITE="hz-h", N="9")

    stage.run_until(lambda: stage.serves(H))
    assert stage.serves(H), stage.told()
    assert last.code == 0, stage.told()


STANDBY: dict[str, Trouble] = {
    "agent-is-gone": lambda stage: stage.pair.dead.add(I),
    "master-is-ill": lambda stage: stage.pair.unready.add(I),
    "by-hand": lambda stage: stage.pair.dead.add(I),
}


@pytest.mark.parametrize("situation", STANDBY)
def test_a_standby_that_was_not_ready_is_brought_back_and_takes_over(open_stage: Open, situation: str) -> None:
    stage = open_stage()
    STANDBY[situation](stage)
    stage.run(LOSS)
    stage.pair.go_dark(H)
    stage.run_until(lambda: stage.pair.failover().state is State.NEEDS_OPERATOR)
    assert "standby-is-not-ready" in " ".join(stage.pair.decisions()[-1].because)

    last = stage.follow(procedures("standby-is-not-ready")[situation], MASTER="i-master-i")

    stage.run_until(lambda: stage.serves(I))
    assert stage.serves(I), stage.told()
    assert last.code == 0, stage.told()


def test_a_blocked_pair_is_moved_this_once(open_stage: Open) -> None:
    stage = open_stage(block=3600.0, watches=(H, I))
    stage.run(LOSS)
    stage.pair.go_dark(H)
    stage.run_until(lambda: stage.serves(I))
    stage.pair.lighten(H)
    stage.run(10)
    stage.pair.go_dark(I)
    stage.run_until(lambda: stage.pair.failover().state is State.BLOCKED)

    last = stage.follow(procedures("standby-is-not-ready")["blocked"], SITE="hz-h")

    stage.run_until(lambda: stage.serves(H))
    assert stage.serves(H), stage.told()
    assert last.code == 0, stage.told()


def silent(stage: Stage) -> None:
    """Its zone, to the cloud as well: its machines say what they last said."""
    stage.pair.go_dark(H)
    stage.wired.run(lambda: stage.wired.cloud.zones.set_dark("cn-hangzhou-h", True))


@pytest.mark.parametrize("situation", ["seen-to-be-off", "stopped-by-hand"])
def test_an_old_side_that_cannot_be_shown_to_be_off_is_dealt_with(open_stage: Open, situation: str) -> None:
    stage = open_stage(rules={"fence": Fence(by=FenceBy.STOP)})
    stage.run(LOSS)
    if situation == "seen-to-be-off":
        silent(stage)
    else:
        stage.pair.go_dark(H)
        stage.may_not.add("stop")
    stage.run_until(lambda: stage.pair.failover().state is State.NEEDS_OPERATOR, within=120)
    assert "old-side-cannot-be-fenced" in " ".join(stage.pair.decisions()[-1].because)
    assert stage.pair.rebinds == []

    last = stage.follow(procedures("old-side-cannot-be-fenced")[situation], SITE="hz-i", INSTANCE="i-master-h")

    stage.run_until(lambda: stage.serves(I))
    assert stage.serves(I), stage.told()
    assert last.code == 0, stage.told()
