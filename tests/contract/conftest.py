"""Both doors to one emulated cloud: over HTTP through the official SDKs, and in process."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.server import Options, build_cloud
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_disks import EcsDisks
from shared.adapters.ecs_guests import EcsGuests
from shared.adapters.ecs_images import EcsImages
from shared.adapters.ecs_instances import EcsInstances
from shared.adapters.ecs_market import EcsMarket
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.ports.compute import Disks, Guests, Images, Instances, Inventory, Market, Snapshots
from understudy.simulation.compute import (
    InProcessGuests,
    InProcessImages,
    InProcessInventory,
    InProcessSnapshots,
)
from understudy.simulation.disks import InProcessDisks
from understudy.simulation.instances import InProcessInstances
from understudy.simulation.market import InProcessMarket

T = TypeVar("T")
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

WORLD = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/24}
security_groups: [{id: sg-a}]
images: [{id: m-base, name: base, family: app, system_disk_gib: 20, tags: {made: by-hand}}]
instances:
  - {id: i-app, name: app, image: m-base, vswitch: vsw-h, address: 10.0.1.11, tags: {role: app},
     system_disk: {id: d-app-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-app-data, size_gib: 40, category: cloud_essd}]}
  - {id: i-old, name: old, image: m-base, vswitch: vsw-i, address: 10.0.2.11, tags: {role: legacy}, state: Stopped,
     system_disk: {id: d-old-sys, size_gib: 20, category: cloud_efficiency}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    """One way into the cloud, with the ports that it offers."""

    cloud: Cloud
    inventory: Inventory
    snapshots: Snapshots
    images: Images
    instances: Instances
    guests: Guests
    disks: Disks
    market: Market
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None]


@pytest.fixture
def world_file(tmp_path: Path) -> Path:
    file = tmp_path / "world.yaml"
    file.write_text(WORLD)
    return file


SMALL_PAGES = (
    Fault(kind="short_page", action="Describe*", rows=60),
    Fault(kind="empty_page", action="Describe*", probability=0.3),
)
"""What no adapter may notice: every listing is as whole as ever."""


@pytest.fixture(params=["http", "http with small pages", "in_process"])
def door(request: pytest.FixtureRequest, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    if request.param == "in_process":
        cloud = build_cloud(Options(seed=world_file))
        yield Door(
            cloud=cloud,
            inventory=InProcessInventory(cloud),
            snapshots=InProcessSnapshots(cloud),
            images=InProcessImages(cloud),
            instances=InProcessInstances(cloud),
            guests=InProcessGuests(cloud),
            disks=InProcessDisks(cloud),
            market=InProcessMarket(cloud),
            run=lambda fn: fn(),
            advance=lambda seconds: _advance(cloud, seconds),
        )
        return
    for name in PROXIES:  # the SDKs honour them and ignore NO_PROXY
        monkeypatch.delenv(name, raising=False)
    with mock_aliyun(seed=world_file) as local:
        if request.param != "http":
            local.run(lambda: local.cloud.faults.add_all(SMALL_PAGES))
        where = Endpoint("cn-hangzhou", local.url)

        def keys() -> Credentials:
            return Credentials(*local.access_key)

        yield Door(
            cloud=local.cloud,
            inventory=EcsInventory(endpoint=where, credentials=keys),
            snapshots=EcsSnapshots(endpoint=where, credentials=keys),
            images=EcsImages(endpoint=where, credentials=keys),
            instances=EcsInstances(endpoint=where, credentials=keys),
            guests=EcsGuests(endpoint=where, credentials=keys),
            disks=EcsDisks(endpoint=where, credentials=keys),
            market=EcsMarket(endpoint=where, credentials=keys),
            run=local.run,
            advance=local.advance,
        )


def _advance(cloud: Cloud, seconds: float) -> None:
    cloud.clock.advance(timedelta(seconds=seconds))
