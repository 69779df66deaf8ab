"""DescribeAvailableResource, DescribeInstanceTypes: what could be bought."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from emulator.ecs import types
from emulator.ecs.disks import CATEGORIES, size_range
from emulator.ecs.types import InstanceType
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

DESTINATIONS = ("Zone", "IoOptimized", "InstanceType", "Network", "ddh", "SystemDisk", "DataDisk")
TYPES_AT_MOST = 100
ENOUGH = ("Available", "WithStock")


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = StockApi(ecs)
    return {"DescribeAvailableResource": api.available, "DescribeInstanceTypes": api.describe_types}


class StockApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads(
        "DestinationResource", "ZoneId", "InstanceType", "InstanceChargeType", "SpotStrategy", "IoOptimized",
        "SystemDiskCategory", "DataDiskCategory", "NetworkCategory", "ResourceType", "Cores", "Memory",
    )  # fmt: skip
    @raises("InvalidZoneId.NotFound")
    def available(self, call: Call) -> dict[str, Any]:
        """Tells by zone what is in stock: instance types with their real state, disks with their sizes.

        A type that disappears after it was bought reads WithStock here: nothing announces that."""
        p = call.params
        wanted = params.required(p, "DestinationResource")
        if wanted not in DESTINATIONS:
            raise params.invalid("DestinationResource", f"{wanted!r} is not one of {', '.join(DESTINATIONS)}")
        if wanted == "SystemDisk" and not p.get("InstanceType"):
            raise params.missing("InstanceType")
        if p.get("InstanceChargeType", "PostPaid") != "PostPaid":
            raise ApiError("UnsupportedParameter", "The emulator sells PostPaid instances only.")
        zones = [p["ZoneId"]] if p.get("ZoneId") else list(self._ecs.zones)
        if zones[0] not in self._ecs.zones:
            raise ApiError("InvalidZoneId.NotFound", f"The zone {zones[0]} does not exist.", 404)
        return {"AvailableZones": {"AvailableZone": [self._zone(call, wanted, zone) for zone in zones]}}

    def _zone(self, call: Call, wanted: str, zone: str) -> dict[str, Any]:
        resources = self._resources(call, wanted, zone)
        some = any(one["Status"] == "Available" for one in resources) or not resources
        answer: dict[str, Any] = {
            "RegionId": self._ecs.region,
            "ZoneId": zone,
            "Status": "Available" if some else "SoldOut",
            "StatusCategory": "WithStock" if some else "WithoutStock",
        }
        if wanted != "Zone":
            answer["AvailableResources"] = {
                "AvailableResource": [{"Type": wanted, "SupportedResources": {"SupportedResource": resources}}]
            }
        return answer

    def _resources(self, call: Call, wanted: str, zone: str) -> list[dict[str, Any]]:
        if wanted in ("SystemDisk", "DataDisk"):
            category = call.params.get(f"{wanted}Category")
            kind = "system" if wanted == "SystemDisk" else "data"
            return [_disk(one, kind) for one in CATEGORIES if category in (None, "", one)]
        if wanted in ("InstanceType", "Zone"):
            return [self._type(one, zone) for one in self._types(call, zone)]
        plain = {"IoOptimized": ("optimized",), "Network": ("vpc",)}.get(wanted, ())
        return [_supported(value, ENOUGH) for value in plain]

    def _types(self, call: Call, zone: str) -> list[InstanceType]:
        """The catalogue, what a test said of the stock of others, and the one that was asked for."""
        p = call.params
        name, cores, memory = p.get("InstanceType"), params.integer(p, "Cores"), p.get("Memory")
        stock = self._ecs.buying.stock
        names = (
            [name] if name else [*(one.id for one in types.CATALOGUE), *(kind for z, kind in stock.left if z == zone)]
        )
        found = [known for one in dict.fromkeys(names) if (known := types.named(one)) is not None]
        return [
            one
            for one in found
            if (cores is None or one.cores == cores) and (not memory or one.memory_gib == float(memory))
        ]

    def _type(self, one: InstanceType, zone: str) -> dict[str, Any]:
        return _supported(one.id, self._ecs.buying.stock.category(zone, one.id))

    @reads(
        "InstanceTypes.N", "InstanceTypeFamily", "InstanceTypeFamilies.N", "MinimumCpuCoreCount", "MaximumCpuCoreCount",
        "MinimumMemorySize", "MaximumMemorySize", "AdditionalAttributes.N", "NextToken", "MaxResults",
    )  # fmt: skip
    @raises("InvalidParameter.NextToken")
    def describe_types(self, call: Call) -> dict[str, Any]:
        """What types there are: cores and memory. Stock is another question."""
        p = call.params
        names = params.list_of(p, "InstanceTypes")
        families = params.list_of(p, "InstanceTypeFamilies") or [f for f in [p.get("InstanceTypeFamily")] if f]
        low, high = params.integer(p, "MinimumCpuCoreCount", 0), params.integer(p, "MaximumCpuCoreCount", 10_000)
        least, most = params.decimal(p, "MinimumMemorySize", 0), params.decimal(p, "MaximumMemorySize", 1e9)
        known = [types.named(name) for name in names] if names else list(types.CATALOGUE)
        found = [
            one
            for one in known
            if one is not None
            and (not families or one.family in families)
            and low <= one.cores <= high
            and least <= one.memory_gib <= most
        ]
        start, size = _start(p.get("NextToken")), params.integer(p, "MaxResults", TYPES_AT_MOST, low=1)
        size = min(size, TYPES_AT_MOST)
        more = len(found) > start + size
        return {
            "InstanceTypes": {"InstanceType": [_described(one) for one in found[start : start + size]]},
            "NextToken": urlsafe_b64encode(str(start + size).encode()).decode() if more else "",
        }


def _supported(value: str, state: tuple[str, str]) -> dict[str, Any]:
    return {"Value": value, "Status": state[0], "StatusCategory": state[1]}


def _disk(category: str, kind: str) -> dict[str, Any]:
    low, high = size_range(category, "", kind=kind)
    return {**_supported(category, ENOUGH), "Min": low, "Max": high, "Unit": "GiB"}


def _described(one: InstanceType) -> dict[str, Any]:
    return {
        "InstanceTypeId": one.id,
        "InstanceTypeFamily": one.family,
        "CpuCoreCount": one.cores,
        "MemorySize": one.memory_gib,
        "CpuArchitecture": "X86",
        "GPUAmount": 0,
        "LocalStorageAmount": 0,
    }


def _start(token: str | None) -> int:
    if not token:
        return 0
    try:
        return int(urlsafe_b64decode(token))
    except ValueError:
        raise ApiError(
            "InvalidParameter.NextToken", f"The NextToken {token!r} is not one that was given out."
        ) from None
