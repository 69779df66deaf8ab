"""The menu over HTTP as the official RPC SDK meets it: each fault is the exception that the real failure would be."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests
from alibabacloud_ecs20140526 import models
from alibabacloud_ecs20140526.client import Client
from alibabacloud_pvtz20180101 import models as pvtz
from alibabacloud_pvtz20180101.client import Client as PvtzClient
from alibabacloud_tea_openapi.exceptions import ClientException, ServerException, ThrottlingException
from alibabacloud_tea_openapi.utils_models import Config
from darabonba.exceptions import UnretryableException

from emulator.testing import Local, mock_aliyun
from tests.emulator import ecs_stage

WORLD = ecs_stage.WORLD.replace(", guest: {command: [run], ports: [80]}", "")  # no machine here has such an address
READ_TIMEOUT_MS = 300


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    with pytest.MonkeyPatch.context() as patch:
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            patch.delenv(name, raising=False)
        seed = tmp_path_factory.mktemp("seed") / "world.yaml"
        Path(seed).write_text(WORLD)
        with mock_aliyun(seed=seed, regions=("cn-hangzhou", "cn-shanghai")) as running:
            yield running


@pytest.fixture
def local(opened: Local) -> Iterator[Local]:
    opened.advance(600)  # the snapshots of the test before are complete
    yield opened
    opened.run(opened.cloud.faults.clear)


def config(local: Local, host: str | None = None, read_timeout_ms: int = READ_TIMEOUT_MS) -> Config:
    return Config(
        endpoint=host or local.host,
        protocol="http",
        access_key_id=local.access_key[0],
        access_key_secret=local.access_key[1],
        read_timeout=read_timeout_ms,
    )


def client(local: Local, host: str | None = None, read_timeout_ms: int = READ_TIMEOUT_MS) -> Client:
    return Client(config(local, host, read_timeout_ms))


def menu(local: Local, *faults: dict[str, Any]) -> list[str]:
    """Set through the admin door."""
    answer = requests.post(f"{local.url}/_emulator/faults", json=list(faults), timeout=5)
    assert answer.status_code == 200, answer.text
    ids: list[str] = answer.json()["ids"]
    return ids


_numbers = iter(range(10_000))


def create(local: Local, **options: Any) -> tuple[Callable[[], Any], Callable[[], int]]:
    """A change that can be made once, and how often it was made."""
    name = f"s{next(_numbers)}"
    request = models.CreateSnapshotRequest(disk_id="d-data", snapshot_name=name)

    def made() -> int:
        return local.run(lambda: sum(s.name == name for s in local.cloud.ecs.snapshots.shelf))

    return lambda: client(local, **options).create_snapshot(request), made


def described(local: Local, **options: Any) -> list[str]:
    request = models.DescribeSnapshotsRequest(region_id="cn-hangzhou", max_results=100)
    answer = client(local, **options).describe_snapshots(request)
    return [s.snapshot_id for s in answer.body.snapshots.snapshot]


@pytest.mark.parametrize("applied", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("kind", ["timeout", "reset", "html", "empty_body"])
def test_an_answer_that_is_lost_tells_nothing_of_the_effect(local: Local, kind: str, applied: bool) -> None:
    moment = "_after" if applied else {"timeout": "_before", "reset": "_before"}.get(kind, "")
    menu(local, {"kind": kind + moment, "action": "CreateSnapshot"})
    send, made = create(local)
    with pytest.raises(UnretryableException) as lost:
        send()
    assert lost.value.code is None
    assert made() == applied
    send()
    assert made() == applied + 1


def test_a_5xx_is_a_server_exception_before_and_after_the_effect(local: Local) -> None:
    send, made = create(local)
    menu(local, {"kind": "error", "action": "CreateSnapshot"}, {"kind": "error_after", "action": "CreateSnapshot"})
    with pytest.raises(ServerException) as refused:
        send()
    assert (refused.value.status_code, refused.value.code, made()) == (503, "ServiceUnavailable", 0)
    with pytest.raises(ServerException) as refused:
        send()
    assert (refused.value.status_code, refused.value.code, made()) == (500, "InternalError", 1)


def test_throttling_is_a_client_exception_until_the_next_minute(local: Local) -> None:
    send, made = create(local)
    menu(local, {"kind": "throttle", "action": "CreateSnapshot"})
    for _ in range(3):
        with pytest.raises(ClientException) as throttled:
            send()
        assert (throttled.value.status_code, throttled.value.code) == (403, "Throttling")
    assert made() == 0
    local.advance(60)
    send()
    assert made() == 1


def test_throttling_with_a_wait_is_a_class_of_its_own(local: Local) -> None:
    menu(local, {"kind": "throttle", "action": "DescribeSnapshots", "calls": 1, "retry_after_ms": 700})
    with pytest.raises(ThrottlingException) as throttled:
        described(local)
    assert not isinstance(throttled.value, ClientException)
    assert (throttled.value.code, throttled.value.retry_after) == ("Throttling.User", 700)
    described(local)


def test_a_200_with_a_code_is_no_exception(local: Local) -> None:
    send, made = create(local)
    menu(local, {"kind": "ok_with_code", "action": "CreateSnapshot"})
    answer = send()
    assert (answer.status_code, answer.body.snapshot_id) == (200, None)
    assert made() == 0


def test_a_read_may_be_stale(local: Local) -> None:
    menu(local, {"kind": "stale_read", "action": "DescribeSnapshots"})
    before = described(local)
    create(local)[0]()
    assert described(local) == before
    assert len(described(local)) == len(before) + 1


def test_pages_may_be_short_or_empty_and_still_go_on(local: Local) -> None:
    for _ in range(3):
        create(local)[0]()
    wanted = described(local)
    menu(local, {"kind": "short_page", "action": "DescribeSnapshots", "rows": 1}, {"kind": "empty_page", "skip": 1})
    request = models.DescribeSnapshotsRequest(region_id="cn-hangzhou", max_results=100)
    sizes, found = [], []
    while True:
        body = client(local).describe_snapshots(request).body
        page = [s.snapshot_id for s in body.snapshots.snapshot]
        sizes.append(len(page))
        found += page
        if not body.next_token:
            break
        request.next_token = body.next_token
    assert found == wanted
    assert sizes[:3] == [1, 0, 1]
    assert set(sizes) == {0, 1}


def test_a_slow_call_lets_emulated_time_pass(local: Local) -> None:
    send, made = create(local)
    menu(local, {"kind": "slow", "action": "CreateSnapshot", "seconds": 3600})
    before = local.run(local.cloud.clock.now)
    send()
    assert (local.run(local.cloud.clock.now) - before).total_seconds() == 3600
    assert made() == 1


def test_a_really_slow_call_outlasts_its_caller_but_not_its_effect(local: Local) -> None:
    send, made = create(local)
    menu(local, {"kind": "slow", "action": "CreateSnapshot", "seconds": 0.6, "real": True})
    with pytest.raises(UnretryableException):
        send()
    deadline = time.monotonic() + 5
    while not made() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert made() == 1
    menu(local, {"kind": "slow", "action": "CreateSnapshot", "seconds": 0.5, "real": True})
    create(local, read_timeout_ms=5000)[0]()


def test_nobody_else_waits_for_an_answer_that_is_held_back(local: Local) -> None:
    menu(local, {"kind": "timeout_before", "action": "CreateSnapshot"})
    send, _ = create(local, read_timeout_ms=3000)
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(send)
        while not local.run(lambda: local.cloud.faults.counts["timeout_before"]):
            time.sleep(0.01)
        described(local)
        assert not held.done()
        with pytest.raises(UnretryableException):
            held.result(10)


def test_a_held_answer_does_not_delay_the_end_of_the_server(tmp_path: Path) -> None:
    seed = tmp_path / "world.yaml"
    seed.write_text(WORLD)
    failures: list[BaseException] = []

    def ask(local: Local) -> None:
        try:
            described(local, read_timeout_ms=30_000)
        except UnretryableException as lost:
            failures.append(lost)

    with mock_aliyun(seed=seed) as local:
        menu(local, {"kind": "timeout_before"})
        asking = threading.Thread(target=ask, args=(local,))
        asking.start()
        while not local.run(lambda: local.cloud.faults.counts["timeout_before"]):
            time.sleep(0.01)
        begun = time.monotonic()
    assert time.monotonic() - begun < 3
    asking.join(5)
    assert len(failures) == 1


def test_a_region_that_is_out_is_silent_while_others_and_global_services_answer(local: Local) -> None:
    [outage] = menu(local, {"kind": "region_outage", "region": "cn-hangzhou"})
    zones = requests.get(f"{local.url}/_emulator/faults", timeout=5).json()["faults"]
    assert [fault["kind"] for fault in zones] == ["region_outage"]
    with pytest.raises(UnretryableException):
        described(local)
    away = models.DescribeSnapshotsRequest(region_id="cn-shanghai")
    assert client(local, local.endpoints["cn-shanghai"]).describe_snapshots(away).body.snapshots.snapshot == []
    PvtzClient(config(local)).describe_zones(pvtz.DescribeZonesRequest())
    assert local.run(lambda: local.cloud.zones.is_dark("cn-hangzhou-h"))
    assert requests.delete(f"{local.url}/_emulator/faults/{outage}", timeout=5).status_code == 200
    described(local)
    assert not local.run(lambda: local.cloud.zones.is_dark("cn-hangzhou-h"))


def test_a_region_may_also_answer_that_it_is_out(local: Local) -> None:
    menu(local, {"kind": "region_outage", "region": "cn-hangzhou", "how": "error"})
    with pytest.raises(ServerException) as refused:
        described(local)
    assert (refused.value.status_code, refused.value.code) == (503, "ServiceUnavailable")


def test_a_caller_without_an_instance_waits_while_it_is_frozen(local: Local) -> None:
    send, made = create(local, read_timeout_ms=5000)
    menu(local, {"kind": "freeze_caller", "action": "CreateSnapshot", "seconds": 30})
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(send)
        while not local.run(lambda: local.cloud.faults.counts["freeze_caller"]):
            time.sleep(0.01)
        time.sleep(0.1)
        assert (held.done(), made()) == (False, 0)
        local.advance(30)
        held.result(5)
    assert made() == 1


def test_a_guest_that_a_fault_names_is_suspended_in_the_middle_of_a_call(
    local: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    got: list[tuple[str, str]] = []

    class Machines:
        def signal(self, instance: str, number: signal.Signals) -> None:
            got.append((instance, number.name))

    monkeypatch.setattr(local.cloud, "hypervisor", Machines())
    fault = {"kind": "freeze_caller", "action": "CreateSnapshot", "seconds": 30, "moment": "after", "instance": "i-app"}
    menu(local, fault)
    send, made = create(local)
    send()
    assert (got, made()) == ([("i-app", "SIGSTOP")], 1)
    local.advance(30)
    assert got == [("i-app", "SIGSTOP"), ("i-app", "SIGCONT")]


def test_the_admin_door_lists_refuses_and_clears(local: Local) -> None:
    door = f"{local.url}/_emulator/faults"

    def refused(body: str) -> str:
        answer = requests.post(door, data=body, timeout=5)
        assert answer.status_code == 400
        told: str = answer.json()["error"]
        return told

    assert "not JSON" in refused("{")
    assert "'kind' is missing" in refused("{}")
    assert "give an object" in refused("")
    assert "none of throttle" in refused('[{"kind": "slow"}, {"kind": "odd"}]')
    assert requests.get(door, timeout=5).json() == {"faults": []}
    asked: dict[str, Any] = {"kind": "throttle", "action": "CreateSnapshot", "calls": 3}
    one = requests.post(door, json=asked, timeout=5).json()["id"]
    [listed] = requests.get(door, timeout=5).json()["faults"]
    assert listed == {"id": one, **asked, "struck": 0, "left": 3, "ends": None}
    send, _ = create(local)
    with pytest.raises(ClientException):
        send()
    struck = requests.get(f"{door}/log", params={"fault": one}, timeout=5).json()["struck"]
    assert [(line["kind"], line["action"], line["caller"]) for line in struck] == [
        ("throttle", "CreateSnapshot", "testid")
    ]
    assert requests.delete(f"{door}/{one}", timeout=5).status_code == 200
    assert requests.delete(f"{door}/{one}", timeout=5).status_code == 404
    menu(local, {"kind": "error"})
    requests.delete(door, timeout=5)
    assert requests.get(door, timeout=5).json() == {"faults": []}
    kinds = requests.get(f"{door}/kinds", timeout=5).json()
    assert kinds["slow"]["details"] == ["seconds", "real"]
    assert json.dumps(kinds)


def test_the_request_log_tells_of_calls_that_were_lost(local: Local) -> None:
    menu(local, {"kind": "reset_after", "action": "CreateSnapshot"})
    send, _ = create(local)
    with pytest.raises(UnretryableException):
        send()
    entries = requests.get(f"{local.url}/_emulator/requests", params={"action": "CreateSnapshot"}, timeout=5).json()
    assert [(e["status"], e["code"]) for e in entries[-2:]] == [(0, "reset_after"), (200, "")]
