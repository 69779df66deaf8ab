"""One site's side of the lease: renew, tell the master its deadline, give up.

See `shared.domain.lease` for the argument. What this module adds:

- the deadline is published only after a renewal was acknowledged, or read back as ours, and counts from its start;
- a renewal is conditional on owner, epoch, version and token of the row as last seen, so it can never undo a take-over;
- giving up publishes "not active" BEFORE the lease is released: whoever sees it free knows that nobody is active. When
  it cannot be published, the lease is not released before the deadline that may still stand there has passed;
- an epoch given up once is never renewed again by this process;
- only the row's own holder renews it. One that a watch took for this site is claimed when this agent is asked to
  promote; one that another agent of this site holds is taken over only after a whole lease unchanged, as a new epoch;
- an agent that starts, and one whose site was named by a take-over, is active only after a write of its own.

When the store cannot be reached nothing extends the deadline, and the master stops when it passes. (That peers could
pledge not to take over meanwhile, so that the master may go on, is not built yet: issue 6.)
"""

import logging
from collections.abc import Callable
from threading import Lock
from typing import Protocol

from shared.domain.errors import Conflict, DrError, NeedsOperator, OutcomeUnknown, Permanent, Retryable
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.domain.lease import UNCLAIMED, Grant, Lease, LeaseState, Sighting, Terms
from shared.ports.clock import Clock
from shared.state.leases import Leases

log = logging.getLogger("understudy.agent")

NOBODY = Epoch(0)


class Board(Protocol):
    """Where the master reads its deadline."""

    def publish(self, grant: Grant) -> None:
        """Raises OSError: then the old deadline may stand there, or the new one."""
        ...


