"""How records and pages look in Alidns' answers."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypeVar

from emulator.alidns.model import Domain
from emulator.alidns.records import Record
from emulator.wire import params as wire

T = TypeVar("T")
COMMON = ("Lang", "UserClientIp")


def page(params: Mapping[str, str], found: Sequence[T], *, most: int) -> tuple[Sequence[T], dict[str, int]]:
    """20 a page unless asked otherwise, `most` at most (more is an invalid parameter: assumption)."""
    number = wire.integer(params, "PageNumber", 1, low=1)
    size = wire.integer(params, "PageSize", 20, low=1, high=most)
    numbers = {"TotalCount": len(found), "PageNumber": number, "PageSize": size}
    return found[(number - 1) * size : number * size], numbers


def millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def record_row(record: Record) -> dict[str, Any]:
    """What all record answers have in common. Priority is there for MX alone (assumption)."""
    return {
        "RecordId": record.id,
        "DomainName": record.domain,
        "RR": record.rr,
        "Type": record.type,
        "Value": record.value,
        "TTL": record.ttl,
        **({"Priority": record.priority} if record.type == "MX" else {}),
        "Line": record.line,
        "Status": record.status,
        "Locked": record.locked,
        "Remark": record.remark,
    }


def listed_row(domain: Domain, record: Record) -> dict[str, Any]:
    return {
        **record_row(record),
        "Weight": record.weight,
        "LbaStatus": domain.is_weighted(record.rr, record.type),
        "CreateTimestamp": millis(record.created),
        "UpdateTimestamp": millis(record.updated),
    }
