"""A watch that could not read the store counts none of that time against a holder that may be cut off as well."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import Retryable
from shared.domain.ids import Epoch
from shared.domain.lease import Lease, Sighting
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.usecases.failover.witness import Witness
from tests.agent.test_holder import PAIR, TERMS, H, Hands, Table
from tests.simulation.failover_world import TruthStore, pair_policy
from tests.simulation.world import Rows

LEASE = Lease.first(PAIR, H, token="t", length=TERMS.lease)


def test_a_gap_moves_the_beginning_of_the_watching_and_never_beyond_now() -> None:
    sighting = Sighting.first(LEASE, returned=100.0)

    assert sighting.then(LEASE, returned=110.0, gap=timedelta(seconds=4)).since == 104.0
    assert sighting.then(LEASE, returned=110.0, gap=timedelta(seconds=40)).since == 110.0
    assert sighting.then(LEASE, returned=110.0) is sighting


@pytest.mark.parametrize("changed", [{"version": 2}, {"epoch": Epoch(2)}, {"owner": "hz-i"}])
def test_a_change_begins_the_watching_anew_whatever_the_gap(changed: dict[str, Any]) -> None:
    sighting = Sighting.first(LEASE, returned=100.0)

    assert sighting.then(replace(LEASE, **changed), returned=110.0, gap=timedelta(seconds=9)).since == 110.0


class Cut(Leases):
    away = False

    def read(self, pair: Any) -> Lease | None:
        if self.away:
            raise Retryable("no answer")
        return super().read(pair)


def watching(rounds: Sequence[tuple[float, bool]]) -> tuple[Sighting, Witness, Hands]:
    """What is seen of a row that nobody changes. `rounds`: seconds that pass before each, and whether the store is away
    in it."""
    table = Table()
    table.agent("a")[0].step()
    leases = Cut(TruthStore(table.rows), tokens=str)
    nothing: Any = None
    witness = Witness(
        pair=pair_policy(),
        site=H,
        leases=leases,
        heartbeats=Heartbeats(TruthStore(Rows())),
        agents=nothing,
        inventory=nothing,
        balancer=None,
        clock=table.clock,
        aside=lambda look: look(),
    )
    sighting = witness.read_lease()
    for seconds, away in rounds:
        table.clock.at += seconds
        leases.away = away
        if away:
            with pytest.raises(Retryable):
                witness.read_lease()
        else:
            sighting = witness.read_lease()
    assert sighting is not None
    return sighting, witness, table.clock


@pytest.mark.parametrize(
    ("rounds", "credited"),
    [
        ([(1, False)] * 4, 0.0),
        ([(4, False)], 0.0),
        ([(1, True), (1, False)], 0.0),
        ([(1, True)] * 4 + [(1, False)], 5.0),
        ([(1, True)] * 4 + [(1, False), (1, False), (1, True), (1, True), (2, False)], 9.0),
    ],
    ids=["no gap", "slow rounds without a failure", "one lost call", "a cut", "two cuts"],
)
def test_only_cuts_are_credited(rounds: list[tuple[float, bool]], credited: float) -> None:
    sighting, _, _ = watching(rounds)

    assert sighting.since == 100.0 + credited


def test_after_a_cut_the_holder_has_the_rest_of_its_lease_to_renew() -> None:
    sighting, witness, clock = watching([(1, False), (1, True), (1, True), (1, True), (1, True), (1, False)])

    assert not sighting.takeable(clock.at, witness.terms), "five seconds of watching were not watched"
    assert sighting.expires_at(witness.terms) == clock.at + 4.0
