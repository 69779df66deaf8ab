"""Promises and their report: what was broken cannot be overlooked, and nothing that is shown can be executed."""

import json
from pathlib import Path
from typing import Any

import pytest

from understudy.demo import report
from understudy.demo.promises import Promise, Promises

HOSTILE = "<script>alert('&')</script>"


def full(*, kept: bool = True, text: str = "plain") -> dict[str, Any]:
    return {
        "act1": {
            "slots": {"taken": 3, "late": 1, "skipped": 0},
            "due": 4,
            "snapshots": 8,
            "pruned_points": 2,
            "certificates": 1,
            "hours": 168,
            "worst_rpo_seconds": {text: 3725.0, "d-2": 90_000.0},
            "rpo_target_seconds": {text: 4500.0, "d-2": 90_000.0},
        },
        "act2": {
            "lost": text,
            "replacement": text,
            "rto_seconds": 125.0,
            "rpo_seconds": 600.0,
            "phases_seconds": {text: 100.0, "boot": 25.0},
        },
        "ways_back": {
            "rollback": {"instance": text, "phases_seconds": {text: 80.0}, "undo_phases_seconds": {text: 70.0}},
            "launch": {"image": text, "instances": ["i-1", "i-2", "i-3"], "phases_seconds": {text: 30.0}},
        },
        "act3": {
            "loss": text,
            "words": text,
            "epoch_before": 1,
            "epoch_after": 2,
            "accepted": 500,
            "phases": {text: 5.0},
            "decisions": [(3.0, text)],
            "gaps": [
                {"kind": text, "cached": 5.8, "last_served": -0.1, "first_served_again": None, "lost": 7},
            ],
            "first_good_seconds": None,
        },
        "promises": [{"text": text, "kept": kept, "evidence": text}],
        "all_kept": kept,
    }


def test_a_broken_promise_is_said_first_and_shown_with_its_evidence() -> None:
    page = report.page(full(kept=False, text="never two active"))

    assert "At least one promise was broken." in page
    assert "Every promise was kept" not in page
    assert page.index("At least one promise was broken.") < page.index("Act 1")
    assert "<span class='bad'>broken</span>" in page


def test_everything_that_comes_from_outside_is_escaped() -> None:
    page = report.page(full(text=HOSTILE))

    assert "<script>" not in page
    assert "alert('&')" not in page


def test_a_client_that_never_came_back_is_shown_as_never() -> None:
    assert ">never<" in report.page(full())


def test_the_headline_is_the_worst_disk_of_the_strictest_target_not_the_best() -> None:
    content = full()
    content["act1"]["worst_rpo_seconds"] = {"plain": 3600.0, "d-2": 7200.0, "d-3": 86_400.0}
    content["act1"]["rpo_target_seconds"] = {"plain": 4500.0, "d-2": 4500.0, "d-3": 90_000.0}

    cards = report.page(content).partition("<div class='cards'>")[2].partition("<h2>")[0]

    assert "2 h 00 min" in cards
    assert "1 h 00 min" not in cards
    assert "24 h 00 min" not in cards


def test_acts_that_were_not_played_are_left_out() -> None:
    page = report.page({"promises": [], "all_kept": False})

    assert "Act" not in page.partition("<h2>Promises")[0].partition("<h1>")[2]


def test_a_run_without_any_promise_has_not_kept_them_all(tmp_path: Path) -> None:
    as_json, as_html = report.write(tmp_path / "new" / "folder", {}, [])

    assert json.loads(as_json.read_text())["all_kept"] is False
    assert "At least one promise was broken." in as_html.read_text()


@pytest.mark.parametrize("kept", [True, False])
def test_the_files_for_machines_and_for_people_say_the_same(tmp_path: Path, kept: bool) -> None:
    promise = Promise(text="one slot, one snapshot", kept=kept, evidence="8 snapshots")

    as_json, as_html = report.write(tmp_path, {}, [promise])

    written = json.loads(as_json.read_text())
    assert written["all_kept"] is kept
    assert written["promises"] == [{"text": "one slot, one snapshot", "kept": kept, "evidence": "8 snapshots"}]
    assert ("Every promise was kept." in as_html.read_text()) is kept


def test_promises_remember_all_and_tell_the_broken_ones() -> None:
    promises = Promises()
    promises.check("kept", True, "seen")
    broken = promises.check("broken", False, "not seen")

    assert promises.broken == [broken]
    assert [promise.text for promise in promises.all] == ["kept", "broken"]
