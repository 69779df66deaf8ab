"""A world of processes on virtual time, one seed each: the real code runs in threads, of which one at a time may move.

Every store call, clock reading and sleep is a place where time passes: delays, lost replies, writes that arrive after
their sender gave up, an unreachable store, and pauses (a process stopped for seconds) are drawn from the seed. Clocks
of machines differ in offset and speed. Nothing here knows leases.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from shared.domain.errors import Conflict, OutcomeUnknown, Retryable
from shared.ports.store import Absent, Anything, Condition, Key, Row, Store, Value, Write

EPOCH = datetime(2026, 3, 2, tzinfo=UTC)


class Over(BaseException):
    """The world has ended: unwinds a process's thread."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """Drawn by the seed. Probabilities are per call."""

    delay: float  # seconds, longest ordinary way to or from the store
    slow: float  # a way that takes up to `slow_seconds`
    slow_seconds: float
    lost_reply: float
    lost_request: float  # ... of which half arrive later, after the sender gave up
    pause: float
    pause_seconds: float
    outage: float  # store unreachable for a process, per call; lasts up to 8 s
    drift: float  # clocks run faster or slower by up to this

    @classmethod
    def drawn(cls, chance: random.Random) -> "Faults":
        return cls(
            delay=chance.choice((0.01, 0.05, 0.3)),
            slow=chance.choice((0.0, 0.02, 0.1)),
            slow_seconds=chance.choice((1.0, 3.0, 6.0)),
            lost_reply=chance.choice((0.0, 0.02, 0.1)),
            lost_request=chance.choice((0.0, 0.02, 0.1)),
            pause=chance.choice((0.0, 0.005, 0.02)),
            pause_seconds=chance.choice((2.0, 7.0, 15.0)),
            outage=chance.choice((0.0, 0.01, 0.03)),
            drift=chance.choice((0.0, 0.001, 0.02)),
        )

    @classmethod
    def none(cls) -> "Faults":
        return cls(
            delay=0.01,
            slow=0,
            slow_seconds=0,
            lost_reply=0,
            lost_request=0,
            pause=0,
            pause_seconds=0,
            outage=0,
            drift=0,
        )


@dataclass(eq=False)
class Machine:
    """`reads`: what its boottime says. Processes of one machine share it."""

    name: str
    offset: float
    speed: float

    def reads(self, at: float) -> float:
        return self.offset + at * self.speed

    def at(self, reading: float) -> float:
        return (reading - self.offset) / self.speed


@dataclass(eq=False)
class Process:
    name: str
    machine: Machine
    body: Callable[["Process"], None]
    go: threading.Lock = field(default_factory=threading.Lock)
    thread: threading.Thread | None = None
    suspended: float = 0.0  # virtual seconds for which it was stopped: what a bad clock does not count
    unreachable_until: float = 0.0
    error: BaseException | None = None


class World:
    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.faults = faults or Faults.drawn(self.chance)
        self.now = 0.0
        self.until = 0.0
        self.trace: list[str] = []
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Process | Callable[[], None]]] = []
        self._processes: list[Process] = []
        self._main = threading.Lock()
        self._main.acquire()
        self._over = False

    def machine(self, name: str) -> Machine:
        drift = self.faults.drift
        return Machine(
            name,
            self.chance.uniform(0, 1e6),
            1 + self.chance.choice((-drift, drift, self.chance.uniform(-drift, drift))),
        )

    def spawn(self, name: str, machine: Machine, body: Callable[[Process], None]) -> Process:
        process = Process(name, machine, body)
        process.go.acquire()
        process.thread = threading.Thread(target=self._live, args=(process,), name=name, daemon=True)
        self._processes.append(process)
        self._push(self.chance.uniform(0, 1), process)
        process.thread.start()
        return process

    def later(self, seconds: float, what: Callable[[], None]) -> None:
        self._push(self.now + seconds, what)

    def say(self, who: str, what: str) -> None:
        self.trace.append(f"{self.now:8.3f} {who:9} {what}")

    def run(self, seconds: float) -> None:
        self.until = self.now + seconds
        while self._heap and self._heap[0][0] <= self.until:
            at, _, item = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            if isinstance(item, Process):
                item.go.release()
                self._main.acquire()
                if item.error is not None:
                    raise AssertionError(f"{item.name} failed at {self.now:.3f} (seed {self.seed})") from item.error
            else:
                item()
        self.now = self.until

    def end(self) -> None:
        self._over = True
        for process in self._processes:
            assert process.thread is not None
            if process.thread.is_alive():
                process.go.release()
                process.thread.join(5)

    def wait(self, process: Process, seconds: float) -> None:
        """Called by a process: let `seconds` pass for it."""
        at = self.now + seconds
        # Nobody else is due before: no need to change threads.
        if at <= self.until and (not self._heap or self._heap[0][0] > at) and not self._over:
            self.now = at
            return
        self._push(at, process)
        self._main.release()
        process.go.acquire()
        if self._over:
            raise Over

    def maybe_pause(self, process: Process) -> None:
        if self.faults.pause and self.chance.random() < self.faults.pause:
            seconds = self.chance.uniform(0, self.faults.pause_seconds)
            self.say(process.name, f"stopped for {seconds:.2f} s")
            process.suspended += seconds
            self.wait(process, seconds)

    def _push(self, at: float, item: Process | Callable[[], None]) -> None:
        heapq.heappush(self._heap, (at, next(self._order), item))

    def _live(self, process: Process) -> None:
        process.go.acquire()
        try:
            if not self._over:
                process.body(process)
        except Over:
            return
        except BaseException as error:  # noqa: BLE001 - whatever a process dies of fails the test, with its seed
            process.error = error
        if not self._over:
            self._main.release()


