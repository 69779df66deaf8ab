"""Failure destination -> a recorded decision: what was given up on, and why. Never raises: nothing comes after it."""

import logging

from shared.domain.errors import BadInput, DrError
from shared.observability import log
from shared.triggers.trigger import DestinationRecord
from shared.usecases.give_up import GivenUp
from shared.wiring.deadletter import give_up
from shared.wiring.guard import Call, FcContext, guarded, prepared, to_json


def initialize(_context: FcContext) -> None:
    prepared(give_up)


def handler(event: bytes, context: FcContext) -> str:
    try:
        return guarded(record, event, context)
    except DrError as error:
        # A retry would bring nothing that this line does not say.
        seen = event[:4096].decode("utf-8", "replace")
        log.event("record.lost", level=logging.ERROR, because=str(error), payload=seen)
        return to_json({"refused": type(error).__name__, "because": str(error)})


def record(call: Call) -> GivenUp:
    if not isinstance(call.trigger, DestinationRecord):
        raise BadInput(
            f"deadletter: a {type(call.trigger).__name__} is no destination record; see events/destination-failure.json"
        )
    return give_up().record(call.trigger, run=call.run)
