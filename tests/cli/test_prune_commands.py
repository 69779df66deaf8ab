"""`prune`, `certificate` and `verify-certificate` against the local cloud, over the wire."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import functions.prune as prune_function
from emulator.testing import Local
from shared.domain import provenance
from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion
from shared.domain.place import Place
from shared.domain.retention import RestorePoint
from shared.state.certificates import Certificates
from shared.state.controls import Controls, Pause
from shared.state.points import Points
from shared.triggers.parse import parse
from shared.wiring import foundation
from shared.wiring.guard import Call
from tests.cli.conftest import Ended, Run
from understudy.cli import pruning
from understudy.cli.connection import Connection

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"
H1 = InstanceId("i-app-h1")


@pytest.fixture
def applied(connected: Local, run: Run, tmp_path: Path) -> Local:
    """At most three points may go in a run."""
    file = tmp_path / "understudy.yaml"
    text = EXAMPLE.read_text()
    assert "max_items: 200" in text
    file.write_text(text.replace("max_items: 200", "max_items: 3"))
    assert run("apply", "--file", str(file)).code == 0
    return connected


@pytest.fixture
def asked(applied: Local, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """What `--apply` asked of function `command`, which is answered and not carried out."""
    sent: list[dict[str, object]] = []

    def command(self: Connection, name: str, **arguments: object) -> dict[str, object]:
        sent.append({"command": name, **arguments})
        return {"queued": True}

    monkeypatch.setattr(Connection, "command", command)
    return sent


def points_of(local: Local, hours: int) -> list[RestorePoint]:
    """Of so many hours, newest first, with snapshots that stand in the cloud; the policy keeps 24 of them, and days."""
    snapshots = foundation.clouds().at(Place("cn-hangzhou")).snapshots
    now = local.run(local.cloud.clock.now)
    made = []
    for at in range(hours):
        if at % 10 == 9:
            local.advance(60)
        tags = provenance.tags(OperationId(f"back_up/{at}"), PolicyVersion(1), protection="applications")
        snapshot = snapshots.create(DiskId("d-app-h1"), name=f"point-{at}", tags=tags, token=f"t-{at}")
        taken = now - timedelta(hours=at)
        made.append(
            RestorePoint(
                id=f"applications/hourly/{at:02}", subject=H1, slot=taken, schedule="hourly", taken=taken, usable=True,
                complete=True, disks=((DiskId("d-app-h1"), snapshot),), protection="applications",
                policy=PolicyVersion(1),
            )
        )  # fmt: skip
    local.advance(120)
    Points(foundation.store()).put(made)
    return made


def carried_out(sent: dict[str, object]) -> Any:
    """What function `prune` does with what it was asked."""
    payload = {"prune": "apply", **{name: sent[name] for name in ("protection", "allow") if sent.get(name)}}
    return prune_function.run(Call(trigger=parse(json.dumps(payload).encode()), run="run-7", owner="o"))


def permit_of(ended: Ended) -> str:
    return ended.err.split("--allow ")[1].split("`")[0]


def test_every_item_is_shown_in_as_many_tables_as_it_takes(
    run: Run, applied: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pruning, "ROWS", 5)
    made = points_of(applied, 40)

    ended = run("prune", "--all")

    assert all(point.id in ended.out for point in made)
    assert ended.out.count("what becomes of it") == 8


def test_the_plan_for_machines_has_every_item_with_its_rules(run: Run, applied: Local) -> None:
    made = points_of(applied, 40)

    plan = json.loads(run("prune", "--json").out)
    everything = json.loads(run("prune", "--json", "--all", "--protection", "applications").out)
    nothing = json.loads(run("prune", "--json", "--protection", "masters").out)

    assert plan["format"] == "understudy prune plan 1"
    assert plan["goes"] == len(plan["items"]) == len([one for one in plan["items"] if one["fate"] == "goes"])
    assert {rule for one in plan["items"] for rule in one["rules"]} == {"not among 24 hourly, 7 daily"}
    assert set(plan["items"][0]) == {
        "fate", "instance", "point", "protection", "region", "account", "taken", "snapshots", "rules",
    }  # fmt: skip
    assert "more than max_items 3" in plan["refused"][0]
    assert plan["permit"] in plan["refused"][0]
    assert {one["point"] for one in everything["items"]} == {point.id for point in made}
    assert (nothing["items"], nothing["points"], nothing["refused"]) == ([], 0, [])


def test_what_does_not_fit_together_or_is_not_there_is_refused(run: Run, applied: Local) -> None:
    both, unknown, odd = run("prune", "--json", "--apply"), run("prune", "-p", "none"), run("prune", "--allow", "12")

    assert [one.code for one in (both, unknown, odd)] == [2, 2, 2]
    assert "leave it out" in both.err
    assert "it has: applications, masters" in unknown.err
    assert "0123456789abcdef" in odd.err


def test_over_the_caps_a_permit_asks_for_this_plan_and_the_certificate_is_accepted(
    run: Run, applied: Local, asked: list[dict[str, object]], tmp_path: Path
) -> None:
    points_of(applied, 40)
    refused = run("prune", "--apply")
    assert refused.code == 1
    assert asked == []
    permit = permit_of(refused)
    allowed = run("prune", "--apply", "--allow", permit)
    assert (allowed.code, asked[0]["allow"]) == (0, permit)

    pruned = carried_out(asked[0])

    assert pruned.gone == int(permit.split("-")[0]) > 3
    assert "run-7" in run("certificate", "list").out
    shown = run("certificate", "show", "run-7")
    assert pruned.deleted[0] in shown.out
    file = tmp_path / "certificate.json"
    file.write_text(run("certificate", "show", "--json").out)
    for arguments in ((), ("run-7",), (str(file),), ("--cloud",)):
        verified = run("verify-certificate", *arguments)
        assert verified.code == 0, verified.err + verified.out
        assert f"{pruned.gone} gone" in verified.out


def pruned(local: Local, asked: list[dict[str, object]], run: Run) -> None:
    points_of(local, 40)
    run("prune", "--apply", "--allow", permit_of(run("prune")))
    carried_out(asked[0])


def test_what_was_altered_in_a_file_is_rejected_and_what_is_none_is_unreadable(
    run: Run, applied: Local, asked: list[dict[str, object]], tmp_path: Path
) -> None:
    pruned(applied, asked, run)
    file, odd = tmp_path / "certificate.json", tmp_path / "odd.json"
    file.write_text(run("certificate", "show", "run-7", "--json").out.replace('"pinned": false', '"pinned": true', 1))
    odd.write_text("{}")

    altered, unread, missing = (run("verify-certificate", one) for one in (str(file), str(odd), "run-8"))

    assert (altered.code, unread.code, missing.code) == (1, 2, 2)
    assert "was altered" in altered.out
    assert "cannot check" in unread.err
    assert "certificate list" in missing.err


def test_one_that_was_rewritten_in_the_store_is_not_the_one_that_was_told(
    run: Run, applied: Local, asked: list[dict[str, object]]
) -> None:
    pruned(applied, asked, run)
    certificates = Certificates(foundation.store())
    head = certificates.of("run-7")
    assert head is not None
    certificates.put(replace(head, stopped="nothing to see here"))

    ended = run("verify-certificate", "run-7")

    assert ended.code == 1
    assert "not the one that was told" in ended.out


def test_the_cloud_is_asked_whether_what_stayed_is_there(
    run: Run, applied: Local, asked: list[dict[str, object]]
) -> None:
    pruned(applied, asked, run)
    left = json.loads(run("certificate", "show", "--json").out)["parts"][0]["after"]

    def delete() -> None:
        for snapshot in left:
            applied.cloud.ecs.snapshots.delete(snapshot)

    applied.run(delete)

    lost = run("verify-certificate", "--cloud")

    assert lost.code == 2  # it shows none at all: perhaps the key may not look
    assert "shows none of" in lost.err


def test_without_a_certificate_it_says_so(run: Run, applied: Local) -> None:
    assert "there is no certificate yet" in run("verify-certificate").err
    assert run("certificate", "show").code == 2


def test_a_paused_prune_shows_its_plan_and_refuses_to_carry_it_out(
    run: Run, applied: Local, asked: list[dict[str, object]]
) -> None:
    points_of(applied, 26)
    now = applied.run(applied.cloud.clock.now)
    Controls(foundation.store()).pause(Pause(scope="prune", since=now, because="audit"))

    shown, refused = run("prune"), run("prune", "--apply")

    assert "paused since" in shown.out
    assert refused.code == 1
    assert "understudy resume prune" in refused.err
    assert asked == []
