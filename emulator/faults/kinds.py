"""The menu: every kind of fault, what it hits and which details it takes."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from emulator.wire.services import VERSIONS


class Scope(StrEnum):
    CALL = "call"  # one API call, of any service
    DELIVERY = "delivery"  # one event on its way to a function or a webhook
    WORLD = "world"  # stands from when it is set until it ends


class Stage(StrEnum):
    """Where in a call it happens. BEFORE and AFTER end the call: no further answer comes."""

    BEFORE = "before"  # nothing was done
    AFTER = "after"  # the effect stands, the answer does not arrive
    DURING = "during"  # the call is answered, but otherwise than usual


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    scope: Scope
    says: str
    stage: Stage = Stage.DURING
    details: tuple[str, ...] = ()
    defaults: Mapping[str, Any] | None = None
    services: tuple[str, ...] = ()  # only these, when given
    always: bool = False  # without `calls` it goes on striking until it is removed or its time is over


RPC: Final = tuple(VERSIONS.values())
_ANSWER: Final = ("status", "code", "message", "retry_after_ms")
_CALL, _DELIVERY, _WORLD = Scope.CALL, Scope.DELIVERY, Scope.WORLD
_BEFORE, _AFTER = Stage.BEFORE, Stage.AFTER

KINDS: Final[Mapping[str, Kind]] = {
    "throttle": Kind(
        scope=_CALL,
        stage=_BEFORE,
        details=_ANSWER,
        always=True,
        says="refused as too frequent; without `calls` from the first one on until the next minute begins, per "
        "account, region and action",
    ),
    "error": Kind(scope=_CALL, stage=_BEFORE, details=_ANSWER, says="refused with a code; nothing was done"),
    "error_after": Kind(scope=_CALL, stage=_AFTER, details=_ANSWER, says="done, and answered with an error"),
    "timeout_before": Kind(scope=_CALL, stage=_BEFORE, says="nothing was done, and no answer comes"),
    "timeout_after": Kind(scope=_CALL, stage=_AFTER, says="done, and no answer comes"),
    "reset_before": Kind(scope=_CALL, stage=_BEFORE, says="nothing was done; the connection is reset"),
    "reset_after": Kind(scope=_CALL, stage=_AFTER, says="done; the connection is reset"),
    "html": Kind(
        scope=_CALL,
        stage=_BEFORE,
        details=("status",),
        defaults={"status": 502},
        says="a gateway's HTML page; not done",
    ),
    "html_after": Kind(
        scope=_CALL, stage=_AFTER, details=("status",), defaults={"status": 502}, says="a gateway's HTML page; done"
    ),
    "empty_body": Kind(
        scope=_CALL,
        stage=_BEFORE,
        details=("status",),
        defaults={"status": 200},
        says="an answer without a body; not done",
    ),
    "empty_body_after": Kind(
        scope=_CALL, stage=_AFTER, details=("status",), defaults={"status": 200}, says="an answer without a body; done"
    ),
    "ok_with_code": Kind(
        scope=_CALL,
        stage=_BEFORE,
        details=("code", "message"),
        services=RPC,
        says="HTTP 200 with an error's body; nothing was done",
    ),
    "odd_shape": Kind(
        scope=_CALL,
        services=RPC,
        says="the first list in the answer comes as its first item alone, or as an empty text; over HTTP only",
    ),
    "bad_signature": Kind(
        scope=_CALL, stage=_AFTER, services=("ots",), says="done; the answer's own signature is wrong"
    ),
    "stale_read": Kind(
        scope=_CALL,
        details=("seconds",),
        defaults={"seconds": 0.0},
        says="a read is answered as it was. Tablestore: without the changes of the last `seconds`. Others: with "
        "the newest answer to the same question that is at least `seconds` old, of those given since the fault was set",
    ),
    "short_page": Kind(
        scope=_CALL,
        details=("rows",),
        defaults={"rows": 1},
        always=True,
        services=("ecs", "ots"),
        says="a page of a listing holds at most `rows` items, and a token for the rest",
    ),
    "empty_page": Kind(
        scope=_CALL, services=("ecs", "ots"), says="a page of a listing holds nothing, but a token for the rest"
    ),
    "row_errors": Kind(
        scope=_CALL,
        details=("rows", "code", "message"),
        defaults={"rows": 1, "code": "OTSServerBusy"},
        services=("ots",),
        says="the first `rows` rows of a batch fail with `code`, the others are served",
    ),
    "lock": Kind(
        scope=_CALL,
        details=("seconds",),
        defaults={"seconds": 60.0},
        services=("ots",),
        says="a write is applied, and its partition key stays locked for `seconds`",
    ),
    "split": Kind(
        scope=_CALL,
        details=("seconds",),
        defaults={"seconds": 0.1},
        services=("ots",),
        says="the table splits in its middle; its calls are refused with OTSPartitionUnavailable for `seconds`",
    ),
    "slow": Kind(
        scope=_CALL,
        details=("seconds", "real"),
        defaults={"seconds": 5.0, "real": False},
        says="the answer takes `seconds`: emulated ones while time stands (it moves on), real ones when it flows, or "
        "when `real` is true",
    ),
    "freeze_caller": Kind(
        scope=_CALL,
        details=("seconds", "moment", "instance"),
        defaults={"seconds": 60.0, "moment": "before"},
        says="the function instance behind the call (or the guest of `instance`) is suspended for `seconds` "
        "(emulated), before or after the effect; other callers wait for their answer so long",
    ),
    "instance_limit": Kind(
        scope=_WORLD,
        details=("limit",),
        services=("fc",),
        says="so many function instances at once in this account and region; above that 429",
    ),
    "deliver_late": Kind(scope=_DELIVERY, details=("seconds",), defaults={"seconds": 60.0}, says="late by `seconds`"),
    "deliver_twice": Kind(scope=_DELIVERY, says="twice"),
    "deliver_lost": Kind(scope=_DELIVERY, says="never"),
    "deliver_reordered": Kind(
        scope=_DELIVERY,
        details=("seconds",),
        defaults={"seconds": 10.0},
        always=True,
        says="gathered for `seconds`, then delivered in another order",
    ),
    "backlog": Kind(
        scope=_DELIVERY,
        always=True,
        says="held back while it lasts (two hours unless said otherwise), then all at once",
    ),
    "no_stock": Kind(
        scope=_WORLD,
        details=("limit", "instance_type"),
        defaults={"limit": 0},
        services=("ecs",),
        says="only `limit` more instances of `instance_type` can be bought in the zone",
    ),
    "deny": Kind(
        scope=_WORLD,
        says="the role `caller` is refused `action`, both as in a RAM policy (`ecs:DeleteSnapshot`, `ots:*`)",
    ),
    "zone_silence": Kind(scope=_WORLD, says="nothing from the zone is heard, nothing reaches it"),
    "region_outage": Kind(
        scope=_WORLD,
        details=("how",),
        defaults={"how": "silent"},
        says="every regional endpoint is silent (or, with `how` error, answers 503), the region's zones are dark, its "
        "functions stand still; global services answer",
    ),
}
