"""The conditions of a restore, as a set: each with what was seen, and how to mend it. Pure.

All are looked at, also when one fails: whoever is in a hurry should not meet them one by one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from shared.domain.group_plan import Do
from shared.domain.inventory import Disk, DiskKind, InstanceState, Snapshot, SnapshotState, SystemEvent
from shared.domain.preview import Action, Check
from shared.domain.restoring import IN_USE, DiskChange, DiskPlan, Surroundings, Unfit, Way, choose, token_for

MANUAL_QUOTA: Final = 256
"""Snapshots of one disk made by CreateSnapshot. Source: ECS limits, read 2026."""
UNDER_WAY: Final = frozenset({"executing"})
ANNOUNCED: Final = frozenset({"scheduled", "inquiring"})

STOPS: Final = timedelta(seconds=25)
STARTS: Final = timedelta(seconds=25)
ATTACHES: Final = timedelta(seconds=70)
"""Detach, about a minute, and attach."""
REWRITES: Final = timedelta(seconds=15)
PER_GIB: Final = timedelta(seconds=5)
"""Of a snapshot's upload, of a copy, of a rewritten disk: full ones (assumption: 200 MiB/s)."""
IMAGES: Final = timedelta(seconds=30)
SWITCHES: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePlan:
    disks: tuple[DiskPlan, ...]
    checks: tuple[Check, ...]
    warnings: tuple[str, ...]
    actions: tuple[Action, ...]
    token: str

    @property
    def may_start(self) -> bool:
        return all(check.ok for check in self.checks)


def plan_restore(wishes: Sequence[DiskChange], view: Surroundings, *, accept_size: bool, kept_days: int) -> RestorePlan:
    """What would be done, and whether it may be. `kept_days`: how long the safety snapshots will stay."""
    chosen = [choose(wish, view) for wish in wishes] if view.instance is not None else []
    disks = tuple(one for one in chosen if isinstance(one, DiskPlan))
    checks = [*_of_instance(view), *_of_surroundings(view)]
    unfit = [one for one in chosen if isinstance(one, Unfit)]
    checks += (Check(name=one.name, ok=False, says=one.says, remedy=one.remedy) for one in unfit)
    if view.instance is not None and not wishes:
        remedy = f"Choose a point that has disks of {view.name}, or name disks"
        checks.append(Check(name="something to restore", ok=False, says="no disk is asked for", remedy=remedy))
    twice = sorted({one.disk for one in disks if sum(other.disk == one.disk for other in disks) > 1})
    if twice:
        says = f"{', '.join(twice)} would be changed twice"
        checks.append(Check(name="each disk once", ok=False, says=says, remedy="Name one snapshot for each disk"))
    for one in disks:
        checks += _of_disk(one, view, accept_size=accept_size)
    return RestorePlan(
        disks=disks,
        checks=tuple(checks),
        warnings=tuple(_warnings(disks, view, kept_days)),
        actions=_numbered(_actions(disks, view)),
        token=token_for(view, disks),
    )


def _of_instance(view: Surroundings) -> Iterator[Check]:
    instance = view.instance
    if instance is None:
        remedy = (
            "If it was released, make another one of its points: `understudy launch`. If it was not, check the role's "
            "permission ecs:DescribeInstances"
        )
        yield Check(name="instance exists", ok=False, says=f"the inventory does not list {view.name}", remedy=remedy)
        return
    yield Check(name="instance exists", ok=True, says=f"{instance.name or instance.id} is {instance.state}")
    settled = instance.state in (InstanceState.RUNNING, InstanceState.STOPPED)
    yield Check(
        name="instance settled",
        ok=settled,
        says=f"it is {instance.state}",
        remedy="" if settled else "Wait until it is Running or Stopped",
    )
    yield Check(
        name="instance not locked",
        ok=not instance.locks,
        says=f"locked: {', '.join(instance.locks)}" if instance.locks else "no lock",
        remedy="" if not instance.locks else "Settle the account's arrears, or have the lock lifted by a ticket",
    )


