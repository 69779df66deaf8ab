"""Where guests are reached: addresses that move with interfaces and machines, rules that let traffic in."""

import http.client
import json
import signal
import socket
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from alibabacloud_ecs20140526 import models as ecs
from alibabacloud_ecs20140526.client import Client
from alibabacloud_tea_openapi.models import Config

from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

PORT = 8000
SEED = """
region: cn-hangzhou
zones: [cn-hangzhou-h]
vpc: {id: vpc-1, cidr: "127.${net}.0.0/16"}
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: "127.${net}.1.0/24", gateway: "127.${net}.1.1"}]
security_groups: [{id: sg-open}, {id: sg-shut, rules: []}, {id: sg-web, rules: [{port: 8000}]}]
images:
  - id: m-web
    guest: &web
      command: [sh, -c, 'exec "{python}" "${script}" $$GUEST_BIND']
      ports: [8000]
      assistant: true
      env: {COLOUR: blue}
instances:
  - {id: i-one, image: m-web, vswitch: vsw-h, address: "127.${net}.1.11", security_groups: [sg-open]}
  - {id: i-two, image: m-web, vswitch: vsw-h, address: "127.${net}.1.12", security_groups: [sg-open]}
elsewhere:
  - region: cn-shanghai
    zones: [cn-shanghai-b]
    vpc: {id: vpc-2, cidr: "127.${net}.0.0/16"}
    vswitches: [{id: vsw-b, zone: cn-shanghai-b, cidr: "127.${net}.9.0/24", gateway: "127.${net}.9.1"}]
    security_groups: [{id: sg-far}]
    images: [{id: m-far, guest: *web}]
    instances: [{id: i-far, image: m-far, vswitch: vsw-b, address: "127.${net}.9.11"}]
"""
SCRIPT = """
import http.server, json, os, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({"instance": os.environ["GUEST_INSTANCE"], "gateway": os.environ["GUEST_GATEWAY"]}).encode()
        self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
Handler.protocol_version = "HTTP/1.1"
http.server.ThreadingHTTPServer((sys.argv[1], 8000), Handler).serve_forever()
"""


class World:
    def __init__(self, local: Local, net: int) -> None:
        self.local = local
        self.net = net
        self.ecs = local.cloud.ecs

    def client(self, region: str = "cn-hangzhou") -> Client:
        key, secret = self.local.access_key[:2]
        endpoint = self.local.endpoints[region]
        return Client(
            Config(endpoint=endpoint, protocol="http", region_id=region, access_key_id=key, access_key_secret=secret)
        )

    def act(self, fn: Callable[[], Any]) -> Any:
        return self.local.run(fn)

    def who_answers(self, host: str, *, source: str | None = None) -> str:
        """The instance, or how it failed."""
        at = None if source is None else (source, 0)
        connection = http.client.HTTPConnection(host, PORT, timeout=0.7, source_address=at)
        try:
            connection.request("GET", "/")
            return str(json.loads(connection.getresponse().read())["instance"])
        except TimeoutError:
            return "silence"
        except OSError as error:
            return type(error).__name__
        finally:
            connection.close()

    def address(self, last: str) -> str:
        return f"127.{self.net}.{last}"

    def until(self, instance: str, state: str) -> None:
        for _ in range(30):
            if self.ecs.instances[instance].state == state:
                return
            self.local.advance(5)
        raise AssertionError(f"{instance} is {self.ecs.instances[instance].state}")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    net = free_network()
    (tmp_path / "guest.py").write_text(SCRIPT)
    (tmp_path / "seed.yaml").write_text(SEED)
    settings = {"net": str(net), "script": str(tmp_path / "guest.py")}
    with mock_aliyun(seed=tmp_path / "seed.yaml", settings=settings, regions=("cn-hangzhou", "cn-shanghai")) as local:
        local.advance(1)
        yield World(local, net)


