"""The cloud's own snapshot policies, read alike through both doors."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.ecs.policies import Settings
from emulator.faults.fault import Fault
from emulator.server import Options, build_cloud
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_native import EcsNativePolicies
from shared.adapters.sdk import Endpoint
from shared.domain.errors import Retryable
from shared.ports.compute import NativePolicies
from tests.contract.conftest import PROXIES, SMALL_PAGES
from understudy.simulation.compute import InProcessNativePolicies

DAYS = [str(day) for day in range(1, 8)]


@dataclass(frozen=True, slots=True)
class NativeDoor:
    native: NativePolicies
    cloud: Cloud
    run: Any

    def policy(self, name: str, *disks: str, **settings: Any) -> str:
        def made() -> str:
            policies = self.cloud.ecs.snapshots.policies
            wanted: dict[str, Any] = {"hours": ["2"], "weekdays": DAYS, "retention_days": 7} | settings
            policy = policies.create(Settings(name=name, **wanted), tags={})
            if disks:
                policies.apply(policy.id, disks)
            return policy.id

        id_: str = self.run(made)
        return id_

    def disks(self, count: int) -> Sequence[str]:
        def made() -> list[str]:
            add = self.cloud.ecs.disks.add
            return [add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h").id for _ in range(count)]

        ids: Sequence[str] = self.run(made)
        return ids


@pytest.fixture(params=["http", "http with small pages", "in_process"])
def door(request: pytest.FixtureRequest, world_file: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NativeDoor]:
    if request.param == "in_process":
        cloud = build_cloud(Options(seed=world_file))
        yield NativeDoor(InProcessNativePolicies(cloud), cloud, lambda fn: fn())
        return
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with mock_aliyun(seed=world_file) as local:
        if request.param != "http":
            local.run(lambda: local.cloud.faults.add_all(SMALL_PAGES))
        native = EcsNativePolicies(
            endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: Credentials(*local.access_key)
        )
        yield NativeDoor(native, local.cloud, local.run)


def test_a_throttled_listing_is_retryable_and_no_empty_answer(door: NativeDoor) -> None:
    door.policy("nightly", "d-app-sys")
    for action in ("DescribeAutoSnapshotPolicyEx", "DescribeAutoSnapshotPolicyAssociations"):
        door.run(lambda action=action: door.cloud.faults.add(Fault(kind="throttle", action=action)))

    with pytest.raises(Retryable):
        list(door.native.list())
    with pytest.raises(Retryable):
        list(door.native.applied())


def test_where_there_are_none_nothing_is_listed(door: NativeDoor) -> None:
    assert list(door.native.list()) == []
    assert list(door.native.applied()) == []


def test_a_policy_reads_the_same_through_every_door(door: NativeDoor) -> None:
    made = door.policy("nightly", hours=["14", "2"], weekdays=["7", "1"], retention_days=30)

    [found] = door.native.list()

    assert (found.id, found.name) == (made, "nightly")
    assert (found.hours, found.weekdays, found.days) == ((2, 14), (1, 7), 30)


def test_for_ever_is_minus_one_there_and_nothing_here(door: NativeDoor) -> None:
    door.policy("kept", retention_days=-1)
    door.policy("longest", retention_days=65_535)

    assert {one.name: one.days for one in door.native.list()} == {"kept": None, "longest": 65_535}


def test_each_disk_is_told_with_its_policy_over_many_pages(door: NativeDoor) -> None:
    made = [door.policy(f"policy-{at}") for at in range(3)]
    disks = door.disks(230)
    for at, disk in enumerate(disks):
        policy = made[at % 2]
        door.run(lambda policy=policy, disk=disk: door.cloud.ecs.snapshots.policies.apply(policy, [disk]))

    applied = sorted(door.native.applied())

    assert applied == sorted((made[at % 2], disk) for at, disk in enumerate(disks))
    assert sorted(one.id for one in door.native.list()) == sorted(made)