class Holder:
    """`step` belongs to one thread; `give_up` and the properties may be used from any."""

    def __init__(
        self,
        *,
        pair: PairName,
        site: SiteName,
        holder_id: HolderId,
        preferred: bool,
        terms: Terms,
        leases: Leases,
        clock: Clock,
        board: Board,
        ready: Callable[[], bool],
        never_active: Callable[[], bool] = lambda: True,
    ) -> None:
        """`holder_id` is the same after a restart of this process only if the same `board` is. `preferred`: may create
        the very first lease. `ready`: whether the master is well enough to be active.
        `never_active`: whether no trace exists of anybody ever having been active; without that a missing row was
        deleted, and creating it anew would restart the epochs beside a holder that still counts on the old one. It may
        raise Retryable."""
        self._pair, self._site, self._me, self._preferred, self._terms = pair, site, holder_id, preferred, terms
        self._leases, self._clock, self._board, self._ready = leases, clock, board, ready
        self._never_active = never_active
        self._row_seen = False
        self._gate = Lock()  # guards the grant and what was given up; never held during a store call
        self._grant = Grant(NOBODY, 0.0)  # never ends earlier than what the board may say
        self._asked = NOBODY
        self._given_up = NOBODY
        self._orders = 0  # how often we were told to give up: a round that began before an order must not undo it
        self._orders_at_start = 0
        self._seen: Lease | None = None
        self._sighting: Sighting | None = None  # of a lease that another agent of this site holds
        self.trouble = ""  # why the last step did not do what it wanted; empty when all is well
        self._board.publish(self._grant)  # whatever an earlier process left there ends now

    @property
    def grant(self) -> Grant:
        return self._grant

    @property
    def lease(self) -> Lease | None:
        """As last seen; None when the last step could not see it."""
        return self._seen

    def active(self) -> bool:
        return self._grant.active_at(self._clock.monotonic())

    @property
    def holder_id(self) -> HolderId:
        return self._me

    def promote(self, epoch: Epoch) -> None:
        """The next `step` claims the lease that was taken for this site under `epoch`, if nobody has claimed it."""
        self._asked = epoch

    def give_up(self, because: str) -> Epoch:
        """From the return of this call on, the master of this site is not active. The lease itself is released by the
        next `step`. Returns the epoch that was given up. Raises OSError when that could not be published: then nothing
        extends the deadline that stands, `step` tries again, and releases nothing before one of the two is over."""
        with self._gate:
            self._orders += 1
            self._mark_given_up(because)
            self._revoke()
            return self._given_up

    def step(self) -> bool:
        """One round: read or renew. False: it did not come off, try again soon. Raises OSError when a new deadline
        could not be published: the lease must not go on being renewed for a master that never hears of it."""
        try:
            self._round()
        except Conflict:
            # Somebody else wrote, or an earlier attempt of ours arrived late: look again before anything else.
            self._seen = None
            self.trouble = "the lease changed under us"
            return False
        except (Retryable, OutcomeUnknown) as error:
            self._seen = None
            self.trouble = f"the state store does not answer: {error}"
            return False
        except DrError as error:
            self._seen = None
            if str(error) == self.trouble:
                return False
            self.trouble = str(error)
            log.error("agent.refused", extra={"because": str(error)})
            return False
        self.trouble = ""
        return True

    def _round(self) -> None:
        with self._gate:
            self._orders_at_start = self._orders
        ready = self._ready()
        with self._gate:
            if not ready and self._grant.until > 0:
                self._mark_given_up("the master does not answer its agent")
            self._revoke_what_was_given_up()
        ours = self._seen
        if ours is None or not self._is_ours(ours):
            ours = self._seen = self._leases.read(self._pair)
        if ours is None:
            if self._row_seen or not self._never_active():
                self._stand_by(None)
                raise NeedsOperator(
                    f"the lease row of pair {self._pair} is gone, but somebody was active once: nothing is taken "
                    "before it is restored with an epoch higher than any in the heartbeats and decisions",
                    runbook="lease-row-missing",
                )
            if self._preferred and ready:
                self._create()
            return
        self._row_seen = True
        waited = self._waited_for(ours)
        unclaimed = self._is_of_site(ours) and ours.holder == UNCLAIMED
        if not self._is_ours(ours):
            self._stand_by(ours)
        if ours.epoch <= self._given_up:
            # What a predecessor of this site left held and let stand for a whole lease has run out: freeing it lets
            # the pair have a master again although this agent was told to give that epoch up.
            if self._is_ours(ours) or unclaimed or waited:
                self._seen = self._leases.release(ours)
                log.info("agent.released", extra={"epoch": int(ours.epoch)})
        elif not ready:
            return
        elif self._is_ours(ours):
            self._renew(ours)
        elif unclaimed and self._asked == ours.epoch:
            self._claim(ours)
        elif waited:
            self._take(ours)

    def _waited_for(self, lease: Lease) -> bool:
        """Whether this lease of our site, held by another agent or by nobody, stood still for its whole length."""
        if not self._is_of_site(lease) or self._is_ours(lease):
            self._sighting = None
            return False
        returned = self._clock.monotonic()
        before = self._sighting
        self._sighting = before.then(lease, returned=returned) if before else Sighting.first(lease, returned=returned)
        return self._sighting.takeable(returned, self._terms)

    def _create(self) -> None:
        started = self._clock.monotonic()
        self._hold(self._leases.create(self._pair, self._site, length=self._terms.lease, holder=self._me), started)

    def _claim(self, lease: Lease) -> None:
        started = self._clock.monotonic()
        self._hold(self._leases.claim(lease, self._me, length=self._terms.lease), started)

    def _take(self, lease: Lease) -> None:
        started = self._clock.monotonic()
        self._hold(self._leases.take(lease, self._site, length=self._terms.lease, holder=self._me), started)
        log.warning("agent.took_over", extra={"holder": lease.holder, "epoch": int(lease.epoch) + 1})

    def _renew(self, lease: Lease) -> None:
        started = self._clock.monotonic()
        self._hold(self._leases.renew(lease, length=self._terms.lease), started)

    def _hold(self, lease: Lease, started: float) -> None:
        grant = Grant.of_renewal(lease, started=started, terms=self._terms)
        with self._gate:
            self._seen = lease
            if self._orders != self._orders_at_start:
                self._given_up = Epoch(max(self._given_up, lease.epoch))
            if lease.epoch <= self._given_up:
                return  # given up while the renewal was under way: the next step releases it
            if lease.epoch != self._grant.epoch or self._grant.until == 0:
                log.info("agent.active", extra={"epoch": int(lease.epoch)})
            self._grant = grant  # before it is published: a write that fails may have been done all the same
            self._board.publish(grant)

    def _stand_by(self, lease: Lease | None) -> None:
        """The row names somebody else, or nobody. Our deadline, if one is still running, belongs to a lost epoch."""
        with self._gate:
            if self._grant.until > 0:
                log.warning("agent.superseded", extra={"owner": lease.owner if lease else "nobody"})
                self._given_up = Epoch(max(self._given_up, self._grant.epoch))
                self._revoke_what_was_given_up()

    # --- revoking; all with the gate held ---

    def _mark_given_up(self, because: str) -> None:
        """From now on nothing extends the deadline. It still stands until `_revoke` has come off."""
        if self._grant.epoch > self._given_up:
            log.warning("agent.gave_up", extra={"because": because, "epoch": int(self._grant.epoch)})
        self._given_up = Epoch(max(self._given_up, self._grant.epoch, self._seen_epoch()))

    def _revoke(self) -> None:
        revoked = Grant(self._given_up, 0.0)
        self._board.publish(revoked)
        self._grant = revoked

    def _revoke_what_was_given_up(self) -> None:
        """Raises Permanent while a deadline that was given up may still be read by the master: no round is safe."""
        if self._grant.until == 0 or self._grant.epoch > self._given_up:
            return
        try:
            self._revoke()
        except OSError as error:
            if self.active():
                raise Permanent(
                    f"epoch {self._grant.epoch} is given up, but the role file cannot be written ({error}): the lease "
                    "is not given back before its deadline has passed; free space or mend rights where the file is"
                ) from error

    def _is_of_site(self, lease: Lease) -> bool:
        return lease.owner == self._site and lease.state is LeaseState.HELD

    def _is_ours(self, lease: Lease) -> bool:
        return self._is_of_site(lease) and lease.holder == self._me

    def _seen_epoch(self) -> Epoch:
        seen = self._seen
        return seen.epoch if seen is not None and self._is_of_site(seen) else NOBODY
