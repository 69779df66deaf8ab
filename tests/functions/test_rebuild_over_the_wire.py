"""One rebuild through the deployed handlers, the official SDKs, and a local cloud with real guests and real traffic."""

import json
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

import functions.alarm as alarm
import functions.recover as recover
from emulator.testing import Local, mock_aliyun
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.ots import OtsTables
from shared.adapters.sdk import Endpoint
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion
from shared.domain.operation import OperationState
from shared.domain.retention import RestorePoint
from shared.state.journal import Journal
from shared.state.points import Points
from shared.state.policies import Policies
from shared.wiring import alarm as alarm_wiring
from shared.wiring import foundation
from shared.wiring import recover as recover_wiring
from tests.emulator.networks import free_network
from tests.usecases.rebuild_stage import policy

BEFORE, AFTER = b"before the point", b"after the point!"
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")

GUEST = """
import http.client, http.server, os
from urllib.parse import urlsplit
disk = urlsplit(os.environ["GUEST_DISK_URL"])
def call(method, path, body=None):
    c = http.client.HTTPConnection(disk.netloc, timeout=5)
    try:
        c.request(method, path, body)
        return c.getresponse().read()
    finally:
        c.close()
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(call("GET", disk.path + "/vdb?offset=0&length=16"))
    def do_PUT(self):
        call("PUT", disk.path + "/vdb?offset=0", self.rfile.read(16))
        self.answer(b"")
    def log_message(self, *a):
        pass
http.server.ThreadingHTTPServer((os.environ["GUEST_BIND"], 8080), Handler).serve_forever()
"""

WORLD = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: "127.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}]
security_groups: [{id: sg-a}]
images:
  - id: m-app
    name: app
    family: app
    system_disk_gib: 20
    guest: {command: ["{python}", -I, "${guest}"], ports: [8080]}
instances:
  - {id: i-app-h1, name: app-h1, image: m-app, vswitch: vsw-h, address: "127.${net}.1.11", type: ecs.g7.large,
     tags: {role: app}, system_disk: {id: d-1-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-1-data, size_gib: 1, category: cloud_essd}]}
  - {id: i-app-h2, name: app-h2, image: m-app, vswitch: vsw-h, address: "127.${net}.1.12", type: ecs.g7.large,
     tags: {role: app}, system_disk: {id: d-2-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-2-data, size_gib: 1, category: cloud_essd}]}
load_balancers:
  - id: lb-apps
    name: apps
    address: "127.${net}.0.80"
    listeners: [{port: 8000, backend_port: 8080, health: {interval: 2, timeout: 2, healthy: 2, unhealthy: 2}}]
    backends: [{server: i-app-h1, weight: 60}, {server: i-app-h2, weight: 100}]
"""


class Queue:
    """Our functions' queue: delivers in time order on the emulated clock."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._waiting: list[tuple[float, int, bytes]] = []
        self._now = 0.0

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        assert function == "recover"
        self._waiting.append((self._now + delay.total_seconds(), len(self._waiting), payload))

    def invoke(self, function: str, payload: bytes) -> bytes:
        raise AssertionError("nothing is called synchronously")

    def deliver(self) -> None:
        while self._waiting:
            at, order, payload = min(self._waiting)
            self._waiting.remove((at, order, payload))
            if at > self._now:
                self._local.advance(at - self._now)
                self._now = at
            recover.handler(payload, SimpleNamespace(request_id=f"r-{at}-{order}"))


@pytest.fixture
def net() -> int:
    return free_network()


