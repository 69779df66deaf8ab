"""The load balancer's contract, on both doors: the official SDK over HTTP, and straight onto the model."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from emulator import seed
from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.slb.model import Backend as Member
from emulator.slb.model import Balancer as Model
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.sdk import Endpoint
from shared.adapters.slb import SlbBalancer
from shared.domain.errors import NotFound, Permanent, QuotaReached, Retryable
from shared.domain.ids import InstanceId, LoadBalancerId
from shared.ports.balancer import Backend, Balancer, Health
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults
from tests.emulator.networks import free_network
from understudy.simulation.balancer import InProcessBalancer

LB = LoadBalancerId("lb-apps")
ONE, TWO, OFF = InstanceId("i-1"), InstanceId("i-2"), InstanceId("i-off")

SEED = """
zones: [cn-hangzhou-h]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24"}]
security_groups: [{id: sg-1}]
images: [{id: m-1, name: plain, family: app, system_disk_gib: 20}]
instances:
  - {id: i-1, name: one, image: m-1, vswitch: vsw-h, address: "127.${net}.1.11", type: ecs.g7.large, state: Running,
     system_disk: {id: d-1, size_gib: 20, category: cloud_essd}}
  - {id: i-2, name: two, image: m-1, vswitch: vsw-h, address: "127.${net}.1.12", type: ecs.g7.large, state: Running,
     system_disk: {id: d-2, size_gib: 20, category: cloud_essd}}
  - {id: i-off, name: off, image: m-1, vswitch: vsw-h, address: "127.${net}.1.13", type: ecs.g7.large, state: Stopped,
     system_disk: {id: d-3, size_gib: 20, category: cloud_essd}}
load_balancers:
  - id: lb-apps
    name: apps
    address: "127.${net}.0.80"
    listeners: [{port: 8000, backend_port: 8080}, {port: 8001, backend_port: 8080}]
    backends: [{server: i-1, weight: 100}]
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    balancer: Balancer
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]


@pytest.fixture(params=["sdk", "in process"])
def door(request: pytest.FixtureRequest) -> Iterator[Door]:
    settings = {"net": str(free_network())}
    if request.param == "in process":
        cloud = Cloud()
        seed.load_text(SEED, cloud, where="test", settings=settings)
        yield Door(balancer=InProcessBalancer(cloud), cloud=cloud, run=lambda fn: fn())
        return
    with mock_aliyun() as local:
        local.run(lambda: seed.load_text(SEED, local.cloud, where="test", settings=settings))
        key = Credentials(*local.access_key)
        balancer = SlbBalancer(endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: key)
        yield Door(balancer=balancer, cloud=local.cloud, run=local.run)


def test_a_balancer_that_does_not_exist_is_not_found(door: Door) -> None:
    nobody = LoadBalancerId("lb-nobody")
    for ask in (
        lambda: door.balancer.backends(nobody),
        lambda: door.balancer.health(nobody),
        lambda: door.balancer.attach(nobody, ONE, weight=1),
        lambda: door.balancer.detach(nobody, ONE),
    ):
        with pytest.raises(NotFound):
            ask()


def test_a_server_that_does_not_exist_cannot_be_attached(door: Door) -> None:
    with pytest.raises(NotFound):
        door.balancer.attach(LB, InstanceId("i-nobody"), weight=100)


def test_a_server_that_is_not_running_cannot_be_attached(door: Door) -> None:
    with pytest.raises(Permanent):
        door.balancer.attach(LB, OFF, weight=100)
    assert OFF not in {b.server for b in door.balancer.backends(LB)}


def test_the_weight_of_a_stranger_cannot_be_set(door: Door) -> None:
    with pytest.raises(NotFound):
        door.balancer.set_weight(LB, TWO, weight=10)


def test_a_weight_beyond_its_bounds_is_refused(door: Door) -> None:
    with pytest.raises(Permanent):
        door.balancer.set_weight(LB, ONE, weight=101)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=100),)


def test_a_full_pool_is_a_quota(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.slb.model.POOL", 1)
    with pytest.raises(QuotaReached):
        door.balancer.attach(LB, TWO, weight=100)


def test_a_member_comes_and_goes(door: Door) -> None:
    door.balancer.attach(LB, TWO, weight=50)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=100), Backend(server=TWO, weight=50))
    door.balancer.detach(LB, ONE)
    assert door.balancer.backends(LB) == (Backend(server=TWO, weight=50),)


def test_attaching_a_member_again_sets_its_weight(door: Door) -> None:
    door.balancer.attach(LB, ONE, weight=30)
    door.balancer.attach(LB, ONE, weight=30)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=30),)


