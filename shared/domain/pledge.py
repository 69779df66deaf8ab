"""Living on while the state store cannot be reached: the peers' promise to take nothing over for one lease.

The lease alone (`shared.domain.lease`) stops a holder at its deadline when it cannot renew. With pledges it may go on,
as long as others promise, again and again, not to become active. That needs three rules beyond the lease's, and one
column of the lease row.

**Voices.** A holder writes into the lease row, with every write of its own, the places (address:port of the agent) on
whose pledges it may live: its own place and at least one other. No voices: it lives on the lease alone. A watch that
takes the lease for a site leaves them as they are.

1. *Holder.* It asks all voices of every row that may stand (the last one acknowledged, and any whose outcome is not
   known), and extends its running grant to `start of asking + lease - margin` only when each of them but itself said
   yes. It never extends what it gave up, nor after it has pledged to somebody itself.
2. *Pledger.* It says yes only while it is not active and has no running pledge to another, and then, until
   `receipt + lease` on its own clock, becomes active by no write whatever and pledges to nobody else. It keeps the
   pledge beside its role file before it answers. An agent that does not know what the one before it pledged counts as
   pledged for one lease from its start. It never again pledges for an epoch below one that it has pledged to, or has
   set out to hold itself (`floor`).
3. *Taker.* Who claims or takes a row with voices needs the yes of one of them first (its own counts when the ask
   has reached it at that place), asked when the lease has run out by the lease's own proof.

**Why nobody else is active while a holder H lives on pledges.** H is active at t only if t < a + lease - margin, where
a is the start of an asking that every other voice received later, at r >= a, and answered yes. Let X become active
under a later epoch. X had the yes of a voice v at some y.

- v is not H: v pledged to X, so no pledge of v to H ran at y: r + lease <= y for each that v ever gave, hence
  t < a + lease - margin < r + lease <= y. From y on v refuses H, whose epoch lies below v's floor. (A v that forgot its
  floor in a restart also forgot for a lease to say yes, and H extends running grants only.)
- v is H: it said yes because its grant was over, and from then on extends nothing.

X itself counts from a write after y, and publishes nothing while a pledge of its own runs. What H holds by renewal is
over at X's compare-and-set by the lease's proof. `margin` pays for the difference in speed of two clocks, as there.
A second agent of H's own site is X like any other: it is no voice, or no voice frees it, so it waits.

**The limit.** A place is one machine's: two machines that share an address and port at once could both believe to be
that voice. A VPC has no such pair, and the ask goes over the network to find out.
"""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.ids import Epoch, HolderId, PairName, Place
from shared.domain.lease import UNCLAIMED, Lease

NOTHING: Final = Epoch(0)
NOWHERE: Final = Place("")

LONGEST: Final = timedelta(minutes=5)
"""A pledge longer than this is refused: a wrong policy must not keep a standby off for hours."""

GRACE: Final = timedelta(milliseconds=500)
"""How much longer than `renew_every` the last renewal may lie back before the peers are asked: one slow call."""

TIMEOUT: Final = timedelta(milliseconds=500)
"""For one asking of all peers, which are asked at the same time."""


def place_of(address: str, port: int) -> Place:
    return Place(f"{address}:{port}")


