"""What each prune did, under which rules, and what each disk has left: for a verifier that does not trust us.

A certificate is a head and numbered parts. The head states the terms of the run (rules, caps, what was counted) before
anything goes. Each part tells of some instances in one place: all their points there, what the cloud showed of them,
and what becomes of each. It is written as *begun* before its first deletion (the journal of the run) and again as
*ended* after the read-back; then the head is ended. A run that crashed leaves a head that says so, and a later run
settles it.

Every part carries the digest of the one before it (the first: that of the terms), and the head that of the last, so
that what is altered, left out or cut off is noticed. The digest is no signature: who can rewrite the store can rewrite
all of it. The decision that tells the end of the run repeats the head's digest.
"""

import base64
import hashlib
import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, NotRequired, TypedDict

from shared.domain.errors import Permanent
from shared.domain.ids import PolicyVersion
from shared.ports.store import Anything, Row, Store
from shared.state import codec

TABLE: Final = "certificates"
SCOPE: Final = "prune"
PARTS: Final = "parts/"
COMPARED: Final = ("drift", "compared")
"""When our records were last compared with the cloud. Here, so that prune need not be able to write controls."""
FORMAT: Final = "understudy prune certificate 2"
FINDINGS: Final = 2_000
"""Orphans, and missing points, that a certificate names at most; ids are of at most 100 bytes."""
HOLDS: Final = 3_000_000
"""Bytes of text that one part is made of at most, unless a single instance takes more. It is stored compressed, in
about a third: 1 MB. A column's value holds 2 MiB (2,097,152; source: Tablestore, limits, read 2026-03)."""
COLUMN: Final = 2_000_000
RECENT: Final = 8
"""Heads among which an unfinished one is looked for."""


class CertificateState(StrEnum):
    BEGUN = "begun"
    ENDED = "ended"
    REFUSED = "refused"


class Fate(StrEnum):
    """What becomes of a restore point, or of the snapshots of a deleted image."""

    KEPT = "kept"  # a rule saves it
    SPARED = "spared"  # no rule does, but it may not go
    INTENDED = "intended"  # to be deleted; nobody has read back yet whether it was
    GONE = "gone"  # read back
    RETIRED = "retired"  # an image that left its family: read back
    STILL_THERE = "still there"
    UNKNOWN = "unknown"  # the cloud showed too little for an answer


class PointLine(TypedDict):
    """One restore point of an instance, as our records have it. Moments are texts in UTC."""

    id: str
    protection: str
    slot: str
    taken: str
    usable: bool
    complete: bool
    failed: bool
    pinned: bool
    locked_until: str | None
    uncopied: list[str]  # regions whose copy it waits for
    adopted: bool
    group: str | None
    copy_of: str
    disks: list[list[str]]  # disk, snapshot
    fate: str
    because: list[str]


class InstanceLine(TypedDict):
    subject: str
    points: list[PointLine]


class LeftoverLine(TypedDict):
    """The snapshots that an image of ours left behind when it was deleted."""

    image: str
    operation: str  # that made the image
    missing_since: str
    snapshots: list[str]
    fate: str
    because: list[str]


class ImageLine(TypedDict):
    """One version of an image family in one place."""

    image: str
    version: int
    operation: str  # that made it; empty: none of ours
    made: str
    state: str
    startable: bool
    used: bool  # instances made of it stand
    pinned: bool
    held: list[str]  # by what else, each a reason
    retired: str | None  # since when it is out of its family, if it was us
    wanted: str  # keep, deprecate or delete
    fate: str
    because: list[str]


class SnapshotLine(TypedDict):
    """What the cloud showed of one snapshot."""

    disk: str
    usable: bool
    complete: bool
    ours: bool  # carries our tag
    usage: str
    locked: NotRequired[bool]


class Part(TypedDict):
    run: str
    number: int  # from 1
    previous: str  # digest
    state: str
    region: str
    account: str
    looked: str
    read_back: str | None
    instances: list[InstanceLine]
    leftovers: list[LeftoverLine]
    before: dict[str, SnapshotLine]  # by snapshot, of those asked for: what was not shown is not here
    after: dict[str, SnapshotLine]
    digest: str
    # In a part about images only, which has no instances and no leftovers:
    family: NotRequired[str]
    images: NotRequired[list[ImageLine]]  # all of the family there
    images_after: NotRequired[dict[str, str]]  # their states, of those shown


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleLine:
    """What is kept of a protection in one place."""

    protection: str
    region: str
    account: str
    zone: str
    days: int | None
    last: int
    hourly: int
    daily: int
    weekly: int
    monthly: int
    yearly: int
    forever: bool
    locks: bool  # its snapshots are locked


