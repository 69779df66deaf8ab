"""What keeping the emulated cloud in a directory costs: each call against the same call to a server that keeps nothing,
and a start that takes 10,000 commands again against doing them the first time."""

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

from bench.measure import Measure, side_by_side
from bench.processes import server
from emulator.cloud import Cloud
from emulator.persistence.world import Origin, open_world
from emulator.wire.call import Call, Caller
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore, OtsTables
from shared.ports.store import Anything, Row

COMMANDS = 10_000
HALF_AN_HOUR = timedelta(minutes=30)
Act = Callable[[int], object]
_SCHEMA = {"leases": ("pair",)}
_SEED = """
zones: [cn-hangzhou-h]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.0.0/20}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.0.9, data_disks: [{id: d-a, size_gib: 40}]}]
"""


def run() -> list[Measure]:
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        directory = Path(name)
        (directory / "seed.yaml").write_text(_SEED)
        return [*_calls(directory), *_replay(directory)]


def _calls(directory: Path) -> Iterator[Measure]:
    command = ("-m", "emulator", "serve", "--seed", str(directory / "seed.yaml"), "--ots-instance", "bench")
    with ExitStack() as stack:
        plain = stack.enter_context(server(*command))
        for kept, options in (("kept", ()), ("kept with fsync", ("--data-fsync",))):
            where = str(directory / kept.replace(" ", "-"))
            url = stack.enter_context(server(*command, "--data", where, *options))
            for what, open_call in (("put", _puts), ("TagResources", _tags), ("DescribeInstances", _reads)):
                with open_call(url) as ours, open_call(plain) as baseline:
                    ours_ms, plain_ms = side_by_side(ours, baseline, rounds=10)
                yield Measure(
                    name=f"persistence: {what}, {kept}", ours_ms=ours_ms, baseline="not kept", baseline_ms=plain_ms
                )


@contextmanager
def _puts(url: str) -> Iterator[Act]:
    key = Credentials("testid", "testsecret")
    tables = OtsTables(endpoint=url, instance="bench", credentials=lambda: key)
    tables.create_tables(_SCHEMA)
    tables.close()
    store = OtsStore(endpoint=url, instance="bench", credentials=lambda: key, schema=_SCHEMA)
    try:
        yield lambda number: store.put(
            "leases", Row(key=(f"p{number % 100}",), columns={"version": number}), condition=Anything()
        )
    finally:
        store.close()


@contextmanager
def _tags(url: str) -> Iterator[Act]:
    client = _client(url)

    def tag(number: int) -> None:
        tags = [ecs.TagResourcesRequestTag(key="n", value=str(number))]
        client.tag_resources(
            ecs.TagResourcesRequest(region_id="cn-hangzhou", resource_type="instance", resource_id=["i-a"], tag=tags)
        )

    yield tag


@contextmanager
def _reads(url: str) -> Iterator[Act]:
    client = _client(url)
    yield lambda _: client.describe_instances(ecs.DescribeInstancesRequest(region_id="cn-hangzhou"))


def _client(url: str) -> Client:
    host = url.removeprefix("http://")
    key = {"access_key_id": "testid", "access_key_secret": "testsecret"}
    return Client(Config(endpoint=host, protocol="http", region_id="cn-hangzhou", **key))


def _replay(directory: Path) -> Iterator[Measure]:
    """Calls that do something each, with what the world does by itself in between."""
    where = directory / "history"
    cloud = _opened(where)
    journal = cloud.journal
    assert journal is not None
    begin = time.perf_counter()
    snapshots: list[str] = []
    for number in range(COMMANDS):
        match number % 4:
            case 0:
                snapshots.append(str(_ask(cloud, "CreateSnapshot", DiskId="d-a")["SnapshotId"]))
                cloud.clock.advance(HALF_AN_HOUR)
            case 1:
                _ask(cloud, "DeleteSnapshot", SnapshotId=snapshots.pop())
            case _:
                tag = {"Tag.1.Key": "n", "Tag.1.Value": str(number)}
                _ask(cloud, "TagResources", ResourceType="instance", **{"ResourceId.1": "i-a"}, **tag)
        journal.commit()
    first = time.perf_counter() - begin
    journal.file.close()
    begin = time.perf_counter()
    again = _opened(where)
    second = time.perf_counter() - begin
    assert again.journal is not None
    again.journal.file.close()
    yield Measure(
        name=f"persistence: a start after {COMMANDS:,} commands",
        ours_ms=second * 1000,
        baseline="doing them at first",
        baseline_ms=first * 1000,
    )


def _opened(where: Path) -> Cloud:
    origin = Origin(
        seed=_SEED,
        settings={},
        start="2026-03-02T00:00:00+00:00",
        random_seed=1,
        regions=("cn-hangzhou", "cn-shanghai", "cn-beijing"),
    )
    return open_world(where, origin, furnish=lambda _: None)


def _ask(cloud: Cloud, action: str, **params: str) -> dict[str, object]:
    assert cloud.journal is not None
    operation = cloud.home.operations["2014-05-26", action]
    caller = Caller(account=cloud.account, access_key="testid", role=None)
    call = Call(version="2014-05-26", action=action, region=cloud.region, params=params, caller=caller)
    return cloud.journal.call(call, operation)
