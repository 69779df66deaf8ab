"""Start, Stop, Reboot and Delete of one instance and of many, RedeployInstance."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.batches import ALL_TOGETHER, AT_MOST, SUCCESS_FIRST, Outcome
from emulator.ecs.instances import Instance
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

START = (
    "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "InvalidInstance.NotFoundSystemDisk", "DiskError",
    "OperationDenied.NoStock", "QuotaExceed.ElasticQuota", "InstanceExpired", "InstanceLockedForSecurity",
)  # fmt: skip
STOP = (
    "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "InstanceExpiredOrInArrears", "InstanceLockedForSecurity",
)  # fmt: skip
DELETE = (
    "InvalidInstanceId.NotFound", "IncorrectInstanceStatus", "IncorrectInstanceStatus.Initializing",
    "InvalidOperation.DeletionProtection",
)  # fmt: skip
TOKEN = ("IdempotentParameterMismatch", "IdempotentProcessing", "InvalidClientToken.Malformed")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = LifecycleApi(ecs)
    return {
        "StartInstance": api.start,
        "StopInstance": api.stop,
        "RebootInstance": api.reboot,
        "DeleteInstance": api.delete,
        "StartInstances": api.start_many,
        "StopInstances": api.stop_many,
        "RebootInstances": api.reboot_many,
        "DeleteInstances": api.delete_many,
        "RedeployInstance": api.redeploy,
    }


class LifecycleApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._lifecycle = ecs.lifecycle

    def _named(self, call: Call) -> Instance:
        return self._ecs.find_instance(params.required(call.params, "InstanceId"))

    # One ------------------------------------------------------------------------------------------------------

    @reads("InstanceId", "InitLocalDisk", "DryRun")
    @raises("DryRunOperation", *START)
    def start(self, call: Call) -> dict[str, Any]:
        """Starts a stopped instance; after an economical stop there may be no machine for it."""
        instance = self._named(call)
        if params.boolean(call.params, "DryRun", False):
            self._lifecycle.check_start(instance)
            paging.dry_run(call)
        self._lifecycle.start(instance)
        return {}

    @reads("InstanceId", "ForceStop", "StoppedMode", "ConfirmStop", "DryRun")
    @raises("DryRunOperation", *STOP)
    def stop(self, call: Call) -> dict[str, Any]:
        """Stops a running instance. Without StoppedMode the account's default counts, which may be StopCharging."""
        instance, p = self._named(call), call.params
        if params.boolean(p, "DryRun", False):
            self._lifecycle.check_stop(instance, mode=p.get("StoppedMode"))
            paging.dry_run(call)
        self._lifecycle.stop(instance, force=params.boolean(p, "ForceStop", False), mode=p.get("StoppedMode"))
        return {}

    @reads("InstanceId", "ForceStop", "DryRun")
    @raises("DryRunOperation", *STOP)
    def reboot(self, call: Call) -> dict[str, Any]:
        """Restarts a running instance, which reads Starting at once."""
        instance = self._named(call)
        if params.boolean(call.params, "DryRun", False):
            self._lifecycle.check_reboot(instance)
            paging.dry_run(call)
        self._lifecycle.reboot(instance, force=params.boolean(call.params, "ForceStop", False))
        return {}

    @reads("InstanceId", "Force", "ForceStop", "TerminateSubscription", "DryRun")
    @raises("DryRunOperation", *DELETE)
    def delete(self, call: Call) -> dict[str, Any]:
        """Releases an instance: a stopped one, or a running one with Force."""
        instance, p = self._named(call), call.params
        force, cut = params.boolean(p, "Force", False), params.boolean(p, "ForceStop", True)
        if params.boolean(p, "DryRun", False):
            self._lifecycle.check_delete(instance, force=force)
            paging.dry_run(call)
        self._lifecycle.delete(instance, force=force, cut=cut)
        return {}

    @reads("InstanceId", "ForceStop")
    @raises("InvalidInstanceId.NotFound", "IncorrectInstanceStatus")
    def redeploy(self, call: Call) -> dict[str, Any]:
        """Moves an instance for which maintenance is planned to another host, at once; the event is Avoided.

        A running instance needs ForceStop (assumption)."""
        instance = self._named(call)
        running = instance.state == "Running"
        if instance.state not in ("Running", "Stopped") or (
            running and not params.boolean(call.params, "ForceStop", False)
        ):
            raise ApiError("IncorrectInstanceStatus", f"{instance.id} is {instance.state}.", 403)
        self._ecs.maintenance.redeploy(instance)
        task = self._ecs.tasks.open("RedeployInstance", instance.id)
        self._ecs.tasks.close(task)
        return {"TaskId": task.id}

    # Many -----------------------------------------------------------------------------------------------------

    @reads("InstanceId.N", "BatchOptimization", "DryRun")
    @raises("DRYRUN.SUCCESS", *START)
    def start_many(self, call: Call) -> dict[str, Any]:
        """Starts stopped instances, all together or each for itself."""
        lifecycle = self._lifecycle
        return self._many(call, lifecycle.check_start, lifecycle.start, undo=self._ecs.batches.undo_start)

    @reads("InstanceId.N", "BatchOptimization", "ForceStop", "StoppedMode", "DryRun")
    @raises("DRYRUN.SUCCESS", *STOP)
    def stop_many(self, call: Call) -> dict[str, Any]:
        """Stops running instances, all together or each for itself."""
        force, mode = params.boolean(call.params, "ForceStop", False), call.params.get("StoppedMode")
        return self._many(
            call,
            lambda instance: self._lifecycle.check_stop(instance, mode=mode),
            lambda instance: self._lifecycle.stop(instance, force=force, mode=mode),
        )

    @reads("InstanceId.N", "BatchOptimization", "ForceReboot", "DryRun")
    @raises("DRYRUN.SUCCESS", *STOP)
    def reboot_many(self, call: Call) -> dict[str, Any]:
        """Restarts running instances, all together or each for itself."""
        force = params.boolean(call.params, "ForceReboot", False)
        return self._many(
            call, self._lifecycle.check_reboot, lambda instance: self._lifecycle.reboot(instance, force=force)
        )

    @reads("InstanceId.N", "Force", "ForceStop", "TerminateSubscription", "ClientToken", "DryRun")
    @raises("DRYRUN.SUCCESS", *DELETE, *TOKEN)
    def delete_many(self, call: Call) -> dict[str, Any]:
        """Releases instances, all or none. A dry run looks at parameters and permissions, not at states."""
        p, ids = call.params, self._ids(call)
        force, cut = params.boolean(p, "Force", False), params.boolean(p, "ForceStop", True)
        if params.boolean(p, "DryRun", False):
            raise _dry_run_passed()

        def release() -> None:
            check = self._ecs.batches.check
            for instance in check(ids, lambda one: self._lifecycle.check_delete(one, force=force)):
                self._lifecycle.delete(instance, force=force, cut=cut)

        self._ecs.tokens.once("DeleteInstances", p.get("ClientToken"), (tuple(ids), force, cut), release)
        return {}

    def _ids(self, call: Call) -> list[str]:
        ids = params.list_of(call.params, "InstanceId")
        if not ids:
            raise params.missing("InstanceId.1")
        if len(ids) > AT_MOST:
            raise params.invalid("InstanceId", f"it holds {len(ids)} ids, at most {AT_MOST} are allowed")
        return ids

    def _many(
        self,
        call: Call,
        check: Callable[[Instance], None],
        act: Callable[[Instance], None],
        *,
        undo: Callable[[Instance], None] | None = None,
    ) -> dict[str, Any]:
        ids, mode = self._ids(call), call.params.get("BatchOptimization") or ALL_TOGETHER
        if params.boolean(call.params, "DryRun", False):
            if mode != SUCCESS_FIRST:  # which only ever says that the dry run passed
                self._ecs.batches.check(ids, check)
            raise _dry_run_passed()
        outcomes = self._ecs.batches.run(ids, mode, check=check, act=act, undo=undo or _nothing)
        return {"InstanceResponses": {"InstanceResponse": [_outcome(one) for one in outcomes]}}


def _nothing(_: Instance) -> None:
    """What is checked first and cannot fail afterwards needs no undoing."""


def _dry_run_passed() -> ApiError:
    """The plural calls have their own word for it. Source: SDK 7.11.8."""
    return ApiError("DRYRUN.SUCCESS", "Request validation has been passed with DryRun flag set.")


def _outcome(outcome: Outcome) -> dict[str, Any]:
    return {
        "InstanceId": outcome.instance_id,
        "Code": outcome.code,
        "Message": outcome.message,
        "PreviousStatus": outcome.before,
        "CurrentStatus": outcome.after,
    }
