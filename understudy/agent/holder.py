"""One site's side of the lease: renew, tell the master its deadline, give up.

See `shared.domain.lease` for the argument. What this module adds:

- the deadline is published only after a renewal was acknowledged, or read back as ours, and counts from its start;
- a renewal is conditional on owner, epoch, version and token of the row as last seen, so it can never undo a take-over;
- giving up publishes "not active" BEFORE the lease is released: whoever sees it free knows that nobody is active. When
  it cannot be published, the lease is not released before the deadline that may still stand there has passed;
- an epoch given up once is never renewed again by this process;
- only the row's own holder renews it. One that a watch took for this site is claimed when this agent is asked to
  promote; one that another agent of this site holds is taken over only after a whole lease unchanged, as a new epoch;
- an agent that starts, and one whose site was named by a take-over, is active only after a write of its own;
- a deadline is never shortened but by giving up: a slow renewal may come back after the peers have moved it on.

When the store cannot be reached, the deadline is extended by the pledges of all peers (`LivingOn.extend`, in a thread
of its own), or the master stops when it passes.
"""

import logging
from collections.abc import Callable
from datetime import datetime

from shared.domain.errors import Conflict, DrError, NeedsOperator, OutcomeUnknown, Retryable
from shared.domain.ids import Epoch, HolderId, PairName, Place, SiteName
from shared.domain.lease import UNCLAIMED, Grant, Lease, LeaseState, Sighting, Terms
from shared.ports.clock import Clock
from shared.state.leases import Leases
from understudy.agent.deadline import NOBODY, Board
from understudy.agent.living_on import LivingOn
from understudy.agent.pledging import Means, Pledging
from understudy.agent.record import Tell, untold

log = logging.getLogger("understudy.agent")


class NotYet(Exception):
    """What stands in the way of becoming active will pass by itself, or by somebody else's deed. `calm`: nobody has
    ordered it, so that the next round is soon enough."""

    def __init__(self, because: str, *, calm: bool = False) -> None:
        super().__init__(because)
        self.calm = calm


