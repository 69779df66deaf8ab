"""Back-ups that the version before snapshot groups over several instances had begun when this one was deployed.

Its steps do not name the disks of a group, and its groups were asked for by instance: such a call cannot be repeated
under its old token, and a new one could take every disk twice. So what it had sent is looked for and taken further;
what is not found is not sent again, and the next slot goes on. To be deleted with the release after the first.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from shared.domain import provenance
from shared.domain.ids import SnapshotGroupId
from shared.domain.inventory import SnapshotGroup
from shared.domain.operation import Operation, Step, StepState
from shared.ports.compute import Snapshots
from shared.usecases.backup import take_steps as steps
from shared.usecases.backup.slot_ends import Reason
from shared.usecases.operations import Resume, Work, done

SHOWN_WITHIN: Final = timedelta(minutes=10)
"""A group that is not listed so long after it was intended was not made."""
LOOK_EVERY: Final = timedelta(minutes=1)
NOT_REPEATED: Final = (
    "it was begun by the version before this one, whose request for a group cannot be repeated; the next slot goes on"
)


def of_older(operation: Operation) -> tuple[Step, ...]:
    return tuple(
        step
        for step in steps.points(operation)
        if steps.DISKS not in step.data and step.state is not StepState.FAILED and not step.data.get(steps.TOLD)
    )


def translate(work: Work, older: Sequence[Step], snapshots: Snapshots, now: datetime) -> Resume | None:
    """Write `older` as this version does. None: all of it; else some may not be shown yet. Raises as listings do."""
    tag = {provenance.OPERATION: provenance.operation_tag(work.operation.id)}
    unsent = [step for step in older if step.state is StepState.INTENDED]
    of: dict[str, SnapshotGroup] = {}
    for group in snapshots.groups(tags=tag) if unsent else ():
        of[group.tags.get(provenance.INSTANCE) or group.instance or ""] = group
    sent = {SnapshotGroupId(step.data[steps.GROUP]): step for step in older if step.state is StepState.DONE}
    for group in snapshots.groups(ids=list(sent)) if sent else ():
        of[steps.instance(sent[group.id])] = group
    waits = 0
    for step in older:
        found = of.get(steps.instance(step))
        if found is not None:
            made = dict(zip(found.disks, found.members, strict=True))
            data = {**step.data, steps.DISKS: json.dumps(list(made)), steps.SNAPSHOTS: json.dumps(made)}
            work.learn(done(replace(step, data=data), step.at, **{steps.GROUP: found.id}))
        elif now - step.at <= SHOWN_WITHIN:
            waits += 1
        else:
            empty = replace(step, data={**step.data, steps.DISKS: "[]"})
            because = NOT_REPEATED if step.state is StepState.INTENDED else "its snapshots vanished from the cloud"
            work.learn(steps.given_up(empty, now, Reason.REFUSED.value, because))
    return Resume(after=LOOK_EVERY, because=f"{waits} groups of an older version are not shown yet") if waits else None
