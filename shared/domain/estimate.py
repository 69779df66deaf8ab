"""How long each kind of recovery takes, from sizes and assumptions, before anything is done; and better, from how long
earlier ones took.

An estimate is for an operator who has to choose in a hurry. It is no promise, and a bound of no kind: limits are in the
recipes.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from heapq import heapify, heapreplace
from typing import Final

from shared.domain.assumptions import MIB_PER_GIB, Assumptions

_INSTANT: Final = ("cloud_essd", "cloud_auto")
"""Categories whose snapshots are usable in seconds. Source: ECS, snapshots, instant access, read 2025."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Durations:
    """Of single steps. All are assumptions unless a source stands beside them: an operator's own earlier recoveries
    replace what is made of them."""

    check: timedelta = timedelta(seconds=5)  # reads, before anything
    out_of_service: timedelta = timedelta(seconds=10)  # standby read back, weights set
    stop: timedelta = timedelta(seconds=40)
    stop_by_force: timedelta = timedelta(seconds=30)
    start: timedelta = timedelta(seconds=30)  # until it reads Running
    boot: timedelta = timedelta(seconds=30)  # from Running until its service answers
    serve: timedelta = timedelta(seconds=15)  # until the balancer's checks agree
    create: timedelta = timedelta(seconds=35)  # RunInstances until Running
    create_disk: timedelta = timedelta(seconds=15)
    attach: timedelta = timedelta(seconds=10)
    detach: timedelta = timedelta(minutes=1)  # "about 1 minute". Source: ECS API, DetachDisk, read 2024
    reset: timedelta = timedelta(seconds=30)  # of a disk, beside its bytes
    reset_mib_per_second: float = 300.0
    replace_system_disk: timedelta = timedelta(minutes=1)
    image: timedelta = timedelta(seconds=30)  # of complete snapshots, by reference
    usable: timedelta = timedelta(seconds=15)  # a snapshot of the ESSD family: "in seconds". Source: ECS, read 2025
    look: timedelta = timedelta(seconds=10)  # between looks, of which each phase loses half


@dataclass(frozen=True, slots=True, kw_only=True)
class Sized:
    """A disk as far as its size matters."""

    size_gib: int
    category: str = "cloud_essd"

    @property
    def instant(self) -> bool:
        """Whether a snapshot of it is usable in seconds."""
        return self.category.startswith(_INSTANT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """`assumptions`: speeds of snapshots; `durations`: of single steps; `measured`: by `kind` or `kind/subject`, how
    long earlier recoveries took, and believed before anything reckoned."""

    assumptions: Assumptions = field(default_factory=Assumptions)
    durations: Durations = field(default_factory=Durations)
    measured: Mapping[str, timedelta] = field(default_factory=dict)

    def safety(self, disks: Iterable[Sized]) -> timedelta:
        """Until safety snapshots of all are usable; they are taken side by side. An older category is usable only when
        complete, and its snapshot may be the first, so a full one."""
        waits = [
            self.durations.usable if disk.instant else self.assumptions.snapshot_takes(disk.size_gib, since=None)
            for disk in disks
        ]
        return max(waits, default=timedelta())

    def reset(self, disk: Sized) -> timedelta:
        """Back to a snapshot in place, or as it was when it was new."""
        gib = disk.size_gib * self.assumptions.used_share
        return self.durations.reset + timedelta(seconds=round(gib * MIB_PER_GIB / self.durations.reset_mib_per_second))

    def clone(self, disk: Sized) -> timedelta:
        """A new disk of a snapshot in the old one's place: its blocks load later, so the size does not matter."""
        del disk
        return self.durations.create_disk + self.durations.detach + self.durations.attach

    def replace(self, disk: Sized, *, image_first: bool) -> timedelta:
        """The system disk, by an image, which may first have to be made of a snapshot."""
        del disk
        return self.durations.replace_system_disk + (self.durations.image if image_first else timedelta())

    def restore(
        self,
        *,
        resets: Sequence[Sized] = (),
        clones: Sequence[Sized] = (),
        replaces: Sequence[Sized] = (),
        image_first: bool = False,
        subject: str = "",
    ) -> timedelta:
        """Other content for disks of one instance: they are changed side by side."""
        known = self.took("restore", subject)
        if known is not None:
            return known
        own = self.durations
        changes = [
            *(self.reset(one) for one in resets),
            *(self.clone(one) for one in clones),
            *(self.replace(one, image_first=image_first) for one in replaces),
        ]
        around = own.check + own.out_of_service + own.stop + own.start + own.boot + own.serve
        changed = max(changes, default=timedelta())
        return around + self.safety([*resets, *clones, *replaces]) + changed + 3 * own.look

    def rebuild(
        self, *, data_disks: Sequence[Sized] = (), patience: timedelta = timedelta(), subject: str = ""
    ) -> timedelta:
        """A replacement of one instance from a ready image. `patience`: what is waited before, when it was not asked
        for by an operator."""
        del data_disks  # made with the instance, of snapshots whose blocks load later
        known = self.took("rebuild", subject)
        if known is not None:
            return known
        own = self.durations
        return patience + own.check + own.stop_by_force + own.create + own.boot + own.serve + 2 * own.look

    def launch(self, *, image_first: bool = False, subject: str = "") -> timedelta:
        """Any number of instances of one image up to what one call takes (100): the cloud makes them side by side."""
        known = self.took("launch", subject)
        if known is not None:
            return known
        own = self.durations
        return own.check + (own.image if image_first else timedelta()) + own.create + own.boot + own.look

    def gate(self) -> timedelta:
        """Until instances that were given back answer: what restores and rebuilds have not waited for already."""
        return self.durations.look

    def took(self, kind: str, subject: str = "") -> timedelta | None:
        """As measured: of this subject; or of the kind, where sizes hardly matter. None: nothing was."""
        own = self.measured.get(f"{kind}/{subject}") if subject else None
        return own if own is not None or kind == "restore" else self.measured.get(kind)


def in_lanes(lengths: Iterable[timedelta], lanes: int) -> timedelta:
    """How long work takes of which `lanes` pieces run at a time, each begun in this order as soon as one has ended."""
    if lanes < 1:
        raise ValueError(f"{lanes} lanes hold no work")
    busy = [timedelta()] * lanes
    heapify(busy)
    for length in lengths:
        heapreplace(busy, busy[0] + length)
    return max(busy)


def learn(ended: Iterable[tuple[str, str, timedelta]]) -> dict[str, timedelta]:
    """`Estimate.measured` of (kind, subject, how long it took), oldest first: of each subject its last one, and of each
    kind the median."""
    found: dict[str, timedelta] = {}
    by_kind: defaultdict[str, list[timedelta]] = defaultdict(list)
    for kind, subject, took in ended:
        found[f"{kind}/{subject}"] = took
        by_kind[kind].append(took)
    return found | {kind: sorted(lengths)[len(lengths) // 2] for kind, lengths in by_kind.items()}
