"""A site with everything deployed on it: guests that keep bytes on emulated disks, all functions with their roles' keys
and nothing else, and an operator's terminal. What happens goes over HTTP through the official SDKs; time is jumped."""

import http.client
import io
import json
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import shake_128
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest

from deploy.bootstrap import POLICIES, entries
from emulator.testing import Local, mock_aliyun
from emulator.vpc.model import Target
from shared.adapters.credentials import Credentials
from shared.adapters.functions import FcFunctions
from shared.adapters.ots import OtsStore
from shared.adapters.sdk import Endpoint
from shared.adapters.slb import SlbBalancer
from shared.domain.ids import InstanceId, LoadBalancerId, OperationId
from shared.domain.operation import Operation, OperationState
from shared.domain.provenance import OPERATION
from shared.domain.retention import RestorePoint
from shared.state.journal import Journal
from shared.state.points import Points
from tests.emulator.networks import free_network
from tests.functions.wired import environment_of, use
from understudy.cli.main import main

ROOT: Final = Path(__file__).resolve().parents[2]
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
"""Bytes."""

GUEST: Final = """
import http.client, http.server, os
from urllib.parse import urlsplit
disk = urlsplit(os.environ["GUEST_DISK_URL"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        c = http.client.HTTPConnection(disk.netloc, timeout=5)
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            c.request(self.command, disk.path + self.path.rstrip("/"), body)
            answer = c.getresponse()
            found = answer.read()
        finally:
            c.close()
        self.send_response(answer.status)
        self.send_header("X-Instance", os.environ["GUEST_INSTANCE"])
        self.send_header("Content-Length", str(len(found)))
        self.end_headers()
        self.wfile.write(found)
    do_PUT = do_GET
    def log_message(self, *a):
        pass
http.server.ThreadingHTTPServer((os.environ["GUEST_BIND"], 8080), Handler).serve_forever()
"""

STANDS: Final = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-a, cidr: "127.${net}.0.0/16"}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: "127.${net}.2.0/24", gateway: "127.${net}.2.1"}
security_groups: [{id: sg-a}]
images:
  - {id: m-app, name: app, family: app, system_disk_gib: 20,
     guest: {command: ["{python}", -I, "${guest}"], ports: [8080]}}
  - {id: m-app-2, name: app-2, family: next, system_disk_gib: 20,
     guest: {command: ["{python}", -I, "${guest}"], ports: [8080]}}
instances:
  - {id: i-app-1, name: app-1, image: m-app, vswitch: vsw-h, address: "127.${net}.1.11", type: ecs.g7.large,
     state: Running, tags: {role: app}, system_disk: {id: d-1-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-1-data, size_gib: 1, category: cloud_essd}]}
  - {id: i-app-2, name: app-2, image: m-app, vswitch: vsw-h, address: "127.${net}.1.12", type: ecs.g7.large,
     state: Running, tags: {role: app}, system_disk: {id: d-2-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-2-data, size_gib: 1, category: cloud_essd}]}
  - {id: i-db, name: db, image: m-app, vswitch: vsw-h, address: "127.${net}.1.21", type: ecs.g7.large,
     state: Running, tags: {role: db}, system_disk: {id: d-db-sys, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-db-data, size_gib: 1, category: cloud_essd}]}
load_balancers:
  - id: lb-apps
    name: apps
    address: "127.${net}.0.80"
    listeners: [{port: 8000, backend_port: 8080, health: {interval: 2, timeout: 2, healthy: 2, unhealthy: 2}}]
    backends: [{server: i-app-1, weight: 60}]
scaling_groups:
  - id: asg-apps
    min: 1
    max: 1
    vswitches: [vsw-h]
    load_balancers: {lb-apps: 50}
    configuration: {id: asc-apps, image: m-app, type: ecs.g7.large, security_groups: [sg-a]}
    members: [{instance: i-app-2}]
"""

POLICY: Final = """
version: 1
region: cn-hangzhou
time_zone: Asia/Shanghai
protections:
  - name: all
    select: {ids: [i-app-1, i-app-2, i-db]}
    schedules: [{name: hourly, hours: all, weekdays: all}]
    keep: {hourly: 24}
    rpo_target: 75m
rebuilds:
  - name: applications
    select: {tags: {role: app}}
    image_family: app
    balancer: {id: lb-apps, weight: 100}
    port: 8080
    patience: 6m
    elsewhere: [{zone: cn-hangzhou-i, vswitch: vsw-i}]
