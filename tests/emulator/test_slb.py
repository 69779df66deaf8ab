"""The load balancer as clients feel it: real connections, weights, drains, health that follows real probes."""

import contextlib
import http.client
import json
import signal
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.slb.model import Backend
from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

GUEST = """
import os, socket, sys, threading
def serve(port):
    listener = socket.create_server((os.environ["GUEST_BIND"], port))
    while True:
        client, _ = listener.accept()
        threading.Thread(target=talk, args=(client,), daemon=True).start()
def talk(client):
    with client:
        while data := client.recv(4096):
            if data.startswith(b"GET /sick"):
                client.sendall(b"HTTP/1.0 503 Sick\\r\\n\\r\\n")
                return
            if data.startswith(b"GET /well"):
                client.sendall(b"HTTP/1.0 200 OK\\r\\n\\r\\n")
                return
            client.sendall(os.environ["GUEST_INSTANCE"].encode())
serve(8080)
"""

SEED = """
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: "127.${net}.2.0/24", gateway: "127.${net}.2.1"}
security_groups: [{id: sg-1}]
images:
  - {id: m-1, name: g, family: app, system_disk_gib: 20, guest: {command: ["{python}", -S, "${script}"], ports: [8080]}}
instances:
  - {id: i-h, name: h, image: m-1, vswitch: vsw-h, address: "127.${net}.1.11", type: ecs.g7.large, state: Running,
     system_disk: {id: d-h, size_gib: 20, category: cloud_essd}}
  - {id: i-i, name: i, image: m-1, vswitch: vsw-i, address: "127.${net}.2.11", type: ecs.g7.large, state: Running,
     system_disk: {id: d-i, size_gib: 20, category: cloud_essd}}
load_balancers:
  - id: lb-1
    name: one
    address: "127.${net}.0.80"
    master_zone: cn-hangzhou-h
    slave_zone: cn-hangzhou-i
    listeners:
      - {port: 8000, backend_port: 8080, health: {interval: 2, timeout: 5, healthy: 3, unhealthy: 3}}
      - {port: 8001, backend_port: 8080, health: {path: /well}}
      - {port: 8002, backend_port: 8080, health: {path: /sick}}
      - {port: 8003, backend_port: 8080, health: "off"}
    backends: [{server: i-h, weight: 100}, {server: i-i, weight: 50}]
"""


class Front:
    def __init__(self, local: Local, net: int) -> None:
        self.local = local
        self.address = f"127.{net}.0.80"

    def call(self, port: int = 8000, *, timeout: float = 2) -> str:
        """One connection, one question: who answers?"""
        with socket.create_connection((self.address, port), timeout=timeout) as client:
            client.sendall(b"who?")
            return client.recv(64).decode()

    def health(self, port: int = 8000) -> dict[str, str]:
        connection = http.client.HTTPConnection(self.local.host, timeout=5)
        connection.request("GET", "/_emulator/load_balancers")
        rows: list[dict[str, Any]] = json.loads(connection.getresponse().read())
        connection.close()
        [row] = [r for r in rows if r["listener"] == port]
        return {server: member["health"] for server, member in row["backends"].items()}

    def darken(self, zone: str, dark: bool = True) -> None:
        self.local.run(lambda: self.local.cloud.zones.set_dark(zone, dark))

    def kill(self, instance: str) -> None:
        hypervisor = self.local.cloud.hypervisor
        assert hypervisor is not None
        self.local.run(lambda: hypervisor.signal(instance, signal.SIGKILL))

    def weigh(self, **weights: int) -> None:
        servers = [Backend(server=name.replace("_", "-"), weight=weight) for name, weight in weights.items()]
        self.local.run(lambda: self.local.cloud.slb.set_weights("lb-1", servers))


@pytest.fixture
def front(tmp_path: Path) -> Iterator[Front]:
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, settings={"net": str(net), "script": str(script)}) as local:
        local.advance(0)
        yield Front(local, net)


def test_nobody_is_served_before_the_checks_have_seen_health(front: Front) -> None:
    assert front.health() == {"i-h": "unavailable", "i-i": "unavailable"}
    with pytest.raises(ConnectionError):
        assert front.call() != ""
    front.local.advance(4)  # looks at 0, 2 and 4 seconds
    assert front.health() == {"i-h": "normal", "i-i": "normal"}
    assert front.call() in ("i-h", "i-i")


def test_new_connections_follow_the_weights(front: Front) -> None:
    front.local.advance(10)
    assert Counter(front.call() for _ in range(9)) == {"i-h": 6, "i-i": 3}


def test_weight_nought_takes_no_new_connection_and_ends_no_old_one(front: Front) -> None:
    front.local.advance(10)
    front.weigh(i_i=0)
    with socket.create_connection((front.address, 8000), timeout=2) as old:
        old.sendall(b"who?")
        assert old.recv(64) == b"i-h"
        front.weigh(i_h=0, i_i=100)
        assert {front.call() for _ in range(4)} == {"i-i"}
        old.sendall(b"still there?")
        assert old.recv(64) == b"i-h"