@dataclass(frozen=True, slots=True, kw_only=True)
class FamilyLine:
    """What is kept of an image family, in each place."""

    rule: str
    family: str
    keep: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    run: str
    at: datetime  # begin
    as_of: datetime  # the moment for which the points were judged
    policy: PolicyVersion
    format: str = FORMAT
    protection: str = ""  # only this one's points were looked at
    rules: tuple[RuleLine, ...] = ()
    max_items: int = 0
    max_percent: int = 0
    percent_from: int = 0
    points: int = 0  # that were judged
    going: int = 0  # of these (and of left-over images), what no rule saves
    plan: str = ""  # digest of what is going
    allowed: str = ""  # by which an operator lifted the caps for this very plan
    images: tuple[FamilyLine, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    terms: Terms
    state: CertificateState = CertificateState.BEGUN
    parts: int = 0
    last: str = ""  # digest of the last part, or of the terms
    outcomes: Mapping[str, int] = field(default_factory=dict)  # points, images and left-overs of all parts, by fate
    orphans: tuple[str, ...] = ()  # snapshots that carry our tags but no point of ours
    missing: tuple[str, ...] = ()  # points of ours whose snapshots the cloud does not have
    refused: tuple[str, ...] = ()
    stopped: str = ""  # why it ended before it was through
    settled_by: str = ""  # the run that read back what this one left unsaid
    ended: datetime | None = None
    digest: str = ""

    @property
    def at(self) -> datetime:
        return self.terms.at

    @property
    def run(self) -> str:
        return self.terms.run

    @property
    def policy(self) -> PolicyVersion:
        return self.terms.policy


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def opening(terms: Terms) -> str:
    """With which the chain of parts begins."""
    return digest(codec.dump(terms))


def sealed(certificate: Certificate) -> Certificate:
    blank = replace(certificate, digest="")
    return replace(blank, digest=digest(codec.dump(blank)))


def sealed_part(part: Part) -> Part:
    return {**part, "digest": digest(text_of({**part, "digest": ""}))}


def text_of(part: Part) -> str:
    """The text that is digested and stored: sorted keys, no spaces, UTF-8 as it is."""
    return json.dumps(part, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


class Certificates:
    def __init__(self, store: Store) -> None:
        self._store = store

    def put(self, certificate: Certificate) -> Certificate:
        """As it now stands, sealed."""
        made = sealed(certificate)
        columns = {"state": made.state.value, "body": codec.dump(made), "format": FORMAT}
        self._store.put(TABLE, Row(key=(SCOPE, _key(made)), columns=columns), condition=Anything())
        return made

    def put_part(self, certificate: Certificate, part: Part) -> Part:
        made = sealed_part(part)
        body = base64.b64encode(zlib.compress(text_of(made).encode())).decode()
        if len(body) > COLUMN:
            raise Permanent(f"part {part['number']} of certificate {part['run']} takes {len(body)} bytes")
        row = Row(key=(PARTS + _key(certificate), f"{part['number']:06d}"), columns={"state": part["state"], "z": body})
        self._store.put(TABLE, row, condition=Anything())
        return made

    def parts(self, certificate: Certificate) -> Iterator[Part]:
        """In their order. Streams."""
        for row in self._store.scan(TABLE, (PARTS + _key(certificate),)):
            yield json.loads(zlib.decompress(base64.b64decode(str(row.columns["z"]))))

    def compared(self) -> datetime | None:
        """When our records were last compared with the cloud."""
        row = self._store.get(TABLE, COMPARED)
        return None if row is None else codec.instant(str(row.columns["at"]))

    def note_comparison(self, at: datetime) -> None:
        self._store.put(TABLE, Row(key=COMPARED, columns={"at": codec.moment(at)}), condition=Anything())

    def newest(self, limit: int | None = 1) -> Iterator[Certificate]:
        """Heads, newest first. What an older version wrote in another form is left out."""
        for row in self._store.scan(TABLE, (SCOPE,), backward=True, limit=limit):
            if row.columns.get("format") == FORMAT:
                yield codec.load(Certificate, str(row.columns["body"]))

    def unfinished(self) -> tuple[Certificate, ...]:
        """Of the latest: those whose run has not ended them."""
        return tuple(one for one in self.newest(RECENT) if one.state is CertificateState.BEGUN)

    def of(self, run: str) -> Certificate | None:
        """The one of this run, or begun at this moment; the newest when several fit."""
        return next((one for one in self.newest(None) if run in (one.run, codec.second(one.at), _key(one))), None)


def document(certificate: Certificate, parts: Iterator[Any]) -> dict[str, Any]:
    """All of it as one JSON object, for a verifier."""
    return {"head": json.loads(codec.dump(certificate)), "parts": list(parts)}


def _key(certificate: Certificate) -> str:
    return f"{codec.moment(certificate.at)}/{certificate.run}"
