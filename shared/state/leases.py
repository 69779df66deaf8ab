"""The lease row of each pair: read, and changed only by compare-and-set on owner, epoch and version.

Every attempt writes a token of its own. When an answer is lost, the row is read back: our token there means that this
attempt was applied; anything else leaves it open, because the write may still be on its way, and then the caller must
not count on it. Nothing is retried here: a lease call's time is part of the safety argument, so retries belong to the
caller's loop.
"""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import Conflict, OutcomeUnknown, Permanent
from shared.domain.ids import Epoch, HolderId, PairName, Place, SiteName
from shared.domain.lease import UNCLAIMED, Lease, LeaseState
from shared.ports.store import Absent, Condition, Matches, Row, Store, Value

TABLE: Final = "leases"
UNKNOWN: Final = HolderId("?")  # a row of before holders were written: somebody may be active, so nobody may claim it


class Leases:
    def __init__(self, store: Store, *, tokens: Callable[[], str]) -> None:
        """`tokens` gives a text that no other attempt of any process will ever use."""
        self._store = store
        self._tokens = tokens

    def read(self, pair: PairName) -> Lease | None:
        """None: the row does not exist. Raises Retryable when the store cannot be asked."""
        row = self._store.get(TABLE, (pair,))
        return None if row is None else _lease(row)

    def create(
        self,
        pair: PairName,
        owner: SiteName,
        *,
        length: timedelta,
        holder: HolderId = UNCLAIMED,
        voices: tuple[Place, ...] = (),
    ) -> Lease:
        """The very first lease, epoch 1. Raises Conflict when a row exists."""
        lease = Lease.first(pair, owner, token=self._tokens(), length=length, holder=holder, voices=voices)
        return self._write(lease, Absent())

    def renew(self, seen: Lease, *, length: timedelta, voices: tuple[Place, ...] | None = None) -> Lease:
        """One renewal. Raises Conflict when the row is no longer as `seen`, OutcomeUnknown when it stays open."""
        return self._write(seen.renewed(token=self._tokens(), length=length, voices=voices), _as(seen))

    def claim(
        self, seen: Lease, holder: HolderId, *, length: timedelta, voices: tuple[Place, ...] | None = None
    ) -> Lease:
        """Become the holder of a lease that was taken for this site. Of several agents one wins; others: Conflict."""
        return self._write(seen.claimed(holder, token=self._tokens(), length=length, voices=voices), _as(seen))

    def take(
        self,
        seen: Lease,
        owner: SiteName,
        *,
        length: timedelta,
        holder: HolderId = UNCLAIMED,
        voices: tuple[Place, ...] | None = None,
    ) -> Lease:
        """Take over from exactly the lease that was `seen`: epoch and version rise by one in the same write."""
        taken = seen.taken(owner, token=self._tokens(), length=length, holder=holder, voices=voices)
        return self._write(taken, _as(seen))

    def release(self, seen: Lease, *, over: bool = False) -> Lease:
        """Give it back; only a holder that has revoked its own deadline may, and only it says `over`."""
        return self._write(seen.released(token=self._tokens(), over=over), _as(seen))

    def found(self, pair: PairName) -> Row | None:
        """The row as it stands, damaged or not."""
        return self._store.get(TABLE, (pair,))

    def restore(self, pair: PairName, owner: SiteName, epoch: Epoch, *, length: timedelta, found: Row | None) -> Lease:
        """Write a row that is missing or damaged anew, exactly as it was `found`: free, without voices. The caller has
        seen to it that nobody is active under `epoch` or below. Raises Conflict when somebody else wrote it."""
        first = Lease.first(pair, owner, token=self._tokens(), length=length)
        restored = replace(first, epoch=epoch, state=LeaseState.FREE)
        return self._write(restored, Absent() if found is None else Matches(found.columns))

    def _write(self, lease: Lease, condition: Condition) -> Lease:
        row = Row(key=(lease.pair,), columns=_columns(lease))
        try:
            self._store.put(TABLE, row, condition=condition)
        except (Conflict, OutcomeUnknown):
            # A conflict too is read back: below us a lost reply may have been followed by a repetition.
            found = self.read(lease.pair)
            if found is None or found.token != lease.token:
                raise
        return lease


def _as(seen: Lease) -> Matches:
    return Matches({"owner": seen.owner, "epoch": int(seen.epoch), "version": seen.version, "token": seen.token})


def _columns(lease: Lease) -> dict[str, Value]:
    return {
        "owner": lease.owner,
        "epoch": int(lease.epoch),
        "version": lease.version,
        "token": lease.token,
        "state": lease.state.value,
        "lease_ms": round(lease.length.total_seconds() * 1000),
        "holder": lease.holder,
        "voices": " ".join(lease.voices),
    }


def _lease(row: Row) -> Lease:
    try:
        return Lease(
            pair=PairName(row.key[0]),
            owner=SiteName(str(row.columns["owner"])),
            epoch=Epoch(int(row.columns["epoch"])),
            version=int(row.columns["version"]),
            token=str(row.columns["token"]),
            state=LeaseState(str(row.columns["state"])),
            length=timedelta(milliseconds=int(row.columns["lease_ms"])),
            holder=HolderId(str(row.columns.get("holder", UNKNOWN))),
            voices=tuple(Place(voice) for voice in str(row.columns.get("voices", "")).split()),
        )
    except (KeyError, ValueError) as error:
        raise Permanent(
            f"the lease row of pair {row.key[0]} is damaged ({error}): nothing is promoted until it is written anew"
        ) from error
