"""A policy against what stands in the cloud: does every selection mean something?"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from difflib import get_close_matches
from itertools import islice
from typing import Final

from shared.domain.assumptions import Assumptions, Measured
from shared.domain.covered import Coverage, Covered, is_essd, nominal
from shared.domain.errors import CredentialsRejected, DrError
from shared.domain.ids import DiskId, InstanceId
from shared.domain.image_versions import versions_held
from shared.domain.inventory import DiskKind, Instance, Snapshot
from shared.domain.objectives import measure
from shared.domain.operation import OperationKind
from shared.domain.place import HOME, Place
from shared.domain.policy import ImageDisks, Pair, Policy, Protection, Selection, Where
from shared.domain.provenance import OPERATION, PROTECTION
from shared.domain.retention import RestorePoint
from shared.domain.selection import takes
from shared.domain.wording import plural
from shared.ports.compute import Clouds, Inventory
from shared.usecases.backup.selecting import Selected, disks_of, select

SAMPLE: Final = 20_000
SINCE: Final = timedelta(days=7)
SHOWN: Final = 3
OF_IMAGES: Final = f"{OperationKind.IMAGE.value}/"
_HIDDEN = "a role without ecs:DescribeInstances is shown nothing at all"


def unseen(policy: Policy, clouds: Clouds) -> Mapping[Place, str]:
    """The places in other accounts that do not let this operator look, with the reason. Their roles may well let
    functions in, so this is no fault of the policy. Raises as the ports do where it is about home."""
    found: dict[Place, str] = {}
    for place in sorted({policy.place(one) for one in policy.protections if one.account != HOME}):
        try:
            next(iter(clouds.at(place).inventory.instances()), None)
        except CredentialsRejected:
            raise
        except DrError as error:
            found[place] = str(error)
    return found


def mismatches(policy: Policy, clouds: Clouds, *, without: Collection[Place] = ()) -> tuple[str, ...]:
    """What the file asks for and its places do not have, or have under two protections that cannot both be kept, as
    `key: what, remedy`. Places in `without` are not looked at. Raises as the inventory does."""
    found: list[str] = []
    frozen: dict[tuple[Place, InstanceId], str] = {}
    for at, protection in enumerate(policy.protections):
        place = policy.place(protection)
        if place in without:
            continue
        selected = select(clouds.at(place).inventory, protection.select)
        found += _selection(f"protections[{at}].select", protection.select, selected, place)
        if protection.freeze is not None:
            found += _frozen_twice(f"protections[{at}].freeze", protection, selected, place, frozen)
    home = Place(policy.region)
    copied = _copied_to(policy)
    if copied:
        known = clouds.at(home).market.regions()
        found += [says for key, regions in copied for says in unknown_regions(key, regions, known)]
    for at, images in enumerate(policy.images):
        found += _selection(f"images[{at}].of", images.of, select(clouds.at(home).inventory, images.of), home)
    inventory = clouds.at(home).inventory if policy.rebuilds or policy.pairs else None
    rebuilt: dict[InstanceId, str] = {}
    for at, rule in enumerate(policy.rebuilds):
        assert inventory is not None
        selected = select(inventory, rule.select)
        found += _selection(f"rebuilds[{at}].select", rule.select, selected, home)
        for instance in selected.instances:
            if instance.id in rebuilt:
                found.append(
                    f"rebuilds[{at}].select: {instance.id} is already rebuilt by rule {rebuilt[instance.id]}. "
                    "One instance has one rule; exclude it in one of them"
                )
            rebuilt.setdefault(instance.id, rule.name)
    for at, pair in enumerate(policy.pairs):
        assert inventory is not None
        found += _members(f"pairs[{at}].members", pair, inventory, policy)
    return tuple(found)


def _copied_to(policy: Policy) -> list[tuple[str, tuple[str, ...]]]:
    """Each key that names regions, with them."""
    return [
        *(
            (f"protections[{at}].copies", tuple(rule.region for rule in one.copies))
            for at, one in enumerate(policy.protections)
            if one.copies
        ),
        *((f"images[{at}].copy_to", one.copy_to) for at, one in enumerate(policy.images) if one.copy_to),
    ]


def unknown_regions(key: str, wanted: Iterable[str], known: Collection[str]) -> Iterator[str]:
    for region in wanted:
        if region not in known:
            close = get_close_matches(region, sorted(known), n=1)
            hint = f" Did you mean {close[0]}?" if close else ""
            yield f"{key}: there is no region {region} for this account.{hint} Name one that it can use"


def _frozen_twice(
    key: str, protection: Protection, selected: Selected, place: Place, frozen: dict[tuple[Place, InstanceId], str]
) -> Iterator[str]:
    """Reading the file finds this only where two protections say the same; here it is found whatever selects it."""
    others: dict[str, list[InstanceId]] = {}
    for instance in selected.instances:
        other = frozen.setdefault((place, instance.id), protection.name)
        if other != protection.name:
            others.setdefault(other, []).append(instance.id)
    for other, instances in others.items():
        some = ", ".join(sorted(instances)[:SHOWN]) + (", ..." if len(instances) > SHOWN else "")
        yield (
            f"{key}: protection {other} freezes {some} as well ({plural(len(instances), 'instance')}): the thaw of one "
            f"would end the freeze of the other. Exclude them in one of the two, or put the schedules of both into one "
            "protection"
        )


def coverage(
    policy: Policy, clouds: Clouds, *, without: Collection[Place] = (), assumptions: Assumptions | None = None
) -> Coverage:
    """The disks of each protection as they stand, with the snapshots on them that this policy did not ask for. One
    listing of each place's snapshots. Of places in `without` it is assumed what a check without a cloud assumes.
    Raises as the ports do."""
    assumed = nominal(policy, assumptions or Assumptions())
    covered = {one.name: list(assumed[one.name]) for one in policy.protections if policy.place(one) in without}
    for place in sorted({policy.place(one) for one in policy.protections} - set(without)):
        compute = clouds.at(place)
        here = [one for one in policy.protections if policy.place(one) == place]
        names = frozenset(one.name for one in here)
        foreign, automatic, imaged = _standing(compute.snapshots.list(), names)
        at_home = policy.images if place == Place(policy.region) else ()
        of_rule = {rule.name: {one.id for one in select(compute.inventory, rule.of).instances} for rule in at_home}
        for protection in here:
            selected = select(compute.inventory, protection.select)
            owned = disks_of(compute.inventory, selected.instances)
            covered[protection.name] = []
            for instance, disks in owned.items():
                for disk in disks:
                    if not takes(protection.select.disks, disk):
                        continue
                    rules = [
                        rule
                        for rule in at_home
                        if instance in of_rule[rule.name]
                        and (rule.disks is ImageDisks.ALL or disk.kind is DiskKind.SYSTEM)
                    ]
                    # What the rules leave room for anyway is not counted twice.
                    beside = max(0, imaged[disk.id] - sum(versions_held(rule) for rule in rules))
                    covered[protection.name].append(
                        Covered(
                            disk=disk.id,
                            instance=instance,
                            size_gib=disk.size_gib,
                            essd=is_essd(disk.category),
                            foreign=foreign[disk.id] + beside,
                            automatic=automatic[disk.id],
                            images=tuple(rule.name for rule in rules),
                        )
                    )
    return covered


def _standing(
    snapshots: Iterable[Snapshot], protections: frozenset[str]
) -> tuple[Counter[DiskId], Counter[DiskId], Counter[DiskId]]:
    """By disk: those in the manual quota that no protection of the policy made, those of native policies, and those of
    our images."""
    foreign: Counter[DiskId] = Counter()
    automatic: Counter[DiskId] = Counter()
    imaged: Counter[DiskId] = Counter()
    for one in snapshots:
        if one.automatic:
            automatic[one.disk] += 1
        elif one.tags.get(OPERATION, "").startswith(OF_IMAGES):
            imaged[one.disk] += 1
        elif one.tags.get(PROTECTION) not in protections:
            foreign[one.disk] += 1
    return foreign, automatic, imaged


def measured(points: Iterable[RestorePoint], *, now: datetime) -> dict[str, Measured]:
    """From the first points of the store: a sample, in a large fleet."""
    return measure(islice(points, SAMPLE), since=now - SINCE)


def _selection(key: str, selection: Selection, selected: Selected, place: Place) -> Iterator[str]:
    if not selected.instances:
        yield f"{key}: {in_words(selection)} matches no instance of {place}. Check the spelling ({_HIDDEN})"
        return
    for absent in selected.absent:
        if absent in selected.isolated:
            yield f"{key}.ids: {absent}: {selected.why(absent)}"
        else:
            yield f"{key}.ids: there is no instance {absent} in {place}. Remove it or correct it ({_HIDDEN})"


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


def in_words(selection: Selection) -> str:
    tagged = [f"{key}={value}" for key, value in sorted(selection.tags.items())]
    tagged += [] if selection.where is None else _condition(selection.where)
    words = " or ".join([*filter(None, [" and ".join(tagged)]), *selection.ids])
    return words + (f" without {', '.join(selection.exclude)}" if selection.exclude else "")


def _condition(where: Where) -> list[str]:
    """What must all hold, each part as one that binds tighter than AND."""
    parts = [f"{key}={'|'.join(values)}" for key, values in sorted(where.tags.items())]
    parts += [part for one in where.all for part in _condition(one)]
    if where.any:
        parts.append("(" + " or ".join(" and ".join(_condition(one)) for one in where.any) + ")")
    return parts + ["not (" + " and ".join(_condition(one)) + ")" for one in where.none]
