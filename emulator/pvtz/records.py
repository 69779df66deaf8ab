"""One private record as a value, and what it may say.

Source: SDK 1.5.0, AddZoneRecord, UpdateZoneRecordWeight. Assumption: the Record.Invalid.* codes of single fields follow
the documented Record.Invalid.Conflict.
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from emulator.wire.call import ApiError

TTLS: Final = (5, 30, 60, 3600, 43200, 86400)  # an enumeration: 10 or 600 is refused
DEFAULT_TTL: Final = 60
TYPES: Final = ("A", "AAAA", "CNAME", "TXT", "MX", "PTR", "SRV")
ENABLE: Final = "ENABLE"
DISABLE: Final = "DISABLE"
DEFAULT_LINE: Final = "default"
WEIGHTED: Final = ("A", "AAAA")  # only these can be weighted (SDK 1.5.0, SetZoneLbaStatus)
_LABEL: Final = re.compile(r"^(\*|[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A value: every change replaces it, so a reader never sees half an update."""

    id: int
    zone_id: str
    rr: str  # host name below the zone, "@" for the zone itself
    type: str
    value: str
    ttl: int = DEFAULT_TTL
    priority: int = 0  # MX only
    weight: int = 1  # counts once weights are open for the name; 0: never answered
    line: str = DEFAULT_LINE
    status: str = ENABLE
    remark: str = ""
    created: datetime
    updated: datetime


MALFORMED: Final = (
    "Record.Invalid.Rr", "Record.Invalid.Type", "Record.Invalid.Ttl", "Record.Invalid.Weight",
    "Record.Invalid.Priority", "Record.Invalid.Value", "Record.Invalid.Remark",
)  # fmt: skip


def check(record: Record, *, lowest_weight: int = 1) -> Record:
    """`lowest_weight`: 0 where weights are set by themselves (UpdateZoneRecordWeight), else 1."""
    if record.rr != "@" and not (
        record.rr and all(is_label(label) for label in record.rr.split(".")) and "*" not in record.rr.split(".")[1:]
    ):
        raise ApiError("Record.Invalid.Rr", f"The host record {record.rr!r} is invalid.")
    if record.type not in TYPES:
        raise ApiError("Record.Invalid.Type", f"The record type {record.type!r} is not one of {', '.join(TYPES)}.")
    if record.ttl not in TTLS:
        raise ApiError("Record.Invalid.Ttl", f"The TTL {record.ttl} is not one of {', '.join(map(str, TTLS))}.")
    if not lowest_weight <= record.weight <= 100:
        raise ApiError("Record.Invalid.Weight", f"The weight {record.weight} is not within {lowest_weight}-100.")
    if record.line != DEFAULT_LINE:
        raise ApiError("UnsupportedParameter", f"The emulator does not model the line {record.line!r}, only default.")
    if record.type == "MX" and not 1 <= record.priority <= 99:
        raise ApiError("Record.Invalid.Priority", f"The priority {record.priority} is not within 1-99.")
    if not _value_fits(record.type, record.value):
        raise ApiError("Record.Invalid.Value", f"The value {record.value!r} is invalid for type {record.type}.")
    if len(record.remark) > 50:
        raise ApiError("Record.Invalid.Remark", "The remark is longer than 50 characters.")
    return record


def _value_fits(type: str, value: str) -> bool:
    if type in ("A", "AAAA"):
        try:
            return ipaddress.ip_address(value).version == (4 if type == "A" else 6)
        except ValueError:
            return False
    if type == "TXT":
        return 0 < len(value) <= 255
    if type == "SRV":
        parts = value.split()
        return len(parts) == 4 and all(p.isdigit() and int(p) <= 65535 for p in parts[:3])
    return bool(value) and all(is_label(label) for label in value.rstrip(".").split("."))


def is_label(label: str) -> bool:
    return _LABEL.match(label) is not None
