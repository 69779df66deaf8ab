"""What to do about due times that nobody acted on: take the newest, leave out the others, and say why of each."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from shared.domain.schedule import aware


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Slots of one schedule that follow each other and are left out for one reason."""

    since: datetime  # the oldest
    until: datetime  # the newest; the same when it is a single slot
    count: int
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CatchUp:
    """What to do with the due times of one schedule that have not been accounted for yet."""

    run: datetime | None = None  # the slot to take now; None: nothing was due, or nothing may be taken
    late: bool = False  # `run` is older than what still counts as on time
    skipped: tuple[Stretch, ...] = ()  # ascending
    seen: datetime | None = None  # every slot up to here is accounted for by this; None: decide nothing yet


def _no_excuse(_slot: datetime) -> str | None:
    return None


def catch_up(
    due: Iterable[datetime],
    *,
    now: datetime,
    punctual: timedelta,
    excuse: Callable[[datetime], str | None] = _no_excuse,
    closed: bool = False,
    each_within: timedelta = timedelta(0),
) -> CatchUp:
    """After any absence, take one point now instead of many: the newest due slot runs, the earlier ones are skipped.

    A snapshot shows the disk as it is now, so one made for each missed slot would be the same point several times.
    `punctual` is how far behind its due time a slot may start and still not be called late. Slots after `now` are
    not due yet and left out. `excuse` says why a slot is not to be taken at all (a pause, a blackout), or None: an
    excused slot never runs and never stands in for another. With `closed`, no point may begin now: a slot that ought to
    run waits, and nothing is decided. Slots that went by within `each_within` are told one by one, older ones in
    stretches.
    """
    aware(now)
    missed = sorted({slot for slot in due if slot <= now})
    if not missed:
        return CatchUp()
    reasons = [excuse(slot) for slot in missed]
    run = next((slot for slot, because in zip(reversed(missed), reversed(reasons), strict=True) if not because), None)
    if run is not None and closed:
        return CatchUp()
    stands_in = "" if run is None else f"; the slot of {run:%Y-%m-%d %H:%M}Z stands in for it"
    reason = f"missed: nothing ran when it was due{stands_in}"
    left_out = [
        (slot, because or reason) for slot, because in zip(missed, reasons, strict=True) if because or slot != run
    ]
    return CatchUp(
        run=run,
        late=run is not None and now - run > punctual,
        skipped=tuple(_stretches(left_out, run, now, each_within)),
        seen=missed[-1],
    )


def _stretches(
    left_out: Sequence[tuple[datetime, str]], run: datetime | None, now: datetime, each_within: timedelta
) -> Iterator[Stretch]:
    """One per row of slots with the same reason. What runs lies between two rows, never in one."""

    def row(one: tuple[datetime, str]) -> tuple[str, bool, datetime | None]:
        slot, because = one
        return because, run is not None and slot > run, slot if now - slot < each_within else None

    for (because, _, _), members in groupby(left_out, key=row):
        slots = [slot for slot, _ in members]
        yield Stretch(since=slots[0], until=slots[-1], count=len(slots), because=because)
