"""What runbooks promise by their form: commands that exist, procedures that end in a look, none that nobody tried."""

import re
from pathlib import Path

import pytest

from tests.architecture.test_docs import objection
from tests.runbooks.book import BLOCK, RUNBOOKS, Procedure, every, procedures

HERE = Path(__file__).parent


@pytest.mark.parametrize("procedure", every(), ids=lambda one: one.name)
def test_every_command_of_a_procedure_would_run_as_it_stands(procedure: Procedure) -> None:
    ours = [line for line in procedure.lines if line.startswith("understudy ")]

    assert ours
    assert [said for line in ours if (said := objection(re.sub(r"--epoch N\b", "--epoch 9", line)))] == []
    assert procedure.lines[-1] in ours, "it ends in a command of ours, which shows that the trouble is over"


@pytest.mark.parametrize("procedure", every(), ids=lambda one: one.name)
def test_every_procedure_is_followed_by_a_test(procedure: Procedure) -> None:
    followed = "\n".join(path.read_text() for path in HERE.glob("test_*.py") if path.name != Path(__file__).name)

    assert f'"{procedure.runbook}"' in followed
    assert f'"{procedure.situation}"' in followed


def test_every_runbook_has_a_procedure() -> None:
    assert [path.stem for path in RUNBOOKS.glob("*.md") if not procedures(path.stem)] == []


@pytest.mark.parametrize("path", sorted(RUNBOOKS.glob("*.md")), ids=lambda path: path.stem)
def test_no_procedure_of_a_runbook_is_written_twice(path: Path) -> None:
    names = [name for name, _ in BLOCK.findall(path.read_text())]

    assert len(names) == len(set(names))
    assert len(re.findall(r"^```console", path.read_text(), re.MULTILINE)) == len(names), (
        "each block says its situation"
    )
