"""The names of a pair from a terminal: what stands there, what is wrong with it, who changed it; and what is exported
for `understudy prove`."""

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Local
from shared.adapters import chance
from shared.domain.decision import Decision
from shared.domain.ids import Epoch, HolderId, PairName, SiteName
from shared.ports.store import Anything
from shared.state.decisions import Decisions
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.state.leases import Leases
from shared.wiring import foundation
from tests.cli.conftest import Ended, Run
from tests.cli.test_commands import EXAMPLE

PAIR, H = PairName("control"), SiteName("hz-h")
ZONE, HOST, ADDRESS, OTHER = "corp.example", "master", "10.0.1.21", "10.0.2.21"


class Zone:
    """The pair's private zone, as somebody with its console sees it."""

    def __init__(self, local: Local) -> None:
        self.local, self.pvtz = local, local.cloud.pvtz
        self.id = local.run(lambda: self.pvtz.add_zone(ZONE, id="z-corp").id)

    def add(self, **more: Any) -> int:
        record = {"rr": HOST, "type": "A", "value": ADDRESS, "ttl": 5, **more}
        return self.local.run(lambda: self.pvtz.add_record("z-corp", **record).id)

    def update(self, id: int, value: str) -> None:
        self.local.run(lambda: self.pvtz.update_record(id, rr=HOST, type="A", value=value, ttl=5))


@pytest.fixture
def zone(connected: Local, run: Run) -> Zone:
    """hz-h holds epoch 1 and told its address; there is no record yet."""
    assert run("apply", "--file", str(EXAMPLE)).code == 0
    Leases(foundation.store(), tokens=chance.token).create(
        PAIR, H, length=timedelta(seconds=5), holder=HolderId("master-h")
    )
    now = connected.run(connected.cloud.clock.now)
    beat = Heartbeat(site=H, sequence=1, run="r", at=now, active=True, epoch=Epoch(1), address=ADDRESS, ready=True)
    Heartbeats(foundation.store()).beat(PAIR, beat)
    return Zone(connected)


def said(ended: Ended) -> str:
    return " ".join((ended.out + ended.err).split())


def lines(ended: Ended) -> list[dict[str, Any]]:
    assert ended.code == 0, ended.err
    return [json.loads(line) for line in ended.out.splitlines()]


@pytest.mark.parametrize(
    ("records", "says"),
    [
        ([], "has no record: create it once"),
        ([{}, {"value": OTHER}], "has 2 records"),
        ([{"type": "CNAME", "value": "elsewhere.example"}], "is a CNAME record"),
        ([{"remark": "epoch=4"}], "was bound under epoch 4, newer than 1"),
    ],
)
def test_what_no_watch_touches_is_told_with_its_runbook(
    zone: Zone, run: Run, records: list[dict[str, Any]], says: str
) -> None:
    for record in records:
        zone.add(**record)

    ended = run("name", "show", "control")

    assert ended.code == 3
    assert says in said(ended)
    assert "runbook: name-cannot-be-rebound" in said(ended)


def test_a_disabled_record_is_told(zone: Zone, run: Run) -> None:
    record = zone.add()
    zone.local.run(lambda: zone.pvtz.set_status(record, "DISABLE"))

    ended = run("name", "show", "control")

    assert (ended.code, "is disabled" in said(ended)) == (3, True)


def test_a_zone_that_is_not_there_is_named(zone: Zone, run: Run) -> None:
    zone.local.run(lambda: zone.pvtz.delete_zone("z-corp"))

    ended = run("name", "show", "control")

    assert ended.code == 3
    assert "its zone corp.example is not there" in said(ended)


def test_two_zones_of_one_name_are_named(zone: Zone, run: Run) -> None:
    zone.local.run(lambda: zone.pvtz.add_zone(ZONE, id="z-second"))

    ended = run("name", "show", "control")

    assert ended.code == 3
    assert "z-corp, z-second" in said(ended)


def test_what_a_watch_will_mend_by_itself_is_told_as_such(zone: Zone, run: Run) -> None:
    zone.add(value=OTHER)

    ended = run("name", "show", "control")

    assert ended.code == 1
    assert "astray" in said(ended)
    assert "a watch binds it" in said(ended)


def test_a_name_that_is_right_is_shown_with_its_record(zone: Zone, run: Run) -> None:
    zone.add(remark="epoch=1")

    ended = run("name", "show", "control")

    assert ended.code == 0, ended.err
    assert "hz-h has epoch 1, held" in said(ended)
    assert ADDRESS in said(ended)
    document = json.loads(run("name", "show", "control", "--json").out)
    assert [(one["state"], one["wanted"]) for one in document["names"]] == [("bound", ADDRESS)]


def test_the_address_of_a_holder_that_never_beat_comes_from_the_inventory(zone: Zone, run: Run) -> None:
    zone.add(remark="epoch=1")
    foundation.store().delete("heartbeats", (PAIR, H), condition=Anything())

    assert run("name", "show", "control").code == 0


def test_a_pair_that_is_not_there_is_named_with_those_that_are(zone: Zone, run: Run) -> None:
    ended = run("name", "show", "other")

    assert ended.code == 2
    assert "it has: control" in said(ended)


def test_the_trail_is_exported_oldest_first_with_what_each_change_made_of_it(zone: Zone, run: Run) -> None:
    record = zone.add()
    zone.local.advance(60)
    since = zone.local.run(zone.local.cloud.clock.now)
    zone.update(record, OTHER)

    head, added, updated, end = lines(run("name", "trail", "control"))

    assert (head["export"], head["of"], head["names"]) == ("trail", "control", ["master.corp.example"])
    assert (added["action"], updated["before"], updated["value"]) == ("add", ADDRESS, OTHER)
    assert end == {"end": "trail", "lines": 2}
    assert len(lines(run("name", "trail", "control", "--since", f"{since:%Y-%m-%dT%H:%M:%SZ}"))) == 3
    assert run("name", "trail", "control", "--since", "yesterday").code == 2


def test_decisions_are_exported_whole_or_as_a_part_that_says_so(zone: Zone, run: Run) -> None:
    now = zone.local.run(zone.local.cloud.clock.now)
    for number in range(3):
        Decisions(foundation.store()).record(
            PAIR, Decision(event=f"d{number}", at=now + timedelta(seconds=number), subject=PAIR, because=("x",))
        )

    whole, part = lines(run("explain", "control", "--json")), lines(run("explain", "control", "--json", "--last", "2"))

    assert [one["event"] for one in whole[1:-1]][-3:] == ["d0", "d1", "d2"]
    assert whole[0]["complete"] is True
    assert (part[0]["complete"], part[0]["since"]) == (False, part[1]["at"])
    assert [one["event"] for one in part[1:-1]] == ["d1", "d2"]


def test_prove_is_a_command_and_tells_how_it_is_used(run: Run, tmp_path: Path) -> None:
    assert "--decisions" in run("prove", "--help").out
    assert run("prove", str(tmp_path / "absent.jsonl")).code == 2
