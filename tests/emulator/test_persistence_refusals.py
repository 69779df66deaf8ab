"""What `--data DIR` refuses to open, and that it says why in one sentence."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from emulator import deeds
from emulator.persistence.file import FORMAT, DataError, WorldFile
from tests.emulator.world_dump import closed, journal_of, opened

ROOT: Final = Path(__file__).resolve().parents[2]
SEED: Final = """
zones: [cn-hangzhou-h]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.1.9, data_disks: [{id: d-a, size_gib: 20}]}]
"""


def once(directory: Path) -> Path:
    """A directory with a small world in it."""
    cloud = opened(directory, SEED)
    cloud.do(deeds.fail, instance="i-a", recovers=True)
    closed(cloud)
    return directory


def change(directory: Path, statement: str) -> None:
    with sqlite3.connect(directory / "world.sqlite") as db:
        db.execute(statement)
    db.close()


def test_a_directory_that_another_emulator_serves_is_refused(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)
    with pytest.raises(DataError, match="is served by another emulator; stop that one"):
        opened(tmp_path / "world")
    closed(cloud)
    closed(opened(tmp_path / "world"))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda d: (d / "world.sqlite").write_bytes(b"this is no database, it is a letter" * 90), "is damaged or not"),
        (lambda d: (d / "letter.txt").write_text("dear"), r"holds other things \(letter.txt\)"),
        (lambda d: change(d, f"PRAGMA user_version = {FORMAT + 1}"), "was written by a newer emulator"),
        (lambda d: change(d, "PRAGMA application_id = 7"), "is not a file of the emulator"),
        (lambda d: change(d, "DELETE FROM commands WHERE number = 1"), "1 commands were recorded, 0 are there"),
        (lambda d: change(d, "UPDATE commands SET outcome = 'x'"), "behaves otherwise than the one that wrote it"),
        (lambda d: change(d, "UPDATE commands SET what = '{}'"), "cannot be read back"),
    ],
    ids=["damaged", "other things", "newer", "foreign", "hole", "other outcome", "garbled command"],
)
def test_what_cannot_be_trusted_is_refused_in_one_sentence(
    tmp_path: Path, spoil: Callable[[Path], Any], message: str
) -> None:
    directory = once(tmp_path / "world")
    spoil(directory)
    with pytest.raises(DataError, match=message) as refused:
        opened(directory)
    assert str(directory) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_file_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    directory = once(tmp_path / "world")
    whole = (directory / "world.sqlite").read_bytes()
    (directory / "world.sqlite").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match="damaged"):
        opened(directory)


def test_a_world_goes_on_from_its_own_seed_and_refuses_another(tmp_path: Path) -> None:
    directory = once(tmp_path / "world")
    with pytest.raises(DataError, match="was begun with another --seed; leave --seed out"):
        opened(directory, SEED + "\n# another")
    closed(opened(directory, SEED))
    without = opened(directory)
    assert list(without.ecs.instances) == ["i-a"]
    closed(without)


def test_a_refused_directory_can_be_opened_once_it_is_mended(tmp_path: Path) -> None:
    directory = once(tmp_path / "world")
    (directory / "letter.txt").write_text("dear")
    with pytest.raises(DataError):
        opened(directory)
    (directory / "letter.txt").unlink()
    closed(opened(directory))


def test_the_command_line_says_why_it_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    ended = subprocess.run(
        [sys.executable, "-m", "emulator", "serve", "--data", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(f"emulator: {tmp_path} holds other things (letter.txt); ")
    assert "Traceback" not in ended.stderr


def test_a_world_that_can_no_longer_be_written_answers_nothing_more(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)
    journal = journal_of(cloud)
    told: list[str] = []
    journal.on_failure = lambda: told.append("failed")
    journal.file._db.execute("PRAGMA query_only = ON")
    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError):
            cloud.do(deeds.set_dark, zone="cn-hangzhou-h", dark=True)
    assert told == ["failed"]
    journal.file.close()


def test_a_disk_without_room_is_told_from_a_damaged_file_and_nothing_is_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = once(tmp_path / "world")
    full = sqlite3.OperationalError("database or disk is full")

    def no_room(*_: object) -> None:
        raise full

    for method in ("_prepare", "tell", "commit"):
        with monkeypatch.context() as patched:
            patched.setattr(WorldFile, method, no_room)
            with pytest.raises(DataError, match=r"world cannot be written: database or disk is full; make room"):
                opened(directory)
    again = opened(directory)
    assert again.ecs.instances["i-a"].state != "Running"
    closed(again)


def test_nobody_else_can_read_the_world_also_in_a_directory_that_was_there(tmp_path: Path) -> None:
    (tmp_path / "world").mkdir(mode=0o755)
    cloud = opened(tmp_path / "world", SEED)
    cloud.do(deeds.fail, instance="i-a", recovers=True)
    assert {path.stat().st_mode & 0o077 for path in (tmp_path / "world").iterdir()} == {0}
    closed(cloud)
