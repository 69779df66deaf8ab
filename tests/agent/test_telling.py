"""What the agent decides is told with its reason in the same line of the journal."""

import logging

from understudy.agent.telling import Formatter


def line(message: str, **said: object) -> str:
    record = logging.makeLogRecord({"name": "understudy.agent", "levelname": "WARNING", "msg": message, **said})
    return Formatter().format(record).split(" ", 2)[2]  # after date and time


def test_a_reason_stands_behind_the_event_and_its_numbers() -> None:
    assert line("agent.gave_up", because="the master is ill", epoch=4) == (
        'understudy.agent WARNING agent.gave_up epoch=4 because="the master is ill"'
    )


def test_a_plain_line_stays_as_it_is_and_no_text_makes_two_lines() -> None:
    assert line("agent.ready") == "understudy.agent WARNING agent.ready"
    assert line("agent.waits", because="one\ntwo") == 'understudy.agent WARNING agent.waits because="one\\ntwo"'
    assert line("agent.superseded", owner="") == 'understudy.agent WARNING agent.superseded owner=""'


def test_an_error_keeps_its_traceback() -> None:
    try:
        raise ZeroDivisionError("division by zero")
    except ZeroDivisionError as error:
        told = line("agent.thread_died", exc_info=(type(error), error, error.__traceback__), epoch=1)

    assert told.startswith("understudy.agent WARNING agent.thread_died epoch=1\nTraceback")
