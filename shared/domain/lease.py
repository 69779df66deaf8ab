"""Who may be active until when: the argument by which two sites never accept commands at once.

The holder counts from the START of its last successful renewal, on a clock that also counts suspended time
(CLOCK_BOOTTIME), and is active until that start + lease - margin. It looks at that deadline on every command, before it
does the work and again AFTER it has written its accept record; only what passes the second look counts as accepted.

The taker acts only after it has itself seen owner and version unchanged for a whole lease, measured from the RETURN of
the read that first showed this version, on its own monotonic clock; then it takes over by one compare-and-set on that
very version. A successful compare-and-set proves that no renewal was applied in between, so

    start of last renewal  <=  that renewal applied  <=  the taker's first read of it returned  =: t
    holder stops at          start + lease - margin  <=  t + lease - margin  <  t + lease  <=  taker acts.

Wall clocks appear nowhere, and no two machines' clocks are compared: each side measures a duration on its own clock.
`margin` pays for the difference in speed of the two clocks (1 s in 5 s bears 20 %; quartz differs by parts in 10,000).

A lease row is never deleted, or its epoch would restart. `FREE` is written by a holder that has already revoked its
own deadline: then nobody is active under this epoch, and a taker need not wait.

A site is not one holder: a cloned image or a doubled unit gives it two agents, and both would renew. So the row names
its holder, and only that holder renews it. A watch takes a lease for a site and cannot know the holder: it leaves it
`UNCLAIMED`, nobody is active under it yet, and the first agent of that site that claims it by compare-and-set is its
holder. To any other agent of the same site the row is somebody else's: it waits and takes over like every taker.

**The limit of this proof: a pause that the clock does not count.** CLOCK_BOOTTIME counts the time for which the guest's
own kernel was suspended. It does not count a pause of the whole virtual machine by its hypervisor (hibernation, a saved
and restored machine, a long live migration): after it, the old holder's clock reads as if nothing had happened, and its
master accepts commands until what was left of its deadline has passed, although a taker has long been active. The same
holds for two machines restored from one saved memory: they share even the holder. Where this matters, do not hibernate
masters, and fence what a command writes to: let the store behind the master reject an epoch lower than the newest it
has seen, and read back after writing. (Comparing each renewal with the store's own clock would notice such a pause at
the next renewal; it is not built: the store port does not hand out the server's date.)
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import Epoch, HolderId, PairName, Place, SiteName
from shared.domain.policy import Pair

UNCLAIMED: Final = HolderId("")
"""Taken for a site by a watch: nobody is active under it before an agent of that site has claimed it."""


class LeaseState(StrEnum):
    HELD = "held"
    FREE = "free"


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """`margin` must leave room for at least one renewal: renew_every < lease - margin."""

    lease: timedelta
    margin: timedelta
    renew_every: timedelta

    def __post_init__(self) -> None:
        if self.margin <= timedelta(0) or self.renew_every <= timedelta(0):
            raise BadInput("lease terms: margin and renew_every must be longer than 0 s")
        if self.renew_every >= self.lease - self.margin:
            raise BadInput(
                f"lease terms: renew_every ({self.renew_every.total_seconds():g} s) must be shorter than "
                f"lease - margin ({(self.lease - self.margin).total_seconds():g} s), or it is lost between two renewals"
            )

    @classmethod
    def of(cls, pair: Pair) -> "Terms":
        return cls(lease=pair.lease, margin=pair.margin, renew_every=pair.renew_every)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lease:
    """The row as read or written. `version` rises with every write, `epoch` with every take-over."""

    pair: PairName
    owner: SiteName
    epoch: Epoch
    version: int
    token: str  # unique per write attempt: settles by reading back whether a write without an answer was applied
    state: LeaseState
    length: timedelta  # the holder's own terms, so that a taker under another policy version waits long enough
    holder: HolderId = UNCLAIMED  # the one agent of the owner that may renew
    voices: tuple[Place, ...] = ()  # on whose pledges the last holder may live: see `shared.domain.pledge`

    @classmethod
    def first(
        cls,
        pair: PairName,
        owner: SiteName,
        *,
        token: str,
        length: timedelta,
        holder: HolderId = UNCLAIMED,
        voices: tuple[Place, ...] = (),
    ) -> "Lease":
        return cls(
            pair=pair,
            owner=owner,
            epoch=Epoch(1),
            version=1,
            token=token,
            state=LeaseState.HELD,
            length=length,
            holder=holder,
            voices=voices,
        )

    def renewed(self, *, token: str, length: timedelta, voices: tuple[Place, ...] | None = None) -> "Lease":
        """`voices` None: as they stand, here and below."""
        assert self.state is LeaseState.HELD, "a free lease is taken, not renewed"
        voices = self.voices if voices is None else voices
        return replace(self, version=self.version + 1, token=token, length=length, voices=voices)

    def claimed(
        self, holder: HolderId, *, token: str, length: timedelta, voices: tuple[Place, ...] | None = None
    ) -> "Lease":
        assert self.state is LeaseState.HELD, "a free lease is taken, not claimed"
        assert self.holder == UNCLAIMED, "a lease with a holder is not claimed by another"
        return replace(self.renewed(token=token, length=length, voices=voices), holder=holder)

    def taken(
        self,
        owner: SiteName,
        *,
        token: str,
        length: timedelta,
        holder: HolderId = UNCLAIMED,
        voices: tuple[Place, ...] | None = None,
    ) -> "Lease":
        """A watch takes without `voices` of its own: whoever claims this still has to ask those of the last holder."""
        return replace(
            self,
            owner=owner,
            epoch=Epoch(self.epoch + 1),
            version=self.version + 1,
            token=token,
            state=LeaseState.HELD,
            length=length,
            holder=holder,
            voices=self.voices if voices is None else voices,
        )

    def released(self, *, token: str, over: bool = False) -> "Lease":
        """`over`: written by the holder itself, which has revoked its own deadline, so that nobody needs be asked."""
        voices = () if over else self.voices
        return replace(self, version=self.version + 1, token=token, state=LeaseState.FREE, voices=voices)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a holder may rely on: active under `epoch` while its own clock reads less than `until` (seconds)."""

    epoch: Epoch
    until: float

    @classmethod
    def of_renewal(cls, lease: Lease, *, started: float, terms: Terms) -> "Grant":
        """`started` was read before the renewal was sent."""
        return cls(lease.epoch, started + (terms.lease - terms.margin).total_seconds())

    def active_at(self, now: float) -> bool:
        return now < self.until


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A taker's own evidence: this lease, unchanged since `since` on the taker's monotonic clock (seconds)."""

    lease: Lease
    since: float

    @classmethod
    def first(cls, lease: Lease, *, returned: float) -> "Sighting":
        """`returned` was read after the read's answer had arrived."""
        return cls(lease=lease, since=returned)

    def then(self, lease: Lease, *, returned: float, gap: timedelta = timedelta(0)) -> "Sighting":
        """Another read: the same owner, epoch and version keep `since`; anything else starts anew.

        `gap` is time in which the store could not be read from here, and so perhaps not written by the holder either:
        it does not count against it. To wait longer is always safe."""
        unchanged = (lease.owner, lease.epoch, lease.version) == (
            self.lease.owner,
            self.lease.epoch,
            self.lease.version,
        )
        if not unchanged:
            return Sighting.first(lease, returned=returned)
        return replace(self, since=min(returned, self.since + gap.total_seconds())) if gap > timedelta(0) else self

    def unchanged_for(self, now: float) -> timedelta:
        return timedelta(seconds=max(0.0, now - self.since))

    def expires_at(self, terms: Terms) -> float:
        """When the lease has certainly run out, on the taker's clock: the longer of its own and the holder's terms."""
        return self.since + max(terms.lease, self.lease.length).total_seconds()

    def takeable(self, now: float, terms: Terms) -> bool:
        """Nobody can be active under this epoch any more, provided that a compare-and-set on its version succeeds."""
        return self.lease.state is LeaseState.FREE or now >= self.expires_at(terms)