def test_a_member_that_somebody_else_adds_first_gets_our_weight(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    slb = door.cloud.slb
    attach = slb.attach

    def raced(id: str, servers: Any) -> Any:
        attach(id, [Member(server=str(TWO), weight=1)])
        monkeypatch.setattr(slb, "attach", attach)
        return attach(id, servers)

    if isinstance(door.balancer, InProcessBalancer):
        pytest.skip("between two calls of one thread nobody gets in")
    monkeypatch.setattr(slb, "attach", raced)
    door.balancer.attach(LB, TWO, weight=60)
    assert Backend(server=TWO, weight=60) in door.balancer.backends(LB)


def test_a_server_knows_the_balancers_whose_pool_has_it(door: Door) -> None:
    before = door.balancer.of(TWO)
    door.balancer.attach(LB, TWO, weight=50)

    assert (before, door.balancer.of(TWO), door.balancer.of(ONE)) == ((), (LB,), (LB,))
    assert door.balancer.of(InstanceId("i-nobody")) == ()


def test_more_balancers_than_a_page_holds_are_all_told(door: Door) -> None:
    def build() -> None:
        pool = {str(ONE): Member(server=str(ONE), weight=100)}
        for n in range(130):
            made = Model(id=f"lb-{n}", name="", address="", created=door.cloud.clock.now(), backends=dict(pool))
            door.cloud.slb.balancers[made.id] = made

    door.run(build)

    assert set(door.balancer.of(ONE)) == {LB, *(f"lb-{n}" for n in range(130))}


def test_weight_nought_drains_and_leaves_the_others_alone(door: Door) -> None:
    door.balancer.attach(LB, TWO, weight=100)
    door.balancer.set_weight(LB, ONE, weight=0)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=0), Backend(server=TWO, weight=100))


def test_detaching_a_stranger_succeeds(door: Door) -> None:
    door.balancer.detach(LB, TWO)
    door.balancer.detach(LB, TWO)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=100),)


def test_a_server_is_as_well_as_on_its_worst_listener(door: Door) -> None:
    assert door.balancer.health(LB) == {ONE: Health.UNAVAILABLE}
    found = door.cloud.slb.get(LB).health
    door.run(lambda: found.update({(8000, "i-1"): "normal"}))
    assert door.balancer.health(LB) == {ONE: Health.UNAVAILABLE}
    door.run(lambda: found.update({(8001, "i-1"): "normal"}))
    assert door.balancer.health(LB) == {ONE: Health.NORMAL}
    door.run(lambda: found.update({(8001, "i-1"): "abnormal"}))
    assert door.balancer.health(LB) == {ONE: Health.ABNORMAL}


@pytest.mark.parametrize(
    ("code", "status"), [("ServiceIsConfiguring", 400), ("BackendServer.configuring", 409), ("SystemBusy", 449)]
)
def test_a_busy_balancer_is_asked_again_later(door: Door, code: str, status: int) -> None:
    refuse = Fault(kind="error", action="SetBackendServers", code=code, status=status)
    with with_faults(door.cloud, door.run, refuse), pytest.raises(Retryable):
        door.balancer.set_weight(LB, ONE, weight=1)


# With faults on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_change_that_goes_wrong_is_cleared_up_by_reading_the_pool(door: Door, mishap: Mishap) -> None:
    def weights() -> dict[InstanceId, int]:
        return {b.server: b.weight for b in door.balancer.backends(LB)}

    for write in (
        Write(
            action="AddBackendServers",
            send=lambda: door.balancer.attach(LB, TWO, weight=50),
            done=lambda: weights().get(TWO) == 50,
        ),
        Write(
            action="SetBackendServers",
            send=lambda: door.balancer.set_weight(LB, ONE, weight=0),
            done=lambda: weights()[ONE] == 0,
        ),
        Write(
            action="SetBackendServers",
            send=lambda: door.balancer.attach(LB, ONE, weight=100),
            done=lambda: weights()[ONE] == 100,
        ),
        Write(
            action="RemoveBackendServers",
            send=lambda: door.balancer.detach(LB, TWO),
            done=lambda: TWO not in weights(),
        ),
    ):
        hold_write(door.cloud, door.run, "slb", write, mishap)


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_pool_that_cannot_be_read_is_not_an_empty_one(door: Door, mishap: Mishap) -> None:
    for read in (
        Read(action="DescribeLoadBalancerAttribute", ask=lambda: door.balancer.backends(LB)),
        Read(action="DescribeLoadBalancers", ask=lambda: door.balancer.of(ONE)),
        Read(action="DescribeHealthStatus", ask=lambda: door.balancer.health(LB)),
    ):
        hold_read(door.cloud, door.run, "slb", read, mishap)


def test_a_member_is_not_added_while_the_pool_cannot_be_read(door: Door) -> None:
    lost = Fault(kind="reset_before", action="DescribeLoadBalancerAttribute")
    with with_faults(door.cloud, door.run, lost), pytest.raises(Retryable):
        door.balancer.attach(LB, TWO, weight=50)
    assert TWO not in {b.server for b in door.balancer.backends(LB)}


def test_a_stale_pool_does_not_double_a_member(door: Door) -> None:
    with with_faults(door.cloud, door.run, Fault(kind="stale_read", action="DescribeLoadBalancerAttribute", skip=1)):
        door.balancer.backends(LB)
        door.balancer.attach(LB, TWO, weight=50)
        door.balancer.attach(LB, TWO, weight=60)
        door.balancer.attach(LB, TWO, weight=60)
    assert door.balancer.backends(LB) == (Backend(server=ONE, weight=100), Backend(server=TWO, weight=60))
