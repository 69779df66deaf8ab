"""Minutes in which a watch did not run are told: by the other one while it lasts, and by itself when it is back."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from shared.domain.decision import Decision
from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import SiteName
from shared.observability.view import WatchView
from shared.ports.store import Anything, Condition, Row
from shared.state.heartbeats import AWAY, TABLE, WATCH, Heartbeats, WatchBeat
from tests.simulation.executors import MINUTE, Timers
from tests.simulation.failover_world import FailoverWorld, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import EPOCH, Faults, Rows, World

Open = Callable[..., tuple[FailoverWorld, Timers]]


@pytest.fixture
def opened() -> Iterator[Open]:
    worlds: list[World] = []

    def build(*, away: tuple[SiteName, ...], since: float, until: float) -> tuple[FailoverWorld, Timers]:
        """The triggers of `away` are lost between two moments (s)."""
        world = World(1, Faults.none())
        worlds.append(world)
        pair = FailoverWorld(world, restarts=0.0).open(watches=())
        timers = Timers(pair)
        fire = timers._invoke

        def unless_lost(site: SiteName, trigger_time: datetime | None) -> None:
            if not (site in away and since <= world.now < until):
                fire(site, trigger_time)

        timers._invoke = unless_lost  # type: ignore[method-assign]  # the one place that all triggers pass
        for site in (H, I):
            timers.begin(site, first=30)
        return pair, timers

    yield build
    for world in worlds:
        world.end()


def told(pair: FailoverWorld, event: str) -> list[Decision]:
    return [one for one in pair.decisions() if one.event == event]


def away(decision: Decision) -> tuple[float, float]:
    """Seconds of the world."""
    return (
        (datetime.fromisoformat(decision.inputs["from"]) - EPOCH).total_seconds(),
        (datetime.fromisoformat(decision.inputs["to"]) - EPOCH).total_seconds(),
    )


def test_when_both_watches_were_away_each_says_so_once_it_is_back_and_only_once(opened: Open) -> None:
    pair, _ = opened(away=(H, I), since=100, until=300)
    pair.world.run(600)

    absences = told(pair, "watch.was_away")
    assert sorted(one.inputs["witness"] for one in absences) == [H, I]
    for one in absences:
        began, over = away(one)
        assert 85 < began < 100
        assert 325 < over < 340
        assert not one.acted
        assert "nobody looked from here" in one.because[0]


def test_a_lost_trigger_leaves_a_minute_without_a_look_and_is_told(opened: Open) -> None:
    pair, _ = opened(away=(H,), since=85, until=95)
    pair.world.run(300)

    [one] = told(pair, "watch.was_away")
    assert one.inputs["witness"] == H
    assert away(one)[1] - away(one)[0] == pytest.approx(2 * MINUTE, abs=3)


def test_watches_that_tick_every_minute_were_not_away(opened: Open) -> None:
    pair, timers = opened(away=(), since=0, until=0)
    timers.triggers.late, timers.triggers.late_seconds, timers.triggers.doubled = 0.5, 20.0, 0.5
    pair.world.run(900)

    assert told(pair, "watch.was_away") == []


def test_two_ticks_that_come_back_together_tell_it_once() -> None:
    beats = Heartbeats(TruthStore(Rows()))
    beats.tick(PAIR, beat("before", 0))
    late = AWAY.total_seconds() + 1
    first = beats.tick(PAIR, beat("first", late))
    second = beats.tick(PAIR, beat("second", late + 0.1))

    assert first is not None
    assert (first.away_from, first.away_to) == (beat("", 0).at, first.at)
    assert second is not None
    assert second.away_to == first.at, "kept for the page, and of another tick's telling"
    assert second.away_to != second.at


def test_a_tick_that_was_overtaken_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    store = TruthStore(Rows())
    beats = Heartbeats(store)
    beats.tick(PAIR, beat("before", 0))
    write = store.put

    def overtaken(table: str, row: Row, *, condition: Condition) -> None:
        monkeypatch.undo()
        other = beats.tick(PAIR, beat("other", 200))
        assert other is not None
        write(table, row, condition=condition)

    monkeypatch.setattr(store, "put", overtaken)

    assert beats.tick(PAIR, beat("slow", 201)) is None
    assert beats.watches(PAIR)[H].run == "other"


def test_a_write_whose_answer_was_lost_is_still_told(monkeypatch: pytest.MonkeyPatch) -> None:
    store = TruthStore(Rows())
    beats = Heartbeats(store)
    beats.tick(PAIR, beat("before", 0))
    write = store.put

    def lost(table: str, row: Row, *, condition: Condition) -> None:
        write(table, row, condition=condition)
        raise OutcomeUnknown("no answer")

    monkeypatch.setattr(store, "put", lost)
    written = beats.tick(PAIR, beat("back", 200))

    assert written is not None
    assert written.away_to == written.at


def test_a_damaged_row_of_a_tick_is_replaced() -> None:
    store = TruthStore(Rows())
    store.put(TABLE, Row(key=(PAIR, f"{WATCH}{H}"), columns={"body": "not json"}), condition=Anything())

    assert Heartbeats(store).tick(PAIR, beat("next", 200)) == beat("next", 200)


def test_the_page_says_when_a_watch_was_last_away() -> None:
    view = WatchView(site=H, heard=timedelta(seconds=12), running=True)
    gone = replace(view, away_from=EPOCH, away_to=EPOCH + timedelta(minutes=4))

    assert str(view) == "hz-h: runs, last tick 12 s ago"
    assert str(gone) == "hz-h: runs, last tick 12 s ago; was away 2026-03-02 00:00:00 to 00:04:00 UTC"


def beat(run: str, seconds: float) -> WatchBeat:
    return WatchBeat(site=H, run=run, at=EPOCH + timedelta(seconds=seconds))
