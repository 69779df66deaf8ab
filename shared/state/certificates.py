"""What each prune did, under which rule, and what each disk has left: for a verifier that does not trust us.

A certificate is written as *begun* before the first deletion (the journal of the run: its token list is its intent) and
again as *ended* after the read-back. Both are the same row, so a run that crashed leaves one that says so.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Final

from shared.domain.ids import InstanceId, PolicyVersion
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "certificates"
SCOPE: Final = "prune"


class CertificateState(StrEnum):
    BEGUN = "begun"
    ENDED = "ended"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deletion:
    """One restore point that was let go. `outcome`: intended, gone, still there, spared, failed."""

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
    remaining: Mapping[str, int] = field(default_factory=dict)  # usable points left, by disk
    newest: Mapping[str, str] = field(default_factory=dict)  # newest usable snapshot left, by disk
    orphans: tuple[str, ...] = ()  # snapshots that carry our tags but no point of ours
    missing: tuple[str, ...] = ()  # points of ours whose snapshots the cloud does not have
    refused: tuple[str, ...] = ()
    ended: datetime | None = None


class Certificates:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, certificate: Certificate) -> None:
        key = (SCOPE, f"{codec.moment(certificate.at)}/{certificate.run}")
        columns = {"state": certificate.state.value, "body": codec.dump(certificate)}
        self._store.put(TABLE, Row(key=key, columns=columns), condition=Anything())

    def newest(self, limit: int | None = 1) -> Iterator[Certificate]:
        """Newest first."""
        for row in self._store.scan(TABLE, (SCOPE,), backward=True, limit=limit):
            yield codec.load(Certificate, str(row.columns["body"]))
