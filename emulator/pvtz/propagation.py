"""How long name servers go on answering what was, after a change that the API has acknowledged.

Neither DNS service documents the time; it is 0 unless a test or an operator chooses one. Alidns' public names and
PrivateZone's share this.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol


class Named(Protocol):
    """A record as the name servers need it, of either service."""

    @property
    def rr(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def ttl(self) -> int: ...
    @property
    def priority(self) -> int: ...
    @property
    def weight(self) -> int: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """What the name servers answer from: enabled records alone, and which names are answered by weight."""

    records: tuple[Named, ...]
    weighted: frozenset[tuple[str, str]]  # (host name in lower case, type)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lagging:
    """What was published before a change, until the change has got through."""

    until: datetime
    published: Published


def lag(behind: list[Lagging], now: datetime, delay: timedelta, before: Published) -> None:
    """A change is made now: `before` is still seen for `delay`. What has got through meanwhile is forgotten."""
    behind[:] = [one for one in behind if one.until > now]
    if delay:
        behind.append(Lagging(until=now + delay, published=before))


def seen(behind: Iterable[Lagging], now: datetime) -> Published | None:
    """What is still seen; None: what is stored is what is seen."""
    return next((one.published for one in behind if one.until > now), None)
