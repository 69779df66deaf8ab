"""The faults that are set: which of them strike a call or a delivery, and what has struck so far.

Chance has a generator of its own, so that setting a fault does not change the ids and durations of the world.
"""

import asyncio
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from emulator.chance import Chance
from emulator.faults.blow import Blow
from emulator.faults.deliveries import Deliveries
from emulator.faults.fault import Asked, Fault, FaultError
from emulator.faults.kinds import Scope, Stage
from emulator.faults.memory import Memory
from emulator.faults.outages import Outages

if TYPE_CHECKING:
    from emulator.clock import Due
    from emulator.cloud import Cloud

LOGGED: Final = 20_000
ENDING: Final = frozenset([Stage.BEFORE, Stage.AFTER])
GATHERING: Final = frozenset(["deliver_reordered", "backlog"])
"""They stand until they have delivered what they gathered, also when they gather no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One line of the log: what struck what."""

    at: datetime  # emulated
    fault: str
    kind: str
    service: str
    action: str
    caller: str
    subject: str  # table, function, or region


@dataclass(slots=True, kw_only=True)
class Standing:
    """A fault on the menu, and what is left of it."""

    id: str
    fault: Fault
    added: datetime
    ends: datetime | None
    skip: int
    left: int | None
    struck: int = 0
    windows: dict[tuple[str, ...], datetime] = field(default_factory=dict)  # of a throttle, by what is throttled
    due: "Due | None" = None

    def over(self, now: datetime) -> bool:
        return self.left == 0 or (self.ends is not None and now >= self.ends)

    def to_json(self) -> dict[str, Any]:
        ends = None if self.ends is None else self.ends.isoformat()
        return {"id": self.id, **self.fault.to_json(), "struck": self.struck, "left": self.left, "ends": ends}


