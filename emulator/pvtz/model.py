"""PrivateZone: zones of names that only VPCs see, and their records.

Source: PrivateZone API 2018-01-01 (SDK 1.5.0). There is no version or compare-and-set on a record: the last writer
wins, and the change log is the only trace of who was first. Both doors (RPC, DNS) read these live objects.
"""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Account

TTLS: Final = (5, 30, 60, 3600, 43200, 86400)  # an enumeration: 10 or 600 is refused
DEFAULT_TTL: Final = 60
TYPES: Final = ("A", "AAAA", "CNAME", "TXT", "MX", "PTR", "SRV")
ENABLE: Final = "ENABLE"
DISABLE: Final = "DISABLE"
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
    weight: int = 1
    line: str = "default"
    status: str = ENABLE
    remark: str = ""
    created: datetime
    updated: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundVpc:
    region: str
    vpc: str


@dataclass(slots=True, kw_only=True)
class Zone:
    id: str
    name: str
    proxy_pattern: str = "ZONE"  # RECORD lets unknown names fall through to public DNS; not modelled
    created: datetime
    updated: datetime
    records: dict[int, Record] = field(default_factory=dict)
    vpcs: tuple[BoundVpc, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    id: int
    at: datetime
    action: str  # add | update | delete | set_status | update_remark | bind_vpc
    object: str  # PV_ZONE | PV_RECORD (assumption: the real constants are not documented)
    entity_id: str
    entity_name: str
    content: str
    zone_id: str


class PrivateZone:
    """Every method is synchronous, so that one call is atomic on the server's loop.

    Assumptions: all errors of this service are HTTP 400 (the documentation names no status); a missing record is
    `Record.NotExists`; an update that omits Ttl, Weight, Priority or Line sets the default again.
    Not modelled: `SetZoneLbaStatus` (weighted answers), lines, reverse zones, authorisation between accounts.
    """

    def __init__(self, owner: "Account") -> None:
        self._owner = owner
        self.zones: dict[str, Zone] = {}
        self.changes: list[Change] = []
        self._zone_of_record: dict[int, str] = {}
        self._next_record = 1_000_000_001
        self._tokens: dict[tuple[str, str], tuple[Mapping[str, object], object]] = {}

    # -- zones

    def add_zone(self, name: str, *, id: str | None = None, proxy_pattern: str = "ZONE", token: str = "") -> Zone:
        name = name.rstrip(".").lower()
        if "." not in name or not all(_LABEL.match(label) and label != "*" for label in name.split(".")):
            raise ApiError("Zone.Invalid.Name", f"The zone name {name!r} is invalid.")
        if proxy_pattern not in ("ZONE", "RECORD"):
            raise ApiError("InvalidParameter", f"ProxyPattern {proxy_pattern!r} is not ZONE or RECORD.")
        asked = {"name": name, "proxy_pattern": proxy_pattern, "id": id}
        if isinstance(before := self._repeated("AddZone", token, asked), str):
            return self.zone(before)
        now = self._owner.clock.now()
        zone = Zone(
            id=id or self._owner.chance.id("pz")[3:],
            name=name,
            proxy_pattern=proxy_pattern,
            created=now,
            updated=now,
        )
        if zone.id in self.zones:
            raise ApiError("Zone.Invalid.Id", f"The zone id {zone.id} is taken.")
        self.zones[zone.id] = zone
        self._remember("AddZone", token, asked, zone.id)
        self._log(zone, "add", "PV_ZONE", zone.id, zone.name, f"proxy pattern {proxy_pattern}")
        return zone

    def zone(self, zone_id: str) -> Zone:
        zone = self.zones.get(zone_id)
        if zone is None:
            raise ApiError("Zone.NotExists", f"The zone {zone_id} does not exist.")
        return zone

    def bind(self, zone_id: str, vpcs: tuple[BoundVpc, ...]) -> None:
        """Replaces the whole list; an empty one unbinds everything."""
        zone = self.zone(zone_id)
        for bound in vpcs:
            for other in self.zones.values():
                if other is not zone and other.name == zone.name and bound in other.vpcs:
                    raise ApiError("Zone.VpcExists", f"Another zone {zone.name} is already bound to {bound.vpc}.")
        zone.vpcs = tuple(dict.fromkeys(vpcs))
        self._log(zone, "bind_vpc", "PV_ZONE", zone.id, zone.name, ",".join(b.vpc for b in zone.vpcs))

    # -- records

    def add_record(
        self,
        zone_id: str,
        *,
        rr: str,
        type: str,
        value: str,
        ttl: int | None = None,
        priority: int | None = None,
        weight: int | None = None,
        line: str | None = None,
        remark: str = "",
        token: str = "",
    ) -> Record:
        zone = self.zone(zone_id)
        now = self._owner.clock.now()
        record = _checked(
            Record(
                id=self._next_record,
                zone_id=zone.id,
                rr=rr,
                type=type,
                value=value,
                remark=remark,
                created=now,
                updated=now,
                ttl=DEFAULT_TTL if ttl is None else ttl,
                priority=0 if priority is None else priority,
                weight=1 if weight is None else weight,
                line=line or "default",
            )
        )
        asked = _identity(record)
        if isinstance(before := self._repeated("AddZoneRecord", token, asked), int):
            return self.record(before)
        self._refuse_clash(zone, record)
        self._next_record += 1
        self._store(zone, record)
        self._remember("AddZoneRecord", token, asked, record.id)
        self._log(zone, "add", "PV_RECORD", str(record.id), _full_name(zone, record), _describe(record))
        return record

    def update_record(
        self,
        record_id: int,
        *,
        rr: str,
        type: str,
        value: str,
        ttl: int | None = None,
        priority: int | None = None,
        weight: int | None = None,
        line: str | None = None,
    ) -> Record:
        """A full overwrite of everything but status and remark, which have calls of their own."""
        old = self.record(record_id)
        zone = self.zone(old.zone_id)
        new = _checked(
            replace(
                old,
                rr=rr,
                type=type,
                value=value,
                updated=self._owner.clock.now(),
                ttl=DEFAULT_TTL if ttl is None else ttl,
                priority=0 if priority is None else priority,
                weight=1 if weight is None else weight,
                line=line or "default",
            )
        )
        self._refuse_clash(zone, new)
        self._store(zone, new)
        self._log(
            zone,
            "update",
            "PV_RECORD",
            str(new.id),
            _full_name(zone, new),
            f"{_describe(old)} -> {_describe(new)}",
        )
        return new

    def set_remark(self, record_id: int, remark: str) -> Record:
        return self._change(record_id, "update_remark", remark=remark)

    def set_status(self, record_id: int, status: str) -> Record:
        if status.upper() not in (ENABLE, DISABLE):
            raise ApiError("InvalidParameter", f"Status {status!r} is not ENABLE or DISABLE.")
        return self._change(record_id, "set_status", status=status.upper())

    def delete_record(self, record_id: int) -> None:
        record = self.record(record_id)
        zone = self.zone(record.zone_id)
        del zone.records[record_id], self._zone_of_record[record_id]
        zone.updated = self._owner.clock.now()
        self._log(zone, "delete", "PV_RECORD", str(record_id), _full_name(zone, record), _describe(record))

    def record(self, record_id: int) -> Record:
        zone_id = self._zone_of_record.get(record_id)
        if zone_id is None:
            raise ApiError("Record.NotExists", f"The record {record_id} does not exist.")
        return self.zones[zone_id].records[record_id]

    def find_records(self, zone_id: str, *, keyword: str = "", search_mode: str = "EXACT") -> list[Record]:
        """By host name, case-insensitively; an empty keyword finds all. Type and line are not filters."""
        wanted = keyword.lower()
        return [
            record
            for record in self.zone(zone_id).records.values()
            if not wanted or (wanted in record.rr.lower() if search_mode == "LIKE" else wanted == record.rr.lower())
        ]

    # -- what DNS sees

    def enclosing(self, name: str) -> Zone | None:
        """The most specific zone that `name` (lower case, no final dot) lies in."""
        labels = name.split(".")
        by_name = {zone.name: zone for zone in self.zones.values()}
        for cut in range(len(labels)):
            if found := by_name.get(".".join(labels[cut:])):
                return found
        return None

    def answering(self, zone: Zone, rr: str) -> Iterator[Record]:
        """Enabled records of one host name, whatever their type."""
        return (r for r in zone.records.values() if r.status == ENABLE and r.rr.lower() == rr)

    # -- inside

    def _change(self, record_id: int, action: str, **fields: str) -> Record:
        old = self.record(record_id)
        zone = self.zone(old.zone_id)
        new = replace(old, updated=self._owner.clock.now(), **fields)  # type: ignore[arg-type]
        self._store(zone, new)
        content = ", ".join(f"{name}={value}" for name, value in fields.items())
        self._log(zone, action, "PV_RECORD", str(new.id), _full_name(zone, new), content)
        return new

    def _store(self, zone: Zone, record: Record) -> None:
        zone.records[record.id] = record
        zone.updated = record.updated
        self._zone_of_record[record.id] = zone.id

    def _refuse_clash(self, zone: Zone, record: Record) -> None:
        for other in zone.records.values():
            if other.id == record.id or other.rr.lower() != record.rr.lower() or other.line != record.line:
                continue
            if other.type == record.type and other.value.lower() == record.value.lower():
                raise ApiError("Record.Invalid.Conflict", f"The record {_describe(record)} already exists.")
            if "CNAME" in (other.type, record.type):
                raise ApiError("Record.Invalid.Conflict", f"{record.rr}: a CNAME stands alone on its name.")

    def _repeated(self, action: str, token: str, asked: Mapping[str, object]) -> object | None:
        """What an earlier call with this token made. How long tokens live is not documented: here for ever."""
        before = self._tokens.get((action, token)) if token else None
        if before is None:
            return None
        if before[0] != asked:
            raise ApiError("IdempotentParameterMismatch", f"ClientToken {token!r} was used with other parameters.")
        return before[1]

    def _remember(self, action: str, token: str, asked: Mapping[str, object], made: object) -> None:
        if token:
            self._tokens[action, token] = (asked, made)

    def _log(self, zone: Zone, action: str, object: str, entity_id: str, entity_name: str, content: str) -> None:
        self.changes.append(
            Change(
                id=len(self.changes) + 1,
                at=self._owner.clock.now(),
                action=action,
                object=object,
                entity_id=entity_id,
                entity_name=entity_name,
                content=content,
                zone_id=zone.id,
            )
        )


def _identity(record: Record) -> dict[str, object]:
    fields = ("zone_id", "rr", "type", "value", "ttl", "priority", "weight", "line", "remark")
    return {name: getattr(record, name) for name in fields}


def _full_name(zone: Zone, record: Record) -> str:
    return zone.name if record.rr == "@" else f"{record.rr}.{zone.name}"


def _describe(record: Record) -> str:
    return f"{record.rr} {record.ttl} {record.type} {record.value}"


def _checked(record: Record) -> Record:
    if record.rr != "@" and not (
        record.rr and all(_LABEL.match(label) for label in record.rr.split(".")) and "*" not in record.rr.split(".")[1:]
    ):
        raise ApiError("Record.Invalid.Rr", f"The host record {record.rr!r} is invalid.")
    if record.type not in TYPES:
        raise ApiError("Record.Invalid.Type", f"The record type {record.type!r} is not one of {', '.join(TYPES)}.")
    if record.ttl not in TTLS:
        raise ApiError("Record.Invalid.Ttl", f"The TTL {record.ttl} is not one of {', '.join(map(str, TTLS))}.")
    if not 1 <= record.weight <= 100:
        raise ApiError("Record.Invalid.Weight", f"The weight {record.weight} is not within 1-100.")
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
    return bool(value) and all(_LABEL.match(label) for label in value.rstrip(".").split("."))
