"""What the CloudMonitor operations share: their envelope, times, dimensions, pages.

CloudMonitor answers a `Code` of its own beside the HTTP status, and `Success`; a number in DescribeMetricRuleList, a
text elsewhere. The codes of refusals are assumptions, except for the gateway's.
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from emulator.wire import params, strict_json
from emulator.wire.call import ApiError, Call

VERSION: Final = "2019-01-01"
NOT_FOUND: Final = "ResourceNotFound"
WRONG: Final = "ParameterInvalid"


def done(**more: Any) -> dict[str, Any]:
    return {"Code": "200", "Success": True, "Message": "The specified resource is found.", **more}


def wrong(name: str, why: str) -> ApiError:
    return ApiError(WRONG, f"{name}: {why}.", 400)


def not_found(what: str) -> ApiError:
    return ApiError(NOT_FOUND, f"{what} does not exist.", 404)


def milliseconds(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def moment(sent: params.Params, name: str) -> datetime | None:
    """Milliseconds, `2019-01-30 00:00:00` or ISO; without a zone it is UTC (assumption)."""
    value = sent.get(name)
    if not value:
        return None
    try:
        if (number := params.digits(value)) is not None:
            return datetime.fromtimestamp(number / 1000 if number >= 10**11 else number, UTC)
        read = datetime.fromisoformat(value)
    except (ValueError, OverflowError, OSError):
        raise wrong(name, f"{value!r} is not a time") from None
    return read if read.tzinfo else read.replace(tzinfo=UTC)


def dimensions(sent: params.Params, name: str) -> list[Mapping[str, str]]:
    """One JSON object or a list of them; [] for all resources (also for `{"resource": "_ALL"}`)."""
    value = sent.get(name)
    if not value:
        return []
    try:
        read = strict_json.parse(value)
    except ValueError:
        raise wrong(name, f"{value[:80]!r} is not JSON") from None
    found = read if isinstance(read, list) else [read]
    if not all(isinstance(one, dict) for one in found):
        raise wrong(name, "objects of names and values are needed")
    plain = [{str(key): str(text) for key, text in one.items()} for one in found]
    return [] if any(one.get("resource") == "_ALL" for one in plain) else list(plain)


def paged(call: Call, items: list[Any], *, number: str = "PageNumber", size: str = "PageSize") -> list[Any]:
    page = params.integer(call.params, number, 1, low=1)
    length = params.integer(call.params, size, 10, low=1, high=100)
    return items[(page - 1) * length : page * length]
