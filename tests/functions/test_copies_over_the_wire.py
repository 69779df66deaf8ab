"""Copies through the deployed handlers and the official SDK, each region behind a door of its own."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest

import functions.backup as backup
import functions.command as command
import functions.schedule as schedule
from emulator.faults.fault import Fault
from emulator.testing import Local, mock_aliyun
from shared.adapters.ots import OtsTables
from shared.domain.policy import CopyRule, Lock, Retention
from shared.domain.retention import RestorePoint
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.images import Images
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.usecases.apply_policy import ApplyPolicy
from shared.wiring import foundation
from tests.functions.wired import CONTEXT, environment_of, forget, use
from tests.usecases.backup_world import APPLICATIONS, SEED, A, a_policy

HOME, THERE = "cn-hangzhou", "cn-shanghai"
EVENTS = Path(__file__).resolve().parents[2] / "events"
TICK = (EVENTS / "timer-backup.json").read_bytes()
RULE = CopyRule(region=THERE, keep=Retention(last=3), within=timedelta(hours=6), kms_key="key-1", lock=Lock(days=7))


@pytest.fixture
def wired(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
    seed = tmp_path / "small.yaml"
    seed.write_text(SEED)
    with mock_aliyun(seed=seed, regions=(HOME, THERE)) as local:
        use(monkeypatch, {**environment_of(local), "UNDERSTUDY_ENDPOINTS": f"{THERE}=http://{local.endpoints[THERE]}"})
        configured = foundation.configuration()
        OtsTables(
            endpoint=configured.ots_endpoint, instance=configured.ots_instance, credentials=foundation.credentials
        ).create_tables()
        foundation.clock().sync()
        store = foundation.store()
        ApplyPolicy(
            policies=Policies(store),
            controls=Controls(store),
            slots=Slots(store),
            decisions=Decisions(store),
            clock=foundation.clock(),
        ).run(a_policy(replace(APPLICATIONS, copies=(RULE,))), by="test")
        yield local
    forget()


def call(function: Any, event: object) -> Any:
    payload = event if isinstance(event, bytes) else json.dumps(event).encode()
    return json.loads(function.handler(payload, CONTEXT))


def points() -> list[RestorePoint]:
    return list(Points(foundation.store()).all())


def ticks(local: Local, *, times: int) -> None:
    """Each is an invocation by the timer; there is no queue, so nothing else wakes anything."""
    for _ in range(times):
        local.advance(660)
        call(backup, TICK)


def a_point(local: Local) -> RestorePoint:
    local.advance(3600)
    call(schedule, (EVENTS / "timer-schedule.json").read_bytes())
    call(backup, TICK)
    ticks(local, times=2)
    point = next(one for one in points() if one.subject == A and not one.copy_of)
    Points(foundation.store()).put([replace(point, copy_to=(THERE,))])
    return point


def there(local: Local) -> Any:
    return local.cloud.realm(local.cloud.account, THERE).ecs


def test_a_key_that_is_missing_is_told_and_the_copy_goes_on_when_it_is_there(wired: Local) -> None:
    wired.run(lambda: setattr(there(wired).snapshots.standing, "kms_keys", {}))
    point = a_point(wired)
    wired.advance(6 * 3600)
    ticks(wired, times=2)
    told = [one for one in Decisions(foundation.store()).of(A) if one.event == "copy.blocked"]
    assert told
    assert "kms_key of the copy rule" in told[0].because[0]

    wired.run(lambda: setattr(there(wired).snapshots.standing, "kms_keys", {"key-1": "Enabled"}))
    ticks(wired, times=8)
    (copy,) = (one for one in points() if one.copy_of == point.id and not one.failed)
    assert copy.complete


def test_a_point_is_copied_locked_and_known_though_its_answers_get_lost(wired: Local) -> None:
    point = a_point(wired)
    for action in ("CopySnapshot", "LockSnapshot"):
        wired.run(partial(wired.cloud.faults.add, Fault(kind="error_after", action=action, status=500)))
    wired.advance(6 * 3600)
    ticks(wired, times=8)

    (copy,) = (one for one in points() if one.copy_of == point.id)
    assert copy.complete
    assert copy.locked_until is not None
    assert copy.locked_until > point.taken + timedelta(days=6)
    (source,) = (one for one in points() if one.id == point.id)
    assert source.uncopied == ()
    made = [one for one in there(wired).snapshots.shelf if one.disk_id in dict(point.disks)]
    assert sorted(one.id for one in made) == sorted(snapshot for _, snapshot in copy.disks), "none of them twice"
    assert all(one.encrypted and one.tags["understudy:instance"] == A for one in made)


def test_an_image_is_copied_and_what_outlives_it_is_marked_in_both_regions(wired: Local) -> None:
    call(command, {"command": "image", "instance": A, "family": "app", "copy_to": [THERE], "by": "li"})
    ticks(wired, times=6)

    here, elsewhere = Images(foundation.store()).all()
    assert (here.place.region, elsewhere.place.region) == (HOME, THERE)
    assert elsewhere.copy_of == here.image
    for ecs, record in ((wired.cloud.ecs, here), (there(wired), elsewhere)):
        assert len(record.snapshots) == 2
        assert all("understudy:operation" in ecs.snapshots.find(one).tags for one in record.snapshots)
