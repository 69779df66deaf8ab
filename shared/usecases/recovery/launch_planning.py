"""What a launch would do: where each setting comes from, and whether all that it needs is there. Reads only.

Every condition is looked at, so that one answer names all that stands in the way, each with its remedy. What only the
call itself can tell (a key pair, a security group, a role that is gone; a quota) is refused there, with nothing made.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.errors import NotFound
from shared.domain.ids import SnapshotId
from shared.domain.inventory import Disk, DiskKind, Instance, Setup, Snapshot, SnapshotState, VSwitch
from shared.domain.launching import (
    ANSWERS,
    BOOT,
    DEFAULT_CATEGORY,
    IMAGE_OF_SNAPSHOTS,
    MOST,
    NAME_AT_MOST,
    FurtherDisk,
    LaunchPlan,
    offers,
    other_tags,
)
from shared.domain.place import Place
from shared.domain.policy import Elsewhere
from shared.domain.preview import Action, Check, Preview, critical_path
from shared.ports.balancer import Balancer
from shared.ports.compute import Clouds, Compute
from shared.ports.scaling import Scaling
from shared.state import codec
from shared.state.points import Points
from shared.usecases.recovery.launch_source import Checklist, LaunchSources, Source
from shared.usecases.recovery.recovery_requests import LaunchRequest

CALL_TAKES: Final = timedelta(seconds=2)
"""RunInstances of 100 (assumption)."""
JOIN_TAKES: Final = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    plan: LaunchPlan | None  # None: not even a plan can be made
    checks: tuple[Check, ...]
    warnings: tuple[str, ...] = ()

    @property
    def refusals(self) -> tuple[str, ...]:
        return tuple(f"{one.name}: {one.says}. {one.remedy}" for one in self.checks if not one.ok)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Model:
    """The instance after which the new ones are made."""

    instance: Instance
    disks: tuple[Disk, ...]
    setup: Setup
    here: bool  # it stands where the new ones will: its network and key pair are of use there

    @property
    def system(self) -> Disk | None:
        return next((disk for disk in self.disks if disk.kind is DiskKind.SYSTEM), None)


class LaunchPlanning:
    def __init__(self, *, clouds: Clouds, home: Place, points: Points, balancer: Balancer, scaling: Scaling) -> None:
        """`home`: where balancers and scaling groups are, and points whose record names no place."""
        self._clouds = clouds
        self._home = home
        self._sources = LaunchSources(points=points, home=home)
        self._balancer = balancer
        self._scaling = scaling

    def preview(self, request: str) -> Preview:
        """Of a `LaunchRequest` as its operation's journal holds it. Raises as the reads do."""
        asked = codec.load(LaunchRequest, request)
        found = self.consider(asked)
        plan = found.plan
        actions = () if plan is None else tuple(_actions(plan))
        return Preview(
            kind="launch",
            subject=asked.name,
            actions=actions,
            checks=found.checks,
            token="" if plan is None else plan.token,
            takes=critical_path(actions),
            warnings=found.warnings,
        )

    def consider(self, request: LaunchRequest) -> Considered:
        seen = Checklist()
        cloud = self._clouds.at(request.place)
        _check_amount(request, seen)
        model = self._model(request, cloud, seen)
        source = self._sources.find(request, cloud, seen)
        where = request.where or _where(model)
        types = request.instance_types or (() if model is None else (model.instance.instance_type,))
        groups = request.security_groups or (model.instance.security_groups if model and model.here else ())
        room, sold = self._room(request, cloud, where, seen), self._sold(cloud, where, types, seen)
        _check_groups(groups, seen)
        category = model.system.category if model and model.system else DEFAULT_CATEGORY
        further = self._further(request, cloud, category, seen)
        self._check_service(request, seen)
        if source is None or not where or not types or (request.like is not None and model is None):
            return Considered(plan=None, checks=tuple(seen.checks), warnings=tuple(seen.warnings))
        plan = LaunchPlan(
            name=request.name,
            amount=request.amount,
            least=request.least,
            offers=offers(types, where, room, sold),
            security_groups=groups,
            image=source.image,
            of_snapshots=source.snapshots,
            subject=request.subject,
            key_pair=request.key_pair or (model.instance.key_pair if model and model.here else ""),
            role=request.role or (model.setup.role if model else ""),
            user_data=request.user_data or (model.setup.user_data if model else ""),
            system_disk_category=category,
            system_disk_gib=_size(model, source),
            further_disks=further,
            tags=other_tags(model.instance.tags if model else {}, request.tags),
            port=request.port,
            balancer=request.balancer,
            weight=request.weight,
            group=request.group,
        )
        return Considered(plan=plan, checks=tuple(seen.checks), warnings=tuple(seen.warnings))

    # the instance that is taken as a model

    def _model(self, request: LaunchRequest, cloud: Compute, seen: Checklist) -> _Model | None:
        """The instance that is named, or else the one whose point it is, if it still stands."""
        named = request.like or request.subject
        for place in dict.fromkeys((request.place, self._home)) if named else ():
            there = cloud if place == request.place else self._clouds.at(place)
            found = next(iter(there.inventory.instances(ids=[named] if named else [])), None)
            if found is None:
                continue
            here = place == request.place
            seen.fine("model", f"as {found.id} ({found.name}) in {found.zone} is")
            if not here:
                seen.warnings.append(
                    f"{found.id} stands in {place}: its network, security groups and key pair are of no use in "
                    f"{request.place}"
                )
            disks = tuple(there.inventory.disks(instance=found.id))
            setup = Setup() if request.role and request.user_data else there.instances.setup(found.id)
            return _Model(instance=found, disks=disks, setup=setup, here=here)
        if request.like is not None:
            seen.amiss(
                "model",
                f"instance {request.like} is not in {request.place}",
                "Name another with --like, or give types (--type), places (--where) and security groups yourself",
            )
        return None

    def _further(
        self, request: LaunchRequest, cloud: Compute, category: str, seen: Checklist
    ) -> tuple[FurtherDisk, ...]:
        if not request.snapshots:
            return ()
        shown = {one.id: one for one in cloud.snapshots.list(ids=list(request.snapshots))}
        wrong = [why for one in request.snapshots if (why := _not_a_data_disk(one, shown.get(one)))]
        if wrong:
            seen.amiss("further disks", "; ".join(wrong), "Name usable snapshots of data disks of this region")
        else:
            seen.fine("further disks", f"{len(request.snapshots)} of snapshots")
        return tuple(FurtherDisk(snapshot=one, category=category) for one in request.snapshots)

    # where they go

    def _room(
        self, request: LaunchRequest, cloud: Compute, where: Sequence[Elsewhere], seen: Checklist
    ) -> dict[str, int]:
        """Free addresses by vSwitch."""
        if not where:
            seen.amiss("places", "no zone and vSwitch is known", "Give them with --where ZONE=VSWITCH, or --like")
            return {}
        shown = {one.id: one for one in cloud.market.vswitches([one.vswitch for one in where])}
        wrong = [why for one in dict.fromkeys(where) if (why := _misplaced(one, shown))]
        if len({one.vpc for one in shown.values()}) > 1:
            wrong.append(f"{', '.join(sorted(shown))} belong to several VPCs, a security group to one")
        if wrong:
            seen.amiss("places", "; ".join(wrong), "Mend --where: ZONE=VSWITCH of one VPC, each vSwitch in its zone")
        else:
            seen.fine("places", ", ".join(f"{one.vswitch} in {one.zone}" for one in dict.fromkeys(where)))
        room = {one.id: one.free_addresses for one in shown.values()}
        _check_room(request, room, seen)
        return room

    def _sold(
        self, cloud: Compute, where: Sequence[Elsewhere], types: Sequence[str], seen: Checklist
    ) -> dict[tuple[str, str], bool]:
        if not types:
            seen.amiss("instance types", "none is given", "Give one with --type, or an instance with --like")
            return {}
        sold: dict[tuple[str, str], bool] = {}
        for one in where:
            for kind in types:
                if (one.zone, kind) not in sold:
                    try:
                        sold[one.zone, kind] = cloud.market.sells(one.zone, kind)
                    except NotFound:
                        sold[one.zone, kind] = False  # no such zone: the places say so
        had = [f"{kind} in {zone}" for (zone, kind), yes in sold.items() if yes]
        not_had = [f"{kind} in {zone}" for (zone, kind), yes in sold.items() if not yes]
        if sold and not had:
            seen.amiss(
                "instance types", f"none is sold now: {', '.join(not_had)}", "Give others with --type or --where"
            )
        elif had:
            seen.fine("instance types", f"sold now: {', '.join(had)}")
            seen.warnings += [f"not sold now, tried last: {one}" for one in not_had]
        return sold

    def _check_service(self, request: LaunchRequest, seen: Checklist) -> None:
        if (request.balancer or request.group) and request.place != self._home:
            seen.amiss(
                "service",
                f"balancers and scaling groups are used in {self._home} only, not in {request.place}",
                "Leave --behind and --join out, and add the instances there yourself",
            )
            return
        if request.balancer:
            try:
                servers = len(self._balancer.backends(request.balancer))
            except NotFound:
                seen.amiss("balancer", f"{request.balancer} does not exist", "Name another with --behind")
            else:
                seen.fine("balancer", f"{request.balancer} has {servers} servers")
        if request.group:
            group = self._scaling.groups([request.group]).get(request.group)
            if group is None:
                seen.amiss("scaling group", f"{request.group} is not shown by the cloud", "Name another with --join")
            elif group.total + request.amount > group.most:
                seen.amiss(
                    "scaling group",
                    f"{request.group} has {group.total} of at most {group.most} instances, {request.amount} do not fit",
                    "Raise its maximum size first, or launch fewer",
                )
            else:
                seen.fine("scaling group", f"{request.group} has {group.total} of at most {group.most} instances")


