"""Processes on virtual time, one seed each: the real code runs in threads, of which one at a time may move.

Every clock reading, sleep and call to the outside is a place where time passes, and where the seed may stop a process,
its whole machine, or end it. Clocks of machines differ in offset and speed, and their wall clocks may be set. Nothing
here knows leases.
"""

import heapq
import itertools
import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

EPOCH = datetime(2026, 3, 2, tzinfo=UTC)


class Over(BaseException):
    """The world has ended: unwinds a process's thread."""


class Crash(BaseException):
    """A process is gone between two calls. No code of ours may catch it."""


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
    wall: float = 0.0  # seconds by which its wall clock is wrong
    stopped: bool = False
    boot: int = 1
    parked: "list[Process | Callable[[], None]]" = field(default_factory=list)  # due while it was stopped
    suspended: float = 0.0  # virtual seconds for which it was stopped as a whole
    stopped_at: float = 0.0

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
    suspended: float = 0.0  # virtual seconds for which it alone was stopped: what a bad clock does not count
    unreachable_until: float = 0.0
    unreachable_refused: bool = False  # at once, instead of by silence
    dies_in: int = 0  # waits from now; 0: it lives on
    waits: int = 0  # so far
    stalls_in: int = 0  # waits from now, then it is stopped for `stalls_for`; 0: it is not
    stalls_for: float = 0.0
    boot: int = 1  # of the machine on which it runs; another one ends it
    waiting: bool = False  # due at some time; not while it is parked


Item = Process | Callable[[], None]


