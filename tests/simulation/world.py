"""The state store in a world of processes, as each process reaches it: late, or not at all, or without an answer.

With a `timeout` a call ends as the real adapter's does: its caller hears nothing, and what it wrote may be applied all
the same, now or later.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

from shared.domain.errors import Conflict, OutcomeUnknown, Retryable
from shared.ports.store import Absent, Anything, Condition, Key, Row, Store, Value, Write
from tests.simulation.processes import EPOCH, Crash, Faults, Machine, Over, Process, ProcessClock, World

__all__ = [
    "EPOCH",
    "Crash",
    "Faults",
    "Machine",
    "Over",
    "Process",
    "ProcessClock",
    "ProcessStore",
    "Rows",
    "World",
    "columns_of",
    "tokens",
]

GIVES_UP = 1.0  # seconds after which a call without a time-out of its own hears that nothing came back


class Rows:
    """The truth of the state store."""

    def __init__(self) -> None:
        self.tables: dict[str, dict[Key, dict[str, Value]]] = {}

    def table(self, name: str) -> dict[Key, dict[str, Value]]:
        return self.tables.setdefault(name, {})

    def get(self, table: str, key: Key) -> Row | None:
        columns = self.table(table).get(key)
        return None if columns is None else Row(key=key, columns=dict(columns))

    def scan(
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> list[Row]:
        found = sorted(((key, columns) for key, columns in self.table(table).items() if key[: len(prefix)] == prefix))
        if backward:
            found.reverse()
        if after is not None:
            found = [one for one in found if (one[0] < after if backward else one[0] > after)]
        if until is not None:
            found = [one for one in found if (one[0] > until if backward else one[0] < until)]
        return [Row(key=key, columns=dict(columns)) for key, columns in found][:limit]

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

    def __init__(self, world: World, process: Process, rows: Rows, *, timeout: float | None = None) -> None:
        """`timeout`: seconds for one whole call; None: it waits for as long as it takes."""
        self._world, self._process, self._rows = world, process, rows
        self._timeout = timeout
        self._began = 0.0

    def get(self, table: str, key: Key) -> Row | None:
        self._way(writes=False)
        row = self._rows.get(table, key)
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
        self,
        table: str,
        prefix: Key,
        *,
        after: Key | None = None,
        until: Key | None = None,
        backward: bool = False,
        limit: int | None = None,
    ) -> Iterator[Row]:
        self._way(writes=False)
        rows = self._rows.scan(table, prefix, after=after, until=until, backward=backward, limit=limit)
        self._way_back(writes=False)
        return iter(rows)

    def _write(self, apply: Callable[[], None]) -> None:
        world, faults = self._world, self._world.faults
        self._way(writes=True, apply=apply)
        if faults.lost_request and world.chance.random() < faults.lost_request:
            if world.chance.random() < 0.5:
                world.later(world.chance.uniform(0.5, 8), lambda: self._late(apply))
            self._give_up(writes=True, why="timed out")
        apply()
        self._way_back(writes=True)

    def _late(self, apply: Callable[[], None]) -> None:
        try:
            apply()
            self._world.say(self._process.name, "an abandoned write arrived late")
        except Conflict:
            return

    def _way(self, *, writes: bool, apply: Callable[[], None] | None = None) -> None:
        world, process, faults = self._world, self._process, self._world.faults
        world.maybe_pause(process)
        self._began = world.now
        if world.now >= process.unreachable_until and world.chance.random() < faults.outage:
            process.unreachable_until = world.now + world.chance.uniform(1, 8)
            process.unreachable_refused = world.chance.random() < 0.3
            world.say(process.name, f"cut off from the store until {process.unreachable_until:.2f}")
        if world.now < process.unreachable_until:
            if process.unreachable_refused:
                self.refused()
            self._give_up(writes=writes, why="no answer")
        seconds = self._seconds()
        if self._timeout is not None and seconds > self._timeout:
            if apply is not None:
                world.later(seconds, lambda: self._late(apply))
            self._give_up(writes=writes, why="slow")
        world.wait(process, seconds)

    def refused(self) -> None:
        """As the adapter does: four attempts, each answered at once that the partition is away."""
        self._world.wait(self._process, self._world.chance.uniform(0.18, 0.35))
        raise Retryable("refused")

    def _give_up(self, *, writes: bool, why: str) -> None:
        left = GIVES_UP if self._timeout is None else self._began + self._timeout - self._world.now
        self._world.wait(self._process, max(0.001, left))
        raise OutcomeUnknown(why) if writes else Retryable(why)

    def _way_back(self, *, writes: bool) -> None:
        world, process = self._world, self._process
        seconds = self._seconds()
        if self._timeout is not None and world.now + seconds > self._began + self._timeout:
            self._give_up(writes=writes, why="slow")
        world.wait(process, seconds)
        if world.chance.random() < world.faults.lost_reply:
            self._give_up(writes=writes, why="reply lost")
        world.maybe_pause(process)

    def _seconds(self) -> float:
        world, faults = self._world, self._world.faults
        slow = faults.slow and world.chance.random() < faults.slow
        return world.chance.uniform(0, faults.slow_seconds if slow else faults.delay)


def tokens(world: World) -> Callable[[], str]:
    return world.token


def columns_of(rows: Rows, table: str) -> Mapping[Key, Mapping[str, Value]]:
    return rows.table(table)


_CHECK: type[Store] = ProcessStore
