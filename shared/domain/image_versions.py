"""Which versions of an image family stay, in one region, and which go: first out of the family, later for good.

An image is held by whatever still needs it: an instance made of it, a scaling configuration that names it, a copy or a
recovery under way, a pin. What is held stays, however old. An image whose deletion was a mistake cannot be brought
back, so the two steps lie `GRACE` apart, and between them it can be taken back into its family by hand.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.ids import ImageId
from shared.domain.inventory import DiskKind, Image, ImageState
from shared.domain.policy import ImageRule
from shared.domain.timetable import most_within
from shared.domain.wording import plural

GRACE: Final = timedelta(days=7)
"""Between leaving the family and being deleted."""
LEFT_OVER: Final = timedelta(days=2)
"""From an image's deletion to that of its snapshots: two comparisons, a day apart."""
SYSTEM_DISK_AT_MOST_GIB: Final = 2_048
"""Assumption: the largest system disk of the ESSD family; older categories take 500."""


class Fate(StrEnum):
    KEEP = "keep"
    DEPRECATE = "deprecate"
    DELETE = "delete"


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One image of a family in one region."""

    image: ImageId
    number: int  # 0: made before versions were counted, or not by us
    made: datetime
    state: ImageState
    startable: bool  # Available, its snapshots stand, an instance can be made of it
    held: tuple[str, ...] = ()  # by what, each a reason
    deprecated: datetime | None = None  # since when, if it was us

    @property
    def order(self) -> tuple[int, datetime, ImageId]:
        """The greatest is the newest."""
        return (self.number, self.made, self.image)


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    version: Version
    fate: Fate
    because: str


def versions_held(rule: ImageRule) -> int:
    """At most at a time, in one region: those that stay, one being made, and those on their way out."""
    leaving = most_within(rule.schedules, GRACE + LEFT_OVER) if rule.schedules else 1
    return rule.keep + 1 + leaving


def newest(versions: Sequence[Version]) -> Version | None:
    """The newest of which an instance can be made."""
    return max((one for one in versions if one.startable), key=lambda one: one.order, default=None)


def unfit(image: Image, *, standing: bool) -> str:
    """Why no instance can be made of it; empty: one can. `standing`: the cloud shows all of its snapshots."""
    if image.state is not ImageState.AVAILABLE:
        return f"it is {image.state}"
    if not standing:
        return "snapshots of it are gone"
    systems = [disk for disk in image.disks if disk.kind is DiskKind.SYSTEM]
    if image.disks and len(systems) != 1:
        return f"it has {len(systems)} system disks"
    if systems and systems[0].size_gib > SYSTEM_DISK_AT_MOST_GIB:
        return f"its system disk of {systems[0].size_gib} GiB is larger than the cloud allows"
    return ""


def plan_retirement(
    versions: Sequence[Version], *, keep: int, now: datetime, at_most: int, grace: timedelta = GRACE
) -> tuple[Verdict, ...]:
    """What becomes of each version of one family in one region, oldest first.

    The newest `keep` of which an instance can be made stay, and never fewer than one; when there is none, nothing
    goes but what the cloud failed to make. At most `at_most` change in one run, the oldest of them: the next run goes
    on.
    """
    ordered = sorted(versions, key=lambda one: one.order)
    usable = [one for one in ordered if one.startable]
    saved = {one.image for one in usable[-max(1, keep) :]}
    left = at_most
    verdicts: list[Verdict] = []
    for one in ordered:
        fate, because = _judge(one, saved, bool(usable), now, grace)
        if fate is not Fate.KEEP and left <= 0:
            fate, because = (
                Fate.KEEP,
                f"its turn comes in a later run: this one changes {plural(at_most, 'image')} at most",
            )
        left -= fate is not Fate.KEEP
        verdicts.append(Verdict(version=one, fate=fate, because=because))
    return tuple(verdicts)


def _judge(one: Version, saved: set[ImageId], any_usable: bool, now: datetime, grace: timedelta) -> tuple[Fate, str]:
    if one.image in saved:
        which = "the newest usable version" if len(saved) == 1 else f"one of the {len(saved)} newest usable versions"
        return Fate.KEEP, which
    if one.held:
        return Fate.KEEP, "; ".join(one.held)
    if not any_usable and one.state is not ImageState.FAILED:
        return Fate.KEEP, "no usable version stands: nothing is let go"
    match one.state:
        case ImageState.CREATING:
            return Fate.KEEP, "it is being made"
        case ImageState.FAILED if now - one.made >= grace:
            # Also where none is usable: it is of no use to anybody, and a family that never succeeds would fill the
            # quota that the next attempt needs.
            return Fate.DELETE, "the cloud failed to make it"
        case ImageState.FAILED:
            return Fate.KEEP, f"the cloud failed to make it: it goes {(one.made + grace):%Y-%m-%d}"
        case ImageState.UNAVAILABLE:
            return Fate.KEEP, "the cloud calls it unavailable, and may take that back: delete it by hand if it does not"
        case ImageState.AVAILABLE if not one.startable and now - one.made < grace:
            return Fate.KEEP, "no instance can be made of it yet"
        case ImageState.AVAILABLE if not one.startable:
            return Fate.DEPRECATE, "no instance can be made of it"
        case ImageState.AVAILABLE:
            return (
                Fate.DEPRECATE,
                f"{plural(len(saved), 'newer usable version')} {'stands' if len(saved) == 1 else 'stand'}",
            )
    if one.deprecated is None:
        return Fate.KEEP, "somebody else took it out of its family: it is theirs to delete"
    if now - one.deprecated >= grace:
        return Fate.DELETE, f"out of its family since {one.deprecated:%Y-%m-%d}"
    return Fate.KEEP, f"out of its family since {one.deprecated:%Y-%m-%d}: it goes {(one.deprecated + grace):%Y-%m-%d}"


def changes(verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    return (one for one in verdicts if one.fate is not Fate.KEEP)
