"""The masters of a `PairWorld` as events: no thread each, so that a world of many seeds stays cheap."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from shared.domain.ids import SiteName
from tests.simulation.world import Machine
from understudy.agent.client import Look, RoleReader

if TYPE_CHECKING:
    from tests.simulation.pair_world import PairWorld


def boot_of(machine: Machine) -> str:
    return f"boot-{machine.boot}"


class EventMaster:
    """A master that costs no thread: it reads its role, works, reads again, and may be stopped before each step."""

    def __init__(self, pair: "PairWorld", site: SiteName, unit: SiteName) -> None:
        self._pair, self._site, self._unit, self._machine = pair, site, unit, pair.machines[unit]
        self._read_at = 0.0
        self._boot = 0
        self._role: RoleReader | None = None

    def begin(self) -> None:
        self._after(self._pair.world.chance.uniform(0, 1), self._look)

    def _after(self, seconds: float, step: Callable[[], None]) -> None:
        world = self._pair.world
        if world.faults.pause and world.chance.random() < world.faults.pause:
            seconds += world.chance.uniform(0, world.faults.pause_seconds)
        world.later(seconds, step, on=self._machine)

    def _read(self) -> bytes:
        self._read_at = self._pair.world.now
        return self._pair.boards[self._unit].content

    def _reader(self) -> RoleReader:
        if self._role is None or self._boot != self._machine.boot:
            self._boot = self._machine.boot

            def clock() -> float:
                return self._machine.reads(self._pair.world.now)

            self._role = RoleReader("unused", clock=clock, boot=boot_of(self._machine), read=self._read)
        return self._role

    def _look(self) -> None:
        pair, chance = self._pair, self._pair.world.chance
        reader = self._reader()
        first = reader.look()
        if not first.active:
            pair.refused += 1
            if pair.keeps_denials:
                pair.denied.append((pair.world.now, self._site))
            self._after(chance.uniform(0.1, 0.6), self._look)
        elif pair.defects.second_look:
            self._after(chance.uniform(0, 0.05), lambda: self._confirm(reader, first))
        else:
            self._after(chance.uniform(0, 0.05), lambda: self._blindly(first.epoch))

    def _confirm(self, reader: RoleReader, first: Look) -> None:
        pair = self._pair
        if reader is self._role and self._boot == self._machine.boot:  # it did not end with its machine
            second = reader.confirm(first)
            if second.active:
                pair._accept(self._site, self._unit, second.epoch, self._machine.at(second.at), self._read_at)
            else:
                pair.withdrawn += 1
        self._after(pair.world.chance.uniform(0.1, 0.6), self._look)

    def _blindly(self, epoch: int) -> None:
        pair = self._pair
        pair._accept(self._site, self._unit, epoch, pair.world.now, pair.world.now)
        self._after(pair.world.chance.uniform(0.1, 0.6), self._look)