def test_a_dead_guest_is_abnormal_after_the_threshold_and_gets_nothing(front: Front) -> None:
    front.local.advance(10)
    front.kill("i-h")
    front.local.advance(2)
    assert front.health()["i-h"] == "normal"  # one failure proves nothing
    front.local.advance(6)
    assert front.health() == {"i-h": "abnormal", "i-i": "normal"}
    assert {front.call() for _ in range(4)} == {"i-i"}


def test_before_the_checks_notice_a_dark_zone_a_connect_is_retried_elsewhere(front: Front) -> None:
    front.local.advance(10)
    front.darken("cn-hangzhou-i")
    began = time.monotonic()
    assert {front.call() for _ in range(3)} == {"i-h"}
    assert time.monotonic() - began < 1.5  # one connect hung for half a second, the others were not in the way


def test_a_dark_zone_is_abnormal_and_recovers_with_the_light(front: Front) -> None:
    front.local.advance(10)
    front.darken("cn-hangzhou-i")
    front.local.advance(30)
    assert front.health() == {"i-h": "normal", "i-i": "abnormal"}
    front.darken("cn-hangzhou-i", dark=False)
    front.local.advance(30)
    assert front.health() == {"i-h": "normal", "i-i": "normal"}


def test_the_balancer_itself_moves_out_of_its_dark_primary_zone(front: Front) -> None:
    front.local.advance(10)
    front.darken("cn-hangzhou-h")
    with pytest.raises(TimeoutError):
        front.call(timeout=0.3)
    front.local.advance(30)
    assert front.call() == "i-i"


def test_an_http_check_looks_at_the_status_not_only_at_the_port(front: Front) -> None:
    front.local.advance(20)
    assert front.health(8001) == {"i-h": "normal", "i-i": "normal"}
    assert front.health(8002) == {"i-h": "abnormal", "i-i": "abnormal"}


def test_without_checks_health_is_unavailable_and_everybody_is_served(front: Front) -> None:
    front.local.advance(20)
    assert front.health(8003) == {"i-h": "unavailable", "i-i": "unavailable"}
    assert {front.call(8003) for _ in range(6)} == {"i-h", "i-i"}


def test_an_inactive_balancer_refuses_until_it_is_active_again(front: Front) -> None:
    front.local.advance(10)
    front.local.run(lambda: front.local.cloud.slb.set_status("lb-1", "inactive"))
    with pytest.raises(ConnectionRefusedError):
        front.call()
    front.local.run(lambda: front.local.cloud.slb.set_status("lb-1", "active"))
    assert front.call() in ("i-h", "i-i")


def test_a_removed_member_is_neither_served_nor_checked(front: Front) -> None:
    front.local.advance(10)
    front.local.run(lambda: front.local.cloud.slb.detach("lb-1", ["i-h"]))
    assert front.health() == {"i-i": "normal"}
    assert {front.call() for _ in range(4)} == {"i-i"}


def test_a_restarted_instance_comes_back_by_itself(front: Front) -> None:
    front.local.advance(10)
    front.local.run(lambda: front.local.cloud.ecs.fail("i-h", recovers=True))
    front.local.advance(20)
    assert front.health()["i-h"] == "abnormal"
    front.local.advance(400)
    assert front.health()["i-h"] == "normal"


def test_a_week_of_jumps_costs_seconds_not_minutes(front: Front) -> None:
    """Where time stands and is jumped, a settled member is looked at once an hour, not every two seconds."""
    began = time.monotonic()
    for _ in range(7 * 24):
        front.local.advance(3600)
    assert time.monotonic() - began < 10
    assert front.health() == {"i-h": "normal", "i-i": "normal"}


def test_when_time_flows_again_the_configured_interval_counts_again(front: Front) -> None:
    front.local.advance(86400)
    front.local.run(lambda: front.local.cloud.clock.set_rate(5.0))
    front.kill("i-h")
    soon(lambda: front.health()["i-h"] == "abnormal")


def test_a_low_port_moves_where_it_needs_privileges(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    from emulator.network import port
    from emulator.slb.model import Balancer, Listener

    bind = port.bind

    def unprivileged(address: str, number: int) -> socket.socket:
        if 0 < number < 1024:
            raise PermissionError(13, "Permission denied")
        return bind(address, number)

    monkeypatch.setattr(port, "bind", unprivileged)
    low = Balancer(
        id="lb-low",
        name="low",
        address=front.address.replace(".0.80", ".0.81"),
        created=front.local.cloud.clock.now(),
        listeners={80: Listener(port=80, backend_port=8080)},
    )
    front.local.run(lambda: front.local.cloud.slb.add(low))
    assert front.local.cloud.slb.endpoints["lb-low", 80] == (low.address, 8080)
    with contextlib.suppress(ConnectionResetError):  # it has no members
        socket.create_connection((low.address, 8080), timeout=1).close()


def soon(true: Callable[[], bool], seconds: float = 6.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
