"""How a restore ended, in words and figures: what was done, what is left over, and how to go back."""

from collections.abc import Iterator, Sequence
from typing import Final

from shared.domain.operation import Operation, StepState
from shared.domain.restoring import DiskPlan, Way
from shared.state import codec
from shared.usecases.operations import Escalated
from shared.usecases.recovery.recovery_requests import RestoreRequest
from shared.usecases.recovery.restore_changes import CHANGE, CLONE, FETCH, IMAGE, MADE, begun, stands_now
from shared.usecases.recovery.restore_safety import point_id, snapshots

RUNBOOK: Final = "restore-needs-operator"


def result(
    operation: Operation, request: RestoreRequest, disks: Sequence[DiskPlan], missing: Sequence[str], let_go: str
) -> dict[str, str]:
    """Without the measured times. `let_go`: the scaling group that lost it meanwhile."""
    done = "; ".join(one.does for one in disks)
    told = f"{request.instance} is restored: {done}. `understudy undo-rollback {operation.id}` goes back"
    if missing:
        told += f". It was in balancers that are gone, and serves there no more: {', '.join(missing)}"
    if let_go:
        told += f". It is no member of scaling group {let_go} any more: attach it again if it should be"
    return {
        "outcome": "restored",
        "because": told,
        "instance": str(request.instance),
        "point": request.point,
        "safety_point": point_id(request),
        "safety": ",".join(sorted(snapshots(operation).values())),
        "disks": codec.dump([{"disk": one.disk, "way": one.way, "now": stands_now(operation, one)} for one in disks]),
        "kept": ",".join(one.disk for one in disks if one.way is Way.CLONE),
        **({"undoes": str(request.undoes)} if request.undoes else {}),
        **{f"left_{kind}": ids for kind, ids in _made(operation)},
    }


def refusal(operation: Operation, because: str) -> str:
    """Nothing was changed; what was made on the way stays, since nothing here deletes."""
    left = [f"safety snapshots {', '.join(sorted(found.values()))}"] if (found := snapshots(operation)) else []
    left += [f"{kind} {ids}" for kind, ids in _made(operation)]
    return f"{because}. Nothing was changed{f'; left over: {chr(44).join(left)}' if left else ''}"


def escalation(operation: Operation, disks: Sequence[DiskPlan], because: str) -> Escalated:
    safety = snapshots(operation)
    evidence = (
        f"operation={operation.id}",
        *(
            f"{one.disk}: {one.way} {_how_far(operation, one)}, safety snapshot {safety.get(one.disk, 'none')}"
            for one in disks
        ),
        *(f"made: {kind} {ids}" for kind, ids in _made(operation)),
        *(f"{one.name}={one.state.value}" for one in operation.steps if ":" not in one.name),
    )
    told = f"{because}. When you have looked: `understudy acknowledge {operation.id}`"
    if safety and begun(operation):
        told += f", then `understudy undo-rollback {operation.id}` goes back to the safety point"
    return Escalated(because=told, runbook=RUNBOOK, evidence=evidence)


def _how_far(operation: Operation, one: DiskPlan) -> str:
    step = next((step for step in operation.steps if step.name == CHANGE + one.disk), None)
    if step is None or step.state is StepState.FAILED:
        return "not done"
    return "done" if step.state is StepState.DONE else "asked for, not known to be done"


def _made(operation: Operation) -> Iterator[tuple[str, str]]:
    for kind, prefix, key in (("snapshots", FETCH, MADE), ("disks", CLONE, MADE), ("images", IMAGE, "image")):
        found = {step.data[key] for step in operation.steps if step.name.startswith(prefix) and key in step.data}
        if found:
            yield kind, ",".join(sorted(found))
