"""What becomes of the restore points of one instance: which rule holds where, and what a plan is known by.

Home and every region of copies keep by rules of their own, so each place is judged by itself. A point for which no rule
holds (its protection, or the copies into its region, were taken out of the policy) is kept: nothing says it may go.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.guardrails import Spared, held_back
from shared.domain.ids import AccountName, InstanceId, PolicyVersion, SnapshotId
from shared.domain.place import Place
from shared.domain.policy import Policy, Retention
from shared.domain.retention import SAFETY, Kept, RestorePoint, describe, plan_prune

NO_RULE: Final = "no rule of the policy holds for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What is kept of a protection in one region."""

    protection: str
    place: Place
    keep: Retention
    zone: str  # in whose calendar `keep` is cut
    locks: bool

    @property
    def unsaved(self) -> str:
        return f"not among {describe(self.keep)}"


class Rules:
    def __init__(self, policy: Policy, *, needed: Callable[[], Mapping[SnapshotId, str]] = dict) -> None:
        """`needed`: snapshots that something unfinished needs now, and what."""
        self.needed = needed
        self._region = policy.region
        self._accounts: Mapping[str, AccountName] = {one.name: one.account for one in policy.protections}
        self._rules: dict[tuple[str, Place], Rule] = {}
        for one in policy.protections:
            home = policy.place(one)
            self._add(Rule(
                protection=one.name, place=home, keep=one.keep, zone=one.zone, locks=one.lock is not None
            ))  # fmt: skip
            for copy in one.copies:
                place = Place(copy.region, one.account)
                if place != home:
                    self._add(Rule(
                        protection=one.name, place=place, keep=copy.keep, zone=one.zone, locks=copy.lock is not None
                    ))  # fmt: skip
        self._safety(policy)

    def _safety(self, policy: Policy) -> None:
        """Of restores, where instances stand."""
        keep = Retention(days=policy.safety_days)
        for place in {policy.place(one) for one in policy.protections} or {Place(policy.region)}:
            self._add(Rule(protection=SAFETY, place=place, keep=keep, zone="UTC", locks=False))

    def all(self) -> tuple[Rule, ...]:
        return tuple(self._rules[key] for key in sorted(self._rules))

    def of(self, point: RestorePoint) -> Rule | None:
        return self._rules.get((point.protection, self.place(point)))

    def place(self, point: RestorePoint) -> Place:
        """Points that an older version recorded are at home."""
        if point.place is not None:
            return point.place
        return Place(self._region, self._accounts.get(point.protection, AccountName("")))

    def _add(self, rule: Rule) -> None:
        self._rules.setdefault((rule.protection, rule.place), rule)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """The points of one instance in one place, each in one of the three."""

    subject: InstanceId
    place: Place
    keep: tuple[Kept, ...]  # oldest first
    expire: tuple[RestorePoint, ...]  # oldest first
    spared: tuple[Spared, ...]  # what no rule saves, and what our own records say must not go yet

    @property
    def points(self) -> int:
        return len(self.keep) + len(self.expire) + len(self.spared)


def judge(points: Iterable[RestorePoint], rules: Rules, *, now: datetime, only: str = "") -> Iterator[Judged]:
    """Of all points of one instance, by place; with `only`, of this protection."""
    by_place: dict[Place, list[RestorePoint]] = {}
    for point in points:
        if not only or point.protection == only:
            by_place.setdefault(rules.place(point), []).append(point)
    for place in sorted(by_place):
        yield _judged(place, by_place[place], rules, now)


def _judged(place: Place, points: list[RestorePoint], rules: Rules, now: datetime) -> Judged:
    keep: list[Kept] = []
    candidates: list[RestorePoint] = []
    by_protection: dict[str, list[RestorePoint]] = {}
    for point in points:
        by_protection.setdefault(point.protection, []).append(point)
    for mine in by_protection.values():
        rule = rules.of(mine[0])
        if rule is None:
            keep += (Kept(point=point, because=(NO_RULE,)) for point in mine)
            continue
        plan = plan_prune(mine, rule.keep, zone=rule.zone, now=now)
        keep += (one for one in plan.keep if not one.held)
        candidates += (*plan.expire, *(one.point for one in plan.keep if one.held))
    spared = tuple(one for point in candidates if (one := held_back(point, now)) is not None)
    held = {one.point.key for one in spared}
    staying = {one for kept in keep for _, one in kept.point.disks} | {
        one for each in spared for _, one in each.point.disks
    }
    shared = tuple(_shared([point for point in candidates if point.key not in held], staying))
    spared += shared
    held |= {one.point.key for one in shared}
    return Judged(
        subject=points[0].subject,
        place=place,
        keep=tuple(sorted(keep, key=lambda one: (one.point.taken, one.point.id))),
        expire=tuple(sorted((p for p in candidates if p.key not in held), key=lambda one: (one.taken, one.id))),
        spared=spared,
    )


def _shared(candidates: list[RestorePoint], staying: set[SnapshotId]) -> Iterator[Spared]:
    """Those that have a snapshot in common with a point that stays; what they keep back stays as well."""
    left = candidates
    while held := [point for point in left if any(one in staying for _, one in point.disks)]:
        for point in held:
            common = next(one for _, one in point.disks if one in staying)
            yield Spared(point=point, rule="never shared", because=f"a point that stays holds {common} too")
        staying |= {one for point in held for _, one in point.disks}
        keys = {point.key for point in held}
        left = [point for point in left if point.key not in keys]


def number_of(*item: str) -> int:
    """Of 256 bits; sums of them tell sets of items apart."""
    return int.from_bytes(hashlib.sha256("\x1f".join(item).encode()).digest(), "big")


class Digest:
    """What a plan is known by, in whatever order its items are told."""

    def __init__(self) -> None:
        self._sum = 0
        self.items = 0

    def add(self, *item: str) -> None:
        self._sum += number_of(*item)
        self.items += 1

    def text(self, policy: PolicyVersion, now: datetime, only: str) -> str:
        parts = (str(policy), _moment(now), only, str(self.items), f"{self._sum % (1 << 256):064x}")
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Permit:
    """An operator's leave to carry out one plan that is over the caps: so many items, judged as of a moment."""

    items: int
    as_of: datetime
    plan: str

    def __str__(self) -> str:
        return f"{self.items}-{_moment(self.as_of)}-{self.plan}"

    @classmethod
    def parse(cls, text: str) -> "Permit":
        """Raises BadInput."""
        try:
            items, moment, plan = text.split("-")
            as_of = datetime.strptime(moment, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
            return cls(items=int(items), as_of=as_of, plan=plan)
        except ValueError:
            raise BadInput(
                f"--allow {text!r} is not what a refused prune tells: it reads 1234-20260302T103000Z-0123456789abcdef"
            ) from None


def _moment(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
