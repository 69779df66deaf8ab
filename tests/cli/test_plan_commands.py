"""`understudy plan`: shown first, run as it was shown, approved, stopped, continued; over the wire, as deployed."""

import json
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.wiring import command as wired_command
from shared.wiring import foundation
from shared.wiring import recover as wired_recover
from tests.cli.conftest import Run
from tests.cli.test_launch import EXAMPLE, Queue

PLANS = """
plans:
  - name: more
    waves:
      - name: first
        steps: [{name: shops, action: launch, family: app, like: i-app-h1, amount: 2}]
      - name: second
        approval: true
        steps: [{name: shops, action: launch, family: app, like: i-app-h1}]
  - name: back
    waves:
      - name: data
        steps: [{name: apps, action: restore, select: {tags: {role: app}}, point: at}]
"""


class Steps(Queue):
    """Of which a test can take one."""

    def one(self) -> None:
        waiting, self._waiting = self._waiting, []
        payload, delay = waiting.pop(0)
        self._waiting += waiting
        self._local.advance(delay.total_seconds())
        self.invoke("recover", payload)


@pytest.fixture
def queue(connected: Local, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Steps:
    file = tmp_path / "understudy.yaml"
    file.write_text(EXAMPLE.read_text() + PLANS)
    assert run("apply", "--file", str(file), "--accept-doubts").code == 0
    queue = Steps(connected)
    for module in (foundation, wired_command, wired_recover):
        monkeypatch.setattr(module, "functions", lambda: queue)
    return queue


def test_plans_are_listed_in_words(queue: Steps, run: Run) -> None:
    listed = run("plan", "list")

    assert listed.code == 0
    assert "1 first: launch 2 of app" in listed.out
    assert "2 second, after an approval: launch 1 of app" in listed.out
    assert "1 data: restore apps to a moment" in listed.out


def test_a_plan_that_cannot_begin_says_why_and_ends_with_1(queue: Steps, run: Run) -> None:
    shown = run("plan", "show", "back", "--at", "2020-01-01T00:00:00Z")

    assert shown.code == 1
    assert "no usable restore point taken at 2020-01-01T00:00:00Z or before: i-app-h1" in shown.out
    assert "it cannot begin" in shown.out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "site"], "plan 'site' is not in policy 1; it has: more, back"),
        (["show", "back", "--at", "yesterday"], "argument as_of is 'yesterday'; write it as 2026-03-02T10:00:00Z"),
        (["status", "plan/more/x"], "is no run of a plan. `understudy plan list` shows what is under way"),
        (["approve", "plan/more/x"], "which is no run of a plan"),
        (["resume", "plan/more/x"], "which is no run of a plan"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_argument_is_named_with_its_remedy(queue: Steps, run: Run, arguments: list[str], says: str) -> None:
    ended = run("plan", *arguments)

    assert ended.code == 2
    assert says in ended.err


def test_it_is_shown_run_approved_and_through(queue: Steps, run: Run) -> None:
    shown = run("plan", "show", "more")
    assert shown.code == 0, shown.err
    assert "more-shops-001: 2 made of image family app, like i-app-h1" in shown.out
    assert "wave second: waits until an operator approves it" in shown.out
    token = json.loads(run("plan", "show", "more", "--json").out)["token"]
    assert f"understudy plan run more --confirm {token}" in shown.out

    id_ = json.loads(run("plan", "run", "more", "--confirm", token, "--json").out)["run"]
    for _ in range(60):  # it looks again and again for as long as it waits
        queue.one()
        if json.loads(run("plan", "status", id_, "--json").out)["waits_for_approval_of"] == "second":
            break
    standing = run("plan", "status", id_)
    assert "through, 1 done" in standing.out
    assert f"understudy plan approve {id_} second lets it go on" in standing.out

    assert run("plan", "approve", id_).code == 0
    queue.work_off()
    ended = run("plan", "status", id_)
    assert ended.code == 0
    assert "is done" in ended.out
    assert "approve second" in ended.out, "its wait is a phase of its own"


def test_a_run_that_is_aborted_says_what_stands(queue: Steps, run: Run) -> None:
    token = json.loads(run("plan", "show", "more", "--json").out)["token"]
    id_ = json.loads(run("plan", "run", "more", "--confirm", token, "--json").out)["run"]
    assert run("plan", "abort", id_, "--because", "not today").code == 0
    queue.work_off()

    ended = run("plan", "status", id_)
    assert ended.code == 0
    assert "before anything began" in ended.out
    assert run("plan", "abort", id_).code == 2
