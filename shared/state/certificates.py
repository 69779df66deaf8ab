"""What each prune did, under which rule, and what each disk has left: for a verifier that does not trust us.

A certificate is written as *begun* before the first deletion (the journal of the run: its token list is its intent) and
again as *ended* after the read-back. Both are the same row, so a run that crashed leaves one that says so.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import accumulate, takewhile
from typing import Final

from shared.domain.ids import InstanceId, PolicyVersion
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "certificates"
SCOPE: Final = "prune"
COMPARED: Final = ("drift", "compared")
"""When our records were last compared with the cloud. Here, so that prune need not be able to write controls."""
HOLDS: Final = 1_500_000
"""Bytes that the deletions of one certificate, and the state of their disks, may take. A column's value holds 2 MiB
(2,097,152; source: Tablestore, limits, read 2026-03); the findings of a comparison (two lists of `FINDINGS`, ids of at
most 100 bytes) and the run itself fit into what is left. About 1,600 deletions of instances with two disks."""
FINDINGS: Final = 2_000
"""Orphans, and missing points, that a certificate names at most."""
BECAUSE: Final = 300
"""Bytes kept for the reason that a deletion gets at its end; longer ones are cut."""
_BY_SNAPSHOT: Final = 120
"""Bytes that each snapshot takes besides its id: its disk, in `remaining` and in `newest`."""


class CertificateState(StrEnum):
    BEGUN = "begun"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One restore point that was let go. `outcome`: intended, gone, still there, spared."""

    point: str
    subject: InstanceId
    slot: datetime
    taken: datetime
    snapshots: tuple[str, ...]
    rule: str  # which rule no longer saves it
    outcome: str
    because: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    run: str
    at: datetime  # begin
    policy: PolicyVersion
    state: CertificateState
    deletions: tuple[Deletion, ...] = ()
    remaining: Mapping[str, int] = field(default_factory=dict)  # usable points left, by disk of a deletion
    newest: Mapping[str, str] = field(default_factory=dict)  # newest usable snapshot left, by disk
    orphans: tuple[str, ...] = ()  # snapshots that carry our tags but no point of ours
    missing: tuple[str, ...] = ()  # points of ours whose snapshots the cloud does not have
    refused: tuple[str, ...] = ()
    ended: datetime | None = None


def fitting(deletions: Iterable[Deletion]) -> int:
    """How many of the first of these one certificate holds."""
    sizes = (len(codec.dump(one).encode()) + BECAUSE + _BY_SNAPSHOT * len(one.snapshots) for one in deletions)
    return sum(1 for _ in takewhile(lambda size: size <= HOLDS, accumulate(sizes)))


class Certificates:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, certificate: Certificate) -> None:
        key = (SCOPE, f"{codec.moment(certificate.at)}/{certificate.run}")
        columns = {"state": certificate.state.value, "body": codec.dump(certificate)}
        self._store.put(TABLE, Row(key=key, columns=columns), condition=Anything())

    def compared(self) -> datetime | None:
        """When our records were last compared with the cloud."""
        row = self._store.get(TABLE, COMPARED)
        return None if row is None else codec.instant(str(row.columns["at"]))

    def note_comparison(self, at: datetime) -> None:
        self._store.put(TABLE, Row(key=COMPARED, columns={"at": codec.moment(at)}), condition=Anything())

    def newest(self, limit: int | None = 1) -> Iterator[Certificate]:
        """Newest first."""
        for row in self._store.scan(TABLE, (SCOPE,), backward=True, limit=limit):
            yield codec.load(Certificate, str(row.columns["body"]))
