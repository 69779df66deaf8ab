"""The disks that a policy covers, as a feasibility check sees them: real ones, or a nominal one per protection."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from shared.domain.assumptions import Assumptions
from shared.domain.ids import DiskId, InstanceId
from shared.domain.policy import Policy, Selection

ESSD_AT_ONCE: Final = 10
OTHERS_AT_ONCE: Final = 1
"""Unfinished snapshots of one disk, by kind of disk. Source: ECS, Limits of snapshots, read 2025."""
_ESSD: Final = ("cloud_essd", "cloud_auto")


@dataclass(frozen=True, slots=True, kw_only=True)
class Covered:
    """One disk, or, with `stands_for` above 1, that many alike."""

    disk: DiskId
    instance: InstanceId
    size_gib: int
    essd: bool = True
    stands_for: int = 1
    real: bool = True  # False: nobody looked, this is what a check without a cloud assumes
    foreign: int = 0  # snapshots of it that Understudy did not make and that count against the same quota
    automatic: int = 0  # made by native policies, which have a quota of their own
    images: tuple[str, ...] = ()  # rules for images whose versions may each hold a snapshot of it

    @property
    def at_once(self) -> int:
        return ESSD_AT_ONCE if self.essd else OTHERS_AT_ONCE

    @property
    def kind(self) -> str:
        return "ESSD family" if self.essd else "an older kind"


Coverage = Mapping[str, Sequence[Covered]]
"""By protection."""


def is_essd(category: str) -> bool:
    return category.startswith(_ESSD)


def nominal(policy: Policy, assumptions: Assumptions) -> Coverage:
    """Without a cloud: every protection has disks of its own, all alike and of the ESSD family; and they are imaged by
    a rule whose selection asks for the same, or for more, or less of the same."""
    return {
        one.name: (
            Covered(
                disk=DiskId(""),
                instance=InstanceId(""),
                size_gib=assumptions.size_gib,
                stands_for=assumptions.disks,
                real=False,
                images=tuple(rule.name for rule in policy.images if _of_the_same(rule.of, one.select)),
            ),
        )
        for one in policy.protections
    }


def _of_the_same(one: Selection, other: Selection) -> bool:
    """As far as tags and ids say it. What is selected by a condition is not compared."""
    if set(one.ids) & set(other.ids):
        return True
    if not one.tags or not other.tags or one.where is not None or other.where is not None:
        return False
    return one.tags.items() <= other.tags.items() or other.tags.items() <= one.tags.items()


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """Disks of one kind that are covered by the same protections, and imaged by the same rules."""

    protections: tuple[str, ...]
    disks: tuple[Covered, ...]

    @property
    def fullest(self) -> Covered:
        return max(self.disks, key=lambda one: (one.foreign, one.size_gib))

    @property
    def largest(self) -> Covered:
        return max(self.disks, key=lambda one: one.size_gib)

    @property
    def count(self) -> int:
        return sum(one.stands_for for one in self.disks)


def positions(coverage: Coverage) -> tuple[Position, ...]:
    """Every disk in one of them; without a cloud, each protection has its own."""
    covering: dict[str, list[str]] = {}
    by_key: dict[str, Covered] = {}
    for name, disks in coverage.items():
        for disk in disks:
            key = disk.disk or f"nominal/{name}"
            covering.setdefault(key, []).append(name)
            by_key[key] = disk
    groups: dict[tuple[tuple[str, ...], bool, tuple[str, ...]], list[Covered]] = {}
    for key, names in covering.items():
        groups.setdefault((tuple(names), by_key[key].essd, by_key[key].images), []).append(by_key[key])
    return tuple(Position(protections=names, disks=tuple(disks)) for (names, _, _), disks in groups.items())


def alike(disks: Iterable[Covered]) -> tuple[Covered, ...]:
    """One for each kind of disk, the largest, that stands for the others: what is slow is slow for the largest."""
    groups: dict[tuple[bool, bool], Covered] = {}
    for disk in disks:
        key = (disk.essd, disk.real)
        seen = groups.get(key)
        if seen is None:
            groups[key] = disk
            continue
        both = seen.stands_for + disk.stands_for
        groups[key] = replace(disk if disk.size_gib > seen.size_gib else seen, stands_for=both)
    return tuple(groups.values())
