"""The arithmetic of `pair_cost` against what the real watches and agents ask for in ten virtual minutes of calm."""

from collections import Counter
from typing import Any

import pytest

from shared.domain.pair_cost import BEAT_EVERY, usage
from shared.ports.store import Anything, Condition, Row
from tests.simulation.executors import Timers
from tests.simulation.failover_world import FailoverWorld, pair_policy
from tests.simulation.pair_world import H, I
from tests.simulation.sites import SimNames
from tests.simulation.world import Faults, Rows, World

SECONDS = 600.0


class Billed(Rows):
    """Counts capacity units as Tablestore bills them; rows here are smaller than 4 KB each."""

    def __init__(self) -> None:
        super().__init__()
        self.units: Counter[str] = Counter()

    def get(self, table: str, key: Any) -> Row | None:
        self.units["read"] += 1
        return super().get(table, key)

    def scan(self, table: str, prefix: Any, **how: Any) -> list[Row]:
        self.units["read"] += 1
        return super().scan(table, prefix, **how)

    def write(self, table: str, row: Row, condition: Condition, *, keep: bool) -> None:
        self.units["read"] += not isinstance(condition, Anything)
        self.units["write"] += 1
        super().write(table, row, condition, keep=keep)


def test_a_calm_pair_uses_what_its_cost_says(monkeypatch: pytest.MonkeyPatch) -> None:
    listed: list[float] = []
    real = SimNames.records

    def counting(self: SimNames, **of: str) -> Any:
        listed.append(world.now)
        return real(self, **of)

    monkeypatch.setattr(SimNames, "records", counting)
    world, rows = World(1, Faults.none()), Billed()
    try:
        pair = FailoverWorld(world, rows=rows, restarts=0.0).open(watches=())
        timers = Timers(pair, fresh=0.0)  # one that has just started looks more often
        for site in (H, I):
            timers.begin(site, first=20)
        world.run(400)
        rows.units.clear()
        listed.clear()
        world.run(SECONDS)
        assert pair.active() == {H}
    finally:
        world.end()

    used = usage(pair_policy())
    beats = 2 / BEAT_EVERY.total_seconds()  # agents of this world write none
    assert rows.units["read"] / SECONDS == pytest.approx(used.read_units - beats, rel=0.1)
    assert rows.units["write"] / SECONDS == pytest.approx(used.write_units - beats, rel=0.1)
    assert len(listed) / SECONDS == pytest.approx(used.name_calls, rel=0.15)
