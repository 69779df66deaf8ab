"""Function Compute's queue, its tasks, how far its timers got, and what calls changed of it, kept as they stand.

Instances are not kept, since nothing promises that one lives; what they were running runs again.
"""

import json
import logging
from base64 import b64decode, b64encode
from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from emulator.fc.queue import Queued, Refused, TaskRecord
from emulator.fc.service import Counted
from emulator.persistence.journal import Journal

if TYPE_CHECKING:
    from emulator.fc.service import FunctionCompute

logger = logging.getLogger(__name__)

QUEUE: Final = "queue"
TASKS: Final = "tasks"
TRIGGERS: Final = "triggers"
SETTINGS: Final = "functions"
TIMERS: Final = "timers"


def keep_functions(fc: "FunctionCompute", journal: Journal) -> None:
    """Before it starts: give it what its directory holds, and write each change there from now on."""
    file = journal.file
    for key, on in file.kept(TRIGGERS):
        function, _, trigger = key.partition("/")
        fc.switched[function, trigger] = on == b"on"
    for function, packed in file.kept(SETTINGS):
        fc.kept_settings[function] = json.loads(packed)
    for _, packed in file.kept(TASKS):
        record = _task(json.loads(packed))
        fc.queue.tasks[record.function, record.task] = record
    left = [_queued(fc, json.loads(packed)) for _, packed in file.kept(QUEUE)]
    fc.left_over = [queued for queued in left if queued is not None]
    fc.queue.keeper = _Keeper(journal)

    def switched(function: str, trigger: str, on: bool) -> None:
        journal.keep(TRIGGERS, f"{function}/{trigger}", b"on" if on else b"off")

    fc.on_switch = switched

    for key, packed in list(file.kept(TIMERS)):
        function, _, trigger = key.partition("/")
        if _stands(fc, function, trigger):
            fc.counted[function, trigger] = _counted(json.loads(packed))
        else:
            journal.keep(TIMERS, key, None)  # should it come back one day, it counts from then on

    def counts(function: str, trigger: str, counted: Counted | None) -> None:
        packed = None if counted is None else json.dumps(_plain_count(counted)).encode()
        journal.keep(TIMERS, f"{function}/{trigger}", packed)

    fc.on_count = counts

    def configured(function: str, settings: Mapping[str, Any]) -> None:
        journal.keep(SETTINGS, function, json.dumps(settings).encode())

    fc.on_configure = configured


def _stands(fc: "FunctionCompute", function: str, trigger: str) -> bool:
    try:
        return any(one.name == trigger for one in fc.function(function).triggers)
    except Refused:
        return False


class _Keeper:
    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def waiting(self, queued: Queued) -> None:
        self._journal.keep(QUEUE, _number(queued), json.dumps(_plain(queued)).encode())

    def gone(self, queued: Queued) -> None:
        self._journal.keep(QUEUE, _number(queued), None)

    def task(self, record: TaskRecord) -> None:
        self._journal.keep(TASKS, f"{record.function}/{record.task}", json.dumps(_plain_task(record)).encode())


def _number(queued: Queued) -> str:
    return f"{queued.number:012}"  # as text in the order of numbers


def _plain(queued: Queued) -> dict[str, Any]:
    assert queued.next_at is not None
    return {
        "function": queued.function.name,
        "payload": b64encode(queued.payload).decode(),
        "request_id": queued.request_id,
        "trigger": queued.trigger,
        "source": queued.source,
        "queued": queued.queued.isoformat(),
        "due": queued.due.isoformat(),
        "task": queued.task,
        "attempts": queued.attempts,
        "throttles": queued.throttles,
        "number": queued.number,
        "next_at": queued.next_at.isoformat(),
    }


def _queued(fc: "FunctionCompute", plain: dict[str, Any]) -> Queued | None:
    try:
        function = fc.function(plain["function"])
    except Refused:
        logger.warning(
            "queue: %s is no function any more, its invocation %s is dropped", plain["function"], plain["task"]
        )
        return None
    times = {name: datetime.fromisoformat(plain[name]) for name in ("queued", "due", "next_at")}
    return Queued(**{**plain, **times, "function": function, "payload": b64decode(plain["payload"])})


def _plain_count(counted: Counted) -> list[str]:
    return [counted.expression, counted.since.isoformat(), counted.after.isoformat()]


def _counted(plain: list[str]) -> Counted:
    since, after = map(datetime.fromisoformat, plain[1:])
    return Counted(expression=plain[0], since=since, after=after)


def _plain_task(record: TaskRecord) -> dict[str, Any]:
    return {
        "function": record.function,
        "task": record.task,
        "request_id": record.request_id,
        "payload": b64encode(record.payload).decode(),
        "state": record.state,
        "queued": record.queued.isoformat(),
        "history": [(state, at.isoformat()) for state, at in record.history],
        "returned": record.returned,
        "error": record.error,
    }


def _task(plain: dict[str, Any]) -> TaskRecord:
    return TaskRecord(
        **{
            **plain,
            "payload": b64decode(plain["payload"]),
            "queued": datetime.fromisoformat(plain["queued"]),
            "history": [(state, datetime.fromisoformat(at)) for state, at in plain["history"]],
        }
    )
