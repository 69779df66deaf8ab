"""A world that is kept meets what nobody planned: a command or a calendar entry that breaks, arguments that cannot be
kept, a step in the middle of another, a disk that is full. What was answered is the same after a restart."""

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

import pytest
import tablestore as sdk

from emulator import deeds
from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.testing import mock_aliyun
from tests.emulator.ots_client import make_client, make_table, pk, when
from tests.emulator.world_dump import closed, dump, journal_of, opened

SEED: Final = """
zones: [cn-hangzhou-h]
vswitches: [{id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}]
security_groups: [{id: sg-a}]
images: [{id: m-a}]
instances: [{id: i-a, image: m-a, vswitch: vsw-h, address: 10.0.1.9, data_disks: [{id: d-a, size_gib: 20}]}]
"""
ZONE: Final = "cn-hangzhou-h"

Deed = Callable[[Callable[..., Any]], Callable[..., Any]]


@pytest.fixture
def deed(monkeypatch: pytest.MonkeyPatch) -> Deed:
    """Make a function a deed of the emulator, for as long as the test runs."""

    def register(function: Callable[..., Any]) -> Callable[..., Any]:
        function.__module__, function.__qualname__ = deeds.__name__, function.__name__
        monkeypatch.setattr(deeds, function.__name__, function, raising=False)
        return function

    return register


def the_same_again(directory: Path, cloud: Cloud) -> None:
    before = dump(cloud)
    closed(cloud)
    again = opened(directory)
    assert dump(again) == before
    closed(again)


def test_a_command_that_breaks_half_way_has_half_its_effect_again(tmp_path: Path, deed: Deed) -> None:
    @deed
    def half(cloud: Cloud, *, zone: str) -> None:
        cloud.zones.set_dark(zone, True)
        raise ZeroDivisionError

    cloud = opened(tmp_path / "world", SEED)
    with pytest.raises(ZeroDivisionError):
        cloud.do(half, zone=ZONE)
    assert cloud.zones.is_dark(ZONE)
    the_same_again(tmp_path / "world", cloud)


def test_an_answer_that_cannot_be_told_is_kept_as_a_failure(tmp_path: Path, deed: Deed) -> None:
    @deed
    def strange(cloud: Cloud, *, zone: str) -> Any:
        cloud.zones.set_dark(zone, True)
        return {1: "number", "a": "text"}  # JSON sorts no such keys

    cloud = opened(tmp_path / "world", SEED)
    with pytest.raises(TypeError):
        cloud.do(strange, zone=ZONE)
    the_same_again(tmp_path / "world", cloud)


def test_an_entry_of_the_calendar_that_breaks_does_not_keep_the_world_from_being_opened(
    tmp_path: Path, deed: Deed
) -> None:
    @deed
    def plan(cloud: Cloud, *, zone: str) -> None:
        def fails() -> None:
            cloud.zones.set_dark(zone, True)
            raise ZeroDivisionError

        cloud.clock.call_later(timedelta(seconds=5), fails, "fails")

    cloud = opened(tmp_path / "world", SEED)
    cloud.do(plan, zone=ZONE)
    with pytest.raises(ZeroDivisionError):
        cloud.clock.advance(timedelta(seconds=10))
    cloud.do(deeds.fail, instance="i-a", recovers=True)
    cloud.clock.advance(timedelta(minutes=10))
    the_same_again(tmp_path / "world", cloud)


def test_a_deed_is_kept_as_it_was_asked_for_though_it_changes_its_arguments(tmp_path: Path, deed: Deed) -> None:
    @deed
    def darken(cloud: Cloud, *, given: dict[str, Any]) -> None:
        cloud.zones.set_dark(given.pop("zone"), True)

    cloud = opened(tmp_path / "world", SEED)
    cloud.do(darken, given={"zone": ZONE})
    the_same_again(tmp_path / "world", cloud)


def test_what_cannot_be_kept_is_not_done(tmp_path: Path, deed: Deed) -> None:
    @deed
    def darken(cloud: Cloud, *, zone: str, why: object) -> None:
        assert why
        cloud.zones.set_dark(zone, True)

    cloud = opened(tmp_path / "world", SEED)
    with pytest.raises(TypeError):
        cloud.do(darken, zone=ZONE, why=object())
    assert not cloud.zones.is_dark(ZONE)
    cloud.do(deeds.fail, instance="i-a", recovers=True)
    the_same_again(tmp_path / "world", cloud)


def test_a_step_that_a_listener_takes_in_the_middle_of_another_is_the_next_one(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)

    def listener(_zone: str, _dark: bool) -> None:
        cloud.do(deeds.fail, instance="i-a", recovers=True)

    cloud.zones.subscribe(cloud.outside(listener))
    cloud.do(deeds.set_dark, zone=ZONE, dark=True)
    assert cloud.ecs.instances["i-a"].state != "Running"
    closed(cloud)
    again = opened(tmp_path / "world")
    assert again.zones.is_dark(ZONE)
    assert again.ecs.instances["i-a"].state != "Running"
    closed(again)


def test_nothing_that_was_not_kept_is_answered_also_while_time_flows(tmp_path: Path) -> None:
    cloud = opened(tmp_path / "world", SEED)
    cloud.clock.set_rate(1)
    journal = journal_of(cloud)
    journal.file._db.execute("PRAGMA query_only = ON")
    with pytest.raises(sqlite3.OperationalError):
        cloud.do(deeds.set_dark, zone=ZONE, dark=True)
    with pytest.raises(sqlite3.OperationalError):
        journal.commit()  # before the answer to a mere question, which would tell of the darkness
    with pytest.raises(sqlite3.OperationalError):
        cloud.do(deeds.fail, instance="i-a", recovers=True)
    assert cloud.ecs.instances["i-a"].state == "Running", "a world that has ended does nothing more"
    journal.file.close()


@pytest.mark.parametrize("moment", ["before", "after"])
def test_what_is_held_back_when_the_server_ends_is_kept_once_it_is_answered(tmp_path: Path, moment: str) -> None:
    fault = Fault(kind="slow", seconds=30.0) if moment == "before" else Fault(kind="timeout_after")
    with ThreadPoolExecutor(1) as pool, mock_aliyun(data=tmp_path / "world", rate=1) as local:
        client = make_client(local, "understudy")
        make_table(client, "t")
        local.run(lambda: local.cloud.faults.add(replace(fault, action="PutRow")))
        put = pool.submit(client.put_row, "t", sdk.Row(pk("x", 1), [("n", 1)]), when("IGNORE"))
        while not local.run(lambda: local.cloud.faults.counts):
            pass
        journal = journal_of(local.cloud)
        assert not local.run(lambda: journal.file.uncommitted), "others see it, so it is not lost any more"
    assert journal.failure is None
    assert (put.exception() is None) == (moment == "before")
    with mock_aliyun(data=tmp_path / "world") as local:
        assert make_client(local, "understudy").get_row("t", pk("x", 1))[1] is not None
