"""What could be had in a region, through the official ECS SDK (2014-05-26)."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Final

from alibabacloud_ecs20140526 import models

from shared.adapters import ecs_answers as answers
from shared.adapters.ecs_answers import Fields
from shared.adapters.ecs_calls import EcsCalls
from shared.domain.inventory import VSwitch

IN_STOCK: Final = ("WithStock", "ClosedWithStock")
VSWITCHES_AT_ONCE: Final = 50


class EcsMarket(EcsCalls):
    """Implements `shared.ports.compute.Market`."""

    RAM_ACTIONS: ClassVar = ("ecs:DescribeAvailableResource", "ecs:DescribeVSwitches", "ecs:DescribeRegions")

    def sells(self, zone: str, instance_type: str) -> bool:
        """Assumption: where nothing of the kind was ever sold, the answer has no zones at all."""
        request = models.DescribeAvailableResourceRequest(
            region_id=self._region, destination_resource="InstanceType", zone_id=zone, instance_type=instance_type
        )
        body = self._ask("DescribeAvailableResource", "describe_available_resource", request, changes=False)
        fields = Fields(body, "ecs DescribeAvailableResource")
        fields.text("request_id")  # an answer without it is no answer: nothing for sale is a fact only beside it
        return any(
            one.text("value") == instance_type and one.text("status_category") in IN_STOCK
            for found in fields.items("available_zones", "available_zone")
            if found.text("zone_id") == zone
            for kind in found.items("available_resources", "available_resource")
            for one in kind.items("supported_resources", "supported_resource")
        )

    def vswitches(self, ids: Sequence[str]) -> Iterator[VSwitch]:
        """By ECS's own DescribeVSwitches, which is superseded by the VPC API's but needs no second SDK. It filters by
        one id: of several, all of the region are read and chosen from here."""
        wanted = frozenset(ids)
        if not wanted:
            return
        request = models.DescribeVSwitchesRequest(
            region_id=self._region,
            v_switch_id=next(iter(wanted)) if len(wanted) == 1 else None,
            page_size=VSWITCHES_AT_ONCE,
        )
        for found in self._numbered("DescribeVSwitches", "describe_vswitches", request, "v_switches", "v_switch"):
            if found.text("v_switch_id") in wanted:
                yield answers.vswitch(found)

    def regions(self) -> frozenset[str]:
        body = self._ask("DescribeRegions", "describe_regions", models.DescribeRegionsRequest(), changes=False)
        found = Fields(body, "ecs DescribeRegions").items("regions", "region")
        return frozenset(one.text("region_id") for one in found)
