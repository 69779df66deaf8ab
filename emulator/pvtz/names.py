"""What a name answers: PrivateZone's names first, then the public ones of Alidns, along chains of CNAMEs.

Real resolvers inside a VPC answer at 100.100.2.136/138; here one address serves every VPC of the home account (which
VPC asks cannot be seen on a loopback). A private zone hides the public domain of the same name, unless its
ProxyPattern is RECORD: then what it does not know is asked in public. Names of neither are refused: the emulator
knows no other name servers.

A zone in the acceleration layer (FAST_ZONE) answers what is stored; one that is not (NORMAL_ZONE) answers through a
cache that keeps an answer for its TTL. Alidns' answers come straight from its authoritative servers: see `resolver`
for clients that cache.
"""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.alidns.model import accounts_of
from emulator.pvtz.model import Zone
from emulator.pvtz.propagation import Named, Published

if TYPE_CHECKING:
    from emulator.cloud import Cloud

MAX_CHAIN: Final = 8  # CNAMEs followed within our own names
NEGATIVE_TTL: Final = 5  # assumption; a client may remember for so long that a name is absent
ANY: Final = "ANY"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """A zone or a domain, as its name servers see it."""

    name: str
    updated: datetime
    published: Published
    falls_through: bool = False
    caches: str = ""  # the zone's id, where a cache stands before it


@dataclass(frozen=True, slots=True, kw_only=True)
class RRset:
    name: str
    type: str
    ttl: int
    members: tuple[Named, ...]


@dataclass(slots=True, kw_only=True)
class Answer:
    """`refused`: nobody here knows the name. `missing`: its origin says that it does not exist."""

    rrsets: list[RRset]
    origin: Origin | None = None  # whose SOA stands for what is absent
    refused: bool = False
    missing: bool = False
    endless: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    records: tuple[Named, ...]
    exists: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Cached:
    found: Found
    until: datetime


