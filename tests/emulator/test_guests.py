"""Guests are real processes on emulated machines: they boot, keep their data on emulated disks, die and fall silent."""

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

ROOT = Path(__file__).parents[2]

GUEST = """
import http.client, http.server, json, os, subprocess, sys
from urllib.parse import urlsplit

child = subprocess.Popen([sys.executable, "-I", "-S", "-c", "import time; time.sleep(600)"])
disk = urlsplit(os.environ["GUEST_DISK_URL"])

def call(host, method, path, body=None):
    c = http.client.HTTPConnection(host, timeout=1)
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
        if self.path == "/env":
            self.answer(json.dumps(dict(os.environ)).encode())
        elif self.path == "/out":
            try:
                self.answer(call(urlsplit(os.environ["GUEST_GATEWAY"]).netloc, "GET", "/_emulator/clock"))
            except OSError as error:
                self.answer(type(error).__name__.encode())
        else:
            self.answer(call(disk.netloc, "GET", disk.path + "/vdb?offset=4096&length=5"))
    def do_PUT(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(call(disk.netloc, "PUT", disk.path + "/vdb?offset=4096", body))
    def log_message(self, *a):
        pass

http.server.ThreadingHTTPServer((os.environ["GUEST_BIND"], 8080), Handler).serve_forever()
"""

SEED = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}
security_groups: [{id: sg-1}]
images:
  - {id: m-1, name: guest, family: app, system_disk_gib: 20,
     guest: {command: ["{python}", "${script}"], ports: [8080], env: {COLOUR: blue}}}
instances:
  - {id: i-1, name: one, image: m-1, vswitch: vsw-h, address: "127.${net}.1.11", type: ecs.g7.large, state: Running,
     system_disk: {id: d-1s, size_gib: 20, category: cloud_essd},
     data_disks: [{id: d-1d, size_gib: 40, category: cloud_essd}]}
