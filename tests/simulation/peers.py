"""Pledges between the agents of a `PairWorld`: the peers port over its links, and the file that outlives a process."""

from collections.abc import Collection
from datetime import timedelta
from typing import TYPE_CHECKING

from shared.domain.ids import Place, SiteName
from shared.domain.pledge import Answer, Ask, Promises, place_of
from tests.simulation.links import How
from tests.simulation.world import Machine, Process

if TYPE_CHECKING:
    from tests.simulation.pair_world import PairWorld

PORT = 7001


def place(unit: SiteName) -> Place:
    return place_of(unit, PORT)


class MemoryBook:
    """What a unit's agent has promised: of this boot, and of the agent that wrote it."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._kept: tuple[int, Promises] | None = None

    def keep(self, promises: Promises) -> None:
        self._kept = (self._machine.boot, promises)

    def kept(self) -> Promises | None:
        return self._kept[1] if self._kept is not None and self._kept[0] == self._machine.boot else None


class SimPeers:
    """All are asked at once; here one after the other, those first that can be reached, which takes no longer."""

    def __init__(self, pair: "PairWorld", process: Process, unit: SiteName) -> None:
        self._pair, self._process, self._unit = pair, process, unit
        self._units = {place(one): one for site in pair.sites() for one in pair.units(site)}

    def ask(
        self, places: Collection[Place], ask: Ask, *, timeout: timedelta, one_is_enough: bool
    ) -> dict[Place, Answer]:
        world = self._pair.world
        ends = world.now + timeout.total_seconds()
        answers: dict[Place, Answer] = {}
        units = [self._units[one] for one in sorted(places)]
        silent = [unit for unit in units if self._way(unit) in (How.SILENT, How.DEAF)]
        for unit in (one for one in units if one not in silent):
            self._one(unit, ask, ends, answers)
            if one_is_enough and any(answer.pledged for answer in answers.values()):
                return answers
        for unit in silent:
            if self._way(unit) is How.DEAF:
                self._later(0.01, unit, ask)
        if silent or len(answers) < len(units):
            self._pass(ends - world.now)
        world.maybe_pause()  # the answers are in its hands
        return answers

    def _way(self, unit: SiteName) -> How | None:
        return None if unit == self._unit else self._pair.way_to_agent(self._unit, unit)

    def _one(self, unit: SiteName, ask: Ask, ends: float, answers: dict[Place, Answer]) -> None:
        world, faults = self._pair.world, self._pair.world.faults
        slow = faults.slow and world.chance.random() < faults.slow
        there = world.chance.uniform(0, 2.0 if slow else 0.02)
        if faults.lost_request and world.chance.random() < faults.lost_request:
            there = ends - world.now + world.chance.uniform(0, 3)
        if world.now + there >= ends:
            self._later(there, unit, ask)
            return
        self._pass(there)
        answer = self._hear(unit, ask)
        if answer is None or world.now >= ends or world.chance.random() < faults.lost_reply:
            return
        self._pass(min(world.chance.uniform(0, 0.02), max(0.0, ends - world.now)))
        answers[place(unit)] = answer

    def _later(self, seconds: float, unit: SiteName, ask: Ask) -> None:
        """It arrives when nobody waits for its answer any more."""
        self._pair.world.later(seconds, lambda: (self._hear(unit, ask), None)[1])

    def _hear(self, unit: SiteName, ask: Ask) -> Answer | None:
        pair = self._pair
        holder = pair.holders.get(unit)
        if holder is None or unit in pair.down or pair.gone(unit) or pair.machines[unit].stopped:
            return None
        return holder.pledge(ask)

    def _pass(self, seconds: float) -> None:
        process = self._pair.world.current or self._process
        self._pair.world.wait(process, max(0.001, seconds))
