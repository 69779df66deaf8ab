"""`Filter.N` of describe operations: from when to when a resource was created."""

from datetime import UTC, datetime

from emulator.wire import params
from emulator.wire.call import ApiError, Call

KEYS = ("CreationStartTime", "CreationEndTime")


def creation_window(call: Call) -> tuple[datetime | None, datetime | None]:
    """Both ends count; an end that was not sent is None. Values are yyyy-MM-ddTHH:mmZ."""
    window: dict[str, datetime] = {}
    for entry in params.objects(call.params, "Filter"):
        key = entry.get("Key", "")
        if key not in KEYS:
            raise ApiError("InvalidFilterKey.NotFound", f"The filter {key!r} does not exist.", 404)
        try:
            window[key] = datetime.strptime(entry.get("Value", ""), "%Y-%m-%dT%H:%MZ").replace(tzinfo=UTC)
        except ValueError:
            raise ApiError("InvalidFilterValue", f"{entry.get('Value')!r} is not yyyy-MM-ddTHH:mmZ.", 400) from None
    return window.get("CreationStartTime"), window.get("CreationEndTime")
