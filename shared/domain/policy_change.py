"""What a new policy would let go that the old one keeps: said before it is applied, as prune judges every point by the
policy that is active then, also points that were taken under another."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import groupby
from typing import Final

from shared.domain.guardrails import over_the_caps
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.domain.pruning import Rules, judge
from shared.domain.retention import RestorePoint

SHOWN: Final = 5


def newly_expired(
    points: Iterable[RestorePoint], old: Policy | None, new: Policy, *, now: datetime
) -> Iterator[RestorePoint]:
    """Of `points`, each instance's in one run as `Points.all` gives them; oldest first within an instance and place.
    Without an old policy nothing was let go so far. Holds one instance's points at a time."""
    before = None if old is None else Rules(old)
    after = Rules(new)
    for _, group in groupby(points, key=lambda point: point.subject):
        own = list(group)
        gone = set() if before is None else {_key(one) for one in _expired(own, before, now)}
        yield from (one for one in _expired(own, after, now) if _key(one) not in gone)


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`oldest` are the first few, for the eye."""

    points: int  # that were looked at
    expires: int
    by_rule: Mapping[tuple[str, Place], int] = field(default_factory=dict)  # by protection and place
    oldest: tuple[RestorePoint, ...] = ()
    stops: tuple[str, ...] = ()  # caps of the new policy that would stop the next prune

    def __str__(self) -> str:
        if not self.expires:
            return f"of {self.points} restore points it lets none go that are kept now"
        where = ", ".join(
            f"{count} of {name or 'no protection'} in {place.region}"
            for (name, place), count in sorted(self.by_rule.items())
        )
        return f"of {self.points} restore points it lets {self.expires} go that are kept now: {where}"


def weigh(points: Iterable[RestorePoint], old: Policy | None, new: Policy, *, now: datetime) -> Change:
    """The same, counted. Memory does not grow with the fleet."""
    rules = Rules(new)
    seen = 0

    def counted() -> Iterator[RestorePoint]:
        nonlocal seen
        for point in points:
            seen += 1
            yield point

    by_rule: Counter[tuple[str, Place]] = Counter()
    oldest: list[RestorePoint] = []
    for point in newly_expired(counted(), old, new, now=now):
        by_rule[point.protection, rules.place(point)] += 1
        oldest = sorted([*oldest, point], key=lambda one: (one.taken, one.subject, one.id))[:SHOWN]
    expires = by_rule.total()
    stops = tuple(str(one) for one in over_the_caps(expires, seen, new.prune)) if expires else ()
    return Change(points=seen, expires=expires, by_rule=dict(by_rule), oldest=tuple(oldest), stops=stops)


def _expired(points: Iterable[RestorePoint], rules: Rules, now: datetime) -> Iterator[RestorePoint]:
    for one in judge(points, rules, now=now):
        yield from one.expire


def _key(point: RestorePoint) -> tuple[str, datetime, str]:
    return (point.protection, point.slot, point.id)
