"""Timer -> due slots -> operations."""

from shared.wiring.foundation import store
from shared.wiring.guard import FcContext, guarded, prepared
from shared.wiring.schedule import schedule


def initialize(_context: FcContext) -> None:
    prepared(store, schedule)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(lambda call: schedule().run(run=call.run), event, context)
