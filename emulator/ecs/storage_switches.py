"""What an operator of the emulator can set about snapshots and images. Not part of any cloud.

POST /_emulator/ecs/storage             {"has_balance": bool, "snapshot_service": bool, "archives": bool,
                                         "policies_per_disk": 1-10, "image_quota": n,
                                         "missing_deletes_answer_404": bool,
                                         "kms_keys": {ID: "Enabled" | "Disabled" | "Unauthorized"} or null}
POST /_emulator/ecs/disks/ID/failing    {"times": n}: so many of its next snapshots or copies fail at their end
POST /_emulator/ecs/snapshots/ID/owner  {"is_shared": bool, "managed_by": text}: shared, or a cloud product's own
"""

from typing import TYPE_CHECKING, Any

from emulator.ecs.policies import UPGRADED

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


KEY_STATES = frozenset({"Enabled", "Disabled", "Unauthorized"})


def storage(ecs: "Ecs", _: str, body: dict[str, Any]) -> dict[str, Any]:
    snapshots, images = ecs.snapshots, ecs.images
    standing = snapshots.standing
    for name, value in body.items():
        match name, value:
            case "has_balance" | "snapshot_service" | "archives", bool():
                setattr(standing, name, value)
            case "kms_keys", None:
                standing.kms_keys = None
            case "kms_keys", dict() if set(value.values()) <= KEY_STATES:
                standing.kms_keys = {str(key): state for key, state in value.items()}
            case "missing_deletes_answer_404", bool():
                snapshots.missing_deletes_answer_404 = images.missing_deletes_answer_404 = value
            case "policies_per_disk", int() if not isinstance(value, bool) and 1 <= value <= UPGRADED:
                snapshots.policies.per_disk = value
            case "image_quota", int() if not isinstance(value, bool) and value >= 0:
                images.quota = value
            case _:
                raise ValueError(f"{name} cannot be {value!r}; the first lines of {__name__} say what can")
    return {
        "has_balance": standing.has_balance,
        "snapshot_service": standing.snapshot_service,
        "archives": standing.archives,
        "policies_per_disk": snapshots.policies.per_disk,
        "image_quota": images.quota,
        "kms_keys": standing.kms_keys,
        "missing_deletes_answer_404": snapshots.missing_deletes_answer_404,
    }


def failing(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    match body:
        case {"times": int() as times} if not isinstance(times, bool) and times >= 1:
            ecs.snapshots.fail_next(id, times)
            return {"disk": id, "times": times}
    raise ValueError('give {"times": number >= 1}')


def owner(ecs: "Ecs", id: str, body: dict[str, Any]) -> dict[str, Any]:
    snapshot = ecs.snapshots.find(id)
    for name, value in body.items():
        match name, value:
            case "is_shared", bool():
                snapshot.is_shared = value
            case "managed_by", str():
                snapshot.managed_by = value
            case _:
                raise ValueError('give {"is_shared": true or false} or {"managed_by": text}')
    return {"snapshot": id, "is_shared": snapshot.is_shared, "managed_by": snapshot.managed_by}
