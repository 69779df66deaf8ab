"""What a master believes about its role: nothing, unless the file is whole, of this boot, and in time."""

import textwrap
from pathlib import Path
from typing import Any

import pytest

from understudy.agent import client
from understudy.agent.client import Role, RoleReader, boot_id, replace_file


def reader(content: bytes, *times: float) -> RoleReader:
    readings = iter(times or (10.0,) * 20)
    return RoleReader("unused", clock=lambda: next(readings), boot="b1", read=lambda: content)


def role(until: float = 20.0, *, epoch: int = 3, boot: str = "b1") -> bytes:
    return Role("control", "hz-h", epoch, until, boot).encode()


@pytest.mark.parametrize(
    ("content", "because"),
    [
        (b"", "Expecting value"),
        (b"{}", "damaged"),
        (role()[:-20], "Expecting value"),
        (role(boot="an earlier one"), "earlier boot"),
        (role(until=0.0), "not active"),
        (role(until=10.0), "deadline has passed"),
    ],
    ids=["empty", "no fields", "half a file", "another boot", "revoked", "just over"],
)
def test_a_file_that_is_not_certain_means_not_active(content: bytes, because: str) -> None:
    look = reader(content).look()

    assert not look.active
    assert because in look.because


def test_a_missing_file_means_not_active(tmp_path: Path) -> None:
    look = RoleReader(tmp_path / "role.json").look()

    assert not look.active
    assert "no role file" in look.because


def test_a_process_stopped_while_it_looked_sees_the_deadline_past() -> None:
    assert not reader(role(until=20.0), 19.0, 21.0).look().active
    assert reader(role(until=20.0), 19.0, 19.5).look().active


def test_the_second_look_must_find_the_same_epoch() -> None:
    first = reader(role(epoch=3)).look()
    assert first.active
    second = reader(role(epoch=5)).confirm(first)

    assert not second.active
    assert second.because == "the epoch changed meanwhile"


def test_the_second_look_fails_when_the_first_did() -> None:
    first = reader(role(until=0.0)).look()

    assert not reader(role()).confirm(first).active


def test_a_replaced_file_is_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "role.json"
    for epoch in range(1, 50):
        replace_file(path, Role("control", "hz-h", epoch, 1e12, boot_id()).encode())
        look = RoleReader(path).look()
        assert (look.active, look.epoch) == (True, epoch)
    assert [one.name for one in tmp_path.iterdir()] == ["role.json"]


def test_the_example_in_the_module_works_as_it_stands(tmp_path: Path) -> None:
    assert client.__doc__ is not None
    start, end = client.__doc__.index("    role = "), client.__doc__.index("The second look is what counts")
    example = textwrap.dedent(client.__doc__[start:end])
    path = tmp_path / "role.json"
    done: list[str] = []
    names: dict[str, Any] = {
        **vars(client),
        "work": done.append,
        "take_back": done.remove,
        "accept": lambda order, epoch: f"{order} accepted under {epoch}",
        "refuse": lambda order, because: f"{order} refused: {because}",
    }
    exec(example.replace("/run/understudy/role.json", str(path)), names)
    command = names["command"]
    assert command("c-1").startswith("c-1 refused: no role file")

    replace_file(path, Role("control", "hz-h", 3, 1e12, boot_id()).encode())
    assert command("c-2") == "c-2 accepted under 3"
    assert done == ["c-2"]

    def lose(order: str) -> None:
        done.append(order)
        replace_file(path, Role("control", "hz-h", 3, 0.0, boot_id()).encode())

    names["work"] = lose
    assert command("c-3") == "c-3 refused: this site is not active"
    assert done == ["c-2"], "what was done meanwhile is taken back"
