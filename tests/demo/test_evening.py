"""The demo end to end, in a process of its own: it keeps its promises, or it says clearly why it claims nothing; and
however it ends, nobody stays behind."""

import json
import os
import signal
from pathlib import Path

import pytest

from tests.demo.evening import evening

pytestmark = pytest.mark.timeout(300)


def test_when_the_local_cloud_is_killed_nothing_is_claimed(tmp_path: Path) -> None:
    with evening(tmp_path, "--acts", "12", "--hours", "4") as run:
        run.wait_until_said("Act 1")
        os.kill(run.emulator(), signal.SIGKILL)

        assert run.end() == 3
        assert "The demo could not be finished, so nothing is claimed." in run.said
        assert "the local cloud has ended, killed by SIGKILL" in run.said
        assert "promises kept" not in run.said
        assert "Traceback" not in run.said
        assert not run.report.exists()
        (kept,) = run.scratch.glob("understudy-demo-*")
        assert f"logs: {kept}" in run.said
        assert (kept / "emulator.log").exists()
        run.wait_until_nobody_is_left()


@pytest.mark.parametrize(
    ("after", "number"),
    [
        pytest.param("Understudy", signal.SIGINT, id="Ctrl-C while the local cloud starts"),
        pytest.param("Act 1", signal.SIGTERM, id="SIGTERM in the middle of act 1"),
    ],
)
def test_an_interruption_ends_it_without_a_trace(tmp_path: Path, after: str, number: signal.Signals) -> None:
    with evening(tmp_path, "--acts", "1", "--hours", "4") as run:
        run.wait_until_said(after)
        run.wait_for("the emulator", lambda: len(run.family) > 1)
        os.killpg(run.process.pid, number)

        assert run.end() == 130
        assert "Traceback" not in run.said
        assert list(run.scratch.iterdir()) == []
        run.wait_until_nobody_is_left()


def test_nobody_outlives_a_demo_that_is_killed_itself(tmp_path: Path) -> None:
    with evening(tmp_path, "--acts", "1", "--hours", "4") as run:
        run.wait_until_said("policy version 1 is active")
        run.process.kill()

        assert run.end() == -signal.SIGKILL
        run.wait_until_nobody_is_left()


def test_a_short_evening_keeps_every_promise_and_writes_its_report(tmp_path: Path) -> None:
    with evening(tmp_path, "--acts", "12", "--hours", "4") as run:
        assert run.end() == 0, run.said

        report = json.loads((run.report / "demo.json").read_text())
        assert report["all_kept"] is True
        assert all(promise["kept"] for promise in report["promises"])
        assert report["act1"]["due"] == 4 * 4 + 2
        assert report["act2"]["replacement"] != report["act2"]["lost"]
        assert sum(report["ways_back"]["rollback"]["phases_seconds"].values()) < 300
        assert len(report["ways_back"]["launch"]["instances"]) == 3
        assert "Every promise was kept." in (run.report / "demo.html").read_text()
        assert list(run.scratch.iterdir()) == []
        run.wait_until_nobody_is_left()
