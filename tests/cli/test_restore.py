"""`points`, `rollback` and `undo-rollback` over the wire: asked of function `command`, done by function `recover`."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from emulator.testing import Local
from shared.domain.ids import DiskId, InstanceId, PolicyVersion, SnapshotId
from shared.domain.retention import RestorePoint
from shared.state.points import Points
from shared.wiring import foundation
from tests.cli.conftest import Run
from tests.cli.test_launch import Deployed, deploy

WEB = "i-app-h1"
BEFORE, AFTER = b"before", b"after!"


@pytest.fixture
def deployed(connected: Local, run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployed:
    return deploy(connected, run, tmp_path, monkeypatch)


def a_disk(deployed: Deployed) -> str:
    return str(deployed.local.run(lambda: deployed.local.cloud.ecs.disks.of_instance(WEB)[0].id))


def on_disk(deployed: Deployed, disk: str) -> bytes:
    return bytes(deployed.local.run(lambda: deployed.local.cloud.ecs.disks.find(disk).volume.read(0, len(BEFORE))))


def write(deployed: Deployed, disk: str, data: bytes) -> None:
    deployed.local.run(lambda: deployed.local.cloud.ecs.disks.find(disk).volume.write(0, data))


@pytest.fixture
def disk(deployed: Deployed) -> str:
    """With a point of `BEFORE`, and `AFTER` on it now."""
    ecs = deployed.local.cloud.ecs
    found = a_disk(deployed)
    write(deployed, found, BEFORE)
    snapshot = deployed.local.run(lambda: ecs.snapshots.create(found, name="point", tags={}, token=None).id)
    taken: datetime = deployed.local.run(lambda: ecs.snapshots.find(snapshot).created)
    deployed.local.advance(1800)
    point = RestorePoint(
        id="p-1",
        subject=InstanceId(WEB),
        slot=taken,
        schedule="hourly",
        taken=taken,
        usable=True,
        complete=True,
        disks=((DiskId(found), SnapshotId(snapshot)),),
        protection="applications",
        policy=PolicyVersion(1),
    )
    Points(foundation.store()).put([point])
    write(deployed, found, AFTER)
    return found


def test_a_disk_goes_back_and_forth_from_a_terminal(deployed: Deployed, run: Run, disk: str) -> None:
    listed = run("points", WEB)
    assert "p-1" in listed.out
    assert disk in listed.out

    shown = run("rollback", WEB)
    assert shown.code == 0, shown.err
    assert "restore point p-1" in shown.out
    assert f"roll {disk} back in place to" in shown.out
    assert "is lost; its safety snapshot is kept 7 days" in shown.out
    assert on_disk(deployed, disk) == AFTER
    token = json.loads(run("rollback", WEB, "--json").out)["token"]

    done = run("rollback", WEB, "--confirm", token)
    assert done.code == 0, done.err
    deployed.queue.work_off()
    assert on_disk(deployed, disk) == BEFORE
    operation = done.out.split("`understudy explain ")[1].split("`")[0]
    assert f"{WEB} is restored: roll {disk} back in place" in run("explain", operation).out

    undo = run("undo-rollback", operation, "--confirm", WEB)
    assert undo.code == 0, undo.err
    deployed.queue.work_off()
    assert on_disk(deployed, disk) == AFTER


def test_what_cannot_begin_ends_with_1_and_its_remedy(deployed: Deployed, run: Run, disk: str) -> None:
    deployed.local.run(lambda: deployed.local.cloud.ecs.instances[WEB].locks.append("financial"))

    ended = run("rollback", WEB)

    assert ended.code == 1
    assert "locked: financial" in ended.out
    assert "Settle the account's arrears" in ended.out


def test_a_point_that_there_is_not_ends_with_2(deployed: Deployed, run: Run, disk: str) -> None:
    ended = run("rollback", WEB, "--point", "p-2")

    assert ended.code == 2
    assert f"instance {WEB} has no restore point 'p-2'. `understudy points {WEB}` lists what there is" in ended.err