class ProcessClock:
    """The clock port, as one process sees it. `counts_suspension` False is the wrong clock (CLOCK_MONOTONIC)."""

    def __init__(self, world: World, process: Process, *, counts_suspension: bool = True) -> None:
        self._world, self._process, self._counts = world, process, counts_suspension

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._world.now)

    def monotonic(self) -> float:
        self._world.maybe_pause(self._process)
        reading = self._process.machine.reads(self._world.now)
        if not self._counts:
            reading -= self._process.suspended
        self._world.maybe_pause(self._process)  # between reading the clock and using what it said
        return reading

    def sleep(self, duration: timedelta) -> None:
        self._world.maybe_pause(self._process)
        self._world.wait(self._process, max(duration.total_seconds(), 0.001))


class Rows:
    """The truth of the state store."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, dict[str, Value]]] = {}

    def table(self, name: str) -> dict[Key, dict[str, Value]]:
        return self.tables.setdefault(name, {})

    def write(self, table: str, row: Row, condition: Condition, *, keep: bool) -> None:
        self._check(table, row.key, condition)
        before = self.table(table).get(row.key, {}) if keep else {}
        self.table(table)[row.key] = {**before, **row.columns}

    def remove(self, table: str, key: Key, condition: Condition) -> None:
        self._check(table, key, condition)
        self.table(table).pop(key, None)

    def _check(self, table: str, key: Key, condition: Condition) -> None:
        row = self.table(table).get(key)
        if isinstance(condition, Anything):
            return
        if isinstance(condition, Absent):
            holds = row is None
        else:
            holds = row is not None and all(row.get(name) == value for name, value in condition.columns.items())
        if not holds:
            raise Conflict(f"{table} {key}: condition does not hold")


class ProcessStore:
    """The store port, as one process reaches it: with the delays and losses of its way there and back."""

    def __init__(self, world: World, process: Process, rows: Rows) -> None:
        self._world, self._process, self._rows = world, process, rows

    def get(self, table: str, key: Key) -> Row | None:
        self._way(writes=False)
        columns = self._rows.table(table).get(key)
        row = None if columns is None else Row(key=key, columns=dict(columns))
        self._way_back(writes=False)
        return row

    def put(self, table: str, row: Row, *, condition: Condition) -> None:
        self._write(lambda: self._rows.write(table, row, condition, keep=False))

    def update(self, table: str, row: Row, *, condition: Condition) -> None:
        self._write(lambda: self._rows.write(table, row, condition, keep=True))

    def delete(self, table: str, key: Key, *, condition: Condition) -> None:
        self._write(lambda: self._rows.remove(table, key, condition))

    def put_many(self, writes: Sequence[Write]) -> None:
        for write in writes:
            self.put(write.table, write.row, condition=Anything())

    def delete_many(self, table: str, keys: Sequence[Key]) -> None:
        for key in keys:
            self.delete(table, key, condition=Anything())

    def scan(
        self, table: str, prefix: Key, *, after: Key | None = None, backward: bool = False, limit: int | None = None
    ) -> Iterator[Row]:
        self._way(writes=False)
        found = sorted(self._rows.table(table).items(), reverse=backward)
        rows = [Row(key=key, columns=dict(columns)) for key, columns in found if key[: len(prefix)] == prefix]
        self._way_back(writes=False)
        return iter(rows[:limit])

    def _write(self, apply: Callable[[], None]) -> None:
        world, faults = self._world, self._world.faults
        self._way(writes=True)
        if faults.lost_request and world.chance.random() < faults.lost_request:
            if world.chance.random() < 0.5:
                world.later(world.chance.uniform(0.5, 8), lambda: self._late(apply))
            world.wait(self._process, 1.0)
            raise OutcomeUnknown("timed out")
        apply()
        self._way_back(writes=True)

    def _late(self, apply: Callable[[], None]) -> None:
        try:
            apply()
            self._world.say(self._process.name, "an abandoned write arrived late")
        except Conflict:
            return

    def _way(self, *, writes: bool) -> None:
        world, process, faults = self._world, self._process, self._world.faults
        world.maybe_pause(process)
        if world.now >= process.unreachable_until and world.chance.random() < faults.outage:
            process.unreachable_until = world.now + world.chance.uniform(1, 8)
            world.say(process.name, f"cut off from the store until {process.unreachable_until:.2f}")
        if world.now < process.unreachable_until:
            world.wait(process, 1.0)
            raise OutcomeUnknown("no answer") if writes else Retryable("no answer")
        self._delay()

    def _way_back(self, *, writes: bool) -> None:
        world, process = self._world, self._process
        self._delay()
        if world.chance.random() < world.faults.lost_reply:
            world.wait(process, 1.0)
            raise OutcomeUnknown("reply lost") if writes else Retryable("reply lost")
        world.maybe_pause(process)

    def _delay(self) -> None:
        world, faults = self._world, self._world.faults
        slow = faults.slow and world.chance.random() < faults.slow
        world.wait(self._process, world.chance.uniform(0, faults.slow_seconds if slow else faults.delay))


def tokens(world: World) -> Callable[[], str]:
    return lambda: f"t{next(world._order)}"


def columns_of(rows: Rows, table: str) -> Mapping[Key, Mapping[str, Value]]:
    return rows.table(table)


_CHECK: type[Store] = ProcessStore
