"""While a new version is deployed, an older watch may write the row of a failover: it keeps what it does not know."""

import json
from dataclasses import replace

from shared.domain.failover_fsm import State
from shared.domain.ids import Epoch, PairName
from shared.ports.store import Anything, Matches, Row
from shared.state.failovers import TABLE, Failover, Failovers
from tests.simulation.failover_world import FailoverWorld, TruthStore
from tests.simulation.pair_world import H
from tests.simulation.world import EPOCH, Faults, Rows, World

PAIR = PairName("control")
NEWER = {"weights_before": {"i-1": 40}, "told": "x"}


def stored(state: State) -> tuple[Failovers, Rows]:
    """A row as a newer version has written it."""
    rows = Rows()
    failovers = Failovers(TruthStore(rows))
    failovers.save(Failover(pair=PAIR, state=state, since=EPOCH, because="test", epoch=Epoch(4)))
    body = json.loads(str(rows.table(TABLE)[(PAIR,)]["body"])) | NEWER
    TruthStore(rows).put(
        TABLE, Row(key=(PAIR,), columns={"version": 1, "body": json.dumps(body)}), condition=Matches({"version": 1})
    )
    return failovers, rows


def written(rows: Rows) -> dict[str, object]:
    found: dict[str, object] = json.loads(str(rows.table(TABLE)[(PAIR,)]["body"]))
    return found


def test_what_a_newer_version_wrote_outlives_every_state_of_the_same_failover() -> None:
    failovers, rows = stored(State.FENCING)
    found = failovers.of(PAIR, now=EPOCH)
    for state in (State.FENCING, State.PROMOTING, State.REBINDING, State.CONFIRMING, State.WATCHING, State.SUSPECTING):
        found = failovers.save(replace(found, state=state, epoch=Epoch(5)))
        assert NEWER.items() <= written(rows).items(), state

    assert failovers.of(PAIR, now=EPOCH) == found
    assert "unread" not in written(rows)


def test_a_failover_that_begins_forgets_what_told_of_the_one_before() -> None:
    failovers, rows = stored(State.WATCHING)
    begun = failovers.save(replace(failovers.of(PAIR, now=EPOCH), state=State.FENCING))

    assert not NEWER.keys() & written(rows).keys()
    assert begun.unread == ""
    assert failovers.save(replace(begun, state=State.PROMOTING)).unread == ""


def test_a_row_of_this_version_holds_nothing_more_than_before() -> None:
    rows = Rows()
    failovers = Failovers(TruthStore(rows))
    saved = failovers.save(Failover(pair=PAIR, state=State.WATCHING, since=EPOCH, because="test"))

    assert failovers.of(PAIR, now=EPOCH) == saved
    assert "unread" not in written(rows)


def test_a_state_of_a_newer_version_keeps_an_older_watch_from_acting_and_it_says_so() -> None:
    world = World(1, Faults.none())
    try:
        pair = FailoverWorld(world, restarts=0.0).open()

        def newer_state() -> None:
            body = {"pair": PAIR, "state": "a state of tomorrow", "since": "2026-03-02T00:00:00Z", "because": "x"}
            row = Row(key=(PAIR,), columns={"version": 7, "body": json.dumps(body)})
            TruthStore(pair.rows).put(TABLE, row, condition=Anything())

        pair.at(9.0, newer_state)
        pair.at(10.0, lambda: pair.go_dark(H))
        world.run(60)

        assert pair.rebinds == []
        assert pair.active() == set()
        withheld = [one for one in pair.decisions() if one.event == "failover.withheld"]
        assert any("stored Failover cannot be read" in " ".join(one.because) for one in withheld)
        assert pair.rows.table(TABLE)[(PAIR,)]["version"] == 7
    finally:
        world.end()
