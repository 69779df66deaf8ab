"""What an agent has promised outlives its process, under its own id and in this boot only."""

import json
from pathlib import Path

import pytest

from shared.domain.ids import Epoch, HolderId, Place
from shared.domain.pledge import Pledge, Promises
from understudy.agent.promise_file import PromiseFile

ME, HERE = HolderId("hz-i/7f"), Place("10.0.2.21:7001")
PROMISED = Promises(
    pledge=Pledge(holder=HolderId("hz-h/3c"), epoch=Epoch(4), until=812.5), floor=Epoch(5), unknown_until=90.0
)


def test_the_next_process_of_this_agent_recalls_all_of_it(tmp_path: Path) -> None:
    for promises in (Promises(), PROMISED):
        PromiseFile(tmp_path / "role.json", me=ME, place=HERE).keep(promises)
        assert PromiseFile(tmp_path / "role.json", me=ME, place=HERE).recall() == promises


def test_another_agent_another_place_and_another_boot_recall_nothing(tmp_path: Path) -> None:
    role_file = tmp_path / "role.json"
    PromiseFile(role_file, me=ME, place=HERE).keep(PROMISED)

    assert PromiseFile(role_file, me=HolderId("hz-i/80"), place=HERE).recall() is None
    assert PromiseFile(role_file, me=ME, place=Place("10.0.2.22:7001")).recall() is None
    kept = tmp_path / "role.json.promises"
    kept.write_text(json.dumps({**json.loads(kept.read_text()), "boot": "another"}))
    assert PromiseFile(role_file, me=ME, place=HERE).recall() is None


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"me": "hz-i/7f"}'])
def test_a_damaged_record_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / "role.json.promises").write_text(content)

    assert PromiseFile(tmp_path / "role.json", me=ME, place=HERE).recall() is None


def test_no_record_is_none_and_one_that_cannot_be_written_is_an_error(tmp_path: Path) -> None:
    assert PromiseFile(tmp_path / "role.json", me=ME, place=HERE).recall() is None
    (tmp_path / "role.json.promises").mkdir()

    with pytest.raises(OSError, match="directory"):
        PromiseFile(tmp_path / "role.json", me=ME, place=HERE).keep(PROMISED)
