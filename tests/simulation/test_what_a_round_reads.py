"""What a watch asks of the state store does not grow with what other functions keep there."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.ids import PolicyVersion
from shared.ports.store import Absent, Row
from shared.state.controls import CURSOR, TABLE, Controls, Decided, Pause
from tests.simulation.failover_world import FailoverWorld, TruthStore
from tests.simulation.pair_world import H, I
from tests.simulation.world import EPOCH, Faults, Rows, World

SCHEDULES = 5_000
Count = Callable[[int], Counter[str]]


class CountedRows(Rows):
    """Counts the rows that reads bring, by table; a read that brings none counts as one, as it is paid for."""

    def __init__(self) -> None:
        super().__init__()
        self.read: Counter[str] = Counter()

    def get(self, table: str, key: Any) -> Row | None:
        self.read[table] += 1
        return super().get(table, key)

    def scan(self, table: str, prefix: Any, **how: Any) -> list[Row]:
        found = super().scan(table, prefix, **how)
        self.read[table] += max(1, len(found))
        return found


@pytest.fixture
def counted() -> Iterator[Count]:
    """Rows read in a minute of a pair that is well, with that many schedules in the same region."""
    worlds: list[World] = []

    def run(schedules: int) -> Counter[str]:
        world = World(1, Faults.none())
        worlds.append(world)
        rows = CountedRows()
        pair = FailoverWorld(world, rows=rows, restarts=0.0)
        for number in range(schedules):
            key = (f"{CURSOR}protection-{number}/hourly",)
            rows.write(TABLE, Row(key=key, columns={"at": "2026-03-02T00:00:00.000000Z"}), Absent(), keep=False)
        pair.open(watches=(H, I))
        rows.read.clear()
        world.run(60)
        assert pair.active() == {H}
        return rows.read

    yield run
    for world in worlds:
        world.end()


def test_schedules_make_no_round_dearer(counted: Count) -> None:
    none, many = counted(0), counted(SCHEDULES)

    assert many == none
    assert none[TABLE] < 120, "a few short reads in every fifth round of two watches"


def test_a_watch_reads_what_stops_it_and_nothing_else() -> None:
    rows = CountedRows()
    controls = Controls(TruthStore(rows))
    for scope in ("failover", "failover/control", "switch/control", "backups"):
        controls.pause(Pause(scope=scope, since=EPOCH, because="test"))
    controls.pause(Pause(scope="all", since=EPOCH, because="over"))
    controls.resume("all", EPOCH + timedelta(minutes=1))  # leaves a past pause, whose rows stand beside
    controls.acknowledge("control", EPOCH)
    controls.say("a", "b")
    decided = [Decided(protection="p", schedule="s", policy=PolicyVersion(1), at=EPOCH)]
    for number in range(SCHEDULES):
        assert controls.advance(f"p-{number}/s", seen=None, to=EPOCH, decided=decided)
    rows.read.clear()

    standing = controls.watched()

    assert rows.read[TABLE] == 5
    everything = controls.read()
    assert (standing.pauses, standing.acknowledged) == (everything.pauses, everything.acknowledged)
    assert sorted(standing.pauses) == ["backups", "failover", "failover/control", "switch/control"]
