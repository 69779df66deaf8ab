"""The checker against decisions and the cloud's trail: each kind of violation is planted, and found for what it is."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from understudy.checker import BROKEN, FOREIGN, PROVED, UNPROVED, UNREADABLE, Unreadable, check, main

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)
NAME, AT_H, AT_I = "master.corp.example", "10.0.1.21", "10.0.2.21"
SKEW = 2.0


def moment(seconds: float) -> str:
    return (NOON + timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")


def accepted(at: float, *, site: str = "hz-h", epoch: int = 1, id: str = "c", **more: Any) -> dict[str, Any]:
    line = {"outcome": "accepted", "id": id, "site": site, "epoch": epoch, "at": 1000 + at, "instance": f"i-{site}"}
    return {**line, "wall": moment(at), "boot": "of the one machine", **more}


def decided(at: float, event: str, *, epoch: int | None, began: float | None = None, **inputs: Any) -> dict[str, Any]:
    told = {key: value if isinstance(value, str) else json.dumps(value) for key, value in inputs.items()}
    if began is not None:
        told["began"] = moment(began)
    return {"at": moment(at), "event": event, "epoch": epoch, "inputs": told, "because": [], "acted": True}


def changed(at: float, value: str, *, action: str = "update", before: str = "", **more: Any) -> dict[str, Any]:
    text = f"{before} -> {value}"
    return {"at": moment(at), "action": action, "name": NAME, "value": value, "before": before, "text": text, **more}


@dataclass
class Day:
    """hz-h is active until 10 s; hz-i takes over at 15 s, and the name follows at 15.5 s. Tests spoil it."""

    folder: Path
    accepts: list[dict[str, Any]] = field(
        default_factory=lambda: [
            *(accepted(at, id=f"h{at}") for at in range(10)),
            *(accepted(at, site="hz-i", epoch=2, id=f"i{at}") for at in range(16, 25)),
        ]
    )
    decisions: list[dict[str, Any]] = field(
        default_factory=lambda: [
            decided(-20, "lease.created", epoch=1, began=-20.1, granted_to="hz-h"),
            decided(14.9, "failover.decided", epoch=1, began=12.0, held_by="hz-h", move="2"),
            decided(15.0, "failover.promoting", epoch=2, began=14.9, granted_to="hz-i", move="3"),
            decided(15.3, "failover.rebinding", epoch=2, began=15.0, granted_to="hz-i", names={NAME: AT_I}, move="4"),
            decided(15.6, "failover.confirming", epoch=2, began=15.3, granted_to="hz-i", names={NAME: AT_I}, move="5"),
            decided(15.9, "failover.watching", epoch=2, began=15.6, granted_to="hz-i", move="6"),
        ]
    )
    changes: list[dict[str, Any]] = field(default_factory=lambda: [changed(15.5, AT_I, before=AT_H)])
    complete: bool = True
    since: str | None = None

    def write(self) -> tuple[Path, Path, Path]:
        log = self.folder / "accepts.jsonl"
        log.write_text("".join(json.dumps(one) + "\n" for one in self.accepts))
        return log, self._export("decisions", self.decisions, self.since), self._export("trail", self.changes, None)

    def _export(self, kind: str, lines: list[dict[str, Any]], since: str | None) -> Path:
        whole = self.complete if kind == "decisions" else True
        head = {"export": kind, "of": "control", "complete": whole, "since": since, "until": moment(100)}
        head["names"] = [NAME]
        path = self.folder / f"{kind}.jsonl"
        end = {"end": kind, "lines": len(lines)}
        path.write_text("".join(json.dumps(one) + "\n" for one in (head, *lines, end)))
        return path

    def proof(self, *, skew: float = SKEW, clock: str = "at") -> Any:
        log, decisions, trail = self.write()
        return check([log], decisions=decisions, trail=trail, skew=skew, clock=clock)

    def failed_back(self) -> "Day":
        """hz-h has it again at 60 s, as epoch 3."""
        self.accepts += [accepted(at, epoch=3, id=f"h{at}") for at in range(62, 70)]
        self.decisions += [
            decided(61.0, "failover.promoting", epoch=3, began=60.0, granted_to="hz-h"),
            decided(61.2, "failover.rebinding", epoch=3, began=61.0, granted_to="hz-h", names={NAME: AT_H}),
            decided(61.6, "failover.confirming", epoch=3, began=61.2, granted_to="hz-h", names={NAME: AT_H}),
        ]
        self.changes.append(changed(61.5, AT_H, before=AT_I))
        return self


@pytest.fixture
def day(tmp_path: Path) -> Day:
    return Day(tmp_path)


def test_a_take_over_and_a_return_are_proved_from_all_three(day: Day) -> None:
    proof = day.failed_back().proof()

    assert (proof.code, proof.notes) == (PROVED, [])
    log, decisions, trail = day.write()
    assert main([str(log), "--decisions", str(decisions), "--trail", str(trail)]) == PROVED


# --- broken ---


def test_an_epoch_that_was_granted_to_the_other_site_is_found(day: Day) -> None:
    day.accepts.append(accepted(30, epoch=3, id="planted"))
    day.decisions.append(decided(28, "failover.promoting", epoch=3, began=27, granted_to="hz-i"))

    proof = day.proof()

    assert proof.code == BROKEN
    assert "hz-h accepted planted under epoch 3" in proof.violations[0]
    assert "which was granted to hz-i (failover.promoting, decisions.jsonl:8)" in proof.violations[0]


def test_an_epoch_that_two_sites_were_granted_is_found(day: Day) -> None:
    day.decisions.append(decided(15.1, "lease.taken", epoch=2, began=15.0, granted_to="hz-h"))

    assert "epoch 2 was granted to two sites: hz-i" in day.proof().violations[0]


def test_what_was_accepted_before_its_epoch_was_granted_is_found_beyond_the_skew(day: Day) -> None:
    day.accepts = [one for one in day.accepts if one["epoch"] == 2]
    day.accepts.insert(0, accepted(9, site="hz-i", epoch=2, id="early"))
    day.accepts.append(accepted(50, outcome="refused", epoch=1))

    assert "hz-i accepted early under epoch 2" in day.proof().violations[0]
    assert "5.9 s before it was granted" in day.proof().violations[0]
    assert day.proof(skew=6).code == PROVED, "closer than the clocks are known to agree, nothing is claimed"


def test_what_the_old_site_accepted_after_the_name_had_moved_is_found(day: Day) -> None:
    day.accepts = [accepted(1), accepted(40, id="planted")]

    proof = day.proof()

    assert proof.code == BROKEN
    assert "hz-h accepted planted under epoch 1" in proof.violations[0]
    assert "24.5 s after master.corp.example had been moved under epoch 2 (trail.jsonl:2)" in proof.violations[0]


def test_a_name_that_went_back_to_a_lower_epoch_is_a_late_write(day: Day) -> None:
    day.failed_back().changes.append(changed(75, AT_I, before=AT_H))

    proof = day.proof()

    assert proof.code == BROKEN
    assert "changed to 10.0.2.21" in proof.violations[0]
    assert "under epoch 2, after it had been changed under epoch 3 (trail.jsonl:3): a late write" in proof.violations[0]


# --- somebody else ---


@pytest.mark.parametrize(
    "change",
    [
        changed(50, "10.9.9.9", before=AT_I, by="li"),
        changed(5, AT_I, before=AT_H, by="li"),
        changed(50, "", action="delete", by="li"),
        changed(50, "", action="set_status", by="li"),
        changed(50, AT_H, action="add", by="li"),
    ],
    ids=["foreign value", "before any decision", "deleted", "disabled", "second record"],
)
def test_a_change_outside_of_any_decision_is_foreign_and_no_proof_of_two_active(
    day: Day, change: dict[str, Any]
) -> None:
    day.changes.append(change)

    proof = day.proof()

    assert (proof.code, len(proof.foreign)) == (FOREIGN, 1), proof.violations
    assert "by li" in proof.foreign[0]
    assert "follows from no recorded decision" in proof.foreign[0]
    assert "proved: never two active" in str(proof)


def test_what_was_put_right_after_a_foreign_change_is_a_decision_again(day: Day) -> None:
    day.changes += [changed(50, "10.9.9.9", before=AT_I), changed(52, AT_I, before="10.9.9.9")]
    day.decisions.append(
        decided(52.1, "name.reasserted", epoch=2, began=51.9, held_by="hz-i", names={NAME: AT_I}),
    )

    assert len(day.proof().foreign) == 1


def test_the_record_itself_was_made_by_somebody_and_a_second_one_by_somebody_else(day: Day) -> None:
    day.changes.insert(0, changed(-10, AT_H, action="add"))
    assert day.proof().code == PROVED

    day.changes.append(changed(50, AT_H, action="add"))
    assert day.proof().code == FOREIGN


def test_remarks_and_times_to_live_move_nobody(day: Day) -> None:
    day.changes += [changed(50, "", action="update_remark"), changed(51, AT_I, before=AT_I)]

    assert day.proof().code == PROVED


# --- no verdict ---


def test_an_epoch_without_a_grant_is_no_proof(day: Day) -> None:
    day.accepts.append(accepted(90, epoch=3, id="h90"))

    proof = day.proof()

    assert (proof.code, proof.violations) == (UNPROVED, [])
    assert "no recorded decision grants epoch 3, under which hz-h accepted" in proof.unproved[0]
    assert "NOT PROVED" in str(proof)


def test_an_export_of_the_newest_decisions_alone_says_why_it_is_no_proof(day: Day) -> None:
    day.decisions, day.complete, day.since = day.decisions[2:], False, moment(15)

    proof = day.proof()

    assert proof.code == UNPROVED
    assert "exported in part only" in proof.unproved[0]


def test_what_the_lease_row_showed_stands_for_a_grant_that_was_not_recorded(day: Day) -> None:
    del day.decisions[0]

    assert day.proof().code == PROVED, "failover.decided names hz-h under epoch 1"


def test_a_trail_that_lacks_what_a_decision_did_is_not_whole(day: Day) -> None:
    day.failed_back().changes.pop()

    proof = day.proof()

    assert proof.code == UNPROVED
    assert "was bound to 10.0.1.21" in proof.unproved[0]
    assert "the trail shows no such change" in proof.unproved[0]


def test_a_first_binding_that_the_trail_does_not_show_is_told(day: Day) -> None:
    """It may be that the name gave that value before; from the second binding on, it is known that it did not."""
    day.changes = []

    proof = day.proof()

    assert proof.code == PROVED
    assert "by it, the name gave that before" in proof.notes[0]


def test_a_trail_that_was_exported_too_early_or_reaches_back_too_little_is_no_proof(day: Day) -> None:
    day.changes = []
    log, decisions, trail = day.write()
    whole = trail.read_text()
    assert whole.count(moment(100)) == 1

    trail.write_text(whole.replace(moment(100), moment(5)))
    early = check([log], decisions=decisions, trail=trail)
    trail.write_text(whole.replace('"since": null', f'"since": "{moment(50)}"'))
    short = check([log], decisions=decisions, trail=trail)

    assert (early.code, short.code) == (UNPROVED, UNPROVED)
    assert "after the trail was exported: export it again" in early.unproved[0]
    assert f"the trail begins later, at {moment(50)[:19]}" in short.unproved[0]


def test_a_change_after_the_decisions_were_exported_accuses_nobody(day: Day) -> None:
    day.failed_back()
    day.accepts = [one for one in day.accepts if one["epoch"] < 3]
    day.decisions = [one for one in day.decisions if one["epoch"] < 3]
    log, decisions, trail = day.write()
    decisions.write_text(decisions.read_text().replace(moment(100), moment(50)))

    proof = check([log], decisions=decisions, trail=trail)

    assert (proof.code, proof.foreign) == (UNPROVED, [])
    assert "the decisions were exported before it" in proof.unproved[0]


def test_without_the_log_of_a_site_that_was_given_an_epoch_nothing_is_proved(day: Day) -> None:
    day.accepts = [one for one in day.accepts if one["site"] == "hz-i"]

    proof = day.proof()

    assert proof.code == UNPROVED
    assert "no log has a line of hz-h, which was given epoch 1" in proof.unproved[0]


def test_a_change_whose_words_tell_no_value_is_no_proof(day: Day) -> None:
    day.changes.append({**changed(50, ""), "text": "the record was changed"})

    proof = day.proof()

    assert proof.code == UNPROVED
    assert "does not say what master.corp.example was changed to" in proof.unproved[0]


def test_logs_of_two_machines_have_no_common_clock_unless_told(day: Day) -> None:
    for one in day.accepts:
        one["boot"] = one["site"]
        one["at"] += 50_000 if one["site"] == "hz-h" else 0

    assert (day.proof().code, day.proof().violations) == (UNPROVED, []), "no common clock, so nothing looks wrong by it"
    assert "under 2 boots of machines" in day.proof().unproved[0]
    assert day.proof(clock="wall").code == PROVED


def test_by_wall_clocks_what_is_closer_than_the_skew_is_not_decided(day: Day) -> None:
    assert day.proof(clock="wall", skew=8).code == UNPROVED
    assert "closer than the 8 s by which the clocks may differ" in day.proof(clock="wall", skew=8).unproved[0]
    day.accepts.append(accepted(19, id="planted"))
    assert day.proof(clock="wall", skew=1).code == BROKEN


def test_moves_without_a_recorded_decision_are_counted(day: Day) -> None:
    del day.decisions[3]

    proof = day.proof()

    assert proof.code == PROVED
    assert [note.partition(":")[0] for note in proof.notes] == [
        "1 of 5 writes of the failover's row are no recorded move"
    ]


def test_accepts_without_a_wall_clock_are_proved_and_not_compared(day: Day) -> None:
    for one in day.accepts:
        del one["wall"]

    proof = day.proof()

    assert proof.code == PROVED
    assert "carry no wall clock" in proof.notes[0]


def test_masters_beside_a_calendar_of_its_own_are_shifted_as_told_and_their_agents_with_them(day: Day) -> None:
    for one in day.accepts:
        one["wall"] = moment(float(one["at"]) - 1000 - 5e6)
    day.decisions[0] = decided(-20 - 5e6, "lease.created", epoch=1, began=-20.1 - 5e6, granted_to="hz-h", holder="h.1")

    log, decisions, trail = day.write()
    behind = check([log], decisions=decisions, trail=trail)
    assert (behind.code, behind.violations) == (UNPROVED, [])
    assert "clocks disagree: 9 accepted commands of hz-i are stamped by more than a day before" in behind.unproved[0]
    assert check([log], decisions=decisions, trail=trail, wall_shift=5e6).code == PROVED


def test_masters_by_a_calendar_that_is_ahead_are_accused_of_nothing_and_prove_nothing(day: Day) -> None:
    for one in day.accepts:
        one["wall"] = moment(float(one["at"]) - 1000 + 266 * 86_400)

    proof = day.proof()

    assert (proof.code, proof.violations) == (UNPROVED, [])
    assert [text.partition(" are stamped")[0] for text in proof.unproved] == [
        "clocks disagree: 10 accepted commands of hz-h",
        "clocks disagree: 9 accepted commands of hz-i",
    ]
    assert "(the first by 266.0 days: accepts.jsonl:1)" in proof.unproved[0]
    assert "--wall-shift SECONDS" in proof.unproved[0]
    day.accepts.append(accepted(30, site="hz-h", epoch=2, id="planted"))
    assert day.proof().code == BROKEN, "what needs no clock is found all the same"


def test_an_old_side_that_goes_on_for_days_is_no_matter_of_clocks(day: Day) -> None:
    """The new one wrote nothing, so that the logs alone show no overlap."""
    day.accepts = [accepted(1), accepted(3 * 86_400, id="planted")]
    log, decisions, trail = day.write()
    for export in (decisions, trail):
        export.write_text(export.read_text().replace(moment(100), moment(4 * 86_400)))

    proof = check([log], decisions=decisions, trail=trail)

    assert proof.code == BROKEN
    assert "hz-h accepted planted under epoch 1" in proof.violations[0]


def test_agents_that_have_the_clouds_calendar_are_not_shifted_with_their_masters(day: Day) -> None:
    for one in day.accepts:
        one["wall"] = moment(float(one["at"]) - 1000 - 5e6)

    log, decisions, trail = day.write()
    assert check([log], decisions=decisions, trail=trail, wall_shift=5e6, agents_shift=0.0).code == PROVED


# --- unreadable ---


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda text: text.rsplit("\n", 2)[0] + "\n", "cut off: the last line does not end an export of decisions"),
        (lambda text: "\n".join(text.split("\n")[1:]), "its first line does not say so"),
        (lambda text: "\n".join([*text.split("\n")[:2], *text.split("\n")[3:]]), "lines are gone"),
        (lambda text: text.replace('"event"', '"evt"'), "damaged"),
        (lambda text: text.replace("T12:00", "T99:00"), "damaged"),
        (lambda text: "{" + text, "no JSON"),
        (lambda _: "", "its first line does not say so"),
    ],
)
def test_an_export_that_was_cut_or_edited_is_not_read(day: Day, spoil: Any, says: str) -> None:
    log, decisions, trail = day.write()
    decisions.write_text(spoil(decisions.read_text()))

    with pytest.raises(Unreadable, match=says):
        check([log], decisions=decisions, trail=trail)
    assert main([str(log), "--decisions", str(decisions)]) == UNREADABLE


def test_a_trail_alone_and_one_of_another_pair_prove_nothing(day: Day) -> None:
    log, decisions, trail = day.write()
    assert main([str(log), "--trail", str(trail)]) == UNREADABLE
    trail.write_text(trail.read_text().replace('"control"', '"other"'))

    with pytest.raises(Unreadable, match="the decisions are of control, and the trail of other"):
        check([log], decisions=decisions, trail=trail)


def test_a_log_without_wall_clocks_cannot_be_compared_by_them(day: Day) -> None:
    del day.accepts[0]["wall"]

    with pytest.raises(Unreadable, match="carries no wall clock"):
        day.proof(clock="wall")


# --- what is honest, and was refused or accused ---


def test_a_master_whose_machine_started_again_is_accused_of_nothing(day: Day) -> None:
    for one in day.failed_back().accepts:
        again = one["epoch"] == 3
        one["boot"] = one["site"] + ("-again" if again else "")
        one["at"] -= 1060 if again else 0
    log, decisions, trail = day.write()

    proof = day.proof()
    assert (proof.code, proof.violations) == (UNPROVED, [])
    assert "under 3 boots" in proof.unproved[0]
    shifted = check([log], shifts={"i-hz-h": 5.0}, decisions=decisions, trail=trail)
    assert (shifted.code, shifted.violations) == (UNPROVED, []), "no one shift is true of two boots"
    assert day.proof(clock="wall").code == PROVED


def test_a_wall_clock_that_is_shifted_is_compared_with_decisions_as_shifted(day: Day) -> None:
    for one in day.accepts:
        if one["site"] == "hz-i":
            one["wall"] = moment(one["at"] - 1000 - 30)
    log, decisions, trail = day.write()

    behind = check([log], clock="wall", shifts={"i-hz-i": 30.0}, decisions=decisions, trail=trail)
    assert (behind.code, behind.violations) == (PROVED, [])


def test_an_alias_is_compared_without_case_and_the_dot_that_ends_it(day: Day) -> None:
    for one in day.decisions:
        if "names" in one["inputs"]:
            one["inputs"]["names"] = json.dumps({NAME: "HZ-I.lb.Example."})
    day.changes = [changed(15.5, "hz-i.lb.example", before="hz-h.lb.example")]

    assert (day.proof().code, day.proof().notes) == (PROVED, [])


def test_a_reason_with_a_line_separator_ends_no_line(day: Day) -> None:
    day.decisions[1]["because"] = ["one\u2028two\u0085three"]
    log, decisions, trail = day.write()
    decisions.write_text(decisions.read_text().replace("\\u2028", "\u2028").replace("\\u0085", "\u0085"))

    assert check([log], decisions=decisions, trail=trail).code == PROVED


# --- what is damaged or missing, and was called broken or proved ---


def test_a_trail_without_one_of_the_names_that_were_bound_is_no_proof(day: Day) -> None:
    for one in day.decisions:
        if "names" in one["inputs"]:
            one["inputs"]["names"] = json.dumps({NAME: AT_I, "queue.corp.example": AT_I})

    assert day.proof().code == UNPROVED
    assert "the trail does not cover queue.corp.example" in day.proof().unproved[0]


@pytest.mark.parametrize("inputs", [[], {"names": "[1]"}])
def test_a_decision_of_another_shape_is_unreadable_and_not_broken(day: Day, inputs: Any) -> None:
    day.decisions[2]["inputs"] = inputs
    log, decisions, _ = day.write()

    assert main([str(log), "--decisions", str(decisions)]) == UNREADABLE


@pytest.mark.parametrize("line", ["[" * 200_000, '{"outcome": "accepted", "at": 1' + "0" * 400 + "}"])
def test_a_line_that_no_parser_takes_is_unreadable_and_not_broken(tmp_path: Path, line: str) -> None:
    log = tmp_path / "h.jsonl"
    log.write_text(line.replace("}", ', "id": "c", "site": "hz-h", "instance": "i", "epoch": 1}') + "\n")

    assert main([str(log)]) == UNREADABLE
