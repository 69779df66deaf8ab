"""PrivateZone on the wire: version 2018-01-01. Spelled `Rr`, `Ttl` here (Alidns spells `RR`, `TTL`); RecordId is an
integer. Times are ISO texts in UTC (assumption) plus millisecond stamps.

Source: SDK alibabacloud_pvtz20180101 1.5.0. Not modelled: SetZoneLbaStatus, tags, reverse zones, lines.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulator.pvtz.model import BoundVpc, Change, Record, Zone
from emulator.wire import params as wire
from emulator.wire.call import Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2018-01-01"
COMMON = ("Lang", "UserClientIp")


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    api = Api(realm)
    return {
        (VERSION, name): getattr(api, name)
        for name in (
            "AddZone",
            "AddZoneRecord",
            "UpdateZoneRecord",
            "UpdateRecordRemark",
            "DeleteZoneRecord",
            "SetZoneRecordStatus",
            "DescribeZoneRecords",
            "DescribeZoneRecord",
            "DescribeZones",
            "DescribeZoneInfo",
            "BindZoneVpc",
            "DescribeChangeLogs",
        )
    }


class Api:
    """One method per action, under the action's own name. Each page: api.aliyun.com, pvtz 2018-01-01."""

    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._pvtz = realm.pvtz

    @reads("ZoneName", "ProxyPattern", "ClientToken", "ResourceGroupId", *COMMON)
    def AddZone(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        zone = self._pvtz.add_zone(
            wire.required(call.params, "ZoneName"),
            proxy_pattern=wire.text(call.params, "ProxyPattern", "ZONE"),
            token=wire.text(call.params, "ClientToken", ""),
        )
        return {"ZoneId": zone.id, "ZoneName": zone.name, "Success": True}

    @reads("ZoneId", "Rr", "Type", "Value", "Ttl", "Priority", "Weight", "Line", "Remark", "ClientToken", *COMMON)
    def AddZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        record = self._pvtz.add_record(
            wire.required(call.params, "ZoneId"),
            remark=wire.text(call.params, "Remark", ""),
            token=wire.text(call.params, "ClientToken", ""),
            **_content(call.params),
        )
        return {"RecordId": record.id, "Success": True}

    @reads("RecordId", "Rr", "Type", "Value", "Ttl", "Priority", "Weight", "Line", "ClientToken", *COMMON)
    def UpdateZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A full overwrite: what is omitted is set to its default (assumption). The last writer wins, so a repeated
        ClientToken needs no memory."""
        record = self._pvtz.update_record(_record_id(call.params), **_content(call.params))
        return {"RecordId": record.id}

    @reads("RecordId", "Remark", "ClientToken", *COMMON)
    def UpdateRecordRemark(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        record = self._pvtz.set_remark(_record_id(call.params), wire.text(call.params, "Remark", ""))
        return {"RecordId": record.id}

    @reads("RecordId", "ClientToken", *COMMON)
    def DeleteZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        record_id = _record_id(call.params)
        self._pvtz.delete_record(record_id)
        return {"RecordId": record_id}

    @reads("RecordId", "Status", "ClientToken", *COMMON)
    def SetZoneRecordStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        record = self._pvtz.set_status(_record_id(call.params), wire.required(call.params, "Status"))
        return {"RecordId": record.id, "Status": record.status}

    @reads("ZoneId", "Keyword", "SearchMode", "PageNumber", "PageSize", *COMMON)
    def DescribeZoneRecords(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        found = self._pvtz.find_records(
            wire.required(call.params, "ZoneId"),
            keyword=wire.text(call.params, "Keyword", ""),
            search_mode=_search_mode(call.params, "EXACT"),
        )
        page, numbers = _page(call.params, found)
        return {"Records": {"Record": [_record(r) for r in page]}, **numbers}

    @reads("RecordId", *COMMON)
    def DescribeZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        return _record(self._pvtz.record(_record_id(call.params)))

    @reads("Keyword", "SearchMode", "QueryVpcId", "QueryRegionId", "ZoneType", "PageNumber", "PageSize", *COMMON)
    def DescribeZones(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        keyword = wire.text(call.params, "Keyword", "").lower()
        exact = _search_mode(call.params, "LIKE") == "EXACT"
        vpc, region = wire.text(call.params, "QueryVpcId"), wire.text(call.params, "QueryRegionId")
        found = [
            zone
            for zone in self._pvtz.zones.values()
            if (not keyword or (keyword == zone.name if exact else keyword in zone.name))
            and (vpc is None or any(b.vpc == vpc for b in zone.vpcs))
            and (region is None or any(b.region == region for b in zone.vpcs))
        ]
        page, numbers = _page(call.params, found)
        return {"Zones": {"Zone": [_zone(z) for z in page]}, **numbers}

    @reads("ZoneId", *COMMON)
    def DescribeZoneInfo(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        zone = self._pvtz.zone(wire.required(call.params, "ZoneId"))
        bound = [
            {
                "RegionId": b.region,
                "RegionName": b.region,
                "VpcId": b.vpc,
                "VpcName": "",
                "VpcType": "STANDARD",
                "VpcUserId": int(self._realm.account),
            }
            for b in zone.vpcs
        ]
        return {**_zone(zone), "BindVpcs": {"Vpc": bound}}

    @reads("ZoneId", "Vpcs.N.RegionId", "Vpcs.N.VpcId", "Vpcs.N.VpcType", "ClientToken", *COMMON)
    def BindZoneVpc(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        vpcs = tuple(
            BoundVpc(region=wire.required(v, "RegionId"), vpc=wire.required(v, "VpcId"))
            for v in wire.objects(call.params, "Vpcs")
        )
        self._pvtz.bind(wire.required(call.params, "ZoneId"), vpcs)
        return {}

    @reads("EntityType", "ZoneId", "Keyword", "StartTimestamp", "EndTimestamp", "PageNumber", "PageSize", *COMMON)
    def DescribeChangeLogs(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Newest first (assumption)."""
        kind, zone = wire.text(call.params, "EntityType"), wire.text(call.params, "ZoneId")
        keyword = wire.text(call.params, "Keyword", "").lower()
        start, end = wire.integer(call.params, "StartTimestamp"), wire.integer(call.params, "EndTimestamp")
        found = [
            change
            for change in reversed(self._pvtz.changes)
            if (kind is None or change.object == kind)
            and (zone is None or change.zone_id == zone)
            and (not keyword or keyword in change.entity_name)
            and (start is None or _millis(change.at) >= start)
            and (end is None or _millis(change.at) <= end)
        ]
        page, numbers = _page(call.params, found)
        return {"ChangeLogs": {"ChangeLog": [_change(c) for c in page]}, **numbers}


def _record_id(params: Mapping[str, str]) -> int:
    return wire.required_integer(params, "RecordId", low=1)


def _content(params: Mapping[str, str]) -> dict[str, Any]:
    return {
        "rr": wire.required(params, "Rr"),
        "type": wire.required(params, "Type"),
        "value": wire.required(params, "Value"),
        "ttl": wire.integer(params, "Ttl"),
        "priority": wire.integer(params, "Priority"),
        "weight": wire.integer(params, "Weight"),
        "line": wire.text(params, "Line"),
    }


def _search_mode(params: Mapping[str, str], default: str) -> str:
    mode = wire.text(params, "SearchMode", default).upper()
    if mode not in ("EXACT", "LIKE"):
        raise wire.invalid("SearchMode", f"{mode!r} is not EXACT or LIKE")
    return mode


def _page(params: Mapping[str, str], found: Sequence[Any]) -> tuple[Sequence[Any], dict[str, int]]:
    number = wire.integer(params, "PageNumber", 1, low=1)
    size = wire.integer(params, "PageSize", 20, low=1, high=100)
    numbers = {
        "TotalItems": len(found),
        "TotalPages": -(-len(found) // size),
        "PageNumber": number,
        "PageSize": size,
    }
    return found[(number - 1) * size : number * size], numbers


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)


def _iso(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%MZ")


def _record(record: Record) -> dict[str, Any]:
    return {
        "RecordId": record.id,
        "ZoneId": record.zone_id,
        "Rr": record.rr,
        "Type": record.type,
        "Value": record.value,
        "Ttl": record.ttl,
        "Weight": record.weight,
        "Priority": record.priority,
        "Line": record.line,
        "Status": record.status,
        "Remark": record.remark,
        "CreateTime": _iso(record.created),
        "CreateTimestamp": _millis(record.created),
        "UpdateTime": _iso(record.updated),
        "UpdateTimestamp": _millis(record.updated),
    }


def _zone(zone: Zone) -> dict[str, Any]:
    return {
        "ZoneId": zone.id,
        "ZoneName": zone.name,
        "RecordCount": len(zone.records),
        "ProxyPattern": zone.proxy_pattern,
        "IsPtr": False,
        "ZoneType": "AUTH_ZONE",
        "DnsGroup": "NORMAL_ZONE",
        "CreateTime": _iso(zone.created),
        "CreateTimestamp": _millis(zone.created),
        "UpdateTime": _iso(zone.updated),
        "UpdateTimestamp": _millis(zone.updated),
    }


def _change(change: Change) -> dict[str, Any]:
    return {
        "Id": change.id,
        "OperTime": _iso(change.at),
        "OperTimestamp": _millis(change.at),
        "OperAction": change.action,
        "OperObject": change.object,
        "EntityId": change.entity_id,
        "EntityName": change.entity_name,
        "Content": change.content,
        "OperIp": "",
    }
