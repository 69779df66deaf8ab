"""Read the instances a selection means, with no more calls than needed."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from shared.domain.bundles import Member
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import Disk, DiskKind, Instance
from shared.domain.policy import Selection
from shared.domain.rebuild import ISOLATED, REPLACES
from shared.domain.selection import selects, takes
from shared.ports.compute import Inventory

FEW: Final = 2
"""Up to so many instances are asked for their disks one by one; for more, one listing of the region (100 disks a call)
is cheaper, as long as a protection is not a tiny part of a huge region."""
_GROUPABLE: Final = ("cloud_essd", "cloud_auto")
"""Categories of the ESSD family, which snapshot groups are for. Source: ECS API, CreateSnapshotGroup, read 2026-03."""

IS_ISOLATED: Final = (
    "it was replaced and is isolated, and no instance carries its tag understudy:replaces: name another"
)
NOT_THERE: Final = "the policy names it, the cloud does not"


@dataclass(frozen=True, slots=True, kw_only=True)
class Selected:
    instances: tuple[Instance, ...]
    absent: tuple[InstanceId, ...]  # named in the policy, and nothing stands for it
    isolated: frozenset[InstanceId] = field(default_factory=frozenset)  # those of `absent` that are kept in isolation

    def why(self, absent: InstanceId) -> str:
        return IS_ISOLATED if absent in self.isolated else NOT_THERE


def select(inventory: Inventory, selection: Selection) -> Selected:
    """Those that are to be backed up: one that was replaced and is kept in isolation still carries its role's tags,
    but has nothing new to save. Where the policy names it by id, its replacement takes its part.

    Raises Retryable, Forbidden as the inventory does. Nothing found can also mean a missing permission.
    """
    reading = _Reading(inventory, selection)
    meant = {instance.id: instance for instance in reading}
    return Selected(
        instances=tuple(meant[one] for one in sorted(meant)), absent=reading.absent, isolated=reading.isolated
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Roll:
    """What a back-up needs of a selection, and no more: a large one is held as a few hundred bytes per instance."""

    members: tuple[Member, ...]
    absent: tuple[tuple[InstanceId, str], ...]  # each with the reason
    disks_seen: bool  # the cloud showed some disk of some of them


def call_the_roll(inventory: Inventory, selection: Selection) -> Roll:
    """The selected instances, each with those of its disks that are taken. Streams the listings. Raises as `select`."""
    reading = _Reading(inventory, selection)
    rows = {instance.id: _Row(zone=instance.zone) for instance in reading}
    for disk in _attached(inventory, list(rows)):
        if disk.instance not in rows:
            continue
        row = rows[disk.instance]
        if takes(selection.disks, disk):
            row.add(disk)
        else:
            row.others += 1
    return Roll(
        members=tuple(rows[one].member(one) for one in sorted(rows)),
        absent=tuple((one, reading.why(one)) for one in reading.absent),
        disks_seen=any(row.disks or row.others for row in rows.values()),
    )


@dataclass(slots=True)
class _Row:
    zone: str
    disks: list[tuple[bool, DiskId]] = field(default_factory=list)
    groupable: bool = True
    size_gib: int = 0
    others: int = 0

    def add(self, disk: Disk) -> None:
        self.disks.append((disk.kind is not DiskKind.SYSTEM, disk.id))
        self.groupable = self.groupable and groupable([disk])
        self.size_gib += disk.size_gib

    def member(self, instance: InstanceId) -> Member:
        return Member(
            instance=instance,
            zone=self.zone,
            disks=tuple(id_ for _, id_ in sorted(self.disks)),
            groupable=self.groupable,
            size_gib=self.size_gib,
            others=self.others,
        )


class _Reading:
    """Streams the instances that a selection means, each once; what is absent is known at the end."""

    def __init__(self, inventory: Inventory, selection: Selection) -> None:
        self._inventory, self._selection = inventory, selection
        self.absent: tuple[InstanceId, ...] = ()
        self.isolated: frozenset[InstanceId] = frozenset()

    def __iter__(self) -> Iterator[Instance]:
        selection = self._selection
        meant: set[InstanceId] = set()
        seen: set[InstanceId] = set()
        isolated: set[InstanceId] = set()

        def judged(found: Iterable[Instance]) -> Iterator[Instance]:
            for instance in found:
                if instance.id in selection.ids:
                    seen.add(instance.id)
                if ISOLATED in instance.tags:
                    isolated.add(instance.id)
                elif instance.id not in meant and selects(selection, instance):
                    meant.add(instance.id)
                    yield instance

        if selection.tags or selection.where is not None:
            yield from judged(self._inventory.instances(tags=selection.tags or None))
        named = [one for one in selection.ids if one not in seen and one not in selection.exclude]
        if named:
            yield from judged(self._inventory.instances(ids=named))
        absent = []
        for one in selection.ids:
            if one in meant or one in selection.exclude:
                continue
            successors = _successors(self._inventory, one)
            if not successors:
                absent.append(one)
            for other in successors:
                if other.id not in meant and other.id not in selection.exclude:
                    meant.add(other.id)
                    yield other
        self.absent = tuple(sorted(absent))
        self.isolated = frozenset(isolated)

    def why(self, absent: InstanceId) -> str:
        return IS_ISOLATED if absent in self.isolated else NOT_THERE


def _successors(inventory: Inventory, replaced: InstanceId) -> tuple[Instance, ...]:
    """What took the part of an instance that is isolated or released, through any number of replacements."""
    standing: dict[InstanceId, Instance] = {}
    seen, waiting = {replaced}, [replaced]
    while waiting:
        for instance in inventory.instances(tags={REPLACES: waiting.pop()}):
            if instance.id in seen:
                continue
            seen.add(instance.id)
            if ISOLATED in instance.tags:
                waiting.append(instance.id)
            else:
                standing[instance.id] = instance
    return tuple(standing.values())


def disks_of(inventory: Inventory, instances: Iterable[Instance]) -> Mapping[InstanceId, tuple[Disk, ...]]:
    """Their attached disks, by instance, system disk first."""
    wanted = [instance.id for instance in instances]
    disks: dict[InstanceId, list[Disk]] = {instance: [] for instance in wanted}
    for disk in _attached(inventory, wanted):
        if disk.instance in disks:
            disks[disk.instance].append(disk)
    return {one: tuple(sorted(own, key=lambda disk: (disk.kind != "system", disk.id))) for one, own in disks.items()}


def _attached(inventory: Inventory, instances: Sequence[InstanceId]) -> Iterator[Disk]:
    """Their disks, and maybe others."""
    if len(instances) > FEW:
        yield from inventory.disks()
        return
    for one in instances:
        yield from inventory.disks(instance=one)


def groupable(disks: Iterable[Disk]) -> bool:
    """Whether one crash-consistent group can hold all of them."""
    return all(disk.category.startswith(_GROUPABLE) for disk in disks)
