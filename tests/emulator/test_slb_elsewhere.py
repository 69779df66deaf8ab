"""Balancers and members whose addresses are not on this machine, as any network made through the API has them."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_slb20140515 import models as m
from alibabacloud_slb20140515.client import Client
from alibabacloud_tea_openapi.models import Config

from emulator.slb import forwarder, health
from emulator.slb.model import Balancer, Check, Listener
from emulator.testing import Local, mock_aliyun
from tests.emulator.ecs_stage import WORLD
from tests.emulator.networks import free_network

HERE = "cn-hangzhou"


def client(local: Local) -> Client:
    key, secret = local.access_key[:2]
    return Client(
        Config(endpoint=local.host, protocol="http", region_id=HERE, access_key_id=key, access_key_secret=secret)
    )


def make_balancer(slb: Client, *, port: int = 8080) -> str:
    made: str = slb.create_load_balancer(
        m.CreateLoadBalancerRequest(region_id=HERE, v_switch_id="vsw-h", address_type="intranet")
    ).body.load_balancer_id
    slb.create_load_balancer_tcplistener(
        m.CreateLoadBalancerTCPListenerRequest(
            region_id=HERE, load_balancer_id=made, listener_port=port, backend_server_port=80, bandwidth=-1
        )
    )
    slb.add_backend_servers(
        m.AddBackendServersRequest(
            region_id=HERE, load_balancer_id=made, backend_servers=json.dumps([{"ServerId": "i-app"}])
        )
    )
    slb.start_load_balancer_listener(
        m.StartLoadBalancerListenerRequest(region_id=HERE, load_balancer_id=made, listener_port=port)
    )
    return made


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    file = tmp_path / "seed.yaml"
    file.write_text(WORLD.replace(", guest: {command: [run], ports: [80]}", ""))  # machines of which nobody answers
    return file


@pytest.fixture
def local(seed: Path) -> Iterator[Local]:
    with mock_aliyun(seed=seed) as running:
        yield running


def test_neither_probe_nor_traffic_ever_leaves_this_machine(local: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    """A private address of the emulated network may be somebody's in the network that this machine stands in."""

    def outside(*_: Any) -> Any:
        raise AssertionError("somebody dials an address that is not on this machine")

    monkeypatch.setattr(health, "_answers", outside)
    monkeypatch.setattr(forwarder, "dial", outside)
    made = make_balancer(client(local))
    here = f"127.{free_network()}.0.80"
    listener = Listener(port=8081, backend_port=80, check=Check(enabled=False))
    start = local.run(local.cloud.clock.now)

    def stand() -> None:
        local.cloud.slb.add(
            Balancer(id="lb-here", name="here", address=here, created=start, listeners={8081: listener},
                     backends=dict(local.cloud.slb.get(made).backends))
        )  # fmt: skip

    local.run(stand)
    local.advance(20)
    asked = m.DescribeHealthStatusRequest(region_id=HERE, load_balancer_id=made)
    [found] = client(local).describe_health_status(asked).body.backend_servers.backend_server
    assert found.server_health_status == "abnormal"


def test_a_balancer_that_cannot_be_served_here_keeps_no_other_from_its_traffic(local: Local) -> None:
    make_balancer(client(local))
    here = f"127.{free_network()}.0.80"
    start = local.run(local.cloud.clock.now)
    served = Balancer(id="lb-here", name="here", address=here, created=start,
                      listeners={8080: Listener(port=8080, backend_port=80)})  # fmt: skip
    local.run(lambda: local.cloud.slb.add(served))
    assert list(local.run(lambda: dict(local.cloud.slb.endpoints))) == [("lb-here", 8080)]


def test_a_kept_world_with_such_a_balancer_is_opened_again(tmp_path: Path, seed: Path) -> None:
    with mock_aliyun(seed=seed, data=tmp_path / "world") as first:
        made = make_balancer(client(first))
    with mock_aliyun(seed=seed, data=tmp_path / "world") as second:
        assert list(second.run(lambda: dict(second.cloud.slb.balancers))) == [made]
