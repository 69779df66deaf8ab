"""How the journal of a back-up reads: a step for each instance, and one for each snapshot group that is asked for.

An instance's step is intended until its snapshots were accepted. It names its bundle; one without a bundle asks for its
disks one by one.
"""

import json
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain import provenance
from shared.domain.bundles import Member, bundles
from shared.domain.ids import DiskId, InstanceId, OperationId, SnapshotGroupId
from shared.domain.operation import Operation, Step, StepState
from shared.domain.retention import Level
from shared.usecases.operations import done, failed, intended

POINT: Final = "snapshot:"
BUNDLE: Final = "bundle:"

# Keys of a step's data.
INSTANCE: Final = "instance"
DISKS: Final = "disks"
OF: Final = "of"  # the instances of a bundle
IN: Final = "in"  # the bundle of an instance
GROUP: Final = "group"
SNAPSHOTS: Final = "snapshots"  # disk to snapshot
LEVEL: Final = "level"
NOTE: Final = "note"  # what the slot's row must say beside that it was taken
VOID: Final = "void"  # why what was taken is no restore point
HELD: Final = "held"  # too many snapshots of its disks were under way when it was planned
SENT: Final = "sent"  # its call may have gone out then, with an unknown end
TROUBLE: Final = "trouble"  # why an intended step could not be started so far
REASON: Final = "reason"  # the kind of a failed step's reason, for counting
TOLD: Final = "told"  # the last state of a step's point that was written to points and slots


def points(operation: Operation, state: StepState | None = None) -> tuple[Step, ...]:
    return _named(operation, POINT, state)


def groups(operation: Operation, state: StepState | None = None) -> tuple[Step, ...]:
    return _named(operation, BUNDLE, state)


def point(operation: Operation, instance: str) -> Step:
    return next(step for step in operation.steps if step.name == POINT + instance)


def instance(step: Step) -> InstanceId:
    return InstanceId(step.data[INSTANCE])


def disks(step: Step) -> tuple[DiskId, ...]:
    return tuple(DiskId(one) for one in json.loads(step.data[DISKS]))


def snapshots(step: Step) -> dict[str, str]:
    made: dict[str, str] = json.loads(step.data.get(SNAPSHOTS, "{}"))
    return made


def members(operation: Operation, bundle: Step) -> tuple[Step, ...]:
    return tuple(point(operation, one) for one in json.loads(bundle.data[OF]))


def plan(operation: OperationId, chosen: Sequence[Member], held: Collection[InstanceId], now: datetime) -> list[Step]:
    """One step per instance, one per bundle. Those in `held` are kept out of the others' bundles."""
    steps: list[Step] = []
    placed: dict[InstanceId, str] = {}
    together = list(bundles(one for one in chosen if one.instance not in held))
    alone = [(one,) for one in chosen if one.instance in held and one.groupable and one.disks]
    for number, bundle in enumerate([*together, *alone], start=1):
        name = f"{BUNDLE}{number}"
        asked = [disk for member in bundle for disk in member.disks]
        steps.append(_bundle(operation, name, [member.instance for member in bundle], asked, now))
        placed.update((member.instance, name) for member in bundle)
    for member in chosen:
        data = {INSTANCE: member.instance, DISKS: json.dumps(member.disks)}
        if member.instance in placed:
            data[IN] = placed[member.instance]
        if member.instance in held:
            data[HELD] = "yes"
        steps.append(intended(POINT + member.instance, "", now, data=data))
    return steps


def rebundled(
    operation: Operation, bundle: Step, parts: Iterable[Sequence[InstanceId]], because: str, now: datetime
) -> list[Step]:
    """`bundle` was refused for certain: its instances go on in `parts`, under tokens of their own."""
    steps = [failed(bundle, now, because)]
    number = len(groups(operation))
    for part in parts:
        number += 1
        of = [point(operation, one) for one in part]
        name = f"{BUNDLE}{number}"
        steps.append(_bundle(operation.id, name, part, [disk for step in of for disk in disks(step)], now))
        steps += (replace(step, data={**step.data, IN: name}) for step in of)
    return steps


def one_by_one(operation: Operation, bundle: Step, because: str, now: datetime) -> list[Step]:
    """No group can hold the disks of this one instance."""
    of = members(operation, bundle)
    unbound = (replace(step, data={key: text for key, text in step.data.items() if key != IN}) for step in of)
    return [failed(bundle, now, because), *unbound]


def accepted(operation: Operation, bundle: Step, group: SnapshotGroupId, now: datetime, level: Level) -> list[Step]:
    of = (done(step, now, **{GROUP: group, LEVEL: level}) for step in members(operation, bundle))
    return [done(bundle, now, **{GROUP: group}), *of]


def troubled(step: Step, because: str) -> Step:
    return replace(step, data={**step.data, TROUBLE: because})


def given_up(step: Step, now: datetime, reason: str, because: str) -> Step:
    ended = failed(step, now, because)
    return replace(ended, data={**ended.data, REASON: reason})


def _bundle(
    operation: OperationId, name: str, instances: Sequence[InstanceId], asked: Sequence[DiskId], now: datetime
) -> Step:
    token = provenance.token(operation, name, 1, *asked)
    return intended(name, token, now, data={OF: json.dumps(list(instances)), DISKS: json.dumps(list(asked))})


def _named(operation: Operation, prefix: str, state: StepState | None) -> tuple[Step, ...]:
    return tuple(
        step for step in operation.steps if step.name.startswith(prefix) and (state is None or step.state is state)
    )