def test_what_no_rule_accepts_is_dropped_in_silence(world: World) -> None:
    one = world.address("1.11")
    assert world.who_answers(one) == "i-one"

    world.act(lambda: world.ecs.security_groups.join("sg-shut", world.ecs.interfaces.find("eni-one")))
    world.act(lambda: world.ecs.security_groups.leave("sg-open", world.ecs.interfaces.find("eni-one")))
    assert world.who_answers(one) == "silence"

    permit = ecs.AuthorizeSecurityGroupRequest(
        region_id="cn-hangzhou",
        security_group_id="sg-shut",
        permissions=[
            ecs.AuthorizeSecurityGroupRequestPermissions(
                ip_protocol="tcp", port_range="8000/8000", source_cidr_ip="0.0.0.0/0"
            )
        ],
    )
    world.client().authorize_security_group(permit)
    assert world.who_answers(one) == "i-one"
    permit.permissions[0].policy = "drop"  # the same priority: the one that drops wins
    world.client().authorize_security_group(permit)
    assert world.who_answers(one) == "silence"


class Standing:
    """A connection that stays open."""

    def __init__(self, host: str) -> None:
        self._end = http.client.HTTPConnection(host, PORT, timeout=0.7)
        self._end.connect()

    def answers(self) -> bool:
        try:
            self._end.request("GET", "/")
            return self._end.getresponse().read() != b""
        except OSError:
            return False

    def close(self) -> None:
        self._end.close()


def move_to(world: World, group: str) -> None:
    world.client().modify_instance_attribute(
        ecs.ModifyInstanceAttributeRequest(instance_id="i-one", security_group_ids=[group])
    )


@pytest.fixture
def standing(world: World) -> Iterator[Standing]:
    one = Standing(world.address("1.11"))
    yield one
    one.close()


def test_a_machine_moved_into_a_shut_group_is_cut_off_at_once(world: World, standing: Standing) -> None:
    one = world.address("1.11")
    assert standing.answers()

    move_to(world, "sg-shut")

    assert world.who_answers(one) == "silence"
    assert not standing.answers()
    move_to(world, "sg-open")
    assert world.who_answers(one) == "i-one"


def test_a_connection_that_stands_may_outlive_the_move_into_a_shut_group(world: World, standing: Standing) -> None:
    """Security groups are stateful: nothing says that what was let in once is let in no more."""
    one = world.address("1.11")
    world.act(lambda: setattr(world.ecs.security_groups, "established_survive", True))
    assert standing.answers()

    move_to(world, "sg-shut")

    assert world.who_answers(one) == "silence", "new ones are not let in"
    assert standing.answers()
    world.act(lambda: setattr(world.ecs.security_groups, "established_survive", False))
    world.act(world.ecs.security_groups.changed)
    assert not standing.answers()
    move_to(world, "sg-open")
    assert world.who_answers(one) == "i-one"


def test_a_rule_for_one_machine_lets_that_machine_in_and_no_other(world: World) -> None:
    """Machines are told apart by the address they bind."""
    one, friend = world.address("1.11"), world.address("1.12")
    world.act(lambda: world.ecs.interfaces.find("eni-one").belong_to(("sg-web",)))
    drop = ecs.AuthorizeSecurityGroupRequestPermissions(
        ip_protocol="tcp", port_range="8000/8000", source_cidr_ip=f"{friend}/32", policy="drop"
    )
    world.client().authorize_security_group(
        ecs.AuthorizeSecurityGroupRequest(region_id="cn-hangzhou", security_group_id="sg-web", permissions=[drop])
    )
    assert world.who_answers(one, source=friend) == "silence"
    assert world.who_answers(one) == "i-one"


def test_the_address_of_an_interface_follows_it_from_guest_to_guest(world: World) -> None:
    floating = world.address("1.40")
    made = world.client().create_network_interface(
        ecs.CreateNetworkInterfaceRequest(
            region_id="cn-hangzhou", v_switch_id="vsw-h", security_group_id="sg-open", primary_ip_address=floating
        )
    )
    eni = made.body.network_interface_id
    assert world.who_answers(floating) == "ConnectionRefusedError"

    for instance in ("i-one", "i-two"):
        world.act(partial(world.ecs.interfaces.attach, eni, instance))
        world.local.advance(10)
        assert world.who_answers(floating) == instance
        world.act(partial(world.ecs.interfaces.detach, eni, instance))
        world.local.advance(10)


def test_a_secondary_address_reaches_the_guest_too(world: World) -> None:
    extra = world.address("1.60")
    world.act(lambda: world.ecs.interfaces.assign("eni-one", [extra], 0))
    world.local.advance(1)
    assert world.who_answers(extra) == "i-one"


