"""PrivateZone on the wire: version 2018-01-01. Spelled `Rr`, `Ttl` here (Alidns spells `RR`, `TTL`); RecordId is an
integer. Times are ISO texts in UTC (assumption) plus millisecond stamps. The service is global: every region's endpoint
leads to the same zones.

Source: SDK alibabacloud_pvtz20180101 1.5.0. All errors are HTTP 400 (assumption: no status is documented), and a
ClientToken lasts for ever (its life is not documented).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from emulator.pvtz.model import BoundVpc, Change, Record, Zone, check_zone_name
from emulator.pvtz.records import MALFORMED
from emulator.wire import params as wire
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.realm import Realm

VERSION = "2018-01-01"
COMMON = ("Lang", "UserClientIp")
ENTITIES = ("PV_ZONE", "PV_RECORD", "RESOLVER_RULE", "CUSTOM_LINE", "RESOLVER_ENDPOINT", "INBOUND_ENDPOINT",
            "CACHE_RESERVE_DOMAIN")  # fmt: skip
ZONE = ("Zone.NotExists", "Zone.Invalid.Id", "Zone.Invalid.UserId")
TOKEN = ("IdempotentParameterMismatch", "InvalidClientToken.Malformed", "IdempotentProcessing", "System.Busy",
         "Throttling.User")  # fmt: skip
"""Of every call that changes something; the last two come from the menu of faults alone."""
RECORD = "Record.NotExists"
CONFLICT = "Record.Invalid.Conflict"


def operations(realm: "Realm") -> dict[tuple[str, str], Operation]:
    api = Api(realm)
    return {(VERSION, name): getattr(api, name) for name in vars(Api) if name[0].isupper()}


class Api:
    """One method per action, under the action's own name. Each page: api.aliyun.com, pvtz 2018-01-01."""

    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._pvtz = realm.pvtz

    # -- zones

    @reads("ZoneName", "ProxyPattern", "DnsGroup", "ClientToken", "ResourceGroupId", "Lang")
    @raises("Zone.Invalid.Name", *TOKEN)
    def AddZone(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A zone that no VPC sees yet. Its name may be another zone's as well.

        Not modelled: reverse zones, resource groups (taken and forgotten), zone types and tags.
        """

        def add() -> dict[str, Any]:
            zone = self._pvtz.add_zone(
                wire.required(call.params, "ZoneName"),
                proxy_pattern=wire.text(call.params, "ProxyPattern", "ZONE"),
                group=wire.text(call.params, "DnsGroup"),
            )
            return {"ZoneId": zone.id, "ZoneName": zone.name, "Success": True}

        return self._once(call, add)

    @reads("ZoneId", "ClientToken", *COMMON)
    @raises(*ZONE, "Zone.VpcExists", *TOKEN)
    def DeleteZone(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With all its records; refused while VPCs are bound (assumption)."""
        return self._once(
            call, lambda: {"ZoneId": self._pvtz.delete_zone(wire.required(call.params, "ZoneId")).id}
        )  # fmt: skip

    @reads("ZoneName", *COMMON)
    @raises("Zone.Invalid.Name")
    def CheckZoneName(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Whether the name can be a zone's. Not modelled: names that the cloud keeps to itself."""
        check_zone_name(wire.required(call.params, "ZoneName"))
        return {"Check": True, "Success": True}

    @reads("ZoneId", "Remark", "ClientToken", *COMMON)
    @raises(*ZONE, *TOKEN)
    def UpdateZoneRemark(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """An empty remark takes the old one away."""

        def update() -> dict[str, Any]:
            zone_id = wire.required(call.params, "ZoneId")
            self._pvtz.set_zone_remark(zone_id, wire.text(call.params, "Remark", ""))
            return {"ZoneId": zone_id}

        return self._once(call, update)

    @reads("ZoneId", "ProxyPattern", "ClientToken", *COMMON)
    @raises(*ZONE, *TOKEN)
    def SetProxyPattern(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """RECORD: names that the zone does not know are asked in public DNS. ZONE: they do not exist."""

        def set_pattern() -> dict[str, Any]:
            zone_id = wire.required(call.params, "ZoneId")
            self._pvtz.set_proxy_pattern(zone_id, wire.required(call.params, "ProxyPattern"))
            return {"ZoneId": zone_id}

        return self._once(call, set_pattern)

    @reads("Keyword", "SearchMode", "QueryVpcId", "QueryRegionId", "ZoneType", "PageNumber", "PageSize", "Lang")
    @raises()
    def DescribeZones(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By name, in part unless SearchMode is EXACT, whatever the letters' case; 100 a page at most.

        Not modelled: zones of cloud products (ZoneType other than AUTH_ZONE finds none), resource groups and tags.
        """
        keyword = wire.text(call.params, "Keyword", "").lower()
        exact = _search_mode(call.params, "LIKE") == "EXACT"
        vpc, region = wire.text(call.params, "QueryVpcId"), wire.text(call.params, "QueryRegionId")
        ours = wire.text(call.params, "ZoneType", "") in ("", "AUTH_ZONE")
        found = [
            zone
            for zone in self._pvtz.zones.values()
            if ours
            and (not keyword or (keyword == zone.name if exact else keyword in zone.name))
            and (not (vpc or region) or any(vpc in (None, b.vpc) and region in (None, b.region) for b in zone.vpcs))
        ]
        page, numbers = _page(call.params, found)
        return {"Zones": {"Zone": [_zone(z) for z in page]}, **numbers}

    @reads("ZoneId", "Lang")
    @raises(*ZONE)
    def DescribeZoneInfo(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The zone and the VPCs that see it, of whatever regions."""
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
    @raises(*ZONE, "Zone.VpcExists", "ZoneVpc.NotExists.VpcId", *TOKEN)
    def BindZoneVpc(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Replaces the whole list: whoever means to add a VPC names the others as well. No VPC at all unbinds all.

        Not modelled: VPCs of other accounts, desktops' VPCs (VpcType EDS).
        """

        def bind() -> dict[str, Any]:
            rows = wire.objects(call.params, "Vpcs")
            if any(row.get("VpcType", "STANDARD") != "STANDARD" for row in rows):
                raise ApiError("UnsupportedParameter", "The emulator models VPCs of type STANDARD alone.")
            vpcs = tuple(BoundVpc(region=wire.required(v, "RegionId"), vpc=wire.required(v, "VpcId")) for v in rows)
            self._pvtz.bind(wire.required(call.params, "ZoneId"), vpcs)
            return {}

        return self._once(call, bind)

    # -- records

    @reads("ZoneId", "Rr", "Type", "Value", "Ttl", "Priority", "Weight", "Line", "Remark", "ClientToken", *COMMON)
    @raises(*ZONE, *MALFORMED, CONFLICT, *TOKEN)
    def AddZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A record that is answered at once. Several values of one name and type take turns.

        Not modelled: lines but `default`.
        """

        def add() -> dict[str, Any]:
            record = self._pvtz.add_record(
                wire.required(call.params, "ZoneId"),
                remark=wire.text(call.params, "Remark", ""),
                **_content(call.params),
            )
            return {"RecordId": record.id, "Success": True}

        return self._once(call, add)

    @reads("RecordId", "Rr", "Type", "Value", "Ttl", "Priority", "Weight", "Line", "ClientToken", *COMMON)
    @raises(RECORD, *MALFORMED, CONFLICT, *TOKEN)
    def UpdateZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A full overwrite: what is omitted is set to its default (assumption). The last writer wins; a repeated
        ClientToken writes nothing again, whatever others wrote meanwhile.

        Not modelled: lines but `default`.
        """
        return self._once(
            call, lambda: {"RecordId": self._pvtz.update_record(_record_id(call.params), **_content(call.params)).id}
        )

    @reads("RecordId", "Remark", "ClientToken", "Lang")
    @raises(RECORD, "Record.Invalid.Remark", *TOKEN)
    def UpdateRecordRemark(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Up to 50 characters; an empty one takes the old one away."""

        def update() -> dict[str, Any]:
            return {"RecordId": self._pvtz.set_remark(_record_id(call.params), wire.text(call.params, "Remark", "")).id}

        return self._once(call, update)

    @reads("RecordId", "Weight", "ClientToken", "Lang")
    @raises(RECORD, "Record.Invalid.Weight", *TOKEN)
    def UpdateZoneRecordWeight(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """0-100; it counts once SetZoneLbaStatus opened weights for the name."""

        def update() -> dict[str, Any]:
            weight = wire.required_integer(call.params, "Weight")
            return {"RecordId": self._pvtz.set_weight(_record_id(call.params), weight).id}

        return self._once(call, update)

    @reads("ZoneId", "Rr", "Type", "Line", "Open", "ClientToken", *COMMON)
    @raises(*ZONE, RECORD, "Record.Invalid.Type", "Zone.Invalid.DnsGroup", *TOKEN)
    def SetZoneLbaStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Weighted answers of one name and type on or off: A and AAAA, in zones of the acceleration layer.

        Not modelled: lines but `default`.
        """

        def set_status() -> dict[str, Any]:
            if wire.required(call.params, "Line") != "default":
                raise ApiError("UnsupportedParameter", "The emulator does not model lines but default.")
            wire.required(call.params, "Open")
            self._pvtz.open_weights(
                wire.required(call.params, "ZoneId"),
                wire.required(call.params, "Rr"),
                wire.required(call.params, "Type"),
                wire.boolean(call.params, "Open", False),
            )
            return {"Success": True}

        return self._once(call, set_status)

    @reads("RecordId", "ClientToken", *COMMON)
    @raises(RECORD, *TOKEN)
    def DeleteZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One that is gone already is Record.NotExists (assumption)."""

        def delete() -> dict[str, Any]:
            record_id = _record_id(call.params)
            self._pvtz.delete_record(record_id)
            return {"RecordId": record_id}

        return self._once(call, delete)

    @reads("RecordId", "Status", "ClientToken", *COMMON)
    @raises(RECORD, *TOKEN)
    def SetZoneRecordStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """ENABLE or DISABLE; a disabled record is as good as absent. Setting what is set is fine."""

        def set_status() -> dict[str, Any]:
            record = self._pvtz.set_status(_record_id(call.params), wire.required(call.params, "Status"))
            return {"RecordId": record.id, "Status": record.status}

        return self._once(call, set_status)

    @reads("ZoneId", "Keyword", "SearchMode", "PageNumber", "PageSize", *COMMON)
    @raises(*ZONE)
    def DescribeZoneRecords(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By host name, exactly unless SearchMode is LIKE, whatever the letters' case; types and lines are no filters.
        100 a page at most, the oldest first (assumption).

        Not modelled: Tag.
        """
        found = self._pvtz.find_records(
            wire.required(call.params, "ZoneId"),
            keyword=wire.text(call.params, "Keyword", ""),
            search_mode=_search_mode(call.params, "EXACT"),
        )
        page, numbers = _page(call.params, found)
        return {"Records": {"Record": [_record(r) for r in page]}, **numbers}

    @reads("RecordId")
    @raises(RECORD)
    def DescribeZoneRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One record, flat."""
        return _record(self._pvtz.record(_record_id(call.params)))

    # -- what was done

    @reads("EntityType", "ZoneId", "Keyword", "StartTimestamp", "EndTimestamp", "PageNumber", "PageSize", *COMMON)
    @raises()
    def DescribeChangeLogs(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Newest first (assumption), stamps in milliseconds. An EntityType that nobody knows is ignored.

        Not modelled: the exact words of actions and contents, callers' addresses.
        """
        kind, zone = wire.text(call.params, "EntityType"), wire.text(call.params, "ZoneId")
        keyword = wire.text(call.params, "Keyword", "").lower()
        start, end = wire.integer(call.params, "StartTimestamp"), wire.integer(call.params, "EndTimestamp")
        found = [
            change
            for change in reversed(self._pvtz.changes)
            if (kind not in ENTITIES or change.object == kind)
            and (zone is None or change.zone_id == zone)
            and any(keyword in text.lower() for text in (change.entity_name, change.action, change.content))
            and (start is None or _millis(change.at) >= start)
            and (end is None or _millis(change.at) <= end)
        ]
        page, numbers = _page(call.params, found)
        return {"ChangeLogs": {"ChangeLog": [_change(c) for c in page]}, **numbers}

    def _once(self, call: Call, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        """`act()`, unless its ClientToken was used before."""
        token = wire.text(call.params, "ClientToken")
        asked = tuple(sorted((name, value) for name, value in call.params.items() if name != "ClientToken"))
        done: dict[str, Any] = self._pvtz.tokens.once(
            call.action,
            token,
            asked,
            act,
            mismatch=ApiError(TOKEN[0], f"ClientToken {token!r} was used with other parameters."),
            malformed=ApiError(TOKEN[1], "A ClientToken has 64 ASCII characters at most."),
            processing=ApiError(TOKEN[2], f"The first call with ClientToken {token!r} still runs."),
        )
        return done


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
        "DnsGroup": zone.group,
        "Remark": zone.remark,
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
