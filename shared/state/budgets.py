"""Windows of API calls in the state store: one row per place and action, changed only by compare-and-set.

Every write carries a mark that no other write has, so a lost answer is settled by reading back; when even that fails,
what may have been taken counts as spent and is given to nobody. An instance remembers what it last saw, so a further
batch costs one call.
"""

from collections.abc import Callable
from typing import Final

from shared.domain import budget
from shared.domain.budget import Caller, Window
from shared.domain.errors import Conflict, Retryable
from shared.domain.place import Place
from shared.ports.store import Absent, Condition, Matches, Row, Store, Value
from shared.state import settle

TABLE: Final = "budgets"
ATTEMPTS: Final = 12
"""Each time one of those who compete wins; more than so many seldom do."""

Key = tuple[str, str]


class Budgets:
    def __init__(self, store: Store, *, owner: str) -> None:
        """`owner`: unique to this instance."""
        self._store = store
        self._owner = owner
        self._writes = 0
        self._seen: dict[Key, tuple[Window, Condition]] = {}

    def take(self, place: Place, action: str, *, minute: int, share: int, caller: Caller) -> int:
        """A batch of calls, or none. Raises Retryable (others are always faster, too), OutcomeUnknown, Forbidden."""
        return self._change(
            (str(place), action), lambda window: budget.take(window, minute, share=share, caller=caller)
        )

    def close(self, place: Place, action: str, *, minute: int) -> None:
        """Tell the others that the cloud throttles. Raises as `take`."""
        self._change((str(place), action), lambda window: (0, budget.close(window, minute)))

    def _change(self, key: Key, decide: Callable[[Window], tuple[int, Window]]) -> int:
        for _ in range(ATTEMPTS):
            remembered = key in self._seen
            window, condition = self._seen.get(key) or self._read(key)
            granted, after = decide(window)
            if after == window:
                if not remembered:
                    return granted
                # What is remembered may be old: only the row may say no.
                self._seen.pop(key)
                continue
            try:
                self._write(key, after, condition)
            except Conflict:
                self._seen.pop(key, None)
                continue
            except BaseException:
                self._seen.pop(key, None)
                raise
            return granted
        raise Retryable(f"the budget of {key[1]} in {key[0]} is fought over: {ATTEMPTS} times somebody else was faster")

    def _read(self, key: Key) -> tuple[Window, Condition]:
        row = self._store.get(TABLE, key)
        if row is None:
            return Window(), Absent()
        columns = row.columns
        window = Window(minute=int(columns["minute"]), taken=int(columns["taken"]), closed=bool(columns["closed"]))
        return window, Matches({"mark": columns["mark"]})

    def _write(self, key: Key, window: Window, condition: Condition) -> None:
        self._writes += 1
        mark = f"{self._owner}/{self._writes}"
        columns: dict[str, Value] = {
            "minute": window.minute,
            "taken": window.taken,
            "closed": window.closed,
            "mark": mark,
        }
        settle.put(self._store, TABLE, Row(key=key, columns=columns), condition=condition)
        self._seen[key] = (window, Matches({"mark": mark}))
