"""Timer -> one minute of watching this site's pairs, and their failover when it is needed."""

from shared.triggers.trigger import TimerTick
from shared.usecases.failover.watch import Watched
from shared.wiring.guard import Call, FcContext, guarded, prepared
from shared.wiring.watch import watch


def initialize(_context: FcContext) -> None:
    prepared(watch)


def handler(event: bytes, context: FcContext) -> str:
    return guarded(look, event, context)


def look(call: Call) -> Watched:
    """Anything but a tick counts as one that is due now: an alarm only says "look now"."""
    tick = call.trigger.trigger_time if isinstance(call.trigger, TimerTick) else None
    return watch().run(tick, run=call.run)
