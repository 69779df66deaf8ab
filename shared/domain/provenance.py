"""What we write on the things we make, so that they can be found again without our records."""

import hashlib
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from shared.domain.ids import InstanceId, OperationId, PolicyVersion

OPERATION: Final = "understudy:operation"
PROTECTION: Final = "understudy:protection"
SCHEDULE: Final = "understudy:schedule"
SLOT: Final = "understudy:slot"
INSTANCE: Final = "understudy:instance"
POLICY: Final = "understudy:policy"
REPLACES: Final = "understudy:replaces"
"""Tag of a replacement: the instance whose part it took."""

_TAG_VALUE_LIMIT: Final = 128
_NAME_LIMIT: Final = 128
_NOT_IN_NAMES: Final = re.compile(r"[^A-Za-z0-9_.-]+")


def tags(
    operation: OperationId,
    policy: PolicyVersion,
    *,
    instance: InstanceId | None = None,
    protection: str = "",
    schedule: str = "",
    slot: datetime | None = None,
) -> dict[str, str]:
    """Up to 20 tags; keys may not begin with aliyun or acs:. Source: ECS API, TagResources, read 2026-03."""
    every = {
        OPERATION: operation_tag(operation),
        PROTECTION: protection,
        SCHEDULE: schedule,
        SLOT: "" if slot is None else f"{slot.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}",
        INSTANCE: instance or "",
        POLICY: str(policy),
    }
    return {key: value for key, value in every.items() if value}


def operation_tag(operation: OperationId) -> str:
    """The operation's id, or a digest of it where the cloud's 128 characters do not hold it."""
    if len(operation) <= _TAG_VALUE_LIMIT:
        return operation
    return "sha256:" + hashlib.sha256(operation.encode()).hexdigest()


def ours(found: Mapping[str, str]) -> bool:
    """Whether these tags say that we made what carries them."""
    return OPERATION in found


def name(*parts: str) -> str:
    """A resource name the cloud accepts: 2-128 characters, a letter first. Source: ECS API, CreateSnapshot."""
    return _NOT_IN_NAMES.sub("-", "-".join(("understudy", *(part for part in parts if part))))[:_NAME_LIMIT]


def token(operation: OperationId, step: str, attempt: int, *parameters: str) -> str:
    """An idempotency token (at most 64 ASCII characters): the same for the same attempt at the same thing, so that a
    repeated call makes no second one; another for a new attempt or other parameters."""
    text = "\x1f".join((operation, step, str(attempt), *parameters))
    return "understudy-" + hashlib.sha256(text.encode()).hexdigest()[:40]