class Names:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._turn = itertools.count()
        self._credit: dict[tuple[str, str], dict[int, int]] = {}
        self._cache: dict[tuple[str, str, str], Cached] = {}

    def ask(self, name: str, type: str) -> Answer:
        """`name` is lower case without final dot; `type` as text, `ANY` for all."""
        answer = Answer(rrsets=[])
        for hop in range(MAX_CHAIN):
            origin, found, left = self._look(name, type)
            if origin is None:
                answer.refused = hop == 0  # a chain that leaves our names ends with the CNAME
                return answer
            wanted = [r for r in found.records if type in (r.type, ANY)]
            if wanted:
                answer.rrsets += self._sets(origin, name, wanted, left)
                return answer
            alias = next((r for r in self._chosen(origin, name, found.records, "CNAME")), None)
            if alias is None:
                answer.origin, answer.missing = origin, not found.exists
                return answer
            ttl = alias.ttl if left is None else left
            answer.rrsets.append(RRset(name=name, type="CNAME", ttl=ttl, members=(alias,)))
            name = alias.value.rstrip(".").lower()
        answer.endless = True
        return answer

    def origin(self, name: str) -> Origin | None:
        """Whose name it is: the private zone's that holds it, else the public domain's."""
        return next(iter(self._origins(name)), None)

    def _origins(self, name: str) -> list[Origin]:
        """In order of precedence."""
        found = []
        if (zone := self._cloud.pvtz.enclosing(name)) is not None:
            found.append(self._private(zone))
        if (domain := self._public(name)) is not None:
            found.append(domain)
        return found

    def _private(self, zone: Zone) -> Origin:
        return Origin(
            name=zone.name,
            updated=zone.updated,
            published=self._cloud.pvtz.published(zone),
            falls_through=zone.proxy_pattern == "RECORD",
            caches="" if zone.is_fast else zone.id,
        )

    def _public(self, name: str) -> Origin | None:
        labels = name.split(".")
        accounts = accounts_of(self._cloud.home.owner)
        for cut in range(len(labels)):
            end = ".".join(labels[cut:])
            for account in accounts:
                domain = account.domains.get(end)
                if domain is not None:
                    return Origin(name=end, updated=domain.updated, published=account.published(domain))
        return None

    def _look(self, name: str, type: str) -> tuple[Origin | None, Found, int | None]:
        """Who answers, what is there, and for how many seconds more when it comes out of a cache."""
        nothing = Found(records=(), exists=False)
        last: Origin | None = None
        for origin in self._origins(name):
            found, left = self._cached(origin, name, type) if origin.caches else (_records(origin, name), None)
            if found.exists or not origin.falls_through:
                return origin, found, left
            last = last or origin
        return last, nothing, None

    def _cached(self, origin: Origin, name: str, type: str) -> tuple[Found, int | None]:
        now = self._cloud.clock.now()
        key = (origin.caches, name, type)
        known = self._cache.get(key)
        if known is not None and known.until > now:
            return known.found, math.ceil((known.until - now).total_seconds())
        found = _records(origin, name)
        ttl = min((r.ttl for r in found.records), default=NEGATIVE_TTL)
        self._cache[key] = Cached(found=found, until=now + timedelta(seconds=ttl))
        return found, None

    def _sets(self, origin: Origin, name: str, records: Sequence[Named], left: int | None) -> list[RRset]:
        """One RRset per type, each beginning one further round than in the last answer: round robin for clients that
        take the first. Where weights are open, one record by its weight."""
        turn = next(self._turn)
        found = []
        for kind in dict.fromkeys(r.type for r in records):
            members = self._chosen(origin, name, records, kind)
            if not members:
                continue
            start = turn % len(members)
            ttl = min(r.ttl for r in members) if left is None else left
            rotated = (*members[start:], *members[:start])
            found.append(RRset(name=name, type=kind, ttl=ttl, members=rotated))
        return found

    def _chosen(self, origin: Origin, name: str, records: Sequence[Named], kind: str) -> list[Named]:
        members = [r for r in records if r.type == kind]
        if not members or (members[0].rr.lower(), kind) not in origin.published.weighted:
            return members
        return self._by_weight((name, kind), members)

    def _by_weight(self, key: tuple[str, str], members: list[Named]) -> list[Named]:
        """One of them, each as often as its weight says: smooth weighted round robin, so that shares come out exact.
        Weight 0 is never answered; when all are 0 nothing is (assumption)."""
        taking = [(number, one) for number, one in enumerate(members) if one.weight > 0]
        if not taking:
            return []
        before = self._credit.get(key, {})
        credit = {number: before.get(number, 0) + one.weight for number, one in taking}
        number, chosen = max(taking, key=lambda pair: credit[pair[0]])
        credit[number] -= sum(one.weight for _, one in taking)
        self._credit[key] = credit
        return [chosen]


def _records(origin: Origin, name: str) -> Found:
    """Those of the name itself, or else of the nearest wildcard above it. A name exists if it, or anything below it,
    has a record."""
    rr = "@" if name == origin.name else name.removesuffix("." + origin.name)
    by_name: dict[str, list[Named]] = {}
    for record in origin.published.records:
        by_name.setdefault(record.rr.lower(), []).append(record)
    if rr in by_name or rr == "@" or _has_below(by_name, rr):
        return Found(records=tuple(by_name.get(rr, ())), exists=True)
    above = rr
    while above:
        above = above.partition(".")[2]
        wildcard = f"*.{above}" if above else "*"
        if wildcard in by_name:
            return Found(records=tuple(by_name[wildcard]), exists=True)
        if above and (above in by_name or _has_below(by_name, above)):
            break  # the closest name that exists: wildcards further up are not for what lies below it
    return Found(records=(), exists=False)


def _has_below(by_name: dict[str, list[Named]], rr: str) -> bool:
    return any(other.endswith("." + rr) for other in by_name)