def _check_amount(request: LaunchRequest, seen: Checklist) -> None:
    name = request.name
    if not (2 <= len(name) <= NAME_AT_MOST and name[0].isalpha() and not set(name) & set("[],")):
        seen.amiss(
            "name", f"{name!r} is no name", f"2-{NAME_AT_MOST} characters, a letter first, without brackets and commas"
        )
    if not 1 <= request.amount <= MOST:
        seen.amiss("amount", f"{request.amount} are asked for", f"Ask for 1-{MOST}, and for more by several launches")
    elif not 1 <= request.least <= request.amount:
        seen.amiss("amount", f"at least {request.least} of {request.amount}", f"--least is 1-{request.amount}")


def _check_groups(groups: Sequence[str], seen: Checklist) -> None:
    if groups:
        seen.fine("security groups", ", ".join(groups))
    else:
        seen.amiss("security groups", "none is given", "Give one with --security-group, or an instance with --like")


def _check_room(request: LaunchRequest, room: Mapping[str, int], seen: Checklist) -> None:
    free = sum(room.values())
    told = ", ".join(f"{one} has {count} free" for one, count in sorted(room.items()))
    if free < request.least:
        seen.amiss("addresses", f"{told}: too few for {request.least}", "Add a vSwitch with --where, or ask for fewer")
        return
    seen.fine("addresses", told)
    if free < request.amount:
        seen.warnings.append(f"only {free} of {request.amount} will have an address: {told}")


