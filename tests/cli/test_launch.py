"""`understudy launch`: shown first, done when confirmed; the request goes through function `command`, the plan and the
work through `recover`, over the wire."""

import json
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest

import functions.recover as recover_function
from emulator.testing import Local
from shared.adapters.ecs import EcsInventory
from shared.adapters.sdk import Endpoint
from shared.domain.errors import DrError
from shared.domain.inventory import Instance
from shared.triggers.parse import parse
from shared.wiring import command as wired_command
from shared.wiring import foundation
from shared.wiring import recover as wired_recover
from shared.wiring.guard import Call, refusal, to_json
from tests.cli.conftest import Run
from understudy.cli.previewing import length

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"


class Queue:
    """Functions `command` and `recover` as they are wired, each run in the test's own thread."""

    def __init__(self, local: Local) -> None:
        self._local = local
        self._waiting: list[tuple[bytes, timedelta]] = []
        self._runs = 0

    def invoke(self, function: str, payload: bytes) -> bytes:
        self._runs += 1
        foundation.clock().sync()
        call = Call(trigger=parse(payload), run="test", owner=f"test/{self._runs}")
        try:
            if function == "command":
                return to_json(wired_command.command().run(json.loads(payload), run="test")).encode()
            assert function == "recover", function
            return to_json(recover_function.go_on(call)).encode()
        except DrError as error:
            return to_json(refusal(error, "test")).encode()

    def invoke_async(
        self, function: str, payload: bytes, *, delay: timedelta = timedelta(0), task: str | None = None
    ) -> None:
        assert function == "recover", function
        self._waiting.append((payload, delay))

    def work_off(self) -> None:
        while self._waiting:
            payload, delay = self._waiting.pop(0)
            self._local.advance(delay.total_seconds())
            self.invoke("recover", payload)


@dataclass(frozen=True, slots=True)
class Deployed:
    local: Local
    queue: Queue


def deploy(connected: Local, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    """The example's policy applied, and functions `command` and `recover` at hand."""
    file = tmp_path / "understudy.yaml"
    file.write_text(EXAMPLE.read_text())
    assert run("apply", "--file", str(file), "--accept-doubts").code == 0
    queue = Queue(connected)
    for module in (foundation, wired_command, wired_recover):
        monkeypatch.setattr(module, "functions", lambda: queue)
    return Deployed(connected, queue)


@pytest.fixture
def deployed(connected: Local, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    return deploy(connected, run, tmp_path, monkeypatch)


def shops(deployed: Deployed) -> list[Instance]:
    inventory = EcsInventory(endpoint=Endpoint("cn-hangzhou", deployed.local.url), credentials=foundation.credentials)
    return sorted((one for one in inventory.instances() if one.name.startswith("shop")), key=lambda one: one.name)


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--amount", "2"], "give exactly one of them"),
        (["--image", "m-1", "--family", "app"], "give exactly one of them"),
        (["--point", "p"], "a restore point is one of an instance"),
        (["--image", "m-1", "--where", "cn-hangzhou-h"], "write ZONE=VSWITCH"),
        (["--image", "m-1", "--tag", "role"], "write KEY=VALUE"),
        (["--image", "m-1", "--tag", "acs:x=1"], "are not yours to set"),
        (["--image", "m-1", "--port", "70000"], "argument port is 70000; it must be 0-65535"),
        (["--image", "m-1", "--weight", "101"], "argument weight is 101; it must be 0-100"),
        (["--image", "m-1", "--user-data", "/nowhere/at/all"], "Name a readable text file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_named_with_its_remedy(
    deployed: Deployed, run: Run, arguments: list[str], says: str
) -> None:
    ended = run("launch", "shop", *arguments)

    assert ended.code == 2
    assert says in ended.err
    assert shops(deployed) == []


def test_what_cannot_begin_says_so_with_every_remedy_and_ends_with_1(deployed: Deployed, run: Run) -> None:
    ended = run("launch", "shop", "--image", "m-gone", "--like", "i-app-h1", "--behind", "lb-gone")

    assert ended.code == 1
    assert "image m-gone is not in cn-hangzhou. Name one that is available (`--image`)" in ended.out
    assert "lb-gone does not exist. Name another with --behind" in ended.out
    assert "it cannot begin" in ended.out


def test_it_is_shown_first_and_done_when_its_token_is_typed_back(deployed: Deployed, run: Run) -> None:
    asked = ["launch", "shop", "--family", "app", "--like", "i-app-h1", "--amount", "3", "--tag", "team=shop"]

    shown = run(*asked)

    assert shown.code == 0, shown.err
    assert "create 3 (at least 1) of m-1: ecs.g7.large in cn-hangzhou-h (vsw-h)" in shown.out
    assert "takes about 32 s in all; a month costs: unknown (prices.yaml has no prices of instances)" in shown.out
    assert "nothing is done yet" in shown.out
    assert shops(deployed) == []
    token = json.loads(run(*asked, "--json").out)["token"]
    assert f"--confirm {token} (or --confirm shop)" in shown.out

    done = run(*asked, "--confirm", token)
    deployed.queue.work_off()

    assert done.code == 0, done.err
    assert "asked for 3 instances shop" in done.out
    assert [(one.name, one.state.value) for one in shops(deployed)] == [
        ("shop001", "running"),
        ("shop002", "running"),
        ("shop003", "running"),
    ]
    assert shops(deployed)[0].tags["team"] == "shop"
    operation = done.out.split("`understudy explain ")[1].split("`")[0]
    told = run("explain", operation)
    assert "It came to this: 3 of 3 instances shop were made of m-1." in told.out
    assert "it took 30 s (30 s boot)" in told.out
    assert "i-" in told.out
    assert '["i-' not in told.out, "words, not JSON"
    assert told.out.count("launch.requested") == 1


def test_a_wrong_token_does_nothing_and_says_what_it_would_do_now(deployed: Deployed, run: Run) -> None:
    done = run("launch", "shop", "--image", "m-1", "--like", "i-app-h1", "--confirm", "abcdef")
    deployed.queue.work_off()

    assert done.code == 0, "recorded; refused by its first step"
    operation = done.out.split("`understudy explain ")[1].split("`")[0]
    told = run("explain", operation)
    assert "'abcdef' was confirmed, and what it would do now is" in told.out
    assert shops(deployed) == []


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("0:00:32", 32), ("1:02:03", 3723), ("1 day, 0:00:01", 86_401), ("2 days, 0:00:00.500000", 172_800.5), (7, 7)],
)
def test_durations_of_json_are_read(text: object, seconds: float) -> None:
    assert length(text) == timedelta(seconds=seconds)
