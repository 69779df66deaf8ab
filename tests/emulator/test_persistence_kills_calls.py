"""`kill -9` in the middle of storms of calls on machines and names, while time flows.

Each restart takes every earlier call again and compares its outcome, so a call that was lost, or stands in another
place among the things that happen by themselves, would keep the server from coming up.
"""

import itertools
import random
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client as EcsClient
from alibabacloud_pvtz20180101 import models as pvtz
from alibabacloud_pvtz20180101.client import Client as PvtzClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config
from darabonba.exceptions import UnretryableException

from tests.emulator.claims import GONE, Claims, life
from tests.emulator.killable import Nursery, Server, nursery

KILLS: Final = 30
WRITERS: Final = 4
LONGEST_STORM_SECONDS: Final = 0.35
HOME: Final = "cn-hangzhou"

WORLD: Final = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-a, cidr: 10.0.0.0/16}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.0.0/20}]
security_groups: [{id: sg-a}]
images: [{id: m-a, name: a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.0.9, data_disks: [{id: d-a, size_gib: 40}]}]
private_zones: [{id: z-a, name: corp.example}]
"""


@pytest.fixture(scope="module")
def nurse() -> Iterator[Nursery]:
    with nursery() as found:
        yield found


def machines(server: Server) -> EcsClient:
    return EcsClient(config(server))


def names(server: Server) -> PvtzClient:
    return PvtzClient(config(server))


def config(server: Server) -> Config:
    key = {"access_key_id": "testid", "access_key_secret": "testsecret"}
    return Config(endpoint=server.host, protocol="http", region_id=HOME, **key)


class CloudWriter:
    """Storms of calls on machines and names. A refusal is an answer too: it changed nothing."""

    def __init__(self, name: str, claims: Claims, chance: random.Random) -> None:
        self._name = name
        self._claims = claims
        self._chance = chance
        self._count = 0
        self._records: dict[str, int] = {}

    def storm(self, server: Server) -> None:
        ecs_client, pvtz_client = machines(server), names(server)
        acts: list[Callable[[], None]] = [
            lambda: self._tag(ecs_client),
            lambda: self._snapshot(ecs_client),
            lambda: self._forget_snapshot(ecs_client),
            lambda: self._run(ecs_client),
            lambda: self._record(pvtz_client),
        ]
        try:
            while True:
                try:
                    self._chance.choices(acts, weights=(4, 2, 1, 1, 4))[0]()
                except ClientException as refusal:
                    if refusal.code in ("InternalError", "UnsupportedParameter"):
                        raise
        except UnretryableException:
            return

    def _number(self) -> int:
        self._count += 1
        return self._count

    def _asked(self, key: Any, value: Any, ask: Callable[[], None]) -> None:
        self._claims.sending(key, value)
        try:
            ask()
        except ClientException:
            self._claims.refused(key, value)
            raise
        self._claims.acknowledged(key, value)

    def _tag(self, client: EcsClient) -> None:
        name, value = f"{self._name}-{self._chance.randrange(3)}", str(self._number())
        tags = [ecs.TagResourcesRequestTag(key=name, value=value)]
        request = ecs.TagResourcesRequest(region_id=HOME, resource_type="instance", resource_id=["i-a"], tag=tags)
        self._asked(("tag", name), value, lambda: client.tag_resources(request))

    def _snapshot(self, client: EcsClient) -> None:
        name = f"{self._name}-{self._number()}"
        request = ecs.CreateSnapshotRequest(disk_id="d-a", snapshot_name=name, client_token=name)
        self._asked(("snapshot", name), "there", lambda: client.create_snapshot(request))

    def _forget_snapshot(self, client: EcsClient) -> None:
        own = [
            snapshot
            for snapshot in client.describe_snapshots(
                ecs.DescribeSnapshotsRequest(region_id=HOME, page_size=20)
            ).body.snapshots.snapshot
            if snapshot.snapshot_name.startswith(self._name)
        ]
        if not own:
            return
        chosen = self._chance.choice(own)
        request = ecs.DeleteSnapshotRequest(snapshot_id=chosen.snapshot_id)
        self._asked(("snapshot", chosen.snapshot_name), GONE, lambda: client.delete_snapshot(request))

    def _run(self, client: EcsClient) -> None:
        name = f"{self._name}-{self._number()}"
        request = ecs.RunInstancesRequest(
            region_id=HOME,
            image_id="m-a",
            instance_type="ecs.g7.large",
            v_switch_id="vsw-h",
            security_group_id="sg-a",
            instance_name=name,
            client_token=name,
        )
        self._asked(("instance", name), "there", lambda: client.run_instances(request))

    def _record(self, client: PvtzClient) -> None:
        name, value = f"{self._name}-{self._chance.randrange(5)}", f"10.0.{self._number() // 250}.{self._count % 250}"
        found = client.describe_zone_records(pvtz.DescribeZoneRecordsRequest(zone_id="z-a", page_size=100)).body
        known = next((record for record in found.records.record if record.rr == name), None)
        if known is None:
            added = pvtz.AddZoneRecordRequest(zone_id="z-a", rr=name, type="A", value=value, ttl=5)
            self._asked(("record", name), value, lambda: client.add_zone_record(added))
        elif self._chance.random() < 0.2:
            gone = pvtz.DeleteZoneRecordRequest(record_id=known.record_id)
            self._asked(("record", name), GONE, lambda: client.delete_zone_record(gone))
        else:
            update = pvtz.UpdateZoneRecordRequest(record_id=known.record_id, rr=name, type="A", value=value, ttl=5)
            self._asked(("record", name), value, lambda: client.update_zone_record(update))


def cloud_as_it_stands(server: Server) -> dict[Any, Any]:
    ecs_client, pvtz_client = machines(server), names(server)
    found: dict[Any, Any] = {}
    for page in itertools.count(1):
        instances = ecs_client.describe_instances(
            ecs.DescribeInstancesRequest(region_id=HOME, page_size=100, page_number=page)
        ).body
        for instance in instances.instances.instance:
            if instance.instance_id != "i-a":
                found["instance", instance.instance_name] = "there"
            elif instance.tags:
                found |= {("tag", tag.tag_key): tag.tag_value for tag in instance.tags.tag}
        snapshots = ecs_client.describe_snapshots(
            ecs.DescribeSnapshotsRequest(region_id=HOME, page_size=100, page_number=page)
        ).body
        found |= {("snapshot", snapshot.snapshot_name): "there" for snapshot in snapshots.snapshots.snapshot}
        if page * 100 >= max(instances.total_count, snapshots.total_count):
            break
    records = pvtz_client.describe_zone_records(pvtz.DescribeZoneRecordsRequest(zone_id="z-a", page_size=100)).body
    return found | {("record", record.rr): record.value for record in records.records.record}


@pytest.mark.timeout(180)
def test_no_acknowledged_call_is_lost_by_kills_while_time_flows(nurse: Nursery, tmp_path: Path) -> None:
    chance = random.Random(11)
    claims = Claims()
    seed = tmp_path / "world.yaml"
    seed.write_text(WORLD)
    writers = [CloudWriter(f"w{number}", claims, random.Random(number)) for number in range(WRITERS)]
    for number in range(KILLS + 1):
        server = nurse.start("--data", str(tmp_path / "world"), "--seed", str(seed), "--rate", "600")
        claims.hold(cloud_as_it_stands(server), number)
        storms = [partial(writer.storm, server) for writer in writers]
        life(server, storms, chance.uniform(0.05, LONGEST_STORM_SECONDS))
    assert {kind for kind, _ in claims.may_be} == {"tag", "snapshot", "instance", "record"}
