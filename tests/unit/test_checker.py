"""The offline checker believes nothing but the lines it reads."""

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.checker import Unreadable, check, main


def write(path: Path, *lines: dict[str, Any] | str) -> Path:
    path.write_text("".join((one if isinstance(one, str) else json.dumps(one)) + "\n" for one in lines))
    return path


def line(at: float, *, site: str = "hz-h", epoch: int = 1, outcome: str = "accepted", id: str = "c") -> dict[str, Any]:
    of = {"outcome": outcome, "id": id, "site": site, "epoch": epoch}
    return {**of, "at": at, "instance": f"i-{site}", "boot": "of the one machine"}


def test_a_planted_command_of_the_old_site_after_the_take_over_is_found(tmp_path: Path) -> None:
    old = write(tmp_path / "h.jsonl", line(1.0), line(2.0), line(9.5, id="planted"))
    new = write(tmp_path / "i.jsonl", line(9.0, site="hz-i", epoch=2), line(10.0, site="hz-i", epoch=2))

    proof = check([old, new])

    assert not proof.holds
    assert "hz-h accepted planted under epoch 1 at 9.500000 s (h.jsonl:3)" in proof.violations[0]
    assert main([str(old), str(new)]) == 1


def test_interleaving_with_an_epoch_in_between_is_found(tmp_path: Path) -> None:
    log = write(
        tmp_path / "all.jsonl",
        line(1.0),
        line(2.0, site="hz-i", epoch=2),
        line(3.0, epoch=3),
        line(3.5, epoch=1),
    )

    assert len(check([log]).violations) == 2


def test_one_epoch_used_by_two_sites_is_found(tmp_path: Path) -> None:
    log = write(tmp_path / "all.jsonl", line(1.0), line(2.0, site="hz-i"))

    assert check([log]).violations == ["epoch 1 was used by two sites: hz-h and hz-i (all.jsonl:1, all.jsonl:2)"]


def test_one_epoch_used_by_two_instances_of_one_site_is_found(tmp_path: Path) -> None:
    one = write(tmp_path / "a.jsonl", line(1.0), line(3.0))
    twin = write(tmp_path / "b.jsonl", {**line(2.0), "instance": "i-clone"})

    assert check([one, twin]).violations == [
        "epoch 1 was used by two instances of hz-h: i-hz-h and i-clone (a.jsonl:1, b.jsonl:1)"
    ]
    assert main([str(one), str(twin)]) == 1


def test_an_acceptance_by_an_unnamed_instance_is_a_violation(tmp_path: Path) -> None:
    log = write(tmp_path / "all.jsonl", {**line(1.0), "instance": ""}, line(2.0))

    assert "by an unnamed instance" in check([log]).violations[0]


def test_an_acceptance_at_the_same_instant_is_an_overlap(tmp_path: Path) -> None:
    log = write(tmp_path / "all.jsonl", line(1.0), line(1.0, site="hz-i", epoch=2))

    assert not check([log]).holds


@pytest.mark.parametrize("field", ["site", "epoch"])
def test_an_acceptance_under_no_epoch_is_a_violation(tmp_path: Path, field: str) -> None:
    log = write(tmp_path / "all.jsonl", {**line(1.0), field: "" if field == "site" else 0}, line(2.0))

    assert "without a site or an epoch" in check([log]).violations[0]


@pytest.mark.parametrize(("first_of_i", "shifted"), [(9.0, "broken"), (1.5, "proved")])
def test_lines_that_name_no_boot_are_compared_only_as_they_are_told_to_be(
    tmp_path: Path, first_of_i: float, shifted: str
) -> None:
    """Two machines' clocks: that one reads less proves nothing, and that it reads more accuses nobody."""
    bare = [{key: value for key, value in line(at).items() if key != "boot"} for at in (9.0, 9.5)]
    other = {key: value for key, value in line(first_of_i, site="hz-i", epoch=2).items() if key != "boot"}
    logs = [write(tmp_path / "h.jsonl", *bare), write(tmp_path / "i.jsonl", other)]

    proof = check(logs)
    assert proof.code == 3
    assert "the lines of i-hz-h, i-hz-i name no boot" in " ".join(proof.unproved)
    assert "--shift INSTANCE=SECONDS" in " ".join(proof.unproved)
    assert check(logs[:1]).code == 0, "one master's clock is its own"

    told = check(logs, shifts={"i-hz-h": 0.0, "i-hz-i": 0.0 if shifted == "broken" else 10.0})
    assert told.code == (1 if shifted == "broken" else 0)


