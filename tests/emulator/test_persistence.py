"""`--data DIR`: what outlives the emulator's process."""

import json
import signal
import subprocess
import sys
import urllib.request
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import tablestore as sdk
from alibabacloud_sts20150401 import models as sts
from alibabacloud_sts20150401.client import Client as StsClient
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.models import Config

from emulator import deeds
from emulator.faults.fault import Fault
from emulator.fc.service import FunctionCompute
from emulator.testing import Local, mock_aliyun
from tests.emulator.fc_projects import CODE, START, props, rule, timer, write
from tests.emulator.ots_client import columns, make_client, make_table, pk, when
from tests.emulator.world_dump import closed, opened

ROOT: Final = Path(__file__).resolve().parents[2]
SEED: Final = """
zones: [cn-hangzhou-h]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.1.9, data_disks: [{id: d-a, size_gib: 20}]}]
"""
ROLES: Final = """
ram:
  users:
    - name: ann
      access_keys: [{id: ANN, secret: s}]
      policies: [{Version: "1", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}]
  roles:
    - {name: operator, trust: {users: [ann]}, max_session_seconds: 3600}
"""


def test_it_survives_kill_9_from_the_command_line(tmp_path: Path) -> None:
    def serve() -> tuple["subprocess.Popen[str]", str]:
        process = subprocess.Popen(
            [sys.executable, "-m", "emulator", "serve", "--data", str(tmp_path / "world"), "--seed", str(seed)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert process.stdout is not None
        return process, json.loads(process.stdout.readline())["url"]

    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    process, url = serve()
    try:
        post(url + "/_emulator/clock", {"advance": 3600})
        post(url + "/_emulator/zones/cn-hangzhou-h", {"dark": True})
        post(url + "/_emulator/instances/i-a/fail", {"recovers": False})
        before = get(url + "/_emulator/instances"), get(url + "/_emulator/clock"), get(url + "/_emulator/events")
    finally:
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=10)
    process, url = serve()
    try:
        after = get(url + "/_emulator/instances"), get(url + "/_emulator/clock"), get(url + "/_emulator/events")
    finally:
        process.kill()
        process.communicate(timeout=10)
    assert after == before
    assert after[1]["now"] == "2026-03-02T01:00:00+00:00"


def post(url: str, body: object) -> Any:
    request = urllib.request.Request(url, json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return json.load(answer)


def test_rows_of_all_types_and_versions_are_kept_and_dropped_tables_stay_dropped(tmp_path: Path) -> None:
    with mock_aliyun(data=tmp_path / "world") as local:
        client = make_client(local, "understudy")
        make_table(client, "t", max_version=3)
        make_table(client, "gone")
        values = [("text", "ä"), ("bytes", bytearray(b"\x00\xff")), ("number", 2**62), ("real", 0.5), ("yes", True)]
        client.put_row("gone", sdk.Row(pk("x", 1), values), when("IGNORE"))
        client.put_row("t", sdk.Row(pk("x", 1), values), when("IGNORE"))
        client.put_row("t", sdk.Row(pk("y", 1), values), when("IGNORE"))
        client.delete_row("t", pk("y", 1), when("IGNORE"))
        for number in (1, 2):
            local.advance(1)
            client.update_row("t", sdk.Row(pk("x", 1), {"PUT": [("n", number)]}), when("IGNORE"))
        client.delete_table("gone")
        before = client.get_row("t", pk("x", 1), max_version=3)[1].attribute_columns
    with mock_aliyun(data=tmp_path / "world") as local:
        client = make_client(local, "understudy")
        assert list(client.list_table()) == ["t"]
        assert client.get_row("t", pk("x", 1), max_version=3)[1].attribute_columns == before
        assert columns(client, "y", 1) is None
        assert local.cloud.clock.now() == local.cloud.clock.now().replace(hour=0, minute=0, second=2)


def test_time_goes_on_where_it_was_and_what_was_due_falls_due(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)
    cloud.do(deeds.fail, instance="i-a", recovers=True)
    assert cloud.ecs.instances["i-a"].state != "Running"
    closed(cloud)
    again = opened(tmp_path / "world")
    again.clock.advance(timedelta(hours=1))
    assert again.ecs.instances["i-a"].state == "Running"
    closed(again)


def test_request_ids_are_not_given_out_again(tmp_path: Path) -> None:
    ids = []
    for _ in range(3):
        cloud = opened(tmp_path / "world", SEED)
        ids.append(cloud.chance.request_id())
        closed(cloud)
    assert len(set(ids)) == 3


PROJECT: Final = (
    props("slow", triggers=[timer("tick", "@every 10m")]),
    props("told", triggers=[rule("fails", {"type": ["ecs:Instance:SystemFailure.Reboot"]})]),
)


def functions(tmp_path: Path) -> dict[str, Any]:
    seed = tmp_path / "seed.yaml"
    seed.write_text(SEED)
    return {
        "data": tmp_path / "world",
        "seed": seed,
        "fc": write(tmp_path / "s.yaml", *PROJECT),
        "fc_code": (CODE,),
        "fc_env": {"NOTES": str(tmp_path / "notes.jsonl")},
    }


def notes(tmp_path: Path) -> list[Any]:
    path = tmp_path / "notes.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def compute(local: Local) -> FunctionCompute:
    assert local.cloud.fc is not None
    return local.cloud.fc


def test_an_accepted_invocation_is_run_by_the_next_process(tmp_path: Path) -> None:
    options = functions(tmp_path)
    with mock_aliyun(**options) as local:
        fc = compute(local)
        local.run(lambda: fc.enable("slow", "tick", False))
        local.run(lambda: fc.invoke_async("slow", b'{"answer": 1}', delay=timedelta(minutes=20)))
        local.run(lambda: fc.invoke_async("slow", b'{"answer": 2}', delay=timedelta(minutes=1)))
        local.advance(120)
    assert [json.loads(note["event"]) for note in notes(tmp_path)] == [{"answer": 2}]
    with mock_aliyun(**options) as local:
        local.advance(17 * 60)
        assert len(notes(tmp_path)) == 1
        local.advance(60)
    assert [json.loads(note["event"]) for note in notes(tmp_path)[1:]] == [{"answer": 1}]
    with mock_aliyun(**options) as local:
        local.advance(3600)
        assert not local.run(lambda: compute(local).enabled("slow", "tick"))
    assert len(notes(tmp_path)) == 2, "what has ended is run no more, and a timer that was switched off stays off"


@pytest.mark.parametrize(
    ("kind", "runs"), [("deliver_late", 1), ("deliver_reordered", 1), ("backlog", 1), ("deliver_lost", 0)]
)
def test_an_accepted_invocation_that_a_fault_holds_back_is_kept(tmp_path: Path, kind: str, runs: int) -> None:
    options = {**functions(tmp_path), "fc": write(tmp_path / "s.yaml", props("slow"))}
    with mock_aliyun(**options) as local:
        local.run(lambda: local.cloud.faults.add(Fault(kind=kind)))
        local.run(lambda: compute(local).invoke_async("slow", b"{}"))
    assert notes(tmp_path) == []
    for _ in range(2):
        with mock_aliyun(**options) as local:
            local.advance(60)
    assert len(notes(tmp_path)) == runs


def test_a_timer_goes_on_counting_where_it_was(tmp_path: Path) -> None:
    """`@every 10m` counts from when it was switched on, however often the process ends meanwhile."""
    options = functions(tmp_path)
    for minutes in (6, 3, 3):
        with mock_aliyun(**options) as local:
            local.advance(minutes * 60)
    assert [json.loads(note["event"])["triggerTime"] for note in notes(tmp_path)] == ["2026-03-02T00:10:00Z"]
    with mock_aliyun(**options) as local:
        local.run(lambda: compute(local).enable("slow", "tick", False))
        local.run(lambda: compute(local).enable("slow", "tick", True))
    with mock_aliyun(**options) as local:
        local.advance(10 * 60)
    assert [json.loads(note["event"])["triggerTime"] for note in notes(tmp_path)[1:]] == ["2026-03-02T00:22:00Z"]


def test_a_timer_that_was_due_when_the_process_ended_fires_in_the_next_one(tmp_path: Path) -> None:
    """Two are due at one moment; the process ends when the function of the first has been at work."""
    names = ("one", "two")
    options = functions(tmp_path)
    options["fc"] = write(tmp_path / "s.yaml", *(props(n, triggers=[timer("tick", "0 0 * * * *")]) for n in names))
    with mock_aliyun(**options) as local:

        def first_of_them() -> None:
            clock = local.cloud.clock
            due = START + timedelta(hours=1)
            while clock.now() < due:
                assert clock.run_due(due)

        local.run(first_of_them)
        while not local.run(lambda: len(compute(local).records)):
            pass
    for _ in range(2):
        with mock_aliyun(**options) as local:
            local.advance(60)
    ran = [note["fn"] for note in notes(tmp_path)]
    assert sorted(ran) == ["one", "two"]


def test_an_event_on_its_way_arrives_once(tmp_path: Path) -> None:
    options = functions(tmp_path)
    with mock_aliyun(**options) as local:
        local.run(lambda: compute(local).enable("slow", "tick", False))
        local.run(lambda: local.cloud.do(deeds.fail, instance="i-a", recovers=True))
    assert notes(tmp_path) == []
    for _ in range(2):
        with mock_aliyun(**options) as local:
            local.advance(30)
        assert [note["fn"] for note in notes(tmp_path)] == ["told"]


def test_temporary_keys_hold_as_long_as_they_were_issued_for(tmp_path: Path) -> None:
    seed = tmp_path / "seed.yaml"
    seed.write_text(ROLES)
    with mock_aliyun(data=tmp_path / "world", seed=seed) as local:
        request = sts.AssumeRoleRequest(
            role_arn=f"acs:ram::{local.cloud.account}:role/operator", role_session_name="night"
        )
        issued = StsClient(as_caller(local, "ANN", "s")).assume_role(request).body.credentials
    with mock_aliyun(data=tmp_path / "world") as local:
        key = issued.access_key_id, issued.access_key_secret, issued.security_token
        me = StsClient(as_caller(local, *key)).get_caller_identity().body
        assert me.arn.endswith("role/operator/night")
        local.advance(3601)
        with pytest.raises(ClientException, match="Expired"):
            StsClient(as_caller(local, *key)).get_caller_identity()


def as_caller(local: Local, id: str, secret: str, token: str | None = None) -> Config:
    return Config(
        access_key_id=id, access_key_secret=secret, security_token=token, endpoint=local.host, protocol="http"
    )


def test_guests_find_their_disks_as_they_left_them(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)
    where = {"account": cloud.account, "region": cloud.region, "disk": "d-a"}
    cloud.do(deeds.write_disk, **where, offset=4096, body=b"\x00hello\xff")
    closed(cloud)
    again = opened(tmp_path / "world")
    assert again.ecs.disks.find("d-a").volume.read(4095, 9) == b"\x00\x00hello\xff\x00"
    closed(again)
