"""Standing in line: never more at once than allowed, in the order of priority, deadline and age, and never for ever."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from emulator.cloud import Cloud
from shared.domain.ids import OperationId
from shared.ports.store import Row
from shared.state.lines import Lines, Place
from understudy.simulation.store import InProcessStore, create_tables

NOW = datetime(2026, 3, 2, tzinfo=UTC)


class Standing:
    def __init__(self) -> None:
        cloud = Cloud(start=NOW)
        create_tables(cloud, "understudy")
        self.store: Any = InProcessStore(cloud, "understudy")
        self.ended: set[str] = set()
        self.lines = Lines(self.store, ended=lambda one: one in self.ended)

    def place(self, name: str, *, priority: int = 5, hours: int = 6, age: int = 0, weight: int = 1) -> Place:
        return Place(
            line="cn-shanghai",
            priority=priority,
            deadline=NOW + timedelta(hours=hours),
            since=NOW - timedelta(minutes=age),
            operation=OperationId(name),
            weight=weight,
        )

    def asks(self, place: Place, *, at_most: int = 2) -> bool:
        return self.lines.take_turn(place, at_most=at_most, now=NOW).mine

    def rows(self) -> int:
        return sum(1 for _ in self.store.scan("lines", ()))


def test_two_who_take_the_last_place_at_the_same_moment_do_not_both_have_it() -> None:
    line = Standing()
    a, b = line.place("a"), line.place("b", age=5)
    got: list[bool] = []

    class Racing:
        """Whoever writes that it runs is overtaken by the other, once."""

        def __init__(self, store: Any, meanwhile: Callable[[], None]) -> None:
            self._store, self._meanwhile, self._done = store, meanwhile, False

        def put(self, table: str, row: Row, *, condition: Any) -> None:
            if row.key[1].startswith("running/") and not self._done:
                self._done = True
                self._meanwhile()
            self._store.put(table, row, condition=condition)

        def __getattr__(self, name: str) -> Any:
            return getattr(self._store, name)

    racing = Lines(Racing(line.store, lambda: got.append(line.asks(b, at_most=1))), ended=lambda _: False)
    got.append(racing.take_turn(a, at_most=1, now=NOW).mine)

    assert sum(got) <= 1
    line.lines.leave(b)
    assert line.asks(a, at_most=1), "and nobody is locked out"


def test_priority_goes_before_deadline_and_deadline_before_age() -> None:
    line = Standing()
    running = line.place("running")
    assert line.asks(running, at_most=1)
    others = [
        line.place("old", age=50),
        line.place("young", age=1),
        line.place("pressing", hours=1),
        line.place("urgent", priority=1, hours=20),
    ]
    assert not any(line.asks(one, at_most=1) for one in others)

    order = []
    line.lines.leave(running)
    while (following := line.lines.next("cn-shanghai", now=NOW)) is not None:
        order.append(following)
        mine = next(one for one in others if one.operation == following)
        assert line.asks(mine, at_most=1)
        line.lines.leave(mine)
    assert order == ["urgent", "pressing", "old", "young"]


def test_one_that_steps_back_lets_others_go_until_its_time() -> None:
    line = Standing()
    first, second = line.place("first", age=9), line.place("second")
    assert line.asks(first, at_most=1)
    assert not line.asks(second, at_most=1)
    line.lines.step_back(first, until=NOW + timedelta(minutes=5))

    assert line.asks(second, at_most=1)
    assert line.lines.next("cn-shanghai", now=NOW) is None
    assert line.lines.next("cn-shanghai", now=NOW + timedelta(minutes=5)) == "first"


def test_whoever_could_go_but_does_not_know_is_named() -> None:
    line = Standing()
    running, waits, asks = line.place("running"), line.place("waits", age=9), line.place("asks")
    assert line.asks(running, at_most=1)
    assert not line.asks(waits, at_most=1)
    line.lines.leave(running)

    turn = line.lines.take_turn(asks, at_most=1, now=NOW)
    assert (turn.mine, turn.next) == (False, ("waits",))


def test_what_ended_operations_left_holds_nobody_up() -> None:
    line = Standing()
    dead_running, dead_waiting = line.place("dead-1"), line.place("dead-2", priority=1)
    assert line.asks(dead_running, at_most=1)
    assert not line.asks(dead_waiting, at_most=1)
    line.ended |= {"dead-1", "dead-2"}

    assert line.asks(line.place("alive"), at_most=1)
    assert line.rows() == 1


def test_one_that_is_heavier_than_allowed_runs_alone() -> None:
    line = Standing()
    heavy, light = line.place("heavy", weight=17), line.place("light", age=9)
    assert line.asks(light)
    assert not line.asks(heavy)
    line.lines.leave(light)
    assert line.asks(heavy)
    assert not line.asks(light)


def test_asking_again_changes_nothing() -> None:
    line = Standing()
    one = line.place("one")
    assert [line.asks(one) for _ in range(3)] == [True, True, True]
    assert line.rows() == 1
    line.lines.leave(one)
    line.lines.leave(one)
    assert line.rows() == 0
