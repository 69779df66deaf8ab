"""What the emulator keeps of what is gone: a world that lives for months must not grow by what it has seen."""

import gc
from datetime import timedelta

import pytest

from emulator.ecs.blocks import Volume
from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def _calendar(stage: Stage) -> int:
    return len(stage.cloud.clock._calendar)


def test_cancelled_entries_leave_the_calendar_long_before_their_time(stage: Stage) -> None:
    clock = stage.cloud.clock
    clock.call_later(timedelta(days=1), lambda: None, "something nearer")
    for _ in range(10_000):
        clock.call_later(timedelta(days=100), lambda: None).cancel()
    assert _calendar(stage) < 1_100


def test_a_calendar_that_was_tidied_still_runs_what_is_left_in_its_order(stage: Stage) -> None:
    clock, ran = stage.cloud.clock, list[int]()
    for number in range(3_000):
        due = clock.call_later(timedelta(seconds=1 + number % 7), lambda number=number: ran.append(number))  # type: ignore[misc]
        if number % 3:
            due.cancel()
    stage.advance(10)
    assert ran == sorted(range(0, 3_000, 3), key=lambda number: number % 7)


def test_the_time_of_release_is_forgotten_with_the_instance_and_with_a_new_time(stage: Stage) -> None:
    before = _calendar(stage)
    for hours in (10, 20, 30):
        stage.ask(
            "ModifyInstanceAutoReleaseTime", InstanceId="i-old", AutoReleaseTime=f"2026-03-03T{hours % 24:02d}:00:00Z"
        )
    assert sum(1 for due in stage.cloud.clock._calendar if due.callback is not None) == before + 1
    stage.ask("DeleteInstance", InstanceId="i-old")
    assert sum(1 for due in stage.cloud.clock._calendar if due.callback is not None) == before


def test_events_that_are_over_and_too_old_to_be_listed_are_forgotten(stage: Stage) -> None:
    instance = stage.ecs.find_instance("i-app")
    planned = stage.ecs.maintenance.plan(
        instance, "SystemMaintenance.Reboot", stage.cloud.clock.now() + timedelta(days=90), inquires=True
    )
    for _ in range(5):
        stage.ecs.fail("i-app", recovers=True)
        stage.advance(86_400)
    assert len(stage.ecs.events.all) == 6
    stage.advance(40 * 86_400)
    stage.ecs.fail("i-app", recovers=True)
    stage.advance(3600)
    assert stage.ecs.events.find(planned.id) is planned  # it waits to be accepted, however old it is
    stage.ask("AcceptInquiredSystemEvent", EventId=planned.id)
    stage.advance(3600)
    stage.ecs.fail("i-app", recovers=True)
    assert len(stage.ecs.events.all) == 2
    assert len(stage.ecs.events.of("i-app")) == 2


def blocks_in_memory() -> int:
    gc.collect()
    return sum(len(volume.blocks()) for volume in gc.get_objects() if isinstance(volume, Volume))


def test_the_blocks_of_a_deleted_disk_are_free_though_its_token_is_remembered(stage: Stage) -> None:
    order = {"ZoneId": "cn-hangzhou-h", "Size": 20, "DiskCategory": "cloud_essd", "ClientToken": "once"}
    others = blocks_in_memory()  # other tests' worlds may still be there
    disk = stage.ask("CreateDisk", order)["DiskId"]
    stage.advance(6)
    stage.write(disk, 4)
    assert blocks_in_memory() > others
    stage.ask("DeleteDisk", DiskId=disk)
    assert blocks_in_memory() <= others
    assert stage.ask("CreateDisk", order)["DiskId"] == disk  # gone, and still the token's result
