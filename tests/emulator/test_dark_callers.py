"""Guests of a dark zone are heard nowhere: what they ask other guests stalls too, and goes on when the zone is back."""

import socket
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from emulator.testing import mock_aliyun
from shared.adapters.agents import HttpAgents
from shared.ports.probes import Sight
from tests.emulator.networks import free_network
from tests.emulator.test_guests import GUEST, SEED, Machine

SOON = timedelta(seconds=0.3)
OTHER_ZONE = """
  - {id: i-2, name: two, image: m-1, vswitch: vsw-i, address: "127.${net}.2.11", type: ecs.g7.large, state: Running,
     system_disk: {id: d-2s, size_gib: 20, category: cloud_essd}}
"""
SWITCH = '  - {id: vsw-i, zone: cn-hangzhou-i, cidr: "127.${net}.2.0/24", gateway: "127.${net}.2.1"}\n'


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """i-1 in zone h; the stories ask i-2, in zone i."""
    net = free_network()
    script, seed = tmp_path / "guest.py", tmp_path / "seed.yaml"
    script.write_text(GUEST)
    seed.write_text(SEED.replace("security_groups:", SWITCH + "security_groups:").rstrip() + OTHER_ZONE)
    with mock_aliyun(seed=seed, settings={"net": str(net), "script": str(script)}) as local:
        local.advance(0)
        yield Machine(local, net)


def dark(machine: Machine, zone: str, is_dark: bool) -> None:
    machine.admin("POST", f"/_emulator/zones/{zone}", {"dark": is_dark})


def sight(machine: Machine, *, source: str | None) -> Sight:
    return HttpAgents(source=source).look(f"127.{machine.net}.2.11", 8080, timeout=timedelta(seconds=2)).sight


def heard_of(machine: Machine) -> str:
    """Where the guest of i-1 calls from."""
    return f"127.{machine.net + 1}.1.11"


def connected(machine: Machine) -> socket.socket:
    return socket.create_connection((f"127.{machine.net}.2.11", 8080), 2, source_address=(heard_of(machine), 0))


ASKED = b"GET /env HTTP/1.1\r\nHost: two\r\n\r\n"


def test_a_guest_of_a_dark_zone_asks_and_hears_nothing_before_its_zone_is_back(machine: Machine) -> None:
    assert sight(machine, source=heard_of(machine)) is Sight.ANSWERED
    dark(machine, "cn-hangzhou-h", True)
    with connected(machine) as asking:
        asking.sendall(ASKED)
        asking.settimeout(SOON.total_seconds())
        with pytest.raises(TimeoutError):
            asking.recv(100)

        dark(machine, "cn-hangzhou-h", False)
        asking.settimeout(5)
        assert asking.recv(100).startswith(b"HTTP/1.0 200"), "what was under way arrives late"
    assert sight(machine, source=heard_of(machine)) is Sight.ANSWERED


def test_what_was_connected_before_stalls_as_well(machine: Machine) -> None:
    with connected(machine) as asking:
        asking.sendall(ASKED[:10])
        dark(machine, "cn-hangzhou-h", True)
        asking.sendall(ASKED[10:])
        asking.settimeout(SOON.total_seconds())
        with pytest.raises(TimeoutError):
            asking.recv(100)


def test_everybody_else_is_heard(machine: Machine) -> None:
    dark(machine, "cn-hangzhou-h", True)

    assert sight(machine, source=None) is Sight.ANSWERED
    assert sight(machine, source=f"127.{machine.net + 1}.2.11") is Sight.ANSWERED, "the guest of i-2 itself"