def _of_surroundings(view: Surroundings) -> Iterator[Check]:
    held = view.held_by
    yield Check(
        name="no other operation",
        ok=held is None,
        says=f"{held} deals with {view.name}" if held else "none",
        remedy="" if held is None else f"Wait for it: `understudy explain {held}`; or acknowledge it if it waits",
    )
    pair = view.pair
    if pair is not None:
        yield Check(
            name="not the active master",
            ok=not pair.active,
            says=f"{view.name} is the {'active' if pair.active else 'standby'} master of pair {pair.pair}",
            remedy=""
            if not pair.active
            else "A restore stops it, and control with it. Let the other site take over first (stop its agent: "
            "runbook restore-needs-operator), then restore it as the standby",
        )
    busy = [event for event in view.events if event.finished is None and event.status in UNDER_WAY]
    yield Check(
        name="no platform event under way",
        ok=not busy,
        says=_events(busy) or "none",
        remedy="" if not busy else "Wait for its end: the platform restarts or moves the instance itself",
    )
    scaling = view.scaling
    if scaling is not None:
        stopped = view.instance is not None and view.instance.state is InstanceState.STOPPED
        enters = scaling.aside.do is Do.ENTER_STANDBY
        fits = scaling.aside.do is Do.NOTHING or (enters and not stopped)
        says = f"{scaling.state} in {scaling.group}" + ("" if fits else f": {scaling.aside.because}")
        remedy = "Wait until it is in service"
        if stopped and enters:
            remedy = "Its group is about to release it: start it, or put it on standby, first"
        elif scaling.aside.do is Do.OPERATOR:
            remedy = (
                f"`aliyun ess EnableScalingGroup --ScalingGroupId {scaling.group}`, or `aliyun ess DetachInstances "
                f"--ScalingGroupId {scaling.group} --InstanceId.1 {view.name} --DecreaseDesiredCapacity true`"
            )
        yield Check(name="scaling group lets it stand by", ok=fits, says=says, remedy="" if fits else remedy)


def _of_disk(one: DiskPlan, view: Surroundings, *, accept_size: bool) -> Iterator[Check]:
    disk = next(each for each in view.disks if each.id == one.disk)
    yield Check(
        name="disk attached to this instance",
        ok=disk.state == IN_USE,
        says=f"{disk.id} is {disk.state}",
        remedy="" if disk.state == IN_USE else "Wait until it reads in_use",
    )
    taken = view.taken.get(one.disk, ())
    by_hand = [snapshot for snapshot in taken if not snapshot.automatic]
    room = len(by_hand) < MANUAL_QUOTA
    yield Check(
        name="room for a safety snapshot",
        ok=room,
        says=f"{disk.id} has {len(by_hand)} of {MANUAL_QUOTA} snapshots",
        remedy="" if room else "Let points go: `understudy prune --apply`, or delete snapshots that nobody needs",
    )
    waits = [snapshot for snapshot in taken if snapshot.state is SnapshotState.PROGRESSING]
    yield Check(name="no unfinished snapshot", ok=True, says=_unfinished(waits, disk))
    if one.becomes_gib is not None and one.becomes_gib != one.size_gib:
        goes = "shrinks" if one.becomes_gib < one.size_gib else "grows"
        accepted = accept_size or one.way is Way.REPLACE  # which brings the file system that fits its size
        yield Check(
            name="size",
            ok=accepted,
            says=f"{disk.id} {goes} from {one.size_gib} to {one.becomes_gib} GiB, as its "
            f"{'image' if one.way is Way.REPLACE else 'snapshot'} was",
            remedy="" if accepted else "Say --accept-size if partitions and file system of that size are meant",
        )


def _unfinished(waits: Sequence[Snapshot], disk: Disk) -> str:
    if not waits:
        return f"none of {disk.id}"
    told = ", ".join(f"{one.id} ({one.progress_percent} %)" for one in waits)
    return f"{told} of {disk.id}: waited for"


def _events(events: Sequence[SystemEvent]) -> str:
    return ", ".join(f"{one.type} {one.id} is {one.status}" for one in events)


