"""Answers to reads, kept while a stale read is on the menu: a lagging replica says again what it said before."""

from collections import OrderedDict, deque
from datetime import datetime
from typing import Any, Final

QUESTIONS: Final = 2_000
ANSWERS: Final = 64


class Memory:
    """An answer counts as old by when it was given: that is when the world was so."""

    def __init__(self) -> None:
        self._keeps = False
        self._answers: OrderedDict[tuple[str, ...], deque[tuple[datetime, Any]]] = OrderedDict()

    def keep(self, on: bool) -> None:
        self._keeps = on
        if not on:
            self._answers.clear()

    def add(self, question: tuple[str, ...], at: datetime, answer: Any) -> None:
        if not self._keeps:
            return
        self._answers.setdefault(question, deque(maxlen=ANSWERS)).append((at, answer))
        self._answers.move_to_end(question)
        if len(self._answers) > QUESTIONS:
            self._answers.popitem(last=False)

    def recall(self, question: tuple[str, ...], until: datetime) -> Any:
        """The newest answer given at or before `until`; None: there is none."""
        return next((answer for at, answer in reversed(self._answers.get(question, ())) if at <= until), None)
