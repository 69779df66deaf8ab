"""vServer groups, listeners and balancers through the official SDK, with real connections through them."""

import json
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from alibabacloud_slb20140515 import models
from alibabacloud_slb20140515.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config

from emulator import seed
from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

REGION = "cn-hangzhou"
GUEST = """
import os, socket, threading
def serve(port):
    listener = socket.create_server((os.environ["GUEST_BIND"], port))
    while True:
        client, _ = listener.accept()
        client.sendall(f"{os.environ['GUEST_INSTANCE']}:{port}".encode())
        client.close()
threading.Thread(target=serve, args=(8080,), daemon=True).start()
serve(8081)
"""
SEED = """
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24"}]
security_groups: [{id: sg-1}]
images:
  - {id: m-1, name: g, family: app, system_disk_gib: 20,
     guest: {command: ["{python}", -S, "${script}"], ports: [8080, 8081]}}
instances:
  - {id: i-1, name: one, image: m-1, vswitch: vsw-h, address: "127.${net}.1.11", state: Running,
     system_disk: {id: d-1, size_gib: 20, category: cloud_essd}}
  - {id: i-2, name: two, image: m-1, vswitch: vsw-h, address: "127.${net}.1.12", state: Running,
     system_disk: {id: d-2, size_gib: 20, category: cloud_essd}}
  - {id: i-off, name: off, image: m-1, vswitch: vsw-h, address: "127.${net}.1.13", state: Stopped,
     system_disk: {id: d-3, size_gib: 20, category: cloud_essd}}
load_balancers:
  - {id: lb-1, name: one, address: "127.${net}.0.80", backends: [{server: i-1}],
     listeners: [{port: 8000, backend_port: 8080, health: "off"}]}
"""


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    place = tmp_path_factory.mktemp("slb")
    (place / "guest.py").write_text(GUEST)
    (place / "seed.yaml").write_text(SEED)
    settings = {"net": str(free_network()), "script": str(place / "guest.py")}
    with mock_aliyun(seed=place / "seed.yaml", settings=settings) as local:
        local.advance(0)
        yield local


@pytest.fixture(scope="module")
def client(local: Local) -> Any:
    key, secret = local.access_key
    return Client(Config(endpoint=local.host, protocol="http", access_key_id=key, access_key_secret=secret))


@pytest.fixture
def group(client: Any) -> Iterator[str]:
    made = client.create_vserver_group(
        models.CreateVServerGroupRequest(region_id=REGION, load_balancer_id="lb-1", vserver_group_name="web")
    ).body.vserver_group_id
    yield made
    client.delete_vserver_group(models.DeleteVServerGroupRequest(region_id=REGION, vserver_group_id=made))


def servers(*members: tuple[str, int, object]) -> str:
    return json.dumps([{"ServerId": server, "Port": port, "Weight": weight} for server, port, weight in members])


def add(client: Any, group: str, *members: tuple[str, int, object]) -> Any:
    request = models.AddVServerGroupBackendServersRequest(
        region_id=REGION, vserver_group_id=group, backend_servers=servers(*members)
    )
    return client.add_vserver_group_backend_servers(request).body


def members(client: Any, group: str) -> list[tuple[str, int, int]]:
    body = client.describe_vserver_group_attribute(
        models.DescribeVServerGroupAttributeRequest(region_id=REGION, vserver_group_id=group)
    ).body
    return [(row.server_id, row.port, row.weight) for row in body.backend_servers.backend_server]


def refusal(ask: Callable[[], object]) -> tuple[int, str]:
    with pytest.raises(ClientException) as refused:
        ask()
    return refused.value.status_code, refused.value.code


def listen(client: Any, port: int, **more: Any) -> None:
    given = {"region_id": REGION, "load_balancer_id": "lb-1", "listener_port": port, "bandwidth": -1, **more}
    client.create_load_balancer_tcplistener(models.CreateLoadBalancerTCPListenerRequest(**given))


def start(client: Any, port: int) -> None:
    client.start_load_balancer_listener(
        models.StartLoadBalancerListenerRequest(region_id=REGION, load_balancer_id="lb-1", listener_port=port)
    )


def stop(client: Any, port: int) -> None:
    client.stop_load_balancer_listener(
        models.StopLoadBalancerListenerRequest(region_id=REGION, load_balancer_id="lb-1", listener_port=port)
    )


def unlisten(client: Any, port: int) -> None:
    client.delete_load_balancer_listener(
        models.DeleteLoadBalancerListenerRequest(region_id=REGION, load_balancer_id="lb-1", listener_port=port)
    )


def served(local: Local, port: int) -> str:
    """Who answers one connection, and at which port."""
    address = local.cloud.slb.get("lb-1").address
    with socket.create_connection((address, port), timeout=2) as connection:
        return connection.recv(64).decode()