def test_a_moved_machine_answers_at_its_new_address_and_its_heir_at_the_old(world: World) -> None:
    old, new = world.address("1.11"), world.address("1.70")
    world.act(lambda: world.ecs.lifecycle.stop(world.ecs.instances["i-one"]))
    world.until("i-one", "Stopped")
    assert world.who_answers(old) == "silence"
    world.act(lambda: world.ecs.relocation.move("i-one", "vsw-h", address=new, vpc_id=None, groups=()))
    world.act(lambda: world.ecs.lifecycle.stop(world.ecs.instances["i-two"]))
    world.until("i-two", "Stopped")
    world.act(lambda: world.ecs.relocation.move("i-two", "vsw-h", address=old, vpc_id=None, groups=()))
    for instance in ("i-two", "i-one"):
        world.act(partial(world.ecs.lifecycle.start, world.ecs.instances[instance]))
        world.until(instance, "Running")

    assert (world.who_answers(old), world.who_answers(new)) == ("i-two", "i-one")


def test_a_guest_of_another_region_runs_and_calls_the_endpoint_of_its_own_region(world: World) -> None:
    far = world.address("9.11")
    assert world.who_answers(far) == "i-far"
    connection = http.client.HTTPConnection(far, PORT, timeout=2)
    connection.request("GET", "/")
    gateway = json.loads(connection.getresponse().read())["gateway"]
    connection.close()
    port = world.local.endpoints["cn-shanghai"].rpartition(":")[2]
    assert gateway == f"http://{world.address('9.1')}:{port}"
    with socket.create_connection((world.address("9.1"), int(port)), timeout=2):
        pass


def test_a_command_really_runs_beside_the_guest_where_the_seed_says_so(world: World) -> None:
    def send(text: str, **more: Any) -> str:
        request = ecs.RunCommandRequest(
            region_id="cn-hangzhou", type="RunShellScript", command_content=text, instance_id=["i-one"], **more
        )
        return str(world.client().run_command(request).body.invoke_id)

    def outcome(invocation: str) -> tuple[str, int, str]:
        request = ecs.DescribeInvocationResultsRequest(
            region_id="cn-hangzhou", invoke_id=invocation, content_encoding="PlainText"
        )
        [one] = world.client().describe_invocation_results(request).body.invocation.invocation_results.invocation_result
        return one.invocation_status, one.exit_code, one.output

    done, failed = send("echo $GUEST_INSTANCE $COLOUR; pwd > here; ls; env | grep -c HOME"), send("echo no >&2; exit 7")
    world.local.advance(5)
    status, code, output = outcome(done)
    assert (status, code) == ("Failed", 1)  # grep found no HOME: nothing is inherited
    assert output.split() == ["i-one", "blue", "here", "0"]
    assert outcome(failed) == ("Failed", 7, "no\n")


def test_a_command_that_hangs_is_ended_by_a_stop(world: World) -> None:
    """Emulated time waits for a command that really runs, so it is the stop that must end it."""
    request = ecs.RunCommandRequest(
        region_id="cn-hangzhou", type="RunShellScript", command_content="sleep 600", instance_id=["i-one"], timeout=600
    )
    sent = world.client().run_command(request).body.invoke_id

    def hand_over() -> None:
        while world.ecs.assistant.find_invocation(sent).status == "Pending":
            world.local.cloud.clock.run_due(world.local.cloud.clock.now() + timedelta(seconds=5))

    world.act(hand_over)
    world.client().stop_invocation(ecs.StopInvocationRequest(region_id="cn-hangzhou", invoke_id=sent))
    world.local.advance(2)
    assert world.ecs.assistant.find_invocation(sent).status == "Stopped"


def test_a_frozen_guest_takes_no_command(world: World) -> None:
    assert world.local.cloud.hypervisor is not None
    hypervisor = world.local.cloud.hypervisor
    world.act(lambda: hypervisor.signal("i-one", signal.SIGSTOP))
    assert not world.act(lambda: world.ecs.assistant.is_there(world.ecs.instances["i-one"]))
    world.act(lambda: hypervisor.signal("i-one", signal.SIGCONT))
    assert world.act(lambda: world.ecs.assistant.is_there(world.ecs.instances["i-one"]))
