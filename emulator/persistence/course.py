"""The course of the world: its steps, told apart from what goes on around it.

A step is a command (a call, an act of the operator, a guest's write) or a calendar entry that a step has put there. It
sees one time and draws from its own chance, so that the same steps, taken again, make the same world: whatever was
read, probed or run by functions between them. Everything else is outside.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import ParamSpec

from emulator.chance import Chance
from emulator.clock import Clock, Due

logger = logging.getLogger(__name__)

P = ParamSpec("P")


class Course:
    def __init__(self, clock: Clock, chance: Chance) -> None:
        self.inside = False
        self.ran = 0
        """Calendar entries of the world that have been run. With it, a command's place among them is known exactly."""
        self.latest = clock.now()
        """When the world's last step was. No later step sees an earlier time."""
        self.replaying = False
        """Steps are taken again: what they set off outside has happened already."""
        self._clock = clock
        self._chance = chance

    def moment(self) -> datetime:
        """When a step would be that is taken now."""
        return max(self._clock.now(), self.latest)

    @contextmanager
    def step(self, name: str, at: datetime) -> Iterator[None]:
        """`name` is unique: it chooses the chance that this step draws from."""
        outer, self.inside, self.latest = self.inside, True, at
        try:
            with self._clock.standing(at), self._chance.stream(name):
                yield
        finally:
            self.inside = outer

    def run(self, due: Due) -> None:
        assert due.callback is not None
        if self.replaying and not due.inside:
            return  # it has had its effect, in the life before
        at = max(due.at, self.latest)
        if due.inside:
            self.ran += 1
            with self.step(f"entry {self.ran}", at):
                self._call(due.callback, due.label)
        elif self._clock.rate == 0:
            due.callback()
        else:
            with self._clock.standing(at):
                due.callback()

    def _call(self, callback: Callable[[], None], label: str) -> None:
        """What failed in the life before fails again, and the world goes on as it did then."""
        try:
            callback()
        except Exception:  # whatever it was then: it is part of the recorded course, and raised as ever when it is new
            if not self.replaying:
                raise
            logger.warning("the calendar's %r failed, as it did before", label, exc_info=True)

    def run_until(self, ran: int, *, before: datetime) -> bool:
        """Run the next entries until `ran` of them have been run in all. False: there are not as many by then."""
        while self.ran < ran:
            at = self._clock.next_due()
            if at is None or at > before:
                return False
            self._clock.run_due(at)
        return True

    def outside(self, listener: Callable[P, None]) -> Callable[P, None]:
        """`listener` is called by steps of the world but is no part of it: what it draws and what it puts on the
        calendar is its own."""

        def told(*args: P.args, **kwargs: P.kwargs) -> None:
            outer, self.inside = self.inside, False
            try:
                with self._chance.stream(None):
                    listener(*args, **kwargs)
            finally:
                self.inside = outer

        return told
