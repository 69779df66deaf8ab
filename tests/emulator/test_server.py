"""`python -m emulator serve`: ready in one line, mended in one message, gone without a trace."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from emulator.__main__ import reachable_by_others
from emulator.testing import Local, mock_aliyun

ROOT = Path(__file__).resolve().parents[2]
WORLD = """
zones: [cn-hangzhou-h, cn-hangzhou-i]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.1.9}]
"""


def serve(*arguments: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "emulator", "serve", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.mark.parametrize(
    ("host", "open_to_others"),
    [
        ("127.0.0.1", False),
        ("127.8.0.1", False),
        ("::1", False),
        ("localhost", False),
        ("0.0.0.0", True),  # the point of it
        ("::", True),
        ("192.168.1.5", True),
        ("buildhost", True),
    ],
)
def test_it_knows_when_its_open_admin_door_is_open_to_others(host: str, open_to_others: bool) -> None:
    assert reachable_by_others(host) is open_to_others


def test_serving_beyond_this_machine_is_warned_of() -> None:
    process = serve("--host", "0.0.0.0")
    try:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["pid"] == process.pid
        process.send_signal(signal.SIGTERM)
        _, told = process.communicate(timeout=10)
        assert "asks for no key" in told
    finally:
        process.kill()
        process.wait()


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGINT])
def test_it_says_where_it_is_and_ends_quietly_when_told(end: signal.Signals, tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text(WORLD)
    process = serve("--seed", str(world), "--access-key", "me:mine", "--start", "2026-05-01T00:00:00Z")
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        assert first["pid"] == process.pid
        with urllib.request.urlopen(first["url"] + "/_emulator/clock", timeout=5) as answer:
            assert json.load(answer) == {"now": "2026-05-01T00:00:00+00:00", "rate": 0.0}
        process.send_signal(end)
        out, err = process.communicate(timeout=10)
    finally:
        process.kill()
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in err
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)  # nobody of its session is left


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("--seed", "nowhere.yaml"), "nowhere.yaml: no such file", id="no seed"),
        pytest.param(("--access-key", "me"), "'me' is not of the form ID:SECRET", id="half a key"),
        pytest.param(("--start", "today"), "not an ISO 8601 time", id="no time"),
    ],
)
def test_wrong_arguments_are_named(arguments: tuple[str, ...], message: str) -> None:
    process = serve(*arguments)
    _, err = process.communicate(timeout=20)

    assert process.returncode == 2
    assert message in err
    assert "Traceback" not in err


def test_a_wrong_seed_is_one_message(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("planets: []")
    process = serve("--seed", str(world))
    _, err = process.communicate(timeout=20)

    assert process.returncode == 2
    assert "unknown key 'planets'" in err
    assert "Traceback" not in err


# The admin door -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    world = tmp_path_factory.mktemp("world") / "world.yaml"
    world.write_text(WORLD)
    with mock_aliyun(seed=world) as running:
        yield running


def admin(local: Local, method: str, path: str, body: object = None) -> tuple[int, Any]:
    request = urllib.request.Request(
        f"{local.url}/_emulator/{path}", method=method, data=None if body is None else json.dumps(body).encode()
    )
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            text = error.read().decode()
        return error.code, text


def test_time_is_moved_and_what_falls_due_happens(local: Local) -> None:
    _, before = admin(local, "GET", "clock")
    status, after = admin(local, "POST", "clock", {"advance": 90.5})

    assert status == 200
    assert after["now"] > before["now"]
    later = after["now"].replace("2026-03-02T00:", "2026-03-02T05:")
    assert admin(local, "POST", "clock", {"to": later}) == (200, {"now": later, "rate": 0.0})


@pytest.mark.parametrize(
    "body", [{}, {"advance": -1}, {"advance": "soon"}, {"to": "tomorrow"}, {"rate": -1}, {"rate": None}, []]
)
def test_a_clock_that_cannot_be_set_so(local: Local, body: object) -> None:
    assert admin(local, "POST", "clock", body)[0] == 400


def test_a_zone_goes_dark_and_comes_back(local: Local) -> None:
    assert admin(local, "POST", "zones/cn-hangzhou-i", {"dark": True})[0] == 200
    assert local.cloud.zones.is_dark("cn-hangzhou-i")
    assert admin(local, "POST", "zones/cn-hangzhou-i", {"dark": False})[0] == 200
    assert not local.cloud.zones.is_dark("cn-hangzhou-i")


def test_what_the_zone_door_refuses(local: Local) -> None:
    status, text = admin(local, "POST", "zones/mars", {"dark": True})
    assert (status, "cn-hangzhou-h" in text) == (404, True)
    assert admin(local, "POST", "zones/cn-hangzhou-i", {"dark": "very"})[0] == 400


def test_an_instance_fails_and_it_is_among_the_events(local: Local) -> None:
    status, answer = admin(local, "POST", "instances/i-a/fail", {"recovers": True})
    assert status == 200

    events = [e for e in admin(local, "GET", "events")[1] if e["content"].get("eventId") == answer["event"]]
    assert [e["name"] for e in events] == ["Instance:SystemFailure.Reboot:Executing"]
    admin(local, "POST", "clock", {"advance": 600})
    assert admin(local, "POST", "instances/i-nobody/fail", {})[0] == 404


def test_stock_is_set(local: Local) -> None:
    wanted = {"zone": "cn-hangzhou-h", "type": "ecs.g7.large", "count": 3}

    assert admin(local, "POST", "stock", wanted) == (200, wanted)
    assert local.cloud.ecs.lifecycle.stock == {("cn-hangzhou-h", "ecs.g7.large"): 3}
    assert admin(local, "POST", "stock", {**wanted, "count": None})[0] == 200
    assert local.cloud.ecs.lifecycle.stock == {}


def test_a_failing_start_is_raised_where_the_cloud_was_asked_for(tmp_path: Path) -> None:
    world = tmp_path / "world.yaml"
    world.write_text("planets: []")

    with pytest.raises(ValueError, match="planets"), mock_aliyun(seed=world):
        pass
