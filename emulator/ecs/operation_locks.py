"""Locks that the platform puts on instances, and what they refuse.

Sources: ECS API DescribeInstances (OperationLocks), the error tables of StopInstance, StartInstance, RebootInstance,
AttachDisk, ResetDisk, CreateSnapshot, CreateImage. A lock for security refuses everything but release, and release then
takes the disks along, whatever DeleteWithInstance says. Where a table gives several codes for arrears, the choice is
an assumption. Not modelled: that the platform stops an instance when it locks it.
"""

from typing import TYPE_CHECKING, Final

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.ecs.instances import Instance

SECURITY: Final = "security"
FINANCIAL: Final = "financial"
REASONS: Final = (FINANCIAL, SECURITY, "Recycling", "dedicatedhostfinancial", "refunded")

ARREARS: Final = {
    "start": "InstanceExpired",
    "stop": "InstanceExpiredOrInArrears",
    "reboot": "InstanceExpiredOrInArrears",
    "reset": "InstanceExpiredOrInArrears",
    "attach": "DiskInArrears",
}
"""What arrears (and an expired subscription) refuse, and as what."""


def lock(instance: "Instance", reason: str) -> None:
    if reason not in REASONS:
        raise ValueError(f"{reason!r} is not one of {', '.join(REASONS)}")
    if reason not in instance.locks:
        instance.locks.append(reason)


def unlock(instance: "Instance", reason: str) -> None:
    if reason in instance.locks:
        instance.locks.remove(reason)


def is_secured(instance: "Instance") -> bool:
    return SECURITY in instance.locks


def check(instance: "Instance", action: str, *, status: int = 403) -> None:
    """`action`: start, stop, reboot, reset, reinit, replace, attach, detach, snapshot, image, modify. `status` is
    that of InstanceLockedForSecurity (400 in CreateImage)."""
    if is_secured(instance):
        raise ApiError("InstanceLockedForSecurity", f"{instance.id} is locked for security.", status)
    owes = instance.expired or FINANCIAL in instance.locks or "dedicatedhostfinancial" in instance.locks
    if owes and action in ARREARS:
        raise ApiError(ARREARS[action], f"{instance.id} has expired or its account is in arrears.", 403)
