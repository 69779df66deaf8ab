"""After real moves, the command line exports what was recorded and what the cloud noted, and proves it; and what is
planted in between is found."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.state.decisions import Decisions
from tests.runbooks.conftest import Open
from tests.runbooks.stage import Stage
from tests.simulation.failover_world import ADDRESS, TruthStore
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import EPOCH


class Evidence:
    """Accept logs, decisions and trail of a stage, in files."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.folder = stage, folder
        self.log, self.decisions, self.trail = (folder / name for name in ("log.jsonl", "decisions", "trail"))

    def export(self) -> None:
        self.log.write_text("".join(json.dumps(line) + "\n" for line in self.lines()))
        for path, command in (
            (self.decisions, ("explain", "control", "--json")),
            (self.trail, ("name", "trail", "control")),
        ):
            ended = self.stage.understudy(*command)
            assert ended.code == 0, ended.err
            path.write_text(ended.out)

    def lines(self) -> list[dict[str, Any]]:
        return [
            {
                "outcome": "accepted",
                "id": f"c{number}",
                "site": one.site,
                "instance": one.unit,
                "epoch": int(one.epoch),
                "at": one.until,
                "boot": "of the simulation",
                "wall": (EPOCH + timedelta(seconds=one.until)).isoformat(),
            }
            for number, one in enumerate(self.stage.pair.accepted)
        ]

    def accept(self, site: str, epoch: int, at: float) -> None:
        wall = (EPOCH + timedelta(seconds=at)).isoformat()
        line = {"outcome": "accepted", "id": "planted", "site": site, "instance": site, "epoch": epoch, "at": at}
        self.log.write_text(
            self.log.read_text() + json.dumps({**line, "wall": wall, "boot": "of the simulation"}) + "\n"
        )

    def prove(self, *more: str) -> tuple[int, str]:
        words = ("prove", str(self.log), "--decisions", str(self.decisions), "--trail", str(self.trail), *more)
        ended = self.stage.understudy(*words)
        return ended.code, ended.out + ended.err


@pytest.fixture
def evidence(open_stage: Open, tmp_path: Path) -> Evidence:
    """hz-h is lost, hz-i takes over, and hz-h has it again by order."""
    stage = open_stage(watches=(H, I))
    stage.run(10)
    stage.pair.go_dark(H)
    stage.run_until(lambda: stage.serves(I))
    stage.pair.lighten(H)
    stage.run(15)
    assert stage.understudy("failback", "control", "--confirm", "control").code == 0
    stage.run_until(lambda: stage.serves(H))
    stage.run(10)
    found = Evidence(stage, tmp_path)
    found.export()
    return found


def test_a_failover_and_a_failback_are_proved(evidence: Evidence) -> None:
    code, said = evidence.prove()

    assert code == 0, said
    assert "of 3 epochs" in said
    assert [one for one in said.splitlines() if one.startswith(("  !", "  ?", "  foreign"))] == []
    changes = [json.loads(line) for line in evidence.trail.read_text().splitlines()[1:-1]]
    moved = [one["value"] for one in changes if one["action"] == "update" and one["before"] != one["value"]]
    assert moved == [ADDRESS[I], ADDRESS[H]], "both watches bind it, which moves it once"


def test_a_command_of_the_old_site_after_the_failover_is_found(evidence: Evidence) -> None:
    evidence.accept("hz-h", 1, evidence.stage.pair.rebinds[0][0] + 5)

    code, said = evidence.prove()

    assert code == 1
    assert "hz-h accepted planted under epoch 1" in said
    assert "after master.corp.example had been moved under epoch 2" in said


def test_a_command_under_an_epoch_that_nobody_granted_is_no_proof(evidence: Evidence) -> None:
    evidence.accept("hz-h", 9, evidence.stage.world.now + 5)

    code, said = evidence.prove()

    assert code == 3
    assert "no recorded decision grants epoch 9" in said


def test_a_name_moved_by_hand_is_told_as_foreign_and_put_right(evidence: Evidence) -> None:
    stage = evidence.stage
    (record,) = stage.records()
    stage.wired.run(
        lambda: stage.wired.cloud.pvtz.update_record(
            int(record.record_id), rr="master", type="A", value="10.9.9.9", ttl=5
        )
    )
    stage.run_until(lambda: stage.serves(H))
    evidence.export()
    assert evidence.prove()[0] == 3, "so soon after it, its decision may not be in the export"
    stage.run(5)
    evidence.export()

    code, said = evidence.prove()

    assert code == 4, said
    assert "foreign: update of master.corp.example" in said
    assert "proved: never two active" in said


def test_a_write_that_comes_late_is_found(evidence: Evidence) -> None:
    stage = evidence.stage
    (record,) = stage.records()
    stage.wired.run(
        lambda: stage.wired.cloud.pvtz.update_record(
            int(record.record_id), rr="master", type="A", value=ADDRESS[I], ttl=5
        )
    )
    evidence.export()

    code, said = evidence.prove()

    assert code == 1
    assert "under epoch 2, after it had been changed under epoch 3" in said


def test_without_the_record_of_one_grant_the_next_steps_still_prove_it(evidence: Evidence) -> None:
    _forget(evidence, "failover.promoting", "lease.claimed")

    assert evidence.prove()[0] == 0


def test_without_any_record_of_an_epoch_nothing_is_proved(evidence: Evidence) -> None:
    store = TruthStore(evidence.stage.pair.rows)
    newest = {one.event for one in Decisions(store).of(PAIR) if one.epoch == 3}
    _forget(evidence, *newest, epoch=3)

    code, said = evidence.prove()

    assert code == 3
    assert "no recorded decision grants epoch 3, under which hz-h accepted" in said


def test_an_export_of_a_few_decisions_is_no_proof_and_says_why(evidence: Evidence) -> None:
    evidence.decisions.write_text(evidence.stage.understudy("explain", "control", "--json", "--last", "3").out)

    code, said = evidence.prove()

    assert code == 3
    assert "exported in part only" in said


def _forget(evidence: Evidence, *events: str, epoch: int | None = None) -> None:
    """As if the store had not taken those decisions."""
    head, *lines, _ = evidence.decisions.read_text().splitlines()
    kept = [
        line
        for line in lines
        if (one := json.loads(line))["event"] not in events or (epoch is not None and one["epoch"] != epoch)
    ]
    assert len(kept) < len(lines)
    evidence.decisions.write_text("\n".join([head, *kept, json.dumps({"end": "decisions", "lines": len(kept)})]))