# How it refuses -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("member", "refused"),
    [
        pytest.param(("i-1", 8080, 10), (400, "BackendServer.Duplicate"), id="a member"),
        pytest.param(("i-off", 8080, 10), (400, "BackendServer.IncorrectStatus"), id="a stopped server"),
        pytest.param(("i-nobody", 8080, 10), (404, "InvalidServerId.NotFound"), id="nobody"),
        pytest.param(("i-2", 8080, 101), (400, "InvalidWeight.Malformed"), id="more than 100"),
        pytest.param(("i-2", 0, 10), (400, "BackendServersMalformed"), id="no port"),
    ],
)
def test_a_server_that_cannot_come_in_keeps_all_out(
    client: Any, group: str, member: tuple[str, int, int], refused: tuple[int, str]
) -> None:
    add(client, group, ("i-1", 8080, 100))
    assert refusal(lambda: add(client, group, ("i-2", 8081, 1), member)) == refused
    assert members(client, group) == [("i-1", 8080, 100)]


def test_a_call_takes_20_servers(client: Any, group: str) -> None:
    many = [("i-1", 8000 + number, 1) for number in range(21)]
    assert refusal(lambda: add(client, group, *many)) == (400, "TooManyBackendServers")
    add(client, group, *many[:20])


def test_a_balancer_holds_200_servers(client: Any, group: str) -> None:
    for tens in range(9):
        add(client, group, *[("i-1", 8000 + 20 * tens + number, 1) for number in range(20)])
    assert refusal(lambda: add(client, group, *[("i-2", 8000 + n, 1) for n in range(20)])) == (400, "OverQuota")
    add(client, group, *[("i-2", 8000 + n, 1) for n in range(19)])  # one is in the default pool


def test_strangers_are_neither_weighed_nor_replaced_but_may_be_removed(client: Any, group: str) -> None:
    add(client, group, ("i-1", 8080, 100), ("i-1", 8080, 100))  # doubled in one request: ignored
    weigh = models.SetVServerGroupAttributeRequest(
        region_id=REGION, vserver_group_id=group, backend_servers=servers(("i-1", 8081, 1))
    )
    assert refusal(lambda: client.set_vserver_group_attribute(weigh)) == (400, "InvalidBackendServers.Inconsistent")
    swap = models.ModifyVServerGroupBackendServersRequest(
        region_id=REGION,
        vserver_group_id=group,
        old_backend_servers=servers(("i-2", 8080, 1)),
        new_backend_servers=servers(("i-2", 8081, 1)),
    )
    assert refusal(lambda: client.modify_vserver_group_backend_servers(swap))[1] == "InvalidBackendServers.Inconsistent"
    remove = models.RemoveVServerGroupBackendServersRequest(
        region_id=REGION, vserver_group_id=group, backend_servers=servers(("i-2", 8080, 1))
    )
    client.remove_vserver_group_backend_servers(remove)
    assert members(client, group) == [("i-1", 8080, 100)]


def test_what_does_not_exist_is_an_invalid_parameter(client: Any) -> None:
    assert refusal(lambda: members(client, "rsp-nobody")) == (400, "InvalidParameter")
    assert refusal(lambda: start(client, 9999)) == (400, "InvalidParameter")


# What it does -------------------------------------------------------------------------------------------------------


def test_a_listener_with_a_group_leaves_the_default_pool_aside(client: Any, local: Local, group: str) -> None:
    add(client, group, ("i-2", 8081, "100"))
    listen(client, 8010, vserver_group_id=group, health_check_switch="off")
    with pytest.raises(ConnectionError):
        served(local, 8010)  # a new listener is stopped
    start(client, 8010)
    assert {served(local, 8010) for _ in range(4)} == {"i-2:8081"}
    assert served(local, 8000) == "i-1:8080"
    swap = models.ModifyVServerGroupBackendServersRequest(
        region_id=REGION,
        vserver_group_id=group,
        old_backend_servers=servers(("i-2", 8081, 1)),
        new_backend_servers=servers(("i-1", 8081, 3), ("i-2", 8080, 1)),
    )
    client.modify_vserver_group_backend_servers(swap)
    assert Counter(served(local, 8010) for _ in range(8)) == {"i-1:8081": 6, "i-2:8080": 2}
    pool = client.describe_load_balancer_attribute(
        models.DescribeLoadBalancerAttributeRequest(region_id=REGION, load_balancer_id="lb-1")
    ).body.backend_servers.backend_server
    assert [row.server_id for row in pool] == ["i-1"]  # members of groups are not told here
    delete = models.DeleteVServerGroupRequest(region_id=REGION, vserver_group_id=group)
    assert refusal(lambda: client.delete_vserver_group(delete)) == (400, "RspoolVipExist")
    stop(client, 8010)
    start(client, 8010)  # at once
    assert served(local, 8010)
    unlisten(client, 8010)
    with pytest.raises(ConnectionError):
        served(local, 8010)