class World:
    def __init__(self, seed: int, faults: Faults | None = None) -> None:
        self.seed = seed
        self.chance = random.Random(seed)
        self.faults = faults or Faults.drawn(self.chance)
        self.now = 0.0
        self.until = 0.0
        self.trace: list[str] = []
        self._order = itertools.count()
        self._heap: list[tuple[float, int, Machine | None, Item]] = []
        self._processes: list[Process] = []
        self._main = threading.Lock()
        self._main.acquire()
        self._over = False
        self.current: Process | None = None  # whose turn it is; None: of something that is due
        self._failed: tuple[str, BaseException] | None = None

    def machine(self, name: str) -> Machine:
        drift = self.faults.drift
        return Machine(
            name,
            self.chance.uniform(0, 1e6),
            1 + self.chance.choice((-drift, drift, self.chance.uniform(-drift, drift))),
        )

    def spawn(self, name: str, machine: Machine, body: Callable[[Process], None], *, within: float = 1.0) -> Process:
        """It starts somewhere in the next `within` seconds."""
        process = Process(name, machine, body, boot=machine.boot)
        process.go.acquire()
        process.thread = threading.Thread(target=self._live, args=(process,), name=name, daemon=True)
        self._processes.append(process)
        self._push(self.now + self.chance.uniform(0, within), process)
        process.thread.start()
        return process

    def token(self) -> str:
        """A text that nobody was ever given."""
        return f"t{next(self._order)}"

    def later(self, seconds: float, what: Callable[[], None], *, on: Machine | None = None) -> None:
        """`what` in `seconds`; `on` a machine that is stopped then, when it goes on."""
        heapq.heappush(self._heap, (self.now + seconds, next(self._order), on, what))

    def processes(self) -> list[Process]:
        return list(self._processes)

    def say(self, who: str, what: str) -> None:
        self.trace.append(f"{self.now:8.3f} {who:9} {what}")

    def run(self, seconds: float) -> None:
        self.until = self.now + seconds
        while (item := self._due()) is not None:
            if isinstance(item, Process):
                item.go.release()
                self._main.acquire()  # until nothing is due any more, or something failed
            else:
                item()
            if self._failed is not None:
                who, error = self._failed
                raise AssertionError(f"{who} failed at {self.now:.3f} (seed {self.seed})") from error
        self.now = self.until

    def stop(self) -> None:
        """`run` returns as soon as whoever is at work waits."""
        self.until = self.now

    def end(self) -> None:
        self._over = True
        for process in self._processes:
            assert process.thread is not None
            if process.thread.is_alive():
                process.go.release()
                process.thread.join(5)

    def wait(self, process: Process, seconds: float) -> None:
        """Called by a process: let `seconds` pass for it. What it calls may have been made for another one."""
        process = self.current or process
        at = self.now + seconds
        # Nobody else is due before: no need to ask who is.
        alone = not self._heap or self._heap[0][0] > at
        if at <= self.until and alone and not self._over and not process.machine.stopped:
            self.now = at
        else:
            self._push(at, process)
            self._yield(process)
        self._may_die(process)

    def park(self, process: Process) -> None:
        """Called by a process: until it is poked."""
        self._yield(process)
        self._may_die(process)

    def poke(self, process: Process) -> None:
        """Called by whoever is at work: a parked process goes on."""
        if not process.waiting:
            self._push(self.now, process)

    def maybe_pause(self, process: Process | None = None) -> None:
        """None: whoever is at work; an order, say, that runs through another process's object."""
        process = self.current or process
        if process is None:
            return
        if self.faults.pause and self.chance.random() < self.faults.pause:
            seconds = self.chance.uniform(0, self.faults.pause_seconds)
            self.say(process.name, f"stopped for {seconds:.2f} s")
            process.suspended += seconds
            self.wait(process, seconds)

    # --- what befalls a whole machine ---

    def freeze(self, machine: Machine) -> None:
        if not machine.stopped:
            self.say(machine.name, "stands still")
            machine.stopped, machine.stopped_at = True, self.now

    def thaw(self, machine: Machine) -> None:
        if machine.stopped:
            self.say(machine.name, "goes on")
            machine.stopped = False
            machine.suspended += self.now - machine.stopped_at
            parked, machine.parked = machine.parked, []
            for item in parked:
                heapq.heappush(self._heap, (self.now, next(self._order), machine, item))

    def reboot(self, machine: Machine) -> None:
        """Its boottime begins anew, and each process of before crashes when its turn comes."""
        self.say(machine.name, "boots anew")
        machine.boot += 1
        machine.offset = -self.now * machine.speed

    # --- whose turn it is ---

    def _push(self, at: float, process: Process) -> None:
        process.waiting = True
        heapq.heappush(self._heap, (at, next(self._order), process.machine, process))

    def _due(self) -> Item | None:
        while self._heap and self._heap[0][0] <= self.until:
            at, _, machine, item = heapq.heappop(self._heap)
            self.now = max(self.now, at)
            if machine is not None and machine.stopped:
                machine.parked.append(item)
                continue
            if isinstance(item, Process):
                item.waiting = False
                self.current = item
            else:
                self.current = None
            return item
        return None

    def _yield(self, process: Process | None) -> None:
        """Hands the turn to whoever is due next, without the detour by `run`. None: the caller is at its end."""
        while True:
            item = None if self._over else self._due()
            if item is process and item is not None:
                return
            if item is None or isinstance(item, Process):
                (self._main if item is None else item.go).release()
                if process is None:
                    return
                process.go.acquire()
                if self._over:
                    raise Over
                return
            item()

    def _may_die(self, process: Process) -> None:
        process.waits += 1
        if process.stalls_in:
            process.stalls_in -= 1
            if not process.stalls_in:
                process.suspended += process.stalls_for
                self.wait(process, process.stalls_for)
        if process.boot != process.machine.boot:
            process.boot = process.machine.boot
            raise Crash
        if process.dies_in:
            process.dies_in -= 1
            if not process.dies_in:
                raise Crash

    def _live(self, process: Process) -> None:
        process.go.acquire()
        try:
            if not self._over:
                process.boot = process.machine.boot
                process.body(process)
        except Over:
            return
        except BaseException as error:  # noqa: BLE001 - whatever a process dies of fails the test, with its seed
            self._failed = self._failed or (process.name, error)
            if not self._over:
                self._main.release()
            return
        if not self._over:
            try:
                self._yield(None)
            except BaseException as error:  # noqa: BLE001 - of something that was due just then
                self._failed = self._failed or ("world", error)
                self._main.release()


class ProcessClock:
    """The clock port, as one process sees it. `counts_suspension` False is the wrong clock (CLOCK_MONOTONIC)."""

    def __init__(self, world: World, process: Process, *, counts_suspension: bool = True) -> None:
        self._world, self._process, self._counts = world, process, counts_suspension

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._world.now + self._process.machine.wall)

    def monotonic(self) -> float:
        self._world.maybe_pause()
        reading = self._process.machine.reads(self._world.now)
        if not self._counts:
            reading -= self._process.suspended + self._process.machine.suspended
        self._world.maybe_pause()  # between reading the clock and using what it said
        return reading

    def sleep(self, duration: timedelta) -> None:
        self._world.maybe_pause(self._process)
        self._world.wait(self._process, max(duration.total_seconds(), 0.001))
