"""The demo's stage kept for an operator: a second shell gets what it needs, and Ctrl-C ends it well."""

import os
import signal
import subprocess
from pathlib import Path
from shlex import quote

import pytest

from tests.demo.evening import evening
from understudy.demo.local_cloud import ROOT

pytestmark = pytest.mark.timeout(300)


def test_a_second_shell_sees_a_pair_at_work_until_the_stage_is_ended(tmp_path: Path) -> None:
    with evening(tmp_path, "--stay") as run:
        run.wait_until_said("Ctrl-C ends it.")
        exports, understudy = run.report / "env", quote(f"{ROOT}/.venv/bin/understudy")
        asked = subprocess.run(
            ["sh", "-c", f'. {quote(str(exports))} && {understudy} status && ls "$MASTER_LOGS"'],
            capture_output=True, text=True, check=True, cwd=tmp_path,
        ).stdout  # fmt: skip

        assert "lease: hz-h (held, epoch 1)" in asked
        assert "its clock is" not in asked, "the calendar is today's, as the masters' is"
        assert ".jsonl" in asked
        os.kill(run.process.pid, signal.SIGINT)
        assert run.end() == 0
        assert "Traceback" not in run.said
        assert not exports.exists()
        run.wait_until_nobody_is_left()
