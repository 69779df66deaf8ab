"""What an operator is told when a file, the environment, an address or a key is wrong: one message, exit code 2."""

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulator.testing import Local
from tests.cli.conftest import Run

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "understudy.yaml"


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, kept so for the test."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def test_a_malformed_file_ends_with_2_and_names_file_key_value_and_remedy(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(EXAMPLE.read_text().replace("hours: [2]", "hours: [24]").replace("days: 5", "days: 65537"))

    ended = run("check", "--file", str(file))

    assert ended.code == 2
    assert ended.out == ""
    assert ended.err.splitlines() == [
        "mine.yaml: protections[1].schedules[0].hours: 24 is not an hour of day (0-23). Use 0 for midnight (line 21)",
        "mine.yaml: protections[1].keep.days: 65537 is not a number of days (1-65,536). Use 65,536 or less (line 22)",
    ]


def test_a_missing_file_ends_with_2(run: Run, tmp_path: Path) -> None:
    ended = run("check", "--file", str(tmp_path / "none.yaml"))

    assert ended.code == 2
    assert "there is no such file" in ended.err


@pytest.mark.parametrize(
    "arguments", [("chek",), ("check", "--fil", "x"), ("explain", "--last", "0"), ("pause", "prune")]
)
def test_a_wrong_argument_ends_with_2_and_says_which(run: Run, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments)

    assert ended.code == 2
    assert "Error" in ended.err


@pytest.mark.parametrize(
    ("missing", "says"),
    [
        ("UNDERSTUDY_REGION", "export UNDERSTUDY_REGION=cn-hangzhou"),
        ("UNDERSTUDY_OTS_INSTANCE", "export UNDERSTUDY_OTS_INSTANCE="),
        ("ALIBABA_CLOUD_ACCESS_KEY_ID", "export ALIBABA_CLOUD_ACCESS_KEY_ID"),
        ("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "export ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET"),
    ],
)
def test_missing_environment_names_the_variable_and_the_remedy(
    run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch, missing: str, says: str
) -> None:
    monkeypatch.setenv(missing, "  ")

    ended = run("explain", "policy")

    assert ended.code == 2
    assert f"environment variable {missing} is missing or empty" in ended.err
    assert says in ended.err
    assert len(ended.err.splitlines()) == 1


def test_an_unreachable_tablestore_ends_with_2_and_says_where_it_looked(
    run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("UNDERSTUDY_OTS_ENDPOINT", f"http://127.0.0.1:{closed_port}")

    ended = run("explain", "policy")

    assert ended.code == 2
    assert f"127.0.0.1:{closed_port}" in ended.err
    assert "UNDERSTUDY_OTS_ENDPOINT" in ended.err
    assert "Traceback" not in ended.err


def test_rejected_credentials_end_with_2_and_name_the_variables(
    run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_ID", "LTAIexpired")
    monkeypatch.setenv("ALIBABA_CLOUD_SECURITY_TOKEN", "STS.expired")

    ended = run("explain", "policy")

    assert ended.code == 2
    assert "ALIBABA_CLOUD_ACCESS_KEY_ID" in ended.err
    assert "unexpired" in ended.err
    assert "Traceback" not in ended.err


def test_the_secret_is_never_shown(run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALIBABA_CLOUD_ACCESS_KEY_SECRET", "very-secret-word")

    ended = run("explain", "policy")

    assert ended.code == 2
    assert "very-secret-word" not in ended.out + ended.err


def test_an_emulator_clock_that_does_not_answer_is_named(
    run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch, closed_port: int
) -> None:
    monkeypatch.setenv("UNDERSTUDY_CLOCK", f"http://127.0.0.1:{closed_port}/_emulator/clock")

    ended = run("backup", "now", "applications")

    assert ended.code == 2
    assert f"http://127.0.0.1:{closed_port}/_emulator/clock does not answer" in ended.err


def test_a_scope_that_cannot_be_paused_is_refused_before_anything_is_asked(run: Run) -> None:
    ended = run("pause", "everything", "--because", "test")

    assert ended.code == 2
    assert "'everything' cannot be paused or resumed. Use one of backups, prune, rebuilds, failover, all" in ended.err


def test_a_region_that_differs_from_the_files_is_refused(
    run: Run, connected: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("UNDERSTUDY_REGION", "cn-shanghai")

    ended = run("check", "--cloud", "--file", str(EXAMPLE))

    assert ended.code == 2
    assert "understudy.yaml: region: cn-hangzhou, but UNDERSTUDY_REGION is cn-shanghai" in ended.err


def test_it_also_runs_as_a_module() -> None:
    ended = subprocess.run(
        [sys.executable, "-m", "understudy", "check"], cwd=ROOT, capture_output=True, text=True, timeout=50, check=False
    )

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "understudy.yaml is sound" in ended.stdout


def test_help_lists_every_command_on_a_line_of_its_own(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    ended = run("--help")

    assert ended.code == 0
    for command in (
        "check",
        "apply",
        "status",
        "explain",
        "prune",
        "pause",
        "resume",
        "acknowledge",
        "backup",
        "agent",
    ):
        assert sum(f"│ {command} " in line for line in ended.out.splitlines()) == 1
    assert "Exit codes: 0 done, 1 refused, 2 bad input" in ended.out
