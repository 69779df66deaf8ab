"""DescribeRegions, DescribeZones, DescribeTasks."""

from typing import TYPE_CHECKING, Any

from emulator.ecs import types
from emulator.ecs.api import paging
from emulator.ecs.disks import CATEGORIES
from emulator.ecs.rules import iso, moment
from emulator.ecs.tasks import Task
from emulator.wire import params
from emulator.wire.call import Call, Operation
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.ecs.model import Ecs

TASKS_AT_MOST = 100


def operations(ecs: "Ecs") -> dict[str, Operation]:
    api = PlacesApi(ecs)
    return {"DescribeRegions": api.regions, "DescribeZones": api.zones, "DescribeTasks": api.tasks}


class PlacesApi:
    def __init__(self, ecs: "Ecs") -> None:
        self._ecs = ecs

    @reads("InstanceChargeType", "ResourceType", "AcceptLanguage")
    @raises()
    def regions(self, _: Call) -> dict[str, Any]:
        """Every region there is, whichever endpoint is asked. Takes no RegionId."""
        return {
            "Regions": {
                "Region": [
                    {
                        "RegionId": region,
                        "RegionEndpoint": f"ecs.{region}.aliyuncs.com",
                        "LocalName": region,
                        "Status": "available",
                    }
                    for region in self._ecs.cloud.regions
                ]
            }
        }

    @reads("Verbose", "AcceptLanguage", "InstanceChargeType", "SpotStrategy")
    @raises()
    def zones(self, call: Call) -> dict[str, Any]:
        """The zones of the region; Verbose=false leaves the details out."""
        verbose = params.boolean(call.params, "Verbose", True)
        return {"Zones": {"Zone": [self._zone(zone, verbose=verbose) for zone in self._ecs.zones]}}

    def _zone(self, zone: str, *, verbose: bool) -> dict[str, Any]:
        plain = {"ZoneId": zone, "LocalName": zone, "ZoneType": "AvailabilityZone"}
        if not verbose:
            return plain
        names = [one.id for one in types.CATALOGUE]
        return {
            **plain,
            "AvailableResourceCreation": {"ResourceTypes": ["VSwitch", "IoOptimized", "Instance", "Disk"]},
            "AvailableDiskCategories": {"DiskCategories": list(CATEGORIES)},
            "AvailableInstanceTypes": {"InstanceTypes": names},
            "AvailableVolumeCategories": {"VolumeCategories": []},
            "AvailableDedicatedHostTypes": {"DedicatedHostType": []},
            "DedicatedHostGenerations": {"DedicatedHostGeneration": []},
            "AvailableResources": {
                "ResourcesInfo": [
                    {
                        "IoOptimized": True,
                        "SystemDiskCategories": {"supportedSystemDiskCategory": list(CATEGORIES)},
                        "DataDiskCategories": {"supportedDataDiskCategory": list(CATEGORIES)},
                        "NetworkTypes": {"supportedNetworkCategory": ["vpc"]},
                        "InstanceTypeFamilies": {
                            "supportedInstanceTypeFamily": [f"ecs.{family}" for family in types.FAMILIES]
                        },
                        "InstanceTypes": {"supportedInstanceType": names},
                        "InstanceGenerations": {"supportedInstanceGeneration": ["ecs-4"]},
                    }
                ]
            },
        }

    @reads("TaskIds", "TaskAction", "TaskStatus", "ResourceIds.N", "StartTime", "EndTime", "PageNumber", "PageSize")
    @raises()
    def tasks(self, call: Call) -> dict[str, Any]:
        """Long-running tasks: copies of images, redeployments. Ids in one text, with commas."""
        p = call.params
        ids = [one.strip() for one in p["TaskIds"].split(",")] if p.get("TaskIds") else None
        if ids is not None and len(ids) > TASKS_AT_MOST:
            raise params.invalid("TaskIds", f"it holds {len(ids)} ids, at most {TASKS_AT_MOST} are allowed")
        action, status, resources = p.get("TaskAction"), p.get("TaskStatus"), params.list_of(p, "ResourceIds")
        since, until = moment(p.get("StartTime")), moment(p.get("EndTime"))

        def matches(task: Task) -> bool:
            return (
                (not action or task.action == action)
                and (not status or task.status == status)
                and (not resources or task.resource_id in resources)
                and (since is None or task.created >= since)
                and (until is None or task.created <= until)
            )

        items, fields = paging.numbered(call, self._ecs.tasks.shelf, matches, _task, cap=100, ids=ids)
        return {
            "RegionId": self._ecs.region,
            "TaskSet": {"Task": items},
            **paging.only(fields, "PageNumber", "PageSize", "TotalCount"),
        }


def _task(task: Task) -> dict[str, Any]:
    return {
        "TaskId": task.id,
        "TaskAction": task.action,
        "TaskStatus": task.status,
        "CreationTime": iso(task.created),
        "FinishedTime": iso(task.finished) if task.finished else "",
        "ResourceId": task.resource_id,
        "SupportCancel": str(task.cancellable).lower(),  # a text
    }
