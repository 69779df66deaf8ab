"""A policy against what stands in the cloud: does every selection mean something?"""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Final

from shared.domain.assumptions import Measured
from shared.domain.covered import Coverage, Covered, is_essd
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import Instance, Snapshot
from shared.domain.objectives import measure
from shared.domain.policy import Pair, Policy, Selection
from shared.domain.provenance import PROTECTION
from shared.domain.retention import RestorePoint
from shared.domain.selection import takes
from shared.ports.compute import Clouds, Inventory
from shared.usecases.selecting import Selected, disks_of, select

SAMPLE: Final = 20_000
SINCE: Final = timedelta(days=7)
_HIDDEN = "a role without ecs:DescribeInstances is shown nothing at all"


def mismatches(policy: Policy, inventory: Inventory) -> tuple[str, ...]:
    """What the file asks for and the region does not have, as `key: what, remedy`. Raises as the inventory does."""
    found: list[str] = []
    rebuilt: dict[InstanceId, str] = {}
    for at, protection in enumerate(policy.protections):
        found += _selection(
            f"protections[{at}].select", protection.select, select(inventory, protection.select), policy
        )
    for at, rule in enumerate(policy.rebuilds):
        selected = select(inventory, rule.select)
        found += _selection(f"rebuilds[{at}].select", rule.select, selected, policy)
        for instance in selected.instances:
            if instance.id in rebuilt:
                found.append(
                    f"rebuilds[{at}].select: {instance.id} is already rebuilt by rule {rebuilt[instance.id]}. "
                    "One instance has one rule; exclude it in one of them"
                )
            rebuilt.setdefault(instance.id, rule.name)
    for at, pair in enumerate(policy.pairs):
        found += _members(f"pairs[{at}].members", pair, inventory, policy)
    return tuple(found)


def coverage(policy: Policy, clouds: Clouds) -> Coverage:
    """The disks of each protection as they stand, with the snapshots on them that this policy did not ask for. One
    listing of each place's snapshots. Raises as the ports do."""
    covered: dict[str, list[Covered]] = {}
    for place in sorted({policy.place(one) for one in policy.protections}):
        compute = clouds.at(place)
        here = [one for one in policy.protections if policy.place(one) == place]
        names = frozenset(one.name for one in here)
        foreign, automatic = _standing(compute.snapshots.list(), names)
        for protection in here:
            selected = select(compute.inventory, protection.select)
            owned = disks_of(compute.inventory, selected.instances)
            covered[protection.name] = [
                Covered(
                    disk=disk.id,
                    instance=instance,
                    size_gib=disk.size_gib,
                    essd=is_essd(disk.category),
                    foreign=foreign[disk.id],
                    automatic=automatic[disk.id],
                )
                for instance, disks in owned.items()
                for disk in disks
                if takes(protection.select.disks, disk)
            ]
    return covered


def _standing(snapshots: Iterable[Snapshot], protections: frozenset[str]) -> tuple[Counter[DiskId], Counter[DiskId]]:
    """By disk: those in the manual quota that no protection of the policy made, and those of native policies."""
    foreign: Counter[DiskId] = Counter()
    automatic: Counter[DiskId] = Counter()
    for one in snapshots:
        if one.automatic:
            automatic[one.disk] += 1
        elif one.tags.get(PROTECTION) not in protections:
            foreign[one.disk] += 1
    return foreign, automatic


def measured(points: Iterable[RestorePoint], *, now: datetime) -> dict[str, Measured]:
    """From the first points of the store: a sample, in a large fleet."""
    return measure(islice(points, SAMPLE), since=now - SINCE)


def _selection(key: str, selection: Selection, selected: Selected, policy: Policy) -> Iterator[str]:
    if not selected.instances:
        yield f"{key}: {_in_words(selection)} matches no instance of {policy.region}. Check the spelling ({_HIDDEN})"
        return
    for absent in selected.absent:
        if absent in selected.isolated:
            yield f"{key}.ids: {absent}: {selected.why(absent)}"
        else:
            yield f"{key}.ids: there is no instance {absent} in {policy.region}. Remove it or correct it ({_HIDDEN})"


def _members(key: str, pair: Pair, inventory: Inventory, policy: Policy) -> Iterator[str]:
    ids = [member.instance for member in pair.members]
    instances: dict[InstanceId, Instance] = {one.id: one for one in inventory.instances(ids=ids)}
    for member in pair.members:
        instance = instances.get(member.instance)
        where = f"{key}.{member.site}.instance"
        if instance is None:
            yield f"{where}: there is no instance {member.instance} in {policy.region}. Correct it ({_HIDDEN})"
        elif instance.zone != member.zone:
            yield (
                f"{where}: {member.instance} stands in zone {instance.zone}, but site {member.site} is {member.zone}. "
                "Correct one of the two"
            )


def _in_words(selection: Selection) -> str:
    parts = [f"{key}={value}" for key, value in sorted(selection.tags.items())] + list(selection.ids)
    without = f" without {', '.join(selection.exclude)}" if selection.exclude else ""
    return ", ".join(parts) + without
