"""docs/emulator.md says what is true: its examples run, and it names every route of the admin door."""

import json
import re
import subprocess
import sys
import textwrap
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Local, mock_aliyun
from tests.emulator.networks import free_network

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "emulator.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def with_own_network(example: str) -> str:
    """The example, on loopback addresses that nobody else on this machine uses just now."""
    own, places = re.subn(r'"net": "\d+"', f'"net": "{free_network()}"', example)
    assert places == 1
    return own


def test_the_sdk_example_runs() -> None:
    exec(compile(with_own_network(BLOCKS[0]), "docs/emulator.md", "exec"), {})


def test_the_pytest_example_runs(tmp_path: Path) -> None:
    (tmp_path / "test_example.py").write_text(textwrap.dedent(with_own_network(BLOCKS[1])))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-c", "/dev/null", str(tmp_path)]
    ran = subprocess.run(command, cwd=ROOT, env={"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_command_line_example_starts() -> None:
    command = next(line for line in PAGE.splitlines() if line.startswith(".venv/bin/python -m emulator serve --seed"))
    words = [sys.executable, *command.replace("net=77", f"net={free_network()}").replace("8080", "0").split()[1:]]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        assert process.stdout is not None
        first = json.loads(process.stdout.readline())
        shown = json.loads(re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)[0])
        assert set(first) == set(shown)
        assert set(first["regions"]) == set(shown["regions"])
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.fixture(scope="module")
def routes() -> set[str]:
    with mock_aliyun() as local:
        return {f"{row['method']} {row['path']}" for row in told(local)["routes"]}


def told(local: Local) -> Any:
    with urllib.request.urlopen(f"{local.url}/_emulator/", timeout=10) as answer:
        return json.loads(answer.read())


def test_every_route_of_the_admin_door_is_named_and_exists(routes: set[str]) -> None:
    named = set(re.findall(r"^\| `((?:GET|POST|PUT|DELETE) /_emulator/[^`]*)` \|", PAGE, re.MULTILINE))
    assert named == routes
