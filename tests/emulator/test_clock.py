"""The emulated clock: what a callback sees, however late a busy machine gets round to it."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from emulator.clock import Clock

START = datetime(2026, 3, 2, tzinfo=UTC)


def test_a_callback_sees_the_time_at_which_it_was_due_also_while_time_flows() -> None:
    clock = Clock(START)
    clock.set_rate(1000)
    seen: list[datetime] = []
    clock.call_at(START + timedelta(milliseconds=1), lambda: seen.append(clock.now()))
    while clock.now() < START + timedelta(seconds=1):
        pass
    while clock.run_due(clock.now()):
        pass
    assert seen == [START + timedelta(milliseconds=1)]


def test_time_stands_within_a_moment_and_flows_on_afterwards() -> None:
    clock = Clock(START)
    clock.set_rate(1000)
    with clock.standing(START):
        assert clock.now() == START
        with clock.standing(START + timedelta(days=1)):
            assert clock.now() == START + timedelta(days=1)
        assert clock.now() == START
    assert clock.now() > START


def test_forgotten_entries_never_run() -> None:
    clock = Clock(START)
    ran: list[str] = []
    for name in ("keep", "drop"):
        clock.call_later(timedelta(seconds=1), lambda name=name: ran.append(name), name)  # type: ignore[misc]
    clock.forget(lambda due: due.label == "drop")
    clock.advance(timedelta(seconds=2))
    assert ran == ["keep"]


def test_an_entry_that_jumps_further_by_itself_is_not_taken_back_by_the_jump_that_ran_it() -> None:
    clock = Clock(START)
    clock.call_later(timedelta(seconds=5), lambda: clock.advance(timedelta(minutes=1)))
    clock.advance(timedelta(seconds=5))
    assert clock.now() == START + timedelta(seconds=65)


def test_time_flows_on_after_an_entry_that_fails(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock(START)

    def fails() -> None:
        raise ZeroDivisionError

    async def flows() -> None:
        reached = asyncio.Event()
        clock.set_rate(1000)
        clock.call_later(timedelta(seconds=1), fails, "fails")
        clock.call_later(timedelta(seconds=2), reached.set)
        flow = asyncio.create_task(clock.flow())
        await asyncio.wait_for(reached.wait(), 5)
        flow.cancel()

    asyncio.run(flows())
    assert "an entry of the calendar failed" in caplog.text