def _warnings(disks: Sequence[DiskPlan], view: Surroundings, kept_days: int) -> Iterator[str]:
    for one in disks:
        since = f"since {one.taken:%Y-%m-%d %H:%M:%SZ}" if one.taken is not None else "so far"
        if one.irreversible:
            yield (
                f"what was written to {one.disk} {since} is lost; its safety snapshot is kept {kept_days} days, and "
                "`understudy undo-rollback` brings it back"
            )
        else:
            yield f"what was written to {one.disk} {since} is not on its clone; {one.disk} itself is kept, detached"
        if one.way is Way.REPLACE:
            yield (
                f"{one.disk} is released by the cloud: its snapshots stay, and are restored by an image from then on; "
                "the new system disk has at least 40 GiB"
            )
    for balancer in view.alone_in:
        yield f"no other server of {balancer} takes traffic: its service is away until the end"
    if view.instance is not None and view.instance.state is InstanceState.RUNNING:
        yield (
            f"only the default server pools of balancers are looked at: where {view.name} is in a vServer group, set "
            "its weight there to 0 first, and back afterwards (`aliyun slb SetVServerGroupAttribute`)"
        )
    soon = [event for event in view.events if event.finished is None and event.status in ANNOUNCED]
    if soon:
        yield f"announced by the platform: {_events(soon)}"
    if view.left is not None:
        yield f"{view.left.operation} left {view.name} out of service: it comes back as it was before that one"
    elif view.instance is not None and view.instance.state is InstanceState.STOPPED:
        yield f"{view.name} is stopped now, and is left stopped"


def _actions(disks: Sequence[DiskPlan], view: Surroundings) -> Iterator[Action]:
    """In the order in which they are done. The times are estimates."""
    name, wave = str(view.name), 0
    copied = [one for one in disks if one.copied]
    for one in copied:
        does = f"copy {one.snapshot} back to the instance's region"
        yield Action(wave=wave, does=does, subject=one.disk, takes=IMAGES + PER_GIB * one.size_gib)
    wave += 1
    for one in disks:
        if one.way is Way.CLONE:
            yield Action(wave=wave, does=f"make a disk of {one.snapshot}", subject=one.disk, takes=SWITCHES)
        if one.way is Way.REPLACE and one.snapshot is not None:
            yield Action(wave=wave, does=f"make an image of {one.snapshot}", subject=one.disk, takes=IMAGES)
    wave += 1
    running = view.instance is not None and view.instance.state is InstanceState.RUNNING
    stands_by = view.scaling is not None and view.scaling.aside.do is Do.ENTER_STANDBY
    if view.scaling is not None and stands_by:
        yield Action(wave=wave, does=f"put on standby in {view.scaling.group}", subject=name, takes=SWITCHES)
        wave += 1
    for balancer, weight in sorted(view.weights.items()):
        if weight:
            yield Action(wave=wave, does=f"weight {weight} -> 0 in {balancer}", subject=name, takes=SWITCHES)
    wave += 1
    if running:
        yield Action(wave=wave, does="stop, keeping its resources", subject=name, takes=STOPS)
        wave += 1
    for one in disks:
        yield Action(wave=wave, does=f"take a safety snapshot of {one.disk}", subject=one.disk, takes=_uploads(one))
    wave += 1
    for one in disks:
        takes = ATTACHES if one.way is Way.CLONE else REWRITES
        yield Action(wave=wave, does=one.does, subject=one.disk, takes=takes)
    wave += 1
    if running or (view.left is not None and view.left.ran):
        yield Action(wave=wave, does="start", subject=name, takes=STARTS)
        wave += 1
    left = view.left.weights if view.left is not None else {}
    then = {balancer: weight or left.get(balancer, 0) for balancer, weight in sorted(view.weights.items())}
    back = [f"{balancer} {weight}" for balancer, weight in then.items() if weight]
    stood_by = view.left is not None and view.scaling is not None and view.left.group == view.scaling.group
    if view.scaling is not None and (stands_by or stood_by):
        back.insert(0, f"in service in {view.scaling.group}")
    if back:
        yield Action(wave=wave, does=f"back into service: {', '.join(back)}", subject=name, takes=SWITCHES)


def _numbered(actions: Iterator[Action]) -> tuple[Action, ...]:
    """Waves from 1 on, without those in which nothing is to be done."""
    every = tuple(actions)
    number = {wave: at for at, wave in enumerate(sorted({one.wave for one in every}), start=1)}
    return tuple(replace(one, wave=number[one.wave]) for one in every)


def _uploads(one: DiskPlan) -> timedelta:
    """A clone waits only until the snapshot is usable, which on an ESSD is at once; everything else until it is
    complete. A tenth of the disk is taken to have changed (assumption)."""
    if one.way is Way.CLONE:
        return SWITCHES
    return SWITCHES + PER_GIB * one.size_gib / 10


def systems_first(disks: Sequence[DiskPlan]) -> tuple[DiskPlan, ...]:
    return tuple(sorted(disks, key=lambda one: (one.kind is not DiskKind.SYSTEM, one.device, one.disk)))