plans:
  - name: site
    waves:
      - name: data
        steps: [{name: databases, action: restore, select: {tags: {role: db}}}]
        gate: {port: 8080, within: 10m}
      - name: applications
        approval: true
        steps: [{name: web, action: rebuild, select: {ids: [i-app-1]}}]
        gate: {port: 8080, within: 10m}
"""

H, I = "cn-hangzhou-h", "cn-hangzhou-i"  # noqa: E741 (the zones' own letters)
LB: Final = LoadBalancerId("lb-apps")
ELSEWHERE: Final = "cn-shanghai"
QUIET: Final = {  # what runs is what the story calls for, and what calls itself again
    "UNDERSTUDY_SCHEDULE_TICK": "0 0 0 1 1 *",
    "UNDERSTUDY_BACKUP_TICK": "@every 10000m",
    "UNDERSTUDY_RECOVER_TICK": "@every 10000m",
    "UNDERSTUDY_PRUNE_TICK": "0 0 0 1 1 *",
}
ROLES: Final = tuple((f"understudy-{entry}", (POLICIES / f"{entry}.json",)) for entry in entries())


# What disks hold -----------------------------------------------------------------------------------------------------

HEAD: Final = MIB
"""The first so many bytes of a disk are compared, sixteen blocks of the emulator, and its last ones."""
TAIL: Final = 64 * KIB


def noise(name: str, length: int) -> bytes:
    """Bytes that no other name has."""
    return shake_128(name.encode()).digest(length)


@dataclass(frozen=True, slots=True)
class Write:
    offset: int  # negative: from the end of the disk
    data: bytes


def first_writes(name: str) -> tuple[Write, ...]:
    """Part of a block, across two, a whole one, and the last bytes of the disk; everything between stays unwritten."""
    return (
        Write(100, noise(f"{name}/start", 1_000)),
        Write(2 * TAIL - 700, noise(f"{name}/across", 1_500)),
        Write(5 * TAIL, noise(f"{name}/whole", TAIL)),
        Write(-3_000, noise(f"{name}/end", 3_000)),
    )


def later_writes(name: str) -> tuple[Write, ...]:
    """Over parts of the first ones, beside them in their blocks, and into blocks that were never written."""
    return (
        Write(600, noise(f"{name}/over the start", 1_000)),
        Write(5 * TAIL + 10, noise(f"{name}/inside", 100)),
        Write(8 * TAIL + 5, noise(f"{name}/new", 2 * TAIL)),
        Write(-10_000, noise(f"{name}/new end", 8_000)),
    )


def holds(*writes: Write) -> bytes:
    """What `Site.read` finds on a disk that was new before these writes."""
    window = bytearray(HEAD + TAIL)
    for one in writes:
        start = one.offset if one.offset >= 0 else len(window) + one.offset
        window[start : start + len(one.data)] = one.data
    return bytes(window)


# The site ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Said:
    code: int
    out: str
    err: str

    def json(self) -> Any:
        return json.loads(self.out)


class Site:
    def __init__(self, local: Local, net: int) -> None:
        self.local = local
        self.net = net
        key = Credentials(*local.access_key)
        endpoint = Endpoint("cn-hangzhou", local.url)
        self.functions = FcFunctions(endpoint=endpoint, credentials=lambda: key)
        self.balancer = SlbBalancer(endpoint=endpoint, credentials=lambda: key)
        self.store = OtsStore(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key)

    # as an operator

    def cli(self, *arguments: str, code: int = 0) -> Said:
        """`understudy ...` at a terminal; it must end with `code`."""
        out, err = io.StringIO(), io.StringIO()
        before, sys.argv = sys.argv, ["understudy", *arguments]
        ended = 0
        try:
            with redirect_stdout(out), redirect_stderr(err):
                main()
        except SystemExit as end:
            ended = int(end.code or 0)
        finally:
            sys.argv = before
        said = Said(ended, out.getvalue(), err.getvalue())
        assert said.code == code, f"understudy {' '.join(arguments)}: {said}"
        return said

    def confirmed(self, *arguments: str) -> Operation:
        """Shown first, then done by the token that the preview gave; the operation when it has ended."""
        return self.ended(self.started(*arguments, confirm=self.cli(*arguments, "--json").json()["token"]))

    def started(self, *arguments: str, confirm: str) -> str:
        """The operation that a confirmed request opened."""
        return str(self.cli(*arguments, "--confirm", confirm, "--json").json()["operation"])

    def back_up(self) -> dict[str, RestorePoint]:
        """A complete point of each instance, by function backup, named by instance."""
        before = {one.key for one in self.points()}
        self.cli("backup", "now", "all")
        for _ in range(60):
            self.wait(seconds=30)
            made = [one for one in self.points() if one.key not in before and one.complete and not one.copy_of]
            if len(made) == len(self.local.cloud.ecs.instances):
                return {one.subject: one for one in made}
        raise AssertionError(f"not complete after half an hour: {self.points()}")

    def tick(self, function: str) -> None:
        """Its own timer fires."""
        self.functions.invoke(function, (ROOT / "events" / f"timer-{function}.json").read_bytes())

    def copied(self, point: str) -> str:
        """The id of the point's complete copy: backup's timer finds what is to be copied, and looks after it."""
        for _ in range(24):
            self.tick("backup")
            found = [one.id for one in self.points() if one.copy_of == point and one.complete]
            if found:
                return found[0]
            self.wait(minutes=30)
        raise AssertionError(f"not copied within twelve hours: {self.points()}")

    def points(self) -> list[RestorePoint]:
        return list(Points(self.store).all())

    # as a guest, and its clients

    def address(self, instance: str) -> str:
        return str(self.local.cloud.ecs.instances[instance].private_ip)

    def write(self, instance: str, device: str, *writes: Write) -> None:
        """By the guest's own hands. `device`: vda, vdb, ..."""
        for one in writes:
            offset = one.offset if one.offset >= 0 else self._size(instance, device) + one.offset
            self.http("PUT", f"{self.address(instance)}:8080", f"/{device}?offset={offset}", one.data)

    def read(self, instance: str, device: str) -> bytes:
        """Its first `HEAD` and last `TAIL` bytes, as the guest reads them."""
        ranges = ((0, HEAD), (self._size(instance, device) - TAIL, TAIL))
        return b"".join(
            self.http("GET", f"{self.address(instance)}:8080", f"/{device}?offset={offset}&length={length}")
            for offset, length in ranges
        )

    def serving(self, requests: int = 12) -> set[str]:
        """Which instances answer behind the load balancer."""
        return {self._who(f"127.{self.net}.0.80:8000") for _ in range(requests)}

    def http(self, method: str, address: str, path: str, body: bytes | None = None) -> bytes:
        return self._call(method, address, path, body)[1]

    # as the cloud knows it

    def instance(self, id: str) -> Any:
        return self.local.cloud.ecs.instances[id]

    def disk(self, instance: str, device: str) -> Any:
        """What is attached there now."""
        shelf = self.local.cloud.ecs.disks.shelf.by_id.values()
        [found] = (one for one in shelf if one.instance_id == instance and one.device.endswith(device))
        return found

    def pool(self) -> dict[str, int]:
        return {server: one.weight for server, one in self.local.cloud.slb.get(LB).backends.items()}

    def members(self) -> dict[str, str]:
        return {one.instance_id: one.state for one in self.local.cloud.ess.group("asg-apps").members.values()}

    def made(self) -> list[str]:
        """Instances that an operation made."""
        return [one.id for one in self.local.cloud.ecs.instances.values() if OPERATION in one.tags]

    def give_public_address(self, instance: str) -> str:
        """An EIP that the instance has; its allocation id."""
        vpc = self.local.cloud.vpc

        def give() -> str:
            made = vpc.allocate(bandwidth=5, charge_type="PayByTraffic", name="", isp="BGP", tags={}, token=None)
            vpc.associate(made.id, Target(instance_id=instance, instance_type="EcsInstance"))
            return str(made.id)

        allocation = self.local.run(give)
        self.wait(seconds=30)
        return allocation

    def fail(self, instance: str) -> str:
        """Its host dies for good, and alarm hears of it. Answers the operation that this opens."""
        ecs = self.local.cloud.ecs
        event = self.local.run(lambda: ecs.lifecycle.fail(ecs.instances[instance], recovers=False))
        notice = {
            "specversion": "1.0",
            "id": f"delivery-{event.id}",
            "source": "acs.ecs",
            "type": "ecs:Instance:SystemFailure.Reboot",
            "data": {
                "eventId": event.id,
                "instanceId": instance,
                "eventType": "SystemFailure.Reboot",
                "eventStatus": "Executing",
                "executeStartTime": f"{event.published:%Y-%m-%dT%H:%M:%SZ}",
            },
        }
        answer = json.loads(self.functions.invoke("alarm", json.dumps(notice).encode()))
        [opened] = answer["acted"]
        return str(opened)

    # time, state

    def wait(self, **duration: float) -> None:
        self.local.advance(timedelta(**duration).total_seconds())

    def now(self) -> datetime:
        return self.local.run(self.local.cloud.clock.now)

    def ended(self, operation: str, *, state: OperationState = OperationState.DONE) -> Operation:
        """Within an emulated hour, by its own invocations and without a tick."""
        for _ in range(120):
            found = self.operation(operation)
            if found.state is not OperationState.OPEN:
                break
            self.wait(seconds=30)
        assert found.state is state, (found.state, dict(found.result), found.steps)
        return found

    def operation(self, id: str) -> Operation:
        clock: Any = SimpleNamespace(now=self.now)
        return Journal(self.store, clock).load(OperationId(id))

    def exercised(self) -> list[dict[str, Any]]:
        """What each role asked for, and how often its deployed policy allowed or denied it."""

        def told() -> list[dict[str, Any]]:
            return [
                {"principal": who, "action": action, "resource": what, "allowed": n.allowed, "denied": n.denied}
                for (who, action, what), n in self.local.cloud.ram.exercised.items()
            ]

        return self.local.run(told)

    def denied(self) -> list[dict[str, Any]]:
        return [one for one in self.exercised() if one["denied"]]

    # parts

    def _who(self, address: str) -> str:
        return self._call("GET", address, "/", None)[0]

    def _size(self, instance: str, device: str) -> int:
        return int(self.disk(instance, device).size_gib) * GIB

    def _call(self, method: str, address: str, path: str, body: bytes | None) -> tuple[str, bytes]:
        connection = http.client.HTTPConnection(address, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            found = answer.read()
        finally:
            connection.close()
        assert answer.status == 200, (method, address, path, answer.status, found[:200])
        return str(answer.getheader("X-Instance")), found


@contextmanager
def deployed(workdir: Path, monkeypatch: pytest.MonkeyPatch, *, policy: str = POLICY) -> Iterator[Site]:
    """Everything stands, the guests answer, the policy is active."""
    net = free_network()
    guest, world, file = workdir / "guest.py", workdir / "world.yaml", workdir / "understudy.yaml"
    guest.write_text(GUEST)
    world.write_text(STANDS)
    file.write_text(policy)
    environment = {
        "UNDERSTUDY_ENDPOINT": "{url}",
        "UNDERSTUDY_RESOLVERS": "{dns}",
        "UNDERSTUDY_ENDPOINTS": f"{ELSEWHERE}={{url:{ELSEWHERE}}}",
        "UNDERSTUDY_OTS_ENDPOINT": "{url}",
        "UNDERSTUDY_CLOCK": "{url}/_emulator/clock",
    }
    with ExitStack() as stack:
        local = stack.enter_context(
            mock_aliyun(
                seed=world,
                settings={"net": str(net), "guest": str(guest)},
                ram_roles=ROLES,
                ram_vars={"zone": "*"},
                fc=ROOT / "s.yaml",
                fc_vars=QUIET,
                fc_env=environment,
                fc_code=(ROOT / "functions", ROOT),
                fc_workdir=workdir / "fc",
                fc_key_lifetime=timedelta(hours=400),
            )
        )
        site = Site(local, net)
        fc = local.cloud.fc
        assert fc is not None
        for watch in ("understudy-watch-hz-h", "understudy-watch-hz-i"):  # they loop in real time
            local.run(lambda name=watch: fc.enable(name, "every-minute", False))  # type: ignore[misc]  # a default binds the loop's name
        site.balancer.set_weight(LB, InstanceId("i-app-2"), weight=90)  # another one than its group gives
        use(monkeypatch, environment_of(local))
        site.cli("apply", "--file", str(file), "--accept-doubts")
        site.wait(seconds=1)  # answers when the guests are up
        yield site


def phases(operation: Operation) -> dict[str, float]:
    """As they are kept in state, seconds; they must be the whole way."""
    found: dict[str, float] = json.loads(operation.result["phases"])
    total = float(operation.result["rto_seconds"])
    assert abs(sum(found.values()) - total) < 1, (found, total)
    return found