def test_members_of_a_group_are_checked_at_their_own_ports(client: Any, local: Local, group: str) -> None:
    add(client, group, ("i-1", 8080, 100), ("i-1", 8099, 100))
    listen(client, 8011, vserver_group_id=group, healthy_threshold=2, unhealthy_threshold=2)
    ask = models.DescribeHealthStatusRequest(region_id=REGION, load_balancer_id="lb-1", listener_port=8011)

    def health() -> dict[int, str]:
        rows = client.describe_health_status(ask).body.backend_servers.backend_server
        return {row.port: row.server_health_status for row in rows}

    assert health() == {8080: "unavailable", 8099: "unavailable"}
    start(client, 8011)
    local.advance(10)
    assert health() == {8080: "normal", 8099: "abnormal"}
    assert {served(local, 8011) for _ in range(3)} == {"i-1:8080"}
    shown = client.describe_load_balancer_tcplistener_attribute(
        models.DescribeLoadBalancerTCPListenerAttributeRequest(
            region_id=REGION, load_balancer_id="lb-1", listener_port=8011
        )
    ).body
    assert (shown.status, shown.vserver_group_id, shown.health_check) == ("running", group, "on")
    listed = client.describe_vserver_groups(
        models.DescribeVServerGroupsRequest(region_id=REGION, load_balancer_id="lb-1", include_listener=True)
    ).body.vserver_groups.vserver_group
    [mine] = [row for row in listed if row.vserver_group_id == group]
    assert [row.port for row in mine.associated_objects.listeners.listener] == [8011]
    unlisten(client, 8011)


def test_a_listener_changes_from_the_pool_to_a_group_and_back(client: Any, local: Local, group: str) -> None:
    add(client, group, ("i-2", 8081, 100))
    listen(client, 8012, backend_server_port=8080, health_check_switch="off")
    start(client, 8012)

    def serve(**more: Any) -> None:
        client.set_load_balancer_tcplistener_attribute(
            models.SetLoadBalancerTCPListenerAttributeRequest(
                region_id=REGION, load_balancer_id="lb-1", listener_port=8012, **more
            )
        )

    assert served(local, 8012) == "i-1:8080"
    serve(vserver_group="on", vserver_group_id=group)
    assert served(local, 8012) == "i-2:8081"
    serve(vserver_group="off")
    assert served(local, 8012) == "i-1:8080"
    unlisten(client, 8012)


def test_a_balancer_is_made_with_an_address_of_its_vswitch_and_goes_with_it(client: Any, local: Local) -> None:
    request = models.CreateLoadBalancerRequest(
        region_id=REGION, v_switch_id="vsw-h", load_balancer_name="new", delete_protection="on", client_token="t-1"
    )
    made = client.create_load_balancer(request).body
    assert client.create_load_balancer(request).body.load_balancer_id == made.load_balancer_id
    assert made.address.startswith(f"127.{local.cloud.slb.get('lb-1').address.split('.')[1]}.1.")
    delete = models.DeleteLoadBalancerRequest(region_id=REGION, load_balancer_id=made.load_balancer_id)
    assert refusal(lambda: client.delete_load_balancer(delete)) == (400, "OperationDenied.DeleteProtectionIsOn")
    client.set_load_balancer_delete_protection(
        models.SetLoadBalancerDeleteProtectionRequest(
            region_id=REGION, load_balancer_id=made.load_balancer_id, delete_protection="off"
        )
    )
    client.delete_load_balancer(delete)
    assert refusal(lambda: client.delete_load_balancer(delete)) == (404, "InvalidLoadBalancerId.NotFound")
    assert made.address not in local.cloud.ecs.network.vswitches["vsw-h"].used


def test_a_seed_names_groups_and_whom_listeners_serve() -> None:
    text = SEED + "\n"
    with mock_aliyun() as local:
        given = text.replace(
            'listeners: [{port: 8000, backend_port: 8080, health: "off"}]}',
            "groups: [{id: rsp-1, backends: [{server: i-2, port: 8081, weight: 7}]}],\n"
            "     listeners: [{port: 8000, group: rsp-1}]}",
        )
        settings = {"net": str(free_network()), "script": "none"}
        local.run(lambda: seed.load_text(given, local.cloud, where="test", settings=settings))
        balancer = local.cloud.slb.get("lb-1")
        assert [m.weight for m in local.cloud.slb.members(balancer, balancer.listeners[8000])] == [7]
