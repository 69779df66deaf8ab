"""Whatever is delayed, lost, stopped or cut off: commands are never accepted by two sites at once."""

import contextlib
from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import OutcomeUnknown, Permanent
from shared.domain.lease import Grant, Lease, LeaseState, Sighting, Terms
from shared.ports.store import Anything, Condition, Row
from shared.state.leases import TABLE, Leases, _columns
from tests.guards import Caught
from tests.simulation.pair_world import PAIR, TERMS, Defects, H, PairWorld
from tests.simulation.world import Faults, World
from understudy.agent.holder import Holder

SEEDS = 320
SECONDS = 40.0


def lived(
    seed: int,
    defects: Defects | None = None,
    *,
    faults: Faults | None = None,
    twins: bool = False,
    board_fails: float = 0.0,
) -> PairWorld:
    world = World(seed, faults)
    pair = PairWorld(world, defects=defects or Defects(), twins=twins, board_fails=board_fails).build()
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


def test_a_role_file_that_cannot_be_written_lets_nobody_in_too_early() -> None:
    accepted = 0
    for seed in range(80):
        pair = lived(seed, board_fails=0.8)
        assert not pair.overlap(), "\n".join([f"seed {seed}: {pair.overlap()}", *pair.world.trace])
        accepted += len(pair.accepted)
    assert accepted > 80 * 5


def test_two_machines_of_one_site_are_never_both_active() -> None:
    accepted: set[str] = set()
    for seed in range(80):
        pair = lived(seed, twins=True)
        assert not pair.overlap(), "\n".join([f"seed {seed}: {pair.overlap()}", *pair.world.trace])
        accepted |= {one.unit for one in pair.accepted}
    assert accepted == {"hz-h", "hz-h-twin", "hz-i", "hz-i-twin"}


def test_of_two_machines_that_start_together_one_serves_and_the_other_waits_for_ever() -> None:
    world = World(1, Faults.none())
    pair = PairWorld(world, restarts=0.0, twins=True).build()
    try:
        world.run(30)
    finally:
        world.end()

    assert len({one.unit for one in pair.accepted}) == 1
    assert {one.epoch for one in pair.accepted} == {1}


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
    """Marks the epoch as given up, but leaves the master its deadline until the lease is seen free."""

    def _revoke(self) -> None:
        if self._seen is not None and self._seen.state is LeaseState.FREE:
            super()._revoke()

    def _revoke_what_was_given_up(self) -> None:
        with contextlib.suppress(Permanent):
            super()._revoke_what_was_given_up()


class ForgetsThatItCouldNotPublish(Holder):
    """Takes its own memory of having revoked for the master's."""

    def _revoke(self) -> None:
        self._grant = Grant(self._given_up, 0.0)
        self._board.publish(self._grant)


class RenewsForItsSite(Holder):
    """Takes every lease of its site for its own."""

    def _is_ours(self, lease: Lease) -> bool:
        return self._is_of_site(lease)


class ClaimsWhatIsClaimed(Holder):
    """Claims every lease of its site that it is asked to promote, whoever holds it."""

    def _is_ours(self, lease: Lease) -> bool:
        return self._is_of_site(lease) and (lease.holder == self._me or self._asked == lease.epoch)


class TakesOverFromItsTwinAtOnce(Holder):
    def _waited_for(self, lease: Lease) -> bool:
        return self._is_of_site(lease) and not self._is_ours(lease)


class RenewsWhatItGaveUp(Holder):
    """Releases the lease, and then goes on counting on the old deadline."""

    def _stand_by(self, lease: Lease | None) -> None:
        return

    def _revoke(self) -> None:
        return


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

PLANTED: dict[str, tuple[Any, ...]] = {  # defects, faults, what else the world needs to show it
    "holder counts from the reply": (Defects(holder=CountsFromTheReply), None),
    "holder trusts an unknown outcome": (Defects(leases=TrustsUnknownOutcomes), None),
    "writes without a condition": (Defects(leases=WritesWithoutCondition), None),
    "releases before it revokes": (Defects(holder=ReleasesBeforeItRevokes), None),
    "never revokes": (Defects(holder=RenewsWhatItGaveUp), None),
    "forgets that the revocation was not published": (
        Defects(holder=ForgetsThatItCouldNotPublish),
        None,
        {"board_fails": 0.8},
    ),
    "two machines of a site renew one lease": (Defects(holder=RenewsForItsSite), None, {"twins": True}),
    "claims what its twin has claimed": (Defects(holder=ClaimsWhatIsClaimed), None, {"twins": True}),
    "takes over from its twin without waiting": (Defects(holder=TakesOverFromItsTwinAtOnce), None, {"twins": True}),
    "active before its own renewal": (Defects(holder=ActiveBeforeItsFirstRenewal), None),
    "master without a second look": (Defects(second_look=False), None),
    "taker waits for 60 % of the lease": (Defects(taker_waits=0.6), None),
    "taker counts from the start of its read": (Defects(since_start_of_read=True), None),
    "clock that stands still while stopped": (Defects(counts_suspension=False), None),
    "no margin for clocks of different speed": (Defects(terms=NO_MARGIN), FAST_AND_SLOW),
}


@pytest.mark.parametrize("what", PLANTED)
def test_a_broken_guard_is_noticed(what: str, monkeypatch: pytest.MonkeyPatch, caught: Caught) -> None:
    defects, faults, *more = PLANTED[what]
    world: dict[str, Any] = more[0] if more else {}
    if defects.taker_waits < 1:
        # The holder's own terms in the row would save a hasty taker.
        monkeypatch.setattr(Sighting, "expires_at", lambda self, terms: self.since + terms.lease.total_seconds())
    noticed = next((seed for seed in range(400) if lived(seed, defects, faults=faults, **world).overlap()), None)

    assert noticed is not None, "no seed of 400 noticed"
    caught(what)


def test_with_the_margin_those_clocks_are_harmless() -> None:
    for seed in range(60):
        pair = lived(seed, Defects(terms=TERMS), faults=FAST_AND_SLOW)
        assert not pair.overlap(), "\n".join([str(seed), pair.overlap(), *pair.world.trace])


def test_a_grant_ends_a_margin_before_the_lease_it_counts_on() -> None:
    lease = Lease.first(PAIR, H, token="t", length=TERMS.lease)

    assert Grant.of_renewal(lease, started=100.0, terms=TERMS).until == 104.0
