"""Function Compute in a `FailoverWorld`: a timer per site, and executors that live on from tick to tick.

A trigger may come late, twice or not at all. Each tick takes an idle executor, with what its watch has kept in memory,
or a fresh one, so that ticks of one site overlap as they do in the cloud; looks aside run beside the rounds.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from shared.domain.errors import DrError
from shared.domain.ids import SiteName
from shared.usecases.failover.watch import Watch
from tests.simulation.world import EPOCH, Crash, Machine, Process, World

if TYPE_CHECKING:
    from tests.simulation.failover_world import FailoverWorld

MINUTE = 60.0
MOST_AT_ONCE = 6  # the function's reserved concurrency; a trigger beyond it is refused


@dataclass
class Triggers:
    """Probabilities per trigger."""

    lost: float = 0.0
    late: float = 0.0
    late_seconds: float = 0.0
    doubled: float = 0.0


class Executor:
    def __init__(self, pair: "FailoverWorld", site: SiteName, name: str) -> None:
        self._pair, self._site, self.name = pair, site, name
        world = pair.world
        self.machine: Machine = world.machine(f"fc-{name}")
        self.machine.wall = pair.wall.get(site, 0.0)
        self._ticks: deque[tuple[datetime | None, str]] = deque()
        self._looks: deque[Callable[[], None]] = deque()
        self.gone = False
        self.process = world.spawn(name, self.machine, self._live, within=0.3)  # a cold start
        self._beside: Process | None = None

    @property
    def idle(self) -> bool:
        return not self.gone and not self._ticks

    def give(self, trigger_time: datetime | None, run: str) -> None:
        """`trigger_time` None: a call, which counts as due now."""
        self._ticks.append((trigger_time, run))
        self._pair.world.poke(self.process)

    def _live(self, process: Process) -> None:
        watch = Watch(site=self._site, ports=self._pair.ports(process, self._site, aside=self._aside))
        while True:
            try:
                while not self._ticks:
                    self._pair.world.park(process)
                watch.run(self._ticks[0][0], run=self._ticks[0][1])
            except DrError as error:
                self._pair.world.say(process.name, f"tick failed: {type(error).__name__} {error}")
            except Crash:
                self._pair.world.say(process.name, "crashed")
                self.gone = True
                return
            self._ticks.popleft()

    def _aside(self, look: Callable[[], None]) -> None:
        self._looks.append(look)
        if self._beside is None:
            self._beside = self._pair.world.spawn(f"{self.name}-aside", self.machine, self._look, within=0.01)
        else:
            self._pair.world.poke(self._beside)

    def _look(self, process: Process) -> None:
        try:
            while not self.gone:
                while self._looks:
                    self._looks.popleft()()
                self._pair.world.park(process)
        except Crash:  # the whole executor is gone
            self.gone, self.process.dies_in = True, 1


@dataclass
class Timers:
    """The timer of each site, and the executors that its ticks run in."""

    pair: "FailoverWorld"
    triggers: Triggers = field(default_factory=Triggers)
    executors: dict[SiteName, list[Executor]] = field(default_factory=dict)
    fresh: float = 0.2  # of the ticks that find a warm executor, how many get a fresh one all the same
    ticks: int = 0
    lost: int = 0
    late: int = 0
    doubled: int = 0
    refused: int = 0

    @property
    def world(self) -> World:
        return self.pair.world

    def begin(self, site: SiteName, *, first: float) -> None:
        """`first`: the second at which the first minute is full; the tick before it is under way from the start."""
        self.executors[site] = []
        self._invoke(site, EPOCH + timedelta(seconds=first - MINUTE))
        self.world.later(first, lambda: self._full_minute(site))

    def _full_minute(self, site: SiteName) -> None:
        self.world.later(MINUTE, lambda: self._full_minute(site))
        at, chance, how = EPOCH + timedelta(seconds=self.world.now), self.world.chance, self.triggers
        if chance.random() < how.lost:
            self.lost += 1
            self.world.say("timer", f"the trigger of {site} is lost")
            return
        times = 1
        if chance.random() < how.doubled:
            self.doubled += 1
            times = 2
        for _ in range(times):
            late = chance.random() < how.late
            self.late += late
            self.world.later(chance.uniform(0, how.late_seconds if late else 0.2), lambda: self._invoke(site, at))

    def call(self, site: SiteName) -> None:
        """Out of turn, as function `alarm` does."""
        self._invoke(site, None)

    def _invoke(self, site: SiteName, trigger_time: datetime | None) -> None:
        self.ticks += 1
        mine = self.executors.setdefault(site, [])
        busy = [one for one in mine if not one.idle and not one.gone]
        if len(busy) >= MOST_AT_ONCE:
            self.refused += 1
            return
        free = [one for one in mine if one.idle]
        if free and self.world.chance.random() < 1 - self.fresh:
            executor = free[-1]
        else:
            executor = Executor(self.pair, site, f"watch-{site[-1]}-{len(mine) + 1}")
            mine.append(executor)
        executor.give(trigger_time, f"{executor.name}-{self.ticks}")

    def living(self, site: SiteName) -> list[Executor]:
        return [one for one in self.executors.get(site, []) if not one.gone]