@pytest.fixture
def local(tmp_path: Path, net: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    guest, world = tmp_path / "guest.py", tmp_path / "world.yaml"
    guest.write_text(GUEST)
    world.write_text(WORLD)
    with mock_aliyun(seed=world, settings={"net": str(net), "guest": str(guest)}) as running:
        for name, value in {
            "UNDERSTUDY_REGION": "cn-hangzhou",
            "UNDERSTUDY_OTS_INSTANCE": running.ots_instance,
            "UNDERSTUDY_ENDPOINT": running.url,
            "UNDERSTUDY_CLOCK": f"{running.url}/_emulator/clock",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": running.access_key[0],
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": running.access_key[1],
            "FC_ACCOUNT_ID": running.cloud.account,
        }.items():
            monkeypatch.setenv(name, value)
        caches = (
            foundation.configuration,
            foundation.clock,
            foundation.store,
            alarm_wiring.alarm,
            recover_wiring.recover,
            recover_wiring.clouds,
            recover_wiring.balancer,
        )
        for cached in caches:
            cached.cache_clear()
        yield running
        for cached in caches:
            cached.cache_clear()


def http(method: str, address: str, body: bytes | None = None) -> bytes:
    request = urllib.request.Request(f"http://{address}/", data=body, method=method)
    with urllib.request.urlopen(request, timeout=5) as answer:
        found: bytes = answer.read()
    return found


def prepare(local: Local, net: int) -> None:
    """A policy, and a restore point of both instances with known bytes."""
    local.advance(1)  # answers when the guests are up
    credentials = foundation.credentials
    OtsTables(endpoint=local.url, instance=local.ots_instance, credentials=credentials).create_tables()
    Policies(foundation.store()).append(policy())
    snapshots = EcsSnapshots(endpoint=Endpoint("cn-hangzhou", local.url), credentials=credentials)
    made = []
    for number in (1, 2):
        http("PUT", f"127.{net}.1.1{number}:8080", BEFORE)
        snapshot = snapshots.create(DiskId(f"d-{number}-data"), name="point", tags={}, token=f"t-{number}")
        made.append((number, snapshot))
    local.advance(120)
    taken = foundation.clock().now()
    Points(foundation.store()).put(
        RestorePoint(
            id=f"p-{number}",
            subject=InstanceId(f"i-app-h{number}"),
            slot=taken,
            schedule="hourly",
            taken=taken,
            usable=True,
            complete=True,
            disks=((DiskId(f"d-{number}-data"), snapshot),),
            protection="applications",
            policy=PolicyVersion(1),
        )
        for number, snapshot in made
    )
    for number in (1, 2):
        http("PUT", f"127.{net}.1.1{number}:8080", AFTER)


@pytest.mark.timeout(90)
def test_a_failed_instance_is_rebuilt_and_serves_the_points_bytes_behind_the_balancer(
    local: Local, net: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = Queue(local)
    for module in (foundation, alarm_wiring, recover_wiring):
        monkeypatch.setattr(module, "functions", lambda: queue)
    prepare(local, net)
    ecs = local.cloud.ecs
    event = local.run(lambda: ecs.lifecycle.fail(ecs.instances["i-app-h1"], recovers=False))
    notice = {
        "specversion": "1.0",
        "id": "x-1",
        "source": "acs.ecs",
        "type": "ecs:Instance:SystemFailure.Reboot",
        "data": {
            "eventId": event.id,
            "instanceId": "i-app-h1",
            "eventType": "SystemFailure.Reboot",
            "eventStatus": "Executing",
            "executeStartTime": f"{event.published:%Y-%m-%dT%H:%M:%SZ}",
        },
    }
    answer = json.loads(alarm.handler(json.dumps(notice).encode(), SimpleNamespace(request_id="r-alarm")))
    assert answer["acted"] == [f"rebuild/i-app-h1/{event.id}"]
    queue.deliver()

    journal = Journal(foundation.store(), foundation.clock())
    operation = journal.load(OperationId(f"rebuild/i-app-h1/{event.id}"))
    assert operation.state is OperationState.DONE, operation.result
    new = ecs.instances[operation.result["replacement"]]
    assert http("GET", f"{new.private_ip}:8080") == BEFORE
    assert ecs.instances["i-app-h1"].state == "Stopped"
    backends = local.cloud.slb.get("lb-apps").backends
    assert {server: member.weight for server, member in backends.items()} == {"i-app-h2": 100, new.id: 60}
    assert {http("GET", f"127.{net}.0.80:8000") for _ in range(10)} == {BEFORE, AFTER}
    phases = json.loads(operation.result["phases"])
    assert phases["decide"] >= 350
    assert sum(phases.values()) - phases["decide"] < 150
