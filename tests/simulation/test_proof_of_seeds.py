"""Drawn bad days, proved by the offline checker from what masters, watches and agents wrote and what the names' trail
would say: it accuses nobody wrongly, and finds what is planted into each of them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from shared.domain.ids import Epoch, HolderId, SiteName
from shared.state import codec
from shared.state.decisions import Decisions
from tests.simulation.failover_world import FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR
from tests.simulation.seeds import ENDS_WITHIN, _Rest
from tests.simulation.trouble import troubled
from tests.simulation.world import EPOCH, ProcessClock
from understudy import checker_cross as cross
from understudy.agent.record import Record, Tell
from understudy.checker import Line, Proof, prove
from understudy.checker_exports import Change, Decided, Export, decided

SEEDS = range(40)
NAME = "master.corp.example"
SKEW = 3700.0  # seconds: watches' wall clocks are drawn an hour wrong
START = EPOCH.timestamp()
A_YEAR = 366 * 86400.0  # after all that happens, whatever a clock says


@dataclass(frozen=True)
class Day:
    """What was written on it."""

    lines: list[Line]
    decisions: Export[Decided]
    trail: Export[Change]

    def proof(self, *planted: Line) -> Proof:
        lines = [*self.lines, *planted]
        proof = prove(lines)
        proof.add(cross.granted(lines, self.decisions, skew=SKEW))
        proof.add(cross.named(self.decisions, self.trail, skew=SKEW))
        proof.add(cross.silenced(lines, self.decisions, self.trail, skew=SKEW))
        return proof


def telling(pair: FailoverWorld, unit: SiteName, clock: ProcessClock) -> Tell:
    record = Record(
        Decisions(TruthStore(pair.rows)), pair=PAIR, site=unit, holder=HolderId(unit), run="agent", clock=clock
    )

    def tell(event: str, epoch: Epoch, because: str, began: datetime | None) -> None:
        record.tell(event, epoch, because, began)
        record.write()

    return tell


def lived(seed: int, monkeypatch: pytest.MonkeyPatch) -> Day:
    monkeypatch.setattr(FailoverWorld, "tells", telling)
    pair, trouble = troubled(seed)
    _Rest(pair, trouble)
    try:
        pair.world.run(trouble.draw.trouble + ENDS_WITHIN)
        return Day(accepts(pair), decisions(pair), trail(pair))
    finally:
        pair.world.end()


def accepts(pair: FailoverWorld) -> list[Line]:
    return [
        Line(f"log:{n}", "accepted", f"c{n}", one.site, one.unit, int(one.epoch), one.until, START + one.until)
        for n, one in enumerate(pair.accepted)
    ]


def decisions(pair: FailoverWorld) -> Export[Decided]:
    found = [json.loads(codec.dump(one)) for one in pair.decisions()]
    told = sorted((decided(f"decisions:{n}", one) for n, one in enumerate(found)), key=lambda one: one.at)
    # The trail below is of this one name, whatever others the pair has.
    return export([replace(one, names={NAME: one.names[NAME]} if NAME in one.names else {}) for one in told])


def trail(pair: FailoverWorld) -> Export[Change]:
    told: list[Change] = []
    for number, one in enumerate(pair.bindings):
        before = told[-1].value if told else ""
        told.append(Change(f"trail:{number}", START + one.at, "update", NAME, one.value, "", before=before))
    return Export(
        of=PAIR, lines=tuple(told), complete=True, since=None, until=START + pair.world.now + SKEW, names=(NAME,)
    )


def export(lines: Sequence[Decided]) -> Export[Decided]:
    return Export(of=PAIR, lines=tuple(lines), complete=True, since=None, until=START + A_YEAR)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_bad_day_is_proved_and_what_is_planted_into_it_is_found(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    day = lived(seed, monkeypatch)

    proof = day.proof()
    # A watch that was frozen between its look and its write may bind an old value; the next rounds mend that.
    assert [one for one in proof.violations if not one.endswith("a late write")] == []
    assert proof.unproved == []
    assert proof.foreign == []

    first, last = day.lines[0], day.lines[-1]
    assert day.proof(planted(last, epoch=last.epoch + 7)).unproved, "an epoch that nobody was granted"
    other = "hz-i" if last.site == "hz-h" else "hz-h"
    assert day.proof(planted(last, site=other)).violations, "an epoch of somebody else"
    if first.epoch < last.epoch:
        assert day.proof(planted(last, site=first.site, epoch=first.epoch)).violations, "an epoch that is over"


def planted(at: Line, *, site: str = "", epoch: int = 0) -> Line:
    wall = None if at.wall is None else at.wall + 1
    return Line(
        "planted", "accepted", "planted", site or at.site, site or at.instance, epoch or at.epoch, at.at + 1, wall
    )