def _where(model: _Model | None) -> tuple[Elsewhere, ...]:
    if model is None or not model.here:
        return ()
    return (Elsewhere(zone=model.instance.zone, vswitch=model.instance.vswitch),)


def _misplaced(one: Elsewhere, shown: Mapping[str, VSwitch]) -> str:
    found = shown.get(one.vswitch)
    if found is None:
        return f"vSwitch {one.vswitch} does not exist"
    return "" if found.zone == one.zone else f"vSwitch {one.vswitch} lies in {found.zone}, not in {one.zone}"


def _not_a_data_disk(id_: SnapshotId, found: Snapshot | None) -> str:
    if found is None:
        return f"snapshot {id_} does not exist"
    if found.disk_kind is not DiskKind.DATA:
        return f"snapshot {id_} is of a system disk"
    return "" if found.usable and found.state is not SnapshotState.FAILED else f"snapshot {id_} cannot be used yet"


def _size(model: _Model | None, source: Source) -> int | None:
    """As large as the model's, but never smaller than the image; None: as the cloud has it."""
    if model is None or model.system is None:
        return None
    return max(model.system.size_gib, source.system_gib)


def _actions(plan: LaunchPlan) -> Iterator[Action]:
    wave = 1
    if plan.image is None:
        told = f"make an image of {len(plan.of_snapshots)} snapshots of {plan.subject}"
        yield Action(wave=wave, does=told, subject=plan.name, takes=IMAGE_OF_SNAPSHOTS)
        wave += 1
    first = plan.offers[0]
    image = plan.image or "that image"
    calls = f" in {plan.calls} calls" if plan.calls > 1 else ""
    told = f"create {plan.amount} (at least {plan.least}) of {image}: {first}{calls}"
    yield Action(wave=wave, does=told, subject=plan.name, takes=CALL_TAKES * plan.calls)
    if len(plan.offers) > 1:
        others = ", then ".join(str(one) for one in plan.offers[1:])
        yield Action(wave=wave, does=f"what is missing: {others}", subject=plan.name, takes=timedelta())
    yield Action(wave=wave + 1, does="wait until they run", subject=plan.name, takes=BOOT)
    service = [
        (bool(plan.port), f"wait until port {plan.port} answers", ANSWERS),
        (bool(plan.group), f"join {plan.group}", JOIN_TAKES),
        (bool(plan.balancer), f"put behind {plan.balancer} with weight {plan.weight}", JOIN_TAKES),
    ]
    for number, (_, does, takes) in enumerate((one for one in service if one[0]), start=wave + 2):
        yield Action(wave=number, does=does, subject=plan.name, takes=takes)