class Faults:
    """`cloud.faults`. Belongs to the thread that owns the cloud."""

    def __init__(self, cloud: "Cloud", seed: int) -> None:
        self.log: deque[Strike] = deque(maxlen=LOGGED)
        self.counts: Counter[str] = Counter()  # strikes since the start, by kind
        self.memory = Memory()
        self.closing = asyncio.Event()  # the server ends: no answer is held back any longer
        self.on_calls = False  # whether any fault can strike a call: what the doors ask first
        self.chance = Chance(seed)
        self.deliveries = Deliveries(cloud, self)
        self.outages = Outages(cloud)
        self._cloud = cloud
        self._standing: dict[str, Standing] = {}
        self._numbers = 0

    # The menu -------------------------------------------------------------------------------------------------

    def add(self, fault: Fault) -> str:
        """Set it from now on; its id. Raises FaultError for a place that does not exist."""
        now = self._cloud.clock.now()
        ends = now + fault.lasts if fault.lasts is not None else fault.until
        if ends is not None and ends <= now:
            raise FaultError(f"fault {fault.kind}: it would be over already, at {ends.isoformat()}")
        if fault.about.scope is Scope.WORLD:
            self.outages.check(fault)
        self._numbers += 1
        standing = Standing(
            id=f"f-{self._numbers}", fault=fault, added=now, ends=ends, skip=fault.skip, left=fault.calls
        )
        self._standing[standing.id] = standing
        if ends is not None:
            self._end_at(ends, standing)
        if fault.about.scope is Scope.WORLD:
            self._strike(standing, Asked(service=fault.service, region=fault.region), fault.zone)
            self.outages.begin(standing.id, fault)
        self._changed()
        return standing.id

    def add_all(self, faults: Iterable[Fault]) -> list[str]:
        """All of them, or none when one is refused."""
        ids: list[str] = []
        try:
            for fault in faults:
                ids.append(self.add(fault))  # noqa: PERF401 (what was added is undone when a later one is refused)
        except FaultError:
            for one in ids:
                self.remove(one)
            raise
        return ids

    def remove(self, id: str) -> bool:
        """End it; whether it stood. What it held back is released."""
        standing = self._standing.pop(id, None)
        if standing is None:
            return False
        if standing.due is not None:
            standing.due.cancel()
        self._changed()
        self.outages.end(id)
        self.deliveries.release(id)
        return True

    def clear(self) -> None:
        for one in list(self._standing):
            self.remove(one)

    @contextmanager
    def standing(self, *faults: Fault) -> Iterator[tuple[str, ...]]:
        """Set for the block only."""
        ids = tuple(self.add_all(faults))
        try:
            yield ids
        finally:
            for one in ids:
                self.remove(one)

    def all(self) -> tuple[Standing, ...]:
        return tuple(self._standing.values())

    def _end_at(self, moment: datetime, standing: Standing) -> None:
        def end() -> None:
            self.remove(standing.id)

        standing.due = self._cloud.clock.call_at(moment, end, f"end of {standing.fault.kind}")

    def _changed(self) -> None:
        kinds = [s.fault for s in self._standing.values()]
        self.on_calls = any(f.about.scope is Scope.CALL or f.kind == "region_outage" for f in kinds)
        self.memory.keep(any(f.kind == "stale_read" for f in kinds))

    # What strikes ---------------------------------------------------------------------------------------------

    def blow(self, asked: Asked) -> Blow | None:
        """What this call has to suffer; None: nothing. Drawing it counts."""
        found: list[Fault] = []
        ending: Fault | None = None
        old: Any = None
        out = self.outages.ending(asked)
        if out is not None:
            standing, ending = self._standing[out[0]], out[1]
            self._strike(standing, asked)
            found.append(ending)
        for standing in self._matching(Scope.CALL, asked):
            fault = standing.fault
            ends = fault.about.stage in ENDING
            if ends and ending is not None:
                continue  # only one thing can end a call; the other fault waits for the next one
            remembered = self._remembered(fault, asked) if fault.kind == "stale_read" else None
            if fault.kind == "stale_read" and asked.service != "ots" and remembered is None:
                continue  # only what was answered before can be answered again
            if not self._strikes(standing, asked):
                continue
            found.append(fault)
            old = remembered if remembered is not None else old
            if ends:
                ending = fault
        return Blow(asked, tuple(found), ending, old) if found else None

    def _matching(self, scope: Scope, asked: Asked) -> list[Standing]:
        now = self._cloud.clock.now()
        return [
            standing
            for standing in list(self._standing.values())
            if standing.fault.about.scope is scope and not standing.over(now) and standing.fault.fits(asked)
        ]

    def delivery(self, asked: Asked) -> list[Standing]:
        """The faults that strike this delivery, in the order in which they were set."""
        return [
            s for s in self._matching(Scope.DELIVERY, asked) if s.fault.kind != "backlog" and self._strikes(s, asked)
        ]

    def backlog(self, asked: Asked) -> Standing | None:
        return next(
            (s for s in self._matching(Scope.DELIVERY, asked) if s.fault.kind == "backlog" and self._strikes(s, asked)),
            None,
        )

    def limit(self, asked: Asked) -> int | None:
        """The lowest limit of function instances that is set."""
        limits = [s.fault.limit for s in self._matching(Scope.WORLD, asked) if s.fault.kind == "instance_limit"]
        return min((limit for limit in limits if limit is not None), default=None)

    def _strikes(self, standing: Standing, asked: Asked) -> bool:
        fault = standing.fault
        if fault.until_next_minute:
            return self._throttles(standing, asked)
        if standing.skip > 0:
            standing.skip -= 1
            return False
        if fault.probability < 1 and not self.chance.happens(fault.probability):
            return False
        if standing.left is not None:
            standing.left -= 1
        self._strike(standing, asked)
        if standing.left == 0 and fault.kind not in GATHERING:
            self.remove(standing.id)
        return True

    def _throttles(self, standing: Standing, asked: Asked) -> bool:
        """Limits are per account, region and action. Source: ECS documentation, throttling (2024)."""
        fault, now = standing.fault, self._cloud.clock.now()
        what = (asked.account, asked.region, asked.service, asked.action)
        end = standing.windows.get(what)
        if end is None or (now >= end and fault.probability < 1):
            if standing.skip > 0:
                standing.skip -= 1
                return False
            if fault.probability < 1 and not self.chance.happens(fault.probability):
                return False
            end = standing.windows[what] = now.replace(second=0, microsecond=0) + timedelta(minutes=1)
            if fault.probability == 1 and standing.ends is None:
                # Once: whatever it throttles, the next minute is free.
                standing.ends = end
                self._end_at(end, standing)
        if now >= end:
            return False
        self._strike(standing, asked)
        return True

    def _strike(self, standing: Standing, asked: Asked, subject: str = "") -> None:
        standing.struck += 1
        self.counts[standing.fault.kind] += 1
        self.log.append(
            Strike(
                at=self._cloud.clock.now(),
                fault=standing.id,
                kind=standing.fault.kind,
                service=asked.service,
                action=asked.action,
                caller=asked.role or asked.access_key,
                subject=subject or ",".join(asked.tables) or asked.function or asked.region,
            )
        )

    def _remembered(self, fault: Fault, asked: Asked) -> Any:
        return self.memory.recall(asked.question, self._cloud.clock.now() - timedelta(seconds=fault.seconds or 0))

    # In process -----------------------------------------------------------------------------------------------

    @contextmanager
    def gate(self, asked: Asked) -> "Iterator[Blow | None]":
        """Around one call that a simulation makes straight onto a model. See `emulator.faults.gate`."""
        from emulator.faults.gate import through

        with through(self._cloud, asked) as blow:
            yield blow

    def read(self, blow: Blow | None, asked: Asked, answer: Callable[[], Any]) -> Any:
        """`answer()`, or what it was when a stale read strikes; remembered for later ones."""
        if blow is not None and blow.old is not None:
            return blow.old
        fresh = answer()
        self.memory.add(asked.question, self._cloud.clock.now(), fresh)
        return fresh
