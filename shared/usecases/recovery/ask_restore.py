"""What an operator asks about the disks of one instance: which points it has, and to go back to one of them.

Without a confirmation nothing is opened: what it would do is asked of function `recover`, which may read the cloud.
With one, the operation is opened; its first step plans anew and compares.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import AccountName, DiskId, ImageId, InstanceId, OperationId, SnapshotId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.place import Place
from shared.domain.policy import Policy
from shared.domain.restoring import SYSTEM_DISK, DiskChange, Way
from shared.domain.retention import RestorePoint
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.arguments import Arguments, asked_by, optional, texts
from shared.usecases.recovery.confirming import check_token
from shared.usecases.recovery.recovery_requests import RestoreRequest
from shared.usecases.recovery.restore_safety import point_id, snapshots
from shared.usecases.recovery.suspicion import hand_over

LISTED: Final = 500
Result = dict[str, object]


class AskRestore:
    """Commands `points`, `rollback`, `undo_rollback`, `reinitialise` and `replace_system_disk`."""

    def __init__(
        self,
        *,
        policies: Policies,
        journal: Journal,
        points: Points,
        decisions: Decisions,
        functions: Functions,
        clock: Clock,
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._points = points
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of the operation's id."""
        return {
            "points": lambda arguments, _: self._list(arguments),
            "rollback": lambda arguments, run: self._rollback(arguments, moment(arguments), run),
            "undo_rollback": lambda arguments, run: self._undo(arguments, moment(arguments), run),
            "reinitialise": lambda arguments, run: self._reinitialise(arguments, moment(arguments), run),
            "replace_system_disk": lambda arguments, run: self._replace(arguments, moment(arguments), run),
        }

    def _list(self, arguments: Arguments) -> Result:
        instance = _instance(arguments)
        found = sorted(self._points.of(instance), key=lambda one: (one.taken, one.id), reverse=True)
        now = self._clock.now()
        return {"instance": instance, "points": [_told(one, now) for one in found[:LISTED]], "of": len(found)}

    def _rollback(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        _, policy = self._policies.active()
        instance = _instance(arguments)
        subject = InstanceId(optional(arguments, "of")) or instance
        disks = tuple(DiskId(one) for one in texts(arguments, "disks", "a list of ids, e.g. [d-bp1...]"))
        as_of = arguments.get("as_of")
        found = chosen(
            self._points.of(subject),
            subject,
            id=optional(arguments, "point"),
            as_of=self._clock.now() if as_of is None else _moment(as_of),
            disks=disks,
        )
        request = rollback_to(
            found,
            policy,
            disks=disks,
            asked=asked,
            by=asked_by(arguments),
            confirm=optional(arguments, "confirm"),
            accept_size=arguments.get("accept_size") is True,
            instance=instance,
        )
        return self._ask(request, run) | {"point": found.id, "taken": codec.second(found.taken)}

    def _undo(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        named = optional(arguments, "operation")
        operation = self._journal.find(OperationId(named)) if named else None
        if operation is None or operation.kind is not OperationKind.RESTORE:
            raise BadInput(
                f"argument operation is {named!r}, no restore that we know. `understudy explain INSTANCE` names them"
            )
        request = undo_of(operation, asked=asked, by=asked_by(arguments), confirm=optional(arguments, "confirm"))
        return self._ask(request, run)

    def _reinitialise(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        disks = texts(arguments, "disks", "a list of ids, e.g. [d-bp1...]")
        if not disks:
            raise BadInput("argument disks is empty: name the disk to make as it was when it was new")
        changes = tuple(DiskChange(disk=DiskId(one), way=Way.REINITIALISE) for one in disks)
        return self._ask(self._of_disks(arguments, changes, asked), run)

    def _replace(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        image = optional(arguments, "image")
        if not image:
            raise BadInput(f"argument image is {image!r}; it must be a custom image of the instance's region")
        disk = optional(arguments, "disk") or SYSTEM_DISK
        change = DiskChange(disk=DiskId(disk), way=Way.REPLACE, image=ImageId(image))
        return self._ask(self._of_disks(arguments, (change,), asked), run)

    def _of_disks(self, arguments: Arguments, changes: tuple[DiskChange, ...], asked: datetime) -> RestoreRequest:
        _, policy = self._policies.active()
        account = AccountName(optional(arguments, "account"))
        return RestoreRequest(
            place=Place(policy.region, account),
            instance=_instance(arguments),
            disks=changes,
            asked=asked,
            by=asked_by(arguments),
            confirm=optional(arguments, "confirm"),
        )

    def _ask(self, request: RestoreRequest, run: str) -> Result:
        if not request.confirm:
            question = {"preview": {"kind": OperationKind.RESTORE.value, "request": codec.dump(request)}}
            answer = json.loads(self._functions.invoke("recover", json.dumps(question).encode()))
            return answer if "refused" in answer else {"preview": answer}
        check_token(
            self._functions,
            self._journal,
            OperationKind.RESTORE,
            request.id,
            request=codec.dump(replace(request, confirm="")),
            confirm=request.confirm,
        )
        version, _ = self._policies.active()
        because = f"asked for by {request.by}"
        self._journal.open(request.operation(policy=version, now=self._clock.now(), because=because))
        made = Decision(
            event="restore.requested",
            at=self._clock.now(),
            subject=request.instance,
            because=(because,),
            inputs={"operation": request.id, "point": request.point, "undoes": request.undoes or ""},
            policy=version,
            acted=True,
            run=run,
        )
        log.decision(made)
        self._decisions.record(request.instance, made)
        hand_over(self._functions, "recover", {"operation": request.id, "look": "now"})
        return {"operation": request.id}


def chosen(
    points: Iterable[RestorePoint], instance: InstanceId, *, id: str, as_of: datetime, disks: Sequence[DiskId] = ()
) -> RestorePoint:
    """The point with this id; without one the newest that can be restored and was taken by `as_of`, has all of
    `disks`, and stands at home. Copies and safety points are taken when named. Raises BadInput when there is none."""
    listing = f"`understudy points {instance}` lists what there is"
    if id:
        found = next((one for one in points if one.id == id), None)
        if found is None:
            raise BadInput(f"instance {instance} has no restore point {id!r}. {listing}")
        if not found.counts:
            why = "has failed" if found.failed else "cannot be used yet"
            raise BadInput(f"restore point {id!r} of {instance} {why}: choose another one. {listing}")
        return found
    fits = [
        one
        for one in points
        if one.counts
        and not one.copy_of
        and not one.safety
        and one.taken <= as_of
        and set(disks) <= {disk for disk, _ in one.disks}
    ]
    if not fits:
        having = f" with {', '.join(disks)}" if disks else ""
        raise BadInput(
            f"instance {instance} has no usable restore point{having} that was taken by {codec.second(as_of)}. "
            f"{listing}; a copy or a safety point is taken when you name it"
        )
    return max(fits, key=lambda one: (one.taken, one.id))


def rollback_to(
    point: RestorePoint,
    policy: Policy,
    *,
    asked: datetime,
    by: str,
    confirm: str,
    disks: Sequence[DiskId] = (),
    accept_size: bool = False,
    parent: OperationId | None = None,
    instance: InstanceId | None = None,
) -> RestoreRequest:
    """All disks of the point, or some of them. The instance stands at home, also when the point does not. `instance`:
    whose disks they are now, when it replaced the one of which the point was taken."""
    unknown = [one for one in disks if one not in {disk for disk, _ in point.disks}]
    if unknown:
        has = ", ".join(disk for disk, _ in point.disks)
        raise BadInput(f"restore point {point.id!r} has no disk {', '.join(unknown)}; it has: {has}")
    account = AccountName("") if point.place is None else point.place.account
    return RestoreRequest(
        place=Place(policy.region, account),
        instance=instance or point.subject,
        point_of=point.subject if instance not in (None, point.subject) else None,
        disks=tuple(
            DiskChange(disk=disk, way=Way.RESET, snapshot=snapshot)
            for disk, snapshot in point.disks
            if not disks or disk in disks
        ),
        asked=asked,
        by=by,
        confirm=confirm,
        point=point.id,
        accept_size=accept_size,
        parent=parent,
    )


def undo_of(operation: Operation, *, asked: datetime, by: str, confirm: str) -> RestoreRequest:
    """Back to the operation's safety point: in place where the cloud allows, else by a clone or an image. Raises
    BadInput when there is nothing to go back to."""
    if operation.state is OperationState.OPEN:
        raise BadInput(f"{operation.id} is still under way: wait for its end, `understudy explain {operation.subject}`")
    if operation.state is OperationState.REFUSED:
        raise BadInput(f"{operation.id} changed nothing, so there is nothing to undo")
    was, safety = RestoreRequest.of(operation), snapshots(operation)
    if not safety:
        raise BadInput(f"{operation.id} took no safety snapshot: nothing was changed by it")
    return RestoreRequest(
        place=was.place,
        instance=was.instance,
        disks=tuple(
            DiskChange(disk=disk, way=Way.RESET, snapshot=SnapshotId(snapshot))
            for disk, snapshot in sorted(safety.items())
        ),
        asked=asked,
        by=by,
        confirm=confirm,
        point=point_id(was),
        undoes=operation.id,
    )


def _told(one: RestorePoint, now: datetime) -> Result:
    """For the list: what an operator chooses by."""
    state = "failed" if one.failed else "usable" if one.usable else "in progress"
    if one.usable and not one.complete:
        state = "usable, uploading"
    return {
        "point": one.id,
        "taken": codec.second(one.taken),
        "age_seconds": max(0, int((now - one.taken).total_seconds())),
        "level": one.level.value,
        "state": state,
        "protection": one.protection,
        "place": "" if one.place is None else str(one.place),
        "copy": bool(one.copy_of),
        "pinned": one.pinned,
        "disks": dict(one.disks),
    }


def _instance(arguments: Arguments) -> InstanceId:
    named = optional(arguments, "instance")
    if not named:
        raise BadInput(f"argument instance is {arguments.get('instance')!r}; it must be an instance id, e.g. i-bp1...")
    return InstanceId(named)


def _moment(given: object) -> datetime:
    try:
        return codec.instant(str(given))
    except (ValueError, OverflowError) as error:
        raise BadInput(f"argument as_of is {given!r}; write it as 2026-03-02T10:00:00Z") from error
