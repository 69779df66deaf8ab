"""PrivateZone: zones of names that only VPCs see, and their records.

Source: PrivateZone API 2018-01-01 (SDK 1.5.0). There is no version or compare-and-set on a record: the last writer
wins, and the change log is the only trace of who was first. Both doors (RPC, DNS) read these live objects.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.ecs.rules import Tokens
from emulator.pvtz.propagation import Lagging, Published, lag, seen
from emulator.pvtz.records import DEFAULT_LINE, DEFAULT_TTL, DISABLE, ENABLE, WEIGHTED, Record, check, is_label
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Account

__all__ = ["DISABLE", "ENABLE", "BoundVpc", "Change", "PrivateZone", "Record", "Zone"]

FAST: Final = "FAST_ZONE"  # acceleration: no cache before it, weights
NORMAL: Final = "NORMAL_ZONE"  # answers come through a cache, no weights
PROXY_PATTERNS: Final = ("ZONE", "RECORD")
REVERSE: Final = (".in-addr.arpa", ".ip6.arpa")
_ZONE_ID: Final = re.compile(r"^[A-Za-z0-9_-]{1,64}$")


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundVpc:
    region: str
    vpc: str


@dataclass(slots=True, kw_only=True)
class Zone:
    id: str
    name: str
    proxy_pattern: str = "ZONE"  # RECORD lets unknown names fall through to public DNS
    group: str = FAST
    remark: str = ""
    created: datetime
    updated: datetime
    records: dict[int, Record] = field(default_factory=dict)
    weights: dict[tuple[str, str], bool] = field(default_factory=dict)  # (host in lower case, type) -> open
    vpcs: tuple[BoundVpc, ...] = ()
    behind: list[Lagging] = field(default_factory=list)

    @property
    def is_fast(self) -> bool:
        return self.group == FAST


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    id: int
    at: datetime
    action: str  # add | update | delete | set_status | update_remark | bind_vpc | ...
    object: str  # PV_ZONE | PV_RECORD
    entity_id: str
    entity_name: str
    content: str
    zone_id: str


class PrivateZone:
    """One account's zones. Every method is synchronous, so that one call is atomic on the server's loop.

    Assumptions: all errors of this service are HTTP 400 (the documentation names no status); a missing record is
    `Record.NotExists`; an update that omits Ttl, Weight, Priority or Line sets the default again; another account's
    zone is `Zone.Invalid.UserId`, an id that no zone can have `Zone.Invalid.Id`; a zone that is bound to a VPC is not
    deleted (`Zone.VpcExists`); weights of a NORMAL_ZONE are refused (SDK: it cannot have them) as
    `Zone.Invalid.DnsGroup`.
    Not modelled: lines, reverse zones, authorisation between accounts, secondary DNS, edge clusters.
    """

    def __init__(self, owner: "Account") -> None:
        self._owner = owner
        self.zones: dict[str, Zone] = {}
        self.changes: list[Change] = []
        self.tokens = Tokens(owner.clock)
        self.propagation = timedelta(0)
        """For so long resolvers still see what was before a change (undocumented); tests and operators choose."""
        self.default_group = FAST
        """Of a zone that says nothing: FAST_ZONE for who began after 2025-04-30, NORMAL_ZONE before (SDK 1.5.0)."""
        self._zone_of_record: dict[int, str] = {}
        self._next_record = 1_000_000_001

    # -- zones

    def add_zone(
        self, name: str, *, id: str | None = None, proxy_pattern: str = "ZONE", group: str | None = None
    ) -> Zone:  # fmt: skip
        """Several zones may have one name; they just cannot be bound to one VPC."""
        name = check_zone_name(name)
        _check_proxy_pattern(proxy_pattern)
        if group not in (None, "", FAST, NORMAL):
            raise ApiError("InvalidParameter", f"DnsGroup {group!r} is not {NORMAL} or {FAST}.")
        now = self._owner.clock.now()
        zone = Zone(
            id=id or self._owner.chance.id("pz")[3:],
            name=name,
            proxy_pattern=proxy_pattern,
            group=group or self.default_group,
            created=now,
            updated=now,
        )
        if zone.id in self.zones:
            raise ApiError("Zone.Invalid.Id", f"The zone id {zone.id} is taken.")
        self.zones[zone.id] = zone
        self._log_zone(zone, "add", f"proxy pattern {proxy_pattern}")
        return zone

    def zone(self, zone_id: str) -> Zone:
        zone = self.zones.get(zone_id)
        if zone is not None:
            return zone
        if not _ZONE_ID.match(zone_id):
            raise ApiError("Zone.Invalid.Id", f"The zone id {zone_id!r} is invalid.")
        if any(zone_id in other.zones for other in self._others()):
            raise ApiError("Zone.Invalid.UserId", f"The zone {zone_id} belongs to another account.")
        raise ApiError("Zone.NotExists", f"The zone {zone_id} does not exist.")

    def _others(self) -> Iterable["PrivateZone"]:
        owners = {id(realm.owner): realm.owner for realm in self._owner.cloud.realms}
        return [one.pvtz for one in owners.values() if one is not self._owner and "pvtz" in vars(one)]

    def delete_zone(self, zone_id: str) -> Zone:
        """With all its records, once no VPC is bound to it."""
        zone = self.zone(zone_id)
        if zone.vpcs:
            bound = ", ".join(one.vpc for one in zone.vpcs)
            raise ApiError("Zone.VpcExists", f"The zone {zone.name} is bound to {bound}: unbind it first.")
        for record_id in zone.records:
            del self._zone_of_record[record_id]
        del self.zones[zone_id]
        self._log_zone(zone, "delete", "")
        return zone

    def bind(self, zone_id: str, vpcs: tuple[BoundVpc, ...], *, known: bool = True) -> None:
        """Replaces the whole list, in whatever regions; an empty one unbinds everything. `known`: VPCs that do not
        exist are refused (a seed may name some that come later)."""
        zone = self.zone(zone_id)
        for bound in vpcs:
            if known and not self._exists(bound):
                raise ApiError("ZoneVpc.NotExists.VpcId", f"There is no VPC {bound.vpc} in {bound.region}.")
            for other in self.zones.values():
                if other is not zone and other.name == zone.name and bound in other.vpcs:
                    raise ApiError("Zone.VpcExists", f"Another zone {zone.name} is already bound to {bound.vpc}.")
        zone.vpcs = tuple(dict.fromkeys(vpcs))
        self._log_zone(zone, "bind_vpc", ",".join(b.vpc for b in zone.vpcs))

    def _exists(self, bound: BoundVpc) -> bool:
        realm = self._owner.cloud.realm(self._owner.id, bound.region)
        return bound.vpc in realm.ecs.network.vpcs

    def set_zone_remark(self, zone_id: str, remark: str) -> None:
        zone = self.zone(zone_id)
        zone.remark = remark
        self._log_zone(zone, "update_remark", remark)

    def set_proxy_pattern(self, zone_id: str, pattern: str) -> None:
        _check_proxy_pattern(pattern)
        zone = self.zone(zone_id)
        zone.proxy_pattern = pattern
        self._log_zone(zone, "set_proxy_pattern", pattern)

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
    ) -> Record:
        zone = self.zone(zone_id)
        now = self._owner.clock.now()
        record = check(
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
                line=line or DEFAULT_LINE,
            )
        )
        _refuse_clash(zone, record)
        self._next_record += 1
        self._store(zone, record)
        self._log(zone, "add", record, _describe(record))
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
        new = check(
            replace(
                old,
                rr=rr,
                type=type,
                value=value,
                updated=self._owner.clock.now(),
                ttl=DEFAULT_TTL if ttl is None else ttl,
                priority=0 if priority is None else priority,
                weight=1 if weight is None else weight,
                line=line or DEFAULT_LINE,
            )
        )
        _refuse_clash(zone, new)
        self._store(zone, new)
        self._log(zone, "update", new, f"{_describe(old)} -> {_describe(new)}")
        return new

    def set_remark(self, record_id: int, remark: str) -> Record:
        return self._change(record_id, "update_remark", remark=remark)

    def set_status(self, record_id: int, status: str) -> Record:
        if status.upper() not in (ENABLE, DISABLE):
            raise ApiError("InvalidParameter", f"Status {status!r} is not ENABLE or DISABLE.")
        return self._change(record_id, "set_status", status=status.upper())

    def set_weight(self, record_id: int, weight: int) -> Record:
        """0-100. It counts once weights are open; saying so before is fine (assumption)."""
        return self._change(record_id, "update_weight", weight=weight)

    def delete_record(self, record_id: int) -> None:
        record = self.record(record_id)
        zone = self.zone(record.zone_id)
        self._lag(zone)
        del zone.records[record_id], self._zone_of_record[record_id]
        zone.updated = self._owner.clock.now()
        self._log(zone, "delete", record, _describe(record))

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

    # -- weights

    def open_weights(self, zone_id: str, rr: str, type: str, on: bool) -> None:
        """Weighted answers of one name and type; before, and otherwise, addresses take turns."""
        zone = self.zone(zone_id)
        if type not in WEIGHTED:
            raise ApiError("Record.Invalid.Type", f"Records of type {type!r} have no weights, only A and AAAA.")
        if not zone.is_fast:
            raise ApiError("Zone.Invalid.DnsGroup", f"{zone.name} is a {NORMAL}, which has no weighted answers.")
        if not any(r.rr.lower() == rr.lower() and r.type == type for r in zone.records.values()):
            raise ApiError("Record.NotExists", f"{rr} has no record of type {type} in {zone.name}.")
        self._lag(zone)
        zone.weights[rr.lower(), type] = on
        self._log_zone(zone, "set_lba", f"{rr} {type} {'open' if on else 'closed'}")

    # -- what DNS sees

    def enclosing(self, name: str) -> Zone | None:
        """The most specific zone that `name` (lower case, no final dot) lies in."""
        labels = name.split(".")
        by_name = {zone.name: zone for zone in self.zones.values()}
        for cut in range(len(labels)):
            if found := by_name.get(".".join(labels[cut:])):
                return found
        return None

    def published(self, zone: Zone) -> Published:
        return seen(zone.behind, self._owner.clock.now()) or _now_published(zone)

    # -- inside

    def _change(self, record_id: int, action: str, **fields: str | int) -> Record:
        old = self.record(record_id)
        zone = self.zone(old.zone_id)
        changed = replace(old, updated=self._owner.clock.now(), **fields)  # type: ignore[arg-type]
        new = check(changed, lowest_weight=0)
        self._store(zone, new)
        self._log(zone, action, new, ", ".join(f"{name}={value}" for name, value in fields.items()))
        return new

    def _store(self, zone: Zone, record: Record) -> None:
        self._lag(zone)
        zone.records[record.id] = record
        zone.updated = record.updated
        self._zone_of_record[record.id] = zone.id

    def _lag(self, zone: Zone) -> None:
        if self.propagation or zone.behind:
            lag(zone.behind, self._owner.clock.now(), self.propagation, _now_published(zone))

    def _log_zone(self, zone: Zone, action: str, content: str) -> None:
        zone.updated = self._owner.clock.now()
        self._append(zone, action, "PV_ZONE", zone.id, zone.name, content)

    def _log(self, zone: Zone, action: str, record: Record, content: str) -> None:
        name = zone.name if record.rr == "@" else f"{record.rr}.{zone.name}"
        self._append(zone, action, "PV_RECORD", str(record.id), name, content)

    def _append(self, zone: Zone, action: str, object: str, entity_id: str, entity_name: str, content: str) -> None:
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


def check_zone_name(name: str) -> str:
    """In lower case, without final dot. Raises Zone.Invalid.Name; reverse zones are not modelled."""
    name = name.rstrip(".").lower()
    if name.endswith(REVERSE):
        raise ApiError("UnsupportedParameter", f"The emulator does not model reverse zones such as {name}.")
    if "." not in name or not all(is_label(label) and label != "*" for label in name.split(".")):
        raise ApiError("Zone.Invalid.Name", f"The zone name {name!r} is invalid.")
    return name


def _check_proxy_pattern(pattern: str) -> None:
    if pattern not in PROXY_PATTERNS:
        raise ApiError("InvalidParameter", f"ProxyPattern {pattern!r} is not ZONE or RECORD.")


def _now_published(zone: Zone) -> Published:
    return Published(
        records=tuple(r for r in zone.records.values() if r.status == ENABLE),
        weighted=frozenset(name for name, on in zone.weights.items() if on),
    )


def _refuse_clash(zone: Zone, record: Record) -> None:
    for other in zone.records.values():
        if other.id == record.id or other.rr.lower() != record.rr.lower() or other.line != record.line:
            continue
        if other.type == record.type and other.value.lower() == record.value.lower():
            raise ApiError("Record.Invalid.Conflict", f"The record {_describe(record)} already exists.")
        if "CNAME" in (other.type, record.type):
            raise ApiError("Record.Invalid.Conflict", f"{record.rr}: a CNAME stands alone on its name.")


def _describe(record: Record) -> str:
    return f"{record.rr} {record.ttl} {record.type} {record.value}"
