"""The rebuild of one instance, as steps of a durable operation. docs/rebuild.md tells them, and what each may call.

Every step asks the world first, so that it may run any number of times. What decides after a lost answer:

| call | token | read-back |
|---|---|---|
| StopInstance | none | the instance reads Stopped |
| ModifyInstanceVpcAttribute | none | its private address is another one; a second move is refused before a start |
| RunInstances | operation, step, attempt, digest | an instance tagged with the operation |
| DetachDisk, AttachDisk | none | the disk's instance and state; the cloud refuses what is not so any more |
| UnassociateEipAddress, AssociateEipAddress | operation, step, allocation | the address's instance and state |
| set weight, attach, detach | none | the pool's members and weights; all three are idempotent |
| calls of the scaling group | see `rebuild_group` | |
| TagResources | none | idempotent |
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import CredentialsRejected, Forbidden, Permanent
from shared.domain.objectives import REBUILD_PHASES, Phases
from shared.domain.operation import Operation, OperationKind, StepState
from shared.domain.rebuild import CHANGED_ADDRESSES
from shared.state import codec
from shared.usecases.operations import FORBIDDEN_SINCE, Done, Outcome, Work
from shared.usecases.recovery import rebuild_choose, rebuild_create, rebuild_fence, rebuild_group, rebuild_serve
from shared.usecases.recovery.rebuild_run import (
    ANSWER,
    ATTACH,
    BOOT,
    CHOOSE,
    CREATE,
    DISKS,
    DRAIN,
    FENCE,
    FREE,
    ISOLATE,
    JOIN,
    LEAVE,
    LOOK,
    RELEASE,
    SERVE,
    STANDBY,
    Ports,
    Run,
    Take,
)

STEPS: Final[tuple[tuple[str, Take], ...]] = (
    (LOOK, rebuild_choose.take_look),  # is it really lost?
    (CHOOSE, rebuild_choose.take_choice),  # all that can be missing is missed before anything is touched
    (STANDBY, rebuild_group.aside),  # or its group would replace what we stop
    (DRAIN, rebuild_fence.drain),  # it may still serve; and the pools have just been read
    (FENCE, rebuild_fence.fence),  # only a machine that reads Stopped cannot serve beside its successor
    (FREE, rebuild_fence.free),  # an address can be taken off a stopped machine only
    (CREATE, rebuild_create.create),
    (RELEASE, rebuild_create.release),  # slow things begin while the new one boots
    (BOOT, rebuild_create.boot),
    (DISKS, rebuild_create.disks),
    (ANSWER, rebuild_serve.answer),  # our own eyes before traffic
    (JOIN, rebuild_group.join),  # gives a weight of its own, so before ours
    (ATTACH, rebuild_serve.attach),
    (SERVE, rebuild_serve.serve),  # the balancers' eyes
    (LEAVE, rebuild_group.leave),  # nobody waits for this any more
    (ISOLATE, rebuild_serve.isolate),  # the old one is kept, never deleted
)


@dataclass(slots=True, kw_only=True)
class RebuildRecipe:
    """`advance` takes every step that can be taken now and says when to look again."""

    ports: Ports
    kind: OperationKind = OperationKind.REBUILD

    def advance(self, work: Work) -> Outcome:
        run = Run(self.ports, work)
        try:
            for name, take in STEPS:
                if run.is_done(name):
                    continue
                outcome = take(run)
                work.note(FORBIDDEN_SINCE, None)
                if outcome is not None:
                    return outcome
        except CredentialsRejected:
            raise  # about this process, not about our permissions
        except Forbidden as error:
            lasting = run.forbidden(error)
            if lasting is None:
                raise
            return lasting
        except Permanent as error:
            # A bare refusal would leave a lost instance's part unplayed and nobody told.
            return run.escalate(f"{type(error).__name__}: {error}")
        return _result(run)


def _result(run: Run) -> Outcome:
    plan, new, address = run.plan, run.replacement, run.data(BOOT, "address")
    phases = rto(run.work.operation)
    lost = codec.instant(run.inputs["failed_at"])
    restored = () if run.moves_disks else plan.restored
    data_loss = max((lost - disk.taken for disk in restored), default=timedelta())
    mapped = "" if address == plan.address else f"{plan.address} -> {address}"
    told = [f"{run.old} was replaced by {new}"]
    if mapped:
        told.append(f"its private address changed: {mapped}")
        _tell_of_address(run, address)
    if run.moves_disks and plan.moved:
        told.append(f"its data disks moved over: {', '.join(one.disk for one in plan.moved)}")
    told += plan.notes
    return Done(
        result={
            "outcome": "replaced",
            "because": "; ".join(told),
            "replaces": run.old,
            "replacement": new,
            "image": run.candidate.image,
            "zone": run.candidate.zone,
            "address": address,
            **({"mapped": mapped} if mapped else {}),
            "snapshots": ",".join(disk.snapshot for disk in restored),
            "disks": ",".join(one.disk for one in plan.moved) if run.moves_disks else "",
            "rpo_seconds": f"{max(data_loss, timedelta()).total_seconds():.1f}",
            "rto_seconds": f"{phases.total.total_seconds():.1f}",
            "phases": codec.dump({name: took.total_seconds() for name, took in phases.steps}),
        }
    )


def _tell_of_address(run: Run, address: str) -> None:
    inputs = {
        "operation": run.work.operation.id,
        "instance": run.old,
        "before": run.plan.address,
        "replacement": run.replacement,
        "now": address,
    }
    because = f"{run.old} had {run.plan.address}, its replacement {run.replacement} has {address}"
    made = Decision(
        event="address.changed",
        at=run.now(),
        subject=CHANGED_ADDRESSES,
        because=(because,),
        inputs=inputs,
        policy=run.work.operation.policy,
        acted=True,
    )
    run.own.decisions.record(CHANGED_ADDRESSES, made)


def rto(operation: Operation) -> Phases:
    """From the loss to service, by the journal. Fencing and draining belong to *create*, moving disks to *boot*:
    nothing else waits on them."""
    at = {step.name: step.at for step in operation.steps if step.state is StepState.DONE}
    ends = {"detect": operation.created}
    ends |= {
        phase: at[step]
        for phase, step in (
            ("decide", CHOOSE),
            ("create", CREATE),
            ("boot", ANSWER),
            ("attach", ATTACH),
            ("serve", SERVE),
        )
        if step in at
    }
    return Phases.between(REBUILD_PHASES, lost=codec.instant(operation.inputs["failed_at"]), ended=ends)
