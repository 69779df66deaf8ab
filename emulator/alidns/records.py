"""One public record as a value, and what it may say.

Source: SDK 4.6.1, AddDomainRecord. Assumption: InvalidRR.Format, InvalidRecordType, DNSRecordInvalid and
InvalidPriority are the codes of malformed fields (the documented table names none).
"""

import ipaddress
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from emulator.wire.call import ApiError

DEFAULT_TTL: Final = 600  # seconds, whatever the edition
TYPES: Final = ("A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "CAA")
FORWARDERS: Final = ("REDIRECT_URL", "FORWARD_URL")  # web servers of the cloud's own; not modelled
WEIGHTED: Final = ("A", "AAAA", "CNAME")
ENABLE: Final = "ENABLE"  # so in answers; requests say Enable
DISABLE: Final = "DISABLE"
DEFAULT_LINE: Final = "default"
MALFORMED: Final = ("InvalidRR.Format", "InvalidRecordType", "DNSRecordInvalid", "InvalidPriority")

_LABEL: Final = re.compile(r"^(\*|[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """Every change replaces it, so a reader never sees half an update."""

    id: str  # digits, but a text: PrivateZone's is a number
    domain: str
    rr: str
    type: str
    value: str
    ttl: int = DEFAULT_TTL
    priority: int = 0  # MX only
    line: str = DEFAULT_LINE
    weight: int = 1  # counts once weights are open for the name
    status: str = ENABLE
    remark: str = ""
    locked: bool = False
    created: datetime
    updated: datetime

    @property
    def name(self) -> str:
        return self.domain if self.rr == "@" else f"{self.rr}.{self.domain}"

    @property
    def content(self) -> tuple[str, str, str, int, str, int]:
        """An update that leaves this as it is, is refused."""
        return (*self.identity, self.ttl, self.line, self.priority)

    @property
    def identity(self) -> tuple[str, str, str]:
        return self.rr.lower(), self.type, self.value.rstrip(".") if self.type == "TXT" else self.value.lower()


def check(record: Record) -> Record:
    labels = record.rr.split(".")
    if record.rr != "@" and not (all(_LABEL.match(one) for one in labels) and "*" not in labels[1:]):
        raise ApiError("InvalidRR.Format", f"The host record {record.rr!r} is invalid; the domain itself is '@'.")
    if record.type in FORWARDERS:
        raise ApiError("UnsupportedParameter", f"The emulator does not model records of type {record.type}.")
    if record.type not in TYPES:
        raise ApiError("InvalidRecordType", f"The record type {record.type!r} is not one of {', '.join(TYPES)}.")
    if record.line != DEFAULT_LINE:
        raise ApiError("UnsupportedParameter", f"The emulator does not model the line {record.line!r}, only default.")
    if record.type == "MX" and not 1 <= record.priority <= 50:
        raise ApiError("InvalidPriority", f"The priority {record.priority} of an MX record is not within 1-50.")
    if not value_fits(record.type, record.value):
        raise ApiError("DNSRecordInvalid", f"The value {record.value!r} is invalid for type {record.type}.")
    return record


def is_host(value: str) -> bool:
    return bool(value) and all(_LABEL.match(label) for label in value.rstrip(".").split("."))


def value_fits(type: str, value: str) -> bool:
    match type:
        case "A" | "AAAA":
            try:
                return ipaddress.ip_address(value).version == (4 if type == "A" else 6)
            except ValueError:
                return False
        case "TXT":
            return 0 < len(value) <= 512
        case "SRV":
            parts = value.split()
            return len(parts) == 4 and all(p.isdigit() and int(p) <= 65535 for p in parts[:3]) and is_host(parts[3])
        case "CAA":
            return len(value.split(maxsplit=2)) == 3
    return is_host(value)
