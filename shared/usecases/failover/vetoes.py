"""What a pair's hooks say of moving it: asked aside and all at once when something looks wrong, so that their answers
are there when a loss is certain. An answer counts for as long as it is fresh, then it is asked for again.
"""

import json
from datetime import timedelta
from typing import Final

from shared.domain.failover_situation import short
from shared.domain.pair import Hook, Pair, Silence
from shared.ports.clock import Clock
from shared.ports.hooks import HookAnswer, Hooks, Said
from shared.usecases.failover.aside import Aside, Run

GOOD_FOR: Final = 30.0  # seconds: an older answer says nothing
AGAIN: Final = 5.0  # seconds between two questions while something is wrong
GRACE: Final = 0.5  # seconds, beyond its time, for an answer to come through


class Vetoes:
    def __init__(self, pair: Pair, *, hooks: Hooks | None, clock: Clock, run: Run) -> None:
        assert not pair.hooks or hooks is not None, "hooks of the policy need somebody who can ask them"
        self._clock = clock
        question = json.dumps({"pair": pair.name, "question": "may it fail over?"}).encode()
        self._asked = tuple(_Asked(hook, question, hooks=hooks, clock=clock, run=run) for hook in pair.hooks)

    def ask(self) -> None:
        """Returns at once. Asked no more often than every few seconds."""
        for one in self._asked:
            one.ask()

    @property
    def standing(self) -> tuple[str, ...]:
        """Who says no, and why; a silence that the policy takes for a no is one as soon as its time is over."""
        return tuple(why for one in self._asked if (why := one.veto))

    @property
    def waiting(self) -> str:
        """Which of them may still answer in time; empty when none may, or the others suffice to say no."""
        names = [one.hook.name for one in self._asked if one.waiting]
        return "" if not names or self.standing else f"hook {', '.join(names)} may still answer"


class _Asked:
    def __init__(self, hook: Hook, question: bytes, *, hooks: Hooks | None, clock: Clock, run: Run) -> None:
        self.hook, self._clock = hook, clock

        def look() -> HookAnswer:
            assert hooks is not None, "checked by whoever built this"
            return hooks.ask(hook, question)

        self._answers = Aside(look, what=f"hook {hook.name}", run=run, clock=clock)
        self._began = float("-inf")  # the first question since the last fresh answer
        self._last = float("-inf")

    def ask(self) -> None:
        now = self._clock.monotonic()
        if now - self._last < AGAIN:
            return
        self._last = now
        if self._newest() is None and now - self._began > GOOD_FOR:
            self._began = now
        self._answers.start()

    @property
    def veto(self) -> str:
        newest = self._newest()
        if newest is not None and newest.said is not Said.SILENT:
            return f"hook {self.hook.name} says no: {short(newest.why)}" if newest.said is Said.VETO else ""
        if self.waiting or self.hook.silence is Silence.PROCEED:
            return ""
        within = self.hook.within.total_seconds()
        why = f": {short(newest.why)}" if newest is not None and newest.why else ""
        return f"hook {self.hook.name} said nothing within {within:g} s, which counts as a no{why}"

    @property
    def waiting(self) -> bool:
        if self._newest() is not None:
            return False
        limit = self.hook.within + timedelta(seconds=GRACE)
        return self._clock.monotonic() - self._began <= limit.total_seconds() or self._began == float("-inf")

    def _newest(self) -> HookAnswer | None:
        newest = self._answers.newest()
        return newest[1] if newest is not None and self._clock.monotonic() - newest[0] <= GOOD_FOR else None
