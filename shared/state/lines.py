"""Standing in line for something of which only so much may run at once: copies into one region.

An operation has one row while it waits, under a key whose order is the order of turns, and one while it runs. A turn is
taken by writing the row of those that run and then looking again: of two who took the last place at the same moment the
later one sees the other and steps back (or both do). So there is never more than allowed, without a lock or a counter.

Rows outlive their operation when a process dies between its end and `leave`. Whoever is held up by others therefore
asks whether those have ended, and clears away what they left.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.ids import OperationId
from shared.ports.store import Anything, Row, Store, Value
from shared.state import codec

TABLE: Final = "lines"
RUNNING: Final = "running/"
WAITING: Final = "waiting/"
SEEN_AT_ONCE: Final = 100
"""Of those who wait. Whoever stands further behind has no turn yet in any case."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One operation's place in one line."""

    line: str
    priority: int  # 1-9, 1 goes first
    deadline: datetime
    since: datetime
    operation: OperationId
    weight: int = 1  # how much of what is limited it takes

    @property
    def turn(self) -> str:
        """Text whose order is the order of turns: priority, then deadline, then age."""
        return f"{self.priority}/{codec.second(self.deadline)}/{codec.second(self.since)}/{self.operation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    mine: bool
    before: int = 0  # how many stand before it
    running: int = 0  # the weight of those that run
    next: tuple[OperationId, ...] = ()  # whose turn it is instead, and who may not know


@dataclass(frozen=True, slots=True, kw_only=True)
class _Other:
    key: str
    turn: str
    operation: OperationId
    weight: int
    not_before: str = ""  # of one that waits for something else than its turn


class Lines:
    def __init__(self, store: Store, *, ended: Callable[[OperationId], bool]) -> None:
        """`ended`: whether an operation has ended, however it did. Asked only about those who hold others up."""
        self._store = store
        self._ended = ended

    def take_turn(self, place: Place, *, at_most: int, now: datetime) -> Turn:
        """Whether it may run now; from then on it does, until `leave` or `step_back`. Asking again is harmless.
        One that is heavier than `at_most` runs alone. Raises as the store does."""
        if self._store.get(TABLE, (place.line, RUNNING + place.turn)) is not None:
            self._drop(place, WAITING)  # a process may have died before it did
            return Turn(mine=True)
        self._put(place, WAITING)
        running = self._running(place)
        if self._full(running, place, at_most):
            running = self._still(place, running)
        if self._full(running, place, at_most):
            return Turn(mine=False, before=len(self._ahead(place, now)), running=_weight(running))
        ahead = self._still(place, self._ahead(place, now))
        if ahead and _weight(running) + _weight(ahead) + place.weight > at_most:
            return Turn(mine=False, before=len(ahead), running=_weight(running), next=(ahead[0].operation,))
        self._put(place, RUNNING)
        running = self._running(place)
        if self._full(running, place, at_most):
            self._drop(place, RUNNING)
            return Turn(mine=False, before=len(ahead), running=_weight(running))
        self._drop(place, WAITING)
        return Turn(mine=True)

    def step_back(self, place: Place, *, until: datetime) -> None:
        """It cannot go on before `until` for a reason of its own: let others run meanwhile."""
        self._put(place, WAITING, not_before=codec.moment(until))
        self._drop(place, RUNNING)

    def leave(self, place: Place) -> None:
        self._drop(place, WAITING)
        self._drop(place, RUNNING)

    def next(self, line: str, *, now: datetime) -> OperationId | None:
        """Who stands first."""
        moment = codec.moment(now)
        waits = self._rows(line, WAITING, limit=SEEN_AT_ONCE)
        return next((one.operation for one in waits if one.not_before <= moment), None)

    @staticmethod
    def _full(running: Sequence[_Other], place: Place, at_most: int) -> bool:
        return bool(running) and _weight(running) + place.weight > at_most

    def _running(self, place: Place) -> list[_Other]:
        return [one for one in self._rows(place.line, RUNNING) if one.turn != place.turn]

    def _ahead(self, place: Place, now: datetime) -> list[_Other]:
        moment = codec.moment(now)
        waits = self._rows(place.line, WAITING, limit=SEEN_AT_ONCE)
        return [one for one in waits if one.turn < place.turn and one.not_before <= moment]

    def _still(self, place: Place, others: Sequence[_Other]) -> list[_Other]:
        """Those of them that have not ended; the rows of the others are cleared away."""
        left = [one for one in others if not self._ended(one.operation)]
        for one in others:
            if one not in left:
                self._store.delete(TABLE, (place.line, one.key), condition=Anything())
        return left

    def _rows(self, line: str, kind: str, *, limit: int | None = None) -> list[_Other]:
        found: list[_Other] = []
        # "running/" sorts before "waiting/": what follows `after` is of the kind until it is not.
        for row in self._store.scan(TABLE, (line,), after=(line, kind), limit=limit):
            if not row.key[1].startswith(kind):
                break
            found.append(
                _Other(
                    key=row.key[1],
                    turn=row.key[1].removeprefix(kind),
                    operation=OperationId(str(row.columns["operation"])),
                    weight=int(row.columns["weight"]),
                    not_before=str(row.columns.get("not_before", "")),
                )
            )
        return found

    def _put(self, place: Place, kind: str, *, not_before: str = "") -> None:
        columns: dict[str, Value] = {"operation": place.operation, "weight": place.weight, "not_before": not_before}
        row = Row(key=(place.line, kind + place.turn), columns=columns)
        self._store.put(TABLE, row, condition=Anything())

    def _drop(self, place: Place, kind: str) -> None:
        self._store.delete(TABLE, (place.line, kind + place.turn), condition=Anything())


def _weight(others: Sequence[_Other]) -> int:
    return sum(one.weight for one in others)