class Holder(LivingOn):
    """`step` belongs to one thread and `extend` to another; all else may be used from any."""

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
        pledging: Means | None = None,
        prepared: Callable[[Epoch], bool] = lambda _: True,
        retired: Callable[[Epoch], bool] = lambda _: True,
        told: Tell = untold,
    ) -> None:
        """`holder_id` is the same after a restart of this process only if the same `board` is. `preferred`: may create
        the very first lease. `ready`: whether the master is well enough to be active.
        `never_active`: whether no trace exists of anybody ever having been active; without that a missing row was
        deleted, and creating it anew would restart the epochs beside a holder that still counts on the old one. It may
        raise Retryable. `pledging` None: no peers, the lease alone counts. `prepared`: whether what has to be done
        before the master is active under this epoch is done; `retired`: likewise before the lease is given back. Both
        are asked in every round, and begin the work when it has not begun. `told` keeps for the record what this agent
        made of the lease; it returns at once."""
        super().__init__(
            me=holder_id,
            terms=terms,
            clock=clock,
            board=board,
            pledging=None if pledging is None else Pledging(pledging, pair=pair, me=holder_id, terms=terms),
        )
        self._pair, self._site, self._preferred = pair, site, preferred
        self._leases, self._ready, self._never_active = leases, ready, never_active
        self._row_seen = False
        self._prepared, self._retired, self._told = prepared, retired, told
        self._on_record = Epoch(0)  # the last epoch of which this process told
        self._asked = NOBODY
        self._orders = 0  # how often we were told to give up: a round that began before an order must not undo it
        self._orders_at_start = 0
        self._seen: Lease | None = None
        self._sighting: Sighting | None = None  # of a lease that another agent of this site holds
        self.trouble = ""  # why the last step did not do what it wanted; empty when all is well
        self._waiting = ""
        self.waits = ""  # what this agent waits for before it becomes active, without being any less ready
        self._board.publish(self._grant)  # whatever an earlier process left there ends now

    @property
    def lease(self) -> Lease | None:
        """As last seen; None when the last step could not see it."""
        return self._seen

    def promote(self, epoch: Epoch) -> None:
        """The next `step` claims the lease that was taken for this site under `epoch`, if nobody has claimed it."""
        with self._gate:
            self._asked = epoch
            if self._pledging is not None and epoch > self._grant.epoch:
                # From now on nobody lives on under an older epoch by our word. Kept on file before we claim.
                self._pledging.promises = self._pledging.promises.never_below(epoch)

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
        self._waiting = ""
        try:
            return self._tried()
        finally:
            self.waits = self._waiting  # for other threads: never empty in between

    def _tried(self) -> bool:
        try:
            self._round()
        except NotYet as error:
            self.trouble, self._waiting = "", str(error)
            return error.calm
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
        self._now = self._clock.monotonic()
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
        before, self._row_seen = self._last_row, True
        if before is not None and ours.epoch < before.epoch:
            # Freed or renewed, it would make somebody active while the holder of the later epoch still serves.
            self._seen = None
            self._stand_by(None)
            raise NeedsOperator(
                f"the lease row of pair {self._pair} stands at epoch {ours.epoch}, but this agent has seen epoch "
                f"{before.epoch}: an older copy was restored; nothing is taken before it is written with an epoch "
                "higher than any in the heartbeats and decisions",
                runbook="lease-row-missing",
            )
        self._last_row = ours
        waited = self._waited_for(ours)
        unclaimed = self._is_of_site(ours) and ours.holder == UNCLAIMED
        if not self._is_ours(ours):
            self._stand_by(ours)
        if ours.epoch <= self._given_up:
            # What a predecessor of this site left held and let stand for a whole lease has run out: freeing it lets
            # the pair have a master again although this agent was told to give that epoch up.
            own = self._is_ours(ours)
            if own and not self._retired(ours.epoch):
                self._waiting = f"what has to be done before epoch {ours.epoch} is given back is not done"
            elif own or unclaimed or waited:
                self._seen = self._last_row = self._leases.release(ours, over=own)
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
        with self._gate:
            barred = self._pledging.nobody_was_ever_active() if self._pledging else ""
        if barred:
            raise NotYet(barred)
        voices, began = self._voices(), self._clock.now()
        length, me = self._terms.lease, self._me
        lease = self._leases.create(self._pair, self._site, length=length, holder=me, voices=voices)
        self._tell("lease.created", lease.epoch, f"no lease row existed, and {self._site} is preferred", began)
        self._hold(lease, started)

    def _claim(self, lease: Lease) -> None:
        self._set_out(lease, lease.epoch)
        voices, began, started = self._voices(), self._clock.now(), self._clock.monotonic()
        claimed = self._leases.claim(lease, self._me, length=self._terms.lease, voices=voices)
        self._tell("lease.claimed", claimed.epoch, f"taken for {self._site} by a watch, which asked for it", began)
        self._hold(claimed, started)

    def _take(self, lease: Lease) -> None:
        epoch = Epoch(lease.epoch + 1)
        try:
            self._set_out(lease, epoch)
        except NotYet as error:
            raise NotYet(str(error), calm=True) from None
        voices, began, started = self._voices(), self._clock.now(), self._clock.monotonic()
        length, me = self._terms.lease, self._me
        taken = self._leases.take(lease, self._site, length=length, holder=me, voices=voices)
        why = f"what {lease.holder or 'nobody'} of this site had under epoch {lease.epoch} stood still for a lease"
        self._tell("lease.taken", taken.epoch, why, began)
        self._hold(taken, started)
        log.warning("agent.took_over", extra={"holder": lease.holder, "epoch": int(epoch)})

    def _renew(self, lease: Lease) -> None:
        voices, started = self._voices(), self._clock.monotonic()
        self._hold(self._leases.renew(lease, length=self._terms.lease, voices=voices), started)

    def _tell(self, event: str, epoch: Epoch, because: str, began: datetime | None) -> None:
        self._on_record = epoch
        self._told(event, epoch, because, began)

    def _voices(self) -> tuple[Place, ...]:
        with self._gate:
            return self._pledging.voices() if self._pledging else ()

    def _set_out(self, lease: Lease, epoch: Epoch) -> None:
        """Before a lease that was another's becomes ours. Raises NotYet while somebody may live on pledges."""
        pledging, now = self._pledging, self._clock.monotonic()
        if pledging is None:
            if lease.voices:
                raise NotYet(f"epoch {lease.epoch} may live on pledges, and this agent has no way to ask who gave them")
            return
        with self._gate:
            barred = pledging.barred(now) or pledging.keep(pledging.promises.never_below(epoch))
        if barred:
            raise NotYet(barred)
        unfreed = pledging.freed_by_nobody(lease, epoch)
        if unfreed:
            raise NotYet(unfreed)

    def _hold(self, lease: Lease, started: float) -> None:
        """A write of ours was acknowledged: publish what it grants, unless something else has to happen first."""
        if lease.epoch != self._on_record:
            # Made by a process before this one, or by a write whose answer was lost.
            self._tell("lease.held", lease.epoch, f"{self._site} renews a lease that it had already", None)
        grant = Grant.of_renewal(lease, started=started, terms=self._terms)
        prepared = self._prepared(lease.epoch)
        now = self._clock.monotonic()
        with self._gate:
            self._seen = self._last_row = lease
            if self._pledging is not None:
                self._pledging.stands(lease)
            if self._orders != self._orders_at_start:
                self._given_up = Epoch(max(self._given_up, lease.epoch))
            if lease.epoch <= self._given_up:
                return  # given up while the renewal was under way: the next step releases it
            # Whoever is active pledges nothing: a pledge that runs was given since, and stands before our lease.
            barred = self._pledging.barred(now) if self._pledging else ""
            if barred or not prepared:
                self._waiting = (
                    barred or f"what has to be done before the master is active under {lease.epoch} is not done"
                )
                return
            if lease.epoch != self._grant.epoch or self._grant.until == 0:
                log.info("agent.active", extra={"epoch": int(lease.epoch)})
            else:
                grant = Grant(grant.epoch, max(grant.until, self._grant.until))
            self._renewed_at = started
            self._grant = grant  # before it is published: a write that fails may have been done all the same
            self._board.publish(grant)

    def _stand_by(self, lease: Lease | None) -> None:
        """The row names somebody else, or nobody. Our deadline, if one is still running, belongs to a lost epoch."""
        superseded = NOBODY
        self._now = self._clock.monotonic()
        with self._gate:
            if self._grant.until > 0:
                log.warning("agent.superseded", extra={"owner": lease.owner if lease else "nobody"})
                self._given_up = Epoch(max(self._given_up, self._grant.epoch))
                self._revoke_what_was_given_up()
                superseded = self._grant.epoch
        if superseded:
            self._retired(superseded)

    def _mark_given_up(self, because: str) -> None:
        """From now on nothing extends the deadline. It still stands until `_revoke` has come off. Gate held."""
        if self._grant.epoch > self._given_up:
            log.warning("agent.gave_up", extra={"because": because, "epoch": int(self._grant.epoch)})
        self._given_up = Epoch(max(self._given_up, self._grant.epoch, self._seen_epoch()))

    def _is_of_site(self, lease: Lease) -> bool:
        return lease.owner == self._site and lease.state is LeaseState.HELD

    def _is_ours(self, lease: Lease) -> bool:
        return self._is_of_site(lease) and lease.holder == self._me

    def _seen_epoch(self) -> Epoch:
        seen = self._seen
        return seen.epoch if seen is not None and self._is_of_site(seen) else NOBODY
