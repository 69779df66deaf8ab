"""Whatever is delayed, lost, stopped or cut off: commands are never accepted by two sites at once."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown
from shared.domain.ids import Epoch
from shared.domain.lease import Grant, Lease, Sighting, Terms
from shared.ports.store import Anything, Condition, Row
from shared.state.leases import TABLE, Leases, _columns
from tests.simulation.pair_world import PAIR, TERMS, Defects, H, PairWorld
from tests.simulation.world import Faults, World
from understudy.agent.holder import Holder

SEEDS = 320
SECONDS = 40.0


def lived(seed: int, defects: Defects | None = None, *, faults: Faults | None = None) -> PairWorld:
    world = World(seed, faults)
    pair = PairWorld(world, defects=defects or Defects()).build()
    try:
        world.run(SECONDS)
    finally:
        world.end()
    return pair


def test_no_seed_shows_two_sites_active_at_once() -> None:
    accepted = take_overs = withdrawn = 0
    for seed in range(SEEDS):
        pair = lived(seed)
        overlap = pair.overlap()
        assert not overlap, "\n".join([f"seed {seed}: {overlap}", *pair.world.trace])
        accepted += len(pair.accepted)
        take_overs += pair.take_overs
        withdrawn += pair.withdrawn
    # The seeds must have been worth something.
    assert accepted > SEEDS * 20
    assert take_overs > SEEDS / 2
    assert withdrawn > 10


def test_without_faults_the_preferred_site_is_active_and_stays_so() -> None:
    world = World(1, Faults.none())
    pair = PairWorld(world, restarts=0.0).build()
    try:
        world.run(30)
    finally:
        world.end()

    assert {one.site for one in pair.accepted} == {"hz-h"}
    assert {one.epoch for one in pair.accepted} == {1}
    assert pair.take_overs == 0


class CountsFromTheReply(Holder):
    def _renew(self, lease: Lease) -> None:
        renewed = self._leases.renew(lease, length=self._terms.lease)
        self._hold(renewed, self._clock.monotonic())


class TrustsUnknownOutcomes(Leases):
    def _write(self, lease: Lease, condition: Condition) -> Lease:
        try:
            return super()._write(lease, condition)
        except OutcomeUnknown:
            return lease


class WritesWithoutCondition(Leases):
    def _write(self, lease: Lease, condition: Condition) -> Lease:
        self._store.put(TABLE, Row(key=(lease.pair,), columns=_columns(lease)), condition=Anything())
        return lease


class ReleasesBeforeItRevokes(Holder):
    def give_up(self, because: str) -> Epoch:
        """Marks the epoch as given up, but leaves the master its deadline."""
        with self._gate:
            self._given_up = Epoch(max(self._given_up, self._grant.epoch))
            return self._given_up


class RenewsWhatItGaveUp(Holder):
    """Releases the lease, and then goes on counting on the old deadline."""

    def _stand_by(self, lease: Lease | None) -> None:
        return

    def give_up(self, because: str) -> Epoch:
        with self._gate:
            self._given_up = Epoch(max(self._given_up, self._grant.epoch))
        return self._given_up


class ActiveBeforeItsFirstRenewal(Holder):
    """After a start it believes the row instead of renewing it."""

    def _renew(self, lease: Lease) -> None:
        self._hold(lease, self._clock.monotonic())


NO_MARGIN = Terms(lease=timedelta(seconds=5), margin=timedelta(milliseconds=1), renew_every=timedelta(seconds=1))
FAST_AND_SLOW = Faults(
    delay=0.02,
    slow=0.0,
    slow_seconds=0.0,
    lost_reply=0.0,
    lost_request=0.0,
    pause=0.0,
    pause_seconds=0.0,
    outage=0.04,
    drift=0.1,
)

PLANTED: dict[str, tuple[Defects, Faults | None]] = {
    "holder counts from the reply": (Defects(holder=CountsFromTheReply), None),
    "holder trusts an unknown outcome": (Defects(leases=TrustsUnknownOutcomes), None),
    "writes without a condition": (Defects(leases=WritesWithoutCondition), None),
    "releases before it revokes": (Defects(holder=ReleasesBeforeItRevokes), None),
    "never revokes": (Defects(holder=RenewsWhatItGaveUp), None),
    "active before its own renewal": (Defects(holder=ActiveBeforeItsFirstRenewal), None),
    "master without a second look": (Defects(second_look=False), None),
    "taker waits for 60 % of the lease": (Defects(taker_waits=0.6), None),
    "taker counts from the start of its read": (Defects(since_start_of_read=True), None),
    "clock that stands still while stopped": (Defects(counts_suspension=False), None),
    "no margin for clocks of different speed": (Defects(terms=NO_MARGIN), FAST_AND_SLOW),
}


@pytest.mark.parametrize("planted", PLANTED.values(), ids=PLANTED.keys())
def test_a_broken_guard_is_caught(planted: tuple[Defects, Faults | None], monkeypatch: Any) -> None:
    defects, faults = planted
    if defects.taker_waits < 1:
        # The holder's own terms in the row would save a hasty taker.
        monkeypatch.setattr(Sighting, "expires_at", lambda self, terms: self.since + terms.lease.total_seconds())
    caught = next((seed for seed in range(400) if lived(seed, defects, faults=faults).overlap()), None)

    assert caught is not None, "no seed of 400 noticed"


def test_with_the_margin_those_clocks_are_harmless() -> None:
    for seed in range(60):
        pair = lived(seed, Defects(terms=TERMS), faults=FAST_AND_SLOW)
        assert not pair.overlap(), "\n".join([str(seed), pair.overlap(), *pair.world.trace])


def test_a_grant_ends_a_margin_before_the_lease_it_counts_on() -> None:
    lease = Lease.first(PAIR, H, token="t", length=TERMS.lease)

    assert Grant.of_renewal(lease, started=100.0, terms=TERMS).until == 104.0
