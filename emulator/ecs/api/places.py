"""DescribeRegions, DescribeZones, TagResources, UntagResources, ListTagResources."""

from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import TYPE_CHECKING, Any

from emulator.ecs.api import paging
from emulator.ecs.disks import CATEGORIES
from emulator.ecs.instances import TYPES
from emulator.ecs.shelf import carries
from emulator.ecs.tagging import PAGE, Tagging
from emulator.wire import params
from emulator.wire.call import ApiError, Call, Operation
from emulator.wire.declare import reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = PlacesApi(ecs)
    return {
        "DescribeRegions": api.regions,
        "DescribeZones": api.zones,
        "TagResources": api.tag,
        "UntagResources": api.untag,
        "ListTagResources": api.list_tags,
    }


class PlacesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs
        self._tagging = Tagging(ecs)

    @reads("InstanceChargeType", "ResourceType", "AcceptLanguage")
    def regions(self, _: Call) -> dict[str, Any]:
        region = self._ecs.region
        entry = {
            "RegionId": region,
            "RegionEndpoint": f"ecs.{region}.aliyuncs.com",
            "LocalName": region,
            "Status": "available",
        }
        return {"Regions": {"Region": [entry]}}

    @reads("Verbose", "AcceptLanguage", "InstanceChargeType", "SpotStrategy")
    def zones(self, _: Call) -> dict[str, Any]:
        return {
            "Zones": {
                "Zone": [
                    {
                        "ZoneId": zone,
                        "LocalName": zone,
                        "ZoneType": "AvailabilityZone",
                        "AvailableResourceCreation": {"ResourceTypes": ["VSwitch", "Instance", "Disk"]},
                        "AvailableDiskCategories": {"DiskCategories": list(CATEGORIES)},
                        "AvailableInstanceTypes": {"InstanceTypes": list(TYPES)},
                    }
                    for zone in self._ecs.zones
                ]
            }
        }

    @reads("ResourceType", "ResourceId.N", *paging.TAGS)
    def tag(self, call: Call) -> dict[str, Any]:
        p = call.params
        self._tagging.tag(params.required(p, "ResourceType"), params.list_of(p, "ResourceId"), paging.tags(call))
        return {}

    @reads("ResourceType", "ResourceId.N", "TagKey.N", "All")
    def untag(self, call: Call) -> dict[str, Any]:
        p = call.params
        self._tagging.untag(
            params.required(p, "ResourceType"),
            params.list_of(p, "ResourceId"),
            params.list_of(p, "TagKey"),
            everything=params.boolean(p, "All", False),
        )
        return {}

    @reads("ResourceType", "ResourceId.N", "NextToken", *paging.TAGS)
    def list_tags(self, call: Call) -> dict[str, Any]:
        """By ids, by tags, or both; one line per resource and tag."""
        p = call.params
        kind, ids, wanted = params.required(p, "ResourceType"), params.list_of(p, "ResourceId"), paging.tag_filter(call)
        if not ids and not wanted:
            raise ApiError("MissingParameter", "ResourceId or Tag is mandatory.")
        found = [
            {"ResourceId": resource.id, "ResourceType": kind, "TagKey": key, "TagValue": value}
            for resource in self._tagging.shelf(kind)
            if (not ids or resource.id in ids) and carries(resource.tags, wanted)
            for key, value in resource.tags.items()
        ]
        start = _start(p.get("NextToken"))
        more = len(found) > start + PAGE
        return {
            "TagResources": {"TagResource": found[start : start + PAGE]},
            "NextToken": urlsafe_b64encode(str(start + PAGE).encode()).decode() if more else "",
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