"""


class Machine:
    """The one instance of these stories."""

    def __init__(self, local: Local, net: int) -> None:
        self.local = local
        self.net = net
        self.address = f"127.{net}.1.11"

    @property
    def instance(self) -> Any:
        return self.local.cloud.ecs.instances["i-1"]

    def ask(self, method: str, path: str, body: bytes | None = None, *, timeout: float = 2) -> bytes:
        connection = http.client.HTTPConnection(self.address, 8080, timeout=timeout)
        try:
            connection.request(method, path, body)
            return connection.getresponse().read()
        finally:
            connection.close()

    def admin(self, method: str, path: str, body: object = None) -> Any:
        connection = http.client.HTTPConnection(self.local.host, timeout=10)
        try:
            connection.request(method, path, None if body is None else json.dumps(body))
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def describe(self) -> dict[str, Any]:
        described: dict[str, Any] = self.admin("GET", "/_emulator/guests")[0]
        return described

    def lifecycle(self, act: Callable[[Any, Any], object]) -> None:
        self.local.run(lambda: act(self.local.cloud.ecs.lifecycle, self.instance))

    def until_state(self, state: str) -> None:
        for _ in range(60):
            if self.instance.state == state:
                return
            self.local.advance(5)
        raise AssertionError(f"{self.instance.state}, not {state}")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, settings={"net": str(net), "script": str(script)}) as local:
        local.advance(0)  # returns when the guest has booted
        yield Machine(local, net)


def soon(true: Callable[[], bool], seconds: float = 3.0) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)


def test_what_a_guest_wrote_is_there_after_a_stop_and_a_start(machine: Machine) -> None:
    machine.ask("PUT", "/", b"hello")
    machine.lifecycle(lambda ecs, i: ecs.stop(i))
    machine.until_state("Stopped")
    with pytest.raises(TimeoutError):
        machine.ask("GET", "/", timeout=0.3)  # a machine that is off is silent

    machine.lifecycle(lambda ecs, i: ecs.start(i))
    machine.until_state("Running")
    assert machine.ask("GET", "/") == b"hello"


def test_a_guest_is_told_who_it_is_and_inherits_nothing_else(machine: Machine) -> None:
    seen = json.loads(machine.ask("GET", "/env"))
    assert seen["GUEST_INSTANCE"] == "i-1"
    assert seen["GUEST_ZONE"] == "cn-hangzhou-h"
    assert seen["GUEST_ADDRESS"] == machine.address
    assert seen["GUEST_BIND"] == f"127.{machine.net + 1}.1.11"
    assert seen["COLOUR"] == "blue"
    assert not {"HOME", "HTTP_PROXY", "ALIBABA_CLOUD_ACCESS_KEY_ID"} & seen.keys()


def test_what_a_killed_guest_left_in_its_temporary_directory_is_gone_at_the_next_boot(machine: Machine) -> None:
    folder = Path(json.loads(machine.ask("GET", "/env"))["TMPDIR"])
    (folder / "left").write_text("by the first boot")
    machine.admin("POST", "/_emulator/instances/i-1/fail", {"recovers": True})
    machine.until_state("Running")

    assert json.loads(machine.ask("GET", "/env"))["TMPDIR"] == str(folder)
    assert list(folder.iterdir()) == []


def test_a_dark_zone_cuts_both_ways_but_the_guest_lives_on_with_its_disk(machine: Machine) -> None:
    machine.ask("PUT", "/", b"start")
    machine.admin("POST", "/_emulator/zones/cn-hangzhou-h", {"dark": True})
    with pytest.raises(TimeoutError):
        machine.ask("GET", "/", timeout=0.3)
    inside = http.client.HTTPConnection(f"127.{machine.net + 1}.1.11", 8080, timeout=5)
    inside.request("GET", "/out")
    assert inside.getresponse().read() == b"TimeoutError"  # the gateway is silent as well
    inside.request("PUT", "/", b"later")
    inside.getresponse().read()
    inside.close()

    machine.admin("POST", "/_emulator/zones/cn-hangzhou-h", {"dark": False})
    assert machine.ask("GET", "/") == b"later"
    assert b"now" in machine.ask("GET", "/out")


def test_a_stop_does_not_reach_into_a_dark_zone(machine: Machine) -> None:
    machine.admin("POST", "/_emulator/zones/cn-hangzhou-h", {"dark": True})
    machine.lifecycle(lambda ecs, i: ecs.stop(i, force=True))
    machine.local.advance(120)
    assert machine.instance.state == "Stopping"
    assert machine.describe()["running"]

    machine.admin("POST", "/_emulator/zones/cn-hangzhou-h", {"dark": False})
    machine.until_state("Stopped")
    assert not machine.describe()["running"]


def test_stopping_is_not_stopped(machine: Machine) -> None:
    machine.lifecycle(lambda ecs, i: ecs.stop(i, force=True))
    assert machine.instance.state == "Stopping"
    assert machine.ask("GET", "/env")  # still serving: only Stopped is proof
    machine.until_state("Stopped")
    assert not machine.describe()["processes"]


def test_a_failed_host_takes_its_guest_at_once_and_falls_silent(machine: Machine) -> None:
    group = machine.describe()["pid"]
    machine.admin("POST", "/_emulator/instances/i-1/fail", {"recovers": True})
    with pytest.raises(TimeoutError):
        machine.ask("GET", "/", timeout=0.3)
    soon(lambda: not alive(group))
    machine.until_state("Running")
    assert machine.ask("GET", "/env")
    assert machine.describe()["pid"] != group


def test_a_dead_process_refuses_where_a_dead_machine_is_silent(machine: Machine) -> None:
    machine.admin("POST", "/_emulator/guests/i-1/kill", {})
    soon(lambda: not machine.describe()["open_ports"])
    with pytest.raises(ConnectionRefusedError):
        machine.ask("GET", "/", timeout=0.3)
    assert machine.instance.state == "Running"


def test_a_frozen_guest_accepts_and_says_nothing_until_it_is_thawed(machine: Machine) -> None:
    machine.admin("POST", "/_emulator/guests/i-1/freeze", {})
    assert {p["frozen"] for p in machine.describe()["processes"]} == {True}
    with pytest.raises(TimeoutError):
        machine.ask("GET", "/env", timeout=0.3)
    machine.admin("POST", "/_emulator/guests/i-1/thaw", {})
    assert machine.ask("GET", "/env")


def test_one_process_of_a_guest_can_be_killed_alone(machine: Machine) -> None:
    leader, child = machine.describe()["processes"]
    machine.admin("POST", "/_emulator/guests/i-1/kill", {"pid": child["pid"]})
    soon(lambda: not alive(child["pid"]) or state_of(child["pid"]) == "Z")
    assert machine.ask("GET", "/env")
    assert "no process" in machine.admin("POST", "/_emulator/guests/i-1/kill", {"pid": os.getpid()})["error"]
    assert leader["pid"] == machine.describe()["pid"]


def test_refusal_is_a_fault_of_its_own_and_heals(machine: Machine) -> None:
    machine.admin("POST", "/_emulator/guests/i-1/refuse", {"refuse": True})
    with pytest.raises(ConnectionRefusedError):
        machine.ask("GET", "/", timeout=0.3)
    machine.admin("POST", "/_emulator/guests/i-1/refuse", {"refuse": False})
    soon(lambda: bool(machine.describe()["open_ports"]))
    assert machine.ask("GET", "/env")


@pytest.mark.parametrize(
    ("method", "path", "size", "status", "says"),
    [
        pytest.param("GET", "/vdb?offset=-1&length=1", 0, 400, "whole number", id="negative offset"),
        pytest.param("GET", "/vdb?offset=x", 0, 400, "whole number", id="no number"),
        pytest.param("GET", f"/vdb?offset={40 * 2**30}&length=1", 0, 416, "beyond", id="read beyond the end"),
        pytest.param("GET", f"/vdb?length={2**30}", 0, 413, "At most", id="read too much"),
        pytest.param("PUT", f"/vdb?offset={40 * 2**30 - 2}", 3, 416, "beyond", id="write beyond the end"),
        pytest.param("PUT", "/vdb?offset=0", 9 * 2**20, 413, "At most", id="write too much"),
        pytest.param("GET", "/vdz", 0, 404, "vdz", id="no such disk"),
    ],
)
def test_the_disk_door_refuses_what_a_disk_cannot_do(
    machine: Machine, method: str, path: str, size: int, status: int, says: str
) -> None:
    url = json.loads(machine.ask("GET", "/env"))["GUEST_DISK_URL"].partition(machine.local.host)[2]
    connection = http.client.HTTPConnection(machine.local.host, timeout=5)
    connection.request(method, url + path, b"x" * size if size else None)
    answer = connection.getresponse()
    assert answer.status == status
    assert says in json.loads(answer.read())["error"]
    connection.close()


def test_the_disk_door_knows_nobody_without_a_token_of_this_boot(machine: Machine) -> None:
    old = json.loads(machine.ask("GET", "/env"))["GUEST_DISK_URL"].partition(machine.local.host)[2]
    assert [d["device"] for d in machine.admin("GET", old)] == ["vda", "vdb"]
    machine.lifecycle(lambda ecs, i: ecs.stop(i))
    machine.until_state("Stopped")
    machine.lifecycle(lambda ecs, i: ecs.start(i))
    machine.until_state("Running")
    assert machine.admin("GET", old)["code"] == "Forbidden.Guest"
    assert machine.admin("GET", "/_guest/guessed/disks")["code"] == "Forbidden.Guest"


def test_the_server_leaves_no_process_behind(tmp_path: Path) -> None:
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, settings={"net": str(net), "script": str(script)}) as local:
        local.advance(0)
        pids = [p["pid"] for p in Machine(local, net).describe()["processes"]]
        assert len(pids) == 2
    assert not any(alive(pid) for pid in pids)


@pytest.mark.parametrize("frozen", [False, True], ids=["running", "frozen"])
def test_no_guest_survives_a_kill_of_the_emulator(tmp_path: Path, frozen: bool) -> None:
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED)
    command = [sys.executable, "-m", "emulator", "serve", "--host", "127.0.0.1", "--port", "0"]
    command += ["--access-key", "testid:testsecret", "--ots-instance", "understudy", "--seed", str(seed)]
    command += ["--set", f"net={net}", "--set", f"script={script}"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as emulator:
        try:
            assert emulator.stdout is not None
            url = json.loads(emulator.stdout.readline())["url"]

            def guest(method: str, path: str) -> Any:
                connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=5)
                with contextlib.closing(connection):
                    connection.request(method, path, "{}" if method == "POST" else None)
                    return json.loads(connection.getresponse().read())

            soon(lambda: any(g["open_ports"] for g in guest("GET", "/_emulator/guests")), 20)
            pids = [p["pid"] for p in guest("GET", "/_emulator/guests")[0]["processes"]]
            assert len(pids) == 2
            if frozen:
                guest("POST", "/_emulator/guests/i-1/freeze")
        finally:
            emulator.send_signal(signal.SIGKILL)
    soon(lambda: not any(alive(pid) for pid in pids))


def alive(pid: int) -> bool:
    return state_of(pid) not in ("", "Z")


def state_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()[0]
    except OSError:
        return ""


def test_an_address_that_cannot_be_bound_is_one_clear_line(tmp_path: Path) -> None:
    net = free_network()
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED.replace("127.${net}.1.", "203.0.113.").replace("203.0.113.0/24", "203.0.113.0/24"))
    with (
        pytest.raises(Exception, match=r"loopback address 203\.0\.113\.1 cannot be bound: .*needs Linux"),
        mock_aliyun(seed=seed, settings={"net": str(net), "script": "x"}),
    ):
        pass


def test_a_guest_port_taken_by_a_stranger_does_not_stop_the_cloud(tmp_path: Path) -> None:
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text("import sys; sys.exit('broken image')")
    seed.write_text(SEED)
    with (
        socket.socket() as stranger,
        mock_aliyun(seed=seed, settings={"net": str(net), "script": str(script)}) as local,
    ):
        stranger.bind((f"127.{net}.1.11", 9999))
        local.advance(0)
        machine = Machine(local, net)
        assert not machine.describe()["running"]
        connection = http.client.HTTPConnection(local.host, timeout=5)
        connection.request("GET", "/_emulator/guests/i-1/log")
        assert b"broken image" in connection.getresponse().read()
        connection.close()
        with pytest.raises(ConnectionRefusedError):
            machine.ask("GET", "/", timeout=0.3)


def test_a_guest_that_was_frozen_when_the_emulator_ended_hears_again_after_its_next_boot(tmp_path: Path) -> None:
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED)
    settings = {"net": str(free_network()), "script": str(script)}
    with mock_aliyun(seed=seed, settings=settings, data=tmp_path / "world") as local:
        hypervisor = local.cloud.hypervisor
        assert hypervisor is not None
        soon(lambda: local.run(lambda: "i-1" in hypervisor.guests and hypervisor.guests["i-1"].group is not None), 20)
        local.run(lambda: hypervisor.signal("i-1", signal.SIGSTOP))
        assert local.run(lambda: local.cloud.ecs.assistant.was_silenced("i-1"))
    for _ in range(2):
        with mock_aliyun(data=tmp_path / "world") as local:
            assert not local.run(lambda: local.cloud.ecs.assistant.was_silenced("i-1"))