def address_of(place: Place) -> tuple[str, int]:
    address, _, port = place.rpartition(":")
    return address, int(port)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """To live on under `epoch`, or to become active under it."""

    pair: PairName
    epoch: Epoch
    holder: HolderId  # who asks
    length: timedelta  # its lease
    nonce: str  # drawn for this asking: an answer to another one proves nothing
    to: Place = NOWHERE  # where it is asked; unsaid only where there is no network in between


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`pledged` only when the answer is proven to be the asked agent's own, to this very ask."""

    pledged: bool
    by: HolderId = UNCLAIMED
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pledge:
    """Until `until` (boottime seconds of the pledging machine) nothing is taken over and nobody else is pledged to."""

    holder: HolderId
    epoch: Epoch
    until: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Promises:
    """All that an agent has promised. `unknown_until`: an earlier process may have pledged until then."""

    pledge: Pledge | None = None
    floor: Epoch = NOTHING
    unknown_until: float = 0.0

    def barred(self, me: HolderId, now: float, *, forgotten: bool = True) -> str:
        """Why `me` may not become active at `now`, nor pledge to anybody; empty when it may. `forgotten` False: what
        an earlier process may have pledged does not count, because `me` is still asked for it as a voice."""
        if forgotten and now < self.unknown_until:
            return f"what was pledged before this start is not known: waiting for {self.unknown_until - now:.1f} s more"
        pledge = self.pledge
        if pledge is not None and pledge.holder != me and now < pledge.until:
            return f"pledged to {pledge.holder} (epoch {pledge.epoch}) for {pledge.until - now:.1f} s more"
        return ""

    def pledged_for(self, me: HolderId, now: float) -> timedelta:
        """How long this agent still may not become active."""
        pledge = self.pledge
        until = pledge.until if pledge is not None and pledge.holder != me else 0.0
        return timedelta(seconds=max(0.0, until - now, self.unknown_until - now))

    @classmethod
    def after_restart(cls, kept: "Promises | None", *, now: float, length: timedelta) -> "Promises":
        """`kept`: what the process before this one kept, in this boot and under this agent's own id; None when that
        cannot be told, also because there was none. `length`: its lease."""
        return kept if kept is not None else cls(unknown_until=now + length.total_seconds())

    def never_below(self, epoch: Epoch) -> "Promises":
        return replace(self, floor=Epoch(max(self.floor, epoch)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What an agent knows of itself when it is asked. `until`: of its own grant; 0 when it has none."""

    pair: PairName
    me: HolderId
    place: Place
    length: timedelta  # its own lease
    until: float
    seen: Lease | None  # the row as it last saw it
    promises: Promises


def may_pledge(ask: Ask, standing: Standing, *, now: float) -> Promises | str:
    """What is promised from now on, or why nothing is. `now` is boottime, read after the ask had arrived."""
    seen, promises = standing.seen, standing.promises
    if ask.pair != standing.pair:
        return f"this agent serves pair {standing.pair}, not {ask.pair}"
    if ask.to and ask.to != standing.place:
        return f"this agent was asked at {ask.to}, but is at {standing.place}: mend --address here, or --peer there"
    if not timedelta(0) < ask.length <= LONGEST:
        return f"a pledge lasts up to {LONGEST.total_seconds():g} s, not {ask.length.total_seconds():g} s"
    if now < standing.until and ask.holder != standing.me:
        return "this agent is active itself"
    if ask.epoch < promises.floor:
        return f"epoch {ask.epoch} is over: this agent has promised for {promises.floor}"
    barred = promises.barred(ask.holder, now)
    if barred:
        return barred
    if seen is not None and seen.epoch > ask.epoch:
        return f"epoch {ask.epoch} is over: the lease stands at {seen.epoch}"
    if seen is not None and seen.epoch == ask.epoch and seen.holder not in (UNCLAIMED, ask.holder):
        return f"epoch {ask.epoch} is held by {seen.holder}"
    until = now + max(ask.length, standing.length).total_seconds()
    pledge = Pledge(holder=ask.holder, epoch=ask.epoch, until=until)
    return replace(promises.never_below(ask.epoch), pledge=pledge)


def others(voices: Iterable[Place], own: Place) -> frozenset[Place]:
    return frozenset(voices) - {own}


def seal(secret: bytes, ask: Ask, *, by: HolderId | None = None) -> str:
    """The proof that an ask (`by` None), or the yes to it by `by`, comes from one who knows `secret`."""
    what = ["ask"] if by is None else ["yes", by]
    length = str(round(ask.length.total_seconds() * 1000))
    parts = [ask.nonce, ask.pair, str(ask.epoch), ask.holder, length, ask.to, *what]
    text = "\n".join(part.replace("\n", " ") for part in parts)
    return hmac.new(secret, text.encode(), hashlib.sha256).hexdigest()