def test_no_accepted_command_proves_nothing(tmp_path: Path) -> None:
    log = write(tmp_path / "all.jsonl", line(1.0, outcome="refused"))

    proof = check([log])

    assert (proof.violations, proof.code) == ([], 3)
    assert proof.unproved == ["no command was accepted at all: there is nothing to prove from"]
    assert main([str(write(tmp_path / "empty.jsonl"))]) == 3, "nothing contradicts anything"


@pytest.mark.parametrize("bad", ["{", "[]", "{}", '{"outcome": "perhaps", "id": 1, "site": "a", "epoch": 1, "at": 1}'])
def test_a_damaged_log_is_not_skipped_over(tmp_path: Path, bad: str) -> None:
    log = write(tmp_path / "h.jsonl", line(1.0), bad)

    with pytest.raises(Unreadable, match=r"h\.jsonl:2"):
        check([log])
    assert main([str(log)]) == 2


@pytest.mark.parametrize("spoilt", [{"at": float("nan")}, {"at": float("inf")}, {"epoch": 1.5}, {"epoch": True}])
def test_a_number_that_contradicts_nothing_because_it_is_none_is_not_read(
    tmp_path: Path, spoilt: dict[str, Any]
) -> None:
    old = write(tmp_path / "h.jsonl", line(1.0), {**line(9.0), **spoilt})
    new = write(tmp_path / "i.jsonl", line(7.0, site="hz-i", epoch=2))

    with pytest.raises(Unreadable, match=r"h\.jsonl:2"):
        check([old, new])


@pytest.mark.parametrize(
    "words", [("--shift", "i-hz-h=nan"), ("--shift", "i-typo=3"), ("--skew", "nan"), ("--skew", "-1"), ("--shift", "x")]
)
def test_clocks_that_are_told_wrong_prove_nothing(tmp_path: Path, words: tuple[str, str]) -> None:
    log = write(tmp_path / "h.jsonl", line(1.0))

    assert main([str(log)]) == 0
    assert main([str(log), "=".join(words)]) == 2


def test_a_missing_log_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match="absent"):
        check([tmp_path / "absent.jsonl"])


def test_a_last_line_that_its_process_never_finished_is_left_out(tmp_path: Path) -> None:
    log = tmp_path / "h.jsonl"
    log.write_text(json.dumps(line(1.0)) + "\n" + '{"outcome": "acc')

    assert check([log]).accepted == 1


def test_a_clean_take_over_is_proved_and_counted(tmp_path: Path) -> None:
    old = write(
        tmp_path / "h.jsonl",
        line(1.0, outcome="recorded"),
        line(1.0),
        line(5.0, outcome="recorded"),
        line(9.0, outcome="withdrawn"),
        line(10.0, outcome="refused"),
    )
    new = write(tmp_path / "i.jsonl", line(7.0, site="hz-i", epoch=2))

    proof = check([old, new])

    assert proof.holds
    assert proof.gaps == [6.0]
    assert "from 2 accepted commands of 2 epochs (2 accepted, 1 refused, 1 withdrawn, 2 recorded)" in str(proof)
    assert main([str(old), str(new)]) == 0


def test_logs_of_machines_with_other_clocks_are_shifted_as_told(tmp_path: Path) -> None:
    old = write(tmp_path / "h.jsonl", line(1000.0))
    new = write(tmp_path / "i.jsonl", line(7.0, site="hz-i", epoch=2))

    assert not check([old, new]).holds
    assert check([old, new], shifts={"i-hz-h": -999.0}).holds
