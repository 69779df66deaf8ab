"""An event about a region master or its pair calls the watches of both sites, which look at the world and decide.

The event is no evidence: it is passed on as a reason to look, and a watch that finds all well moves nothing.
Timers reach the same decision without it. Nothing of the cloud is asked here: where the event came from may be down.
"""

import json
import logging
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from shared.domain.errors import CredentialsRejected, DrError, OutcomeUnknown, Retryable
from shared.domain.ids import PairName, SiteName
from shared.domain.policy import Pair, Policy
from shared.observability import log
from shared.ports.functions import Functions
from shared.state.called import Called

FUNCTION: Final = "watch-"
LONGEST_REASON: Final = 300  # characters: what an event says comes from outside


class WatchNotCalled(Retryable):
    """A watch that an event calls for could not be called now. Look at the event again: the others are not called
    twice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Woken:
    """What became of the calls, by name of the watch's function."""

    called: tuple[str, ...] = ()
    running: tuple[str, ...] = ()  # another alarm called it within the last minute
    again: tuple[str, ...] = ()  # not called, and worth trying again
    failed: tuple[str, ...] = ()  # not called, and trying again would not help: with the reason

    def __str__(self) -> str:
        parts = (
            ("called", self.called),
            ("called within the last minute", self.running),
            ("not called yet", self.again),
            ("cannot be called", self.failed),
        )
        return "; ".join(f"{how}: {', '.join(which)}" for how, which in parts if which)


class WakeWatches:
    def __init__(self, *, functions: Functions, called: Called) -> None:
        self._functions = functions
        self._called = called

    def wake(self, sites: Iterable[SiteName], *, because: str) -> Woken:
        """Every site is tried, whatever becomes of the others; a call that had no effect is made a second time. Raises
        Retryable when the state store cannot say who was called."""
        payload = json.dumps({"look": "now", "because": because[:LONGEST_REASON]}, sort_keys=True).encode()
        told: dict[str, list[str]] = {how.value: [] for how in _How}
        left = [f"{FUNCTION}{site}" for site in sites]
        for _ in range(2):
            outcomes = {function: self._call(function, payload) for function in left}
            left = [function for function, (how, _) in outcomes.items() if how is _How.AGAIN]
            for function, (how, why) in outcomes.items():
                if how is not _How.AGAIN:
                    told[how.value].append(f"{function} ({why})" if why else function)
        return Woken(
            called=tuple(told["called"]),
            running=tuple(told["running"]),
            again=(*left, *told["unsure"]),
            failed=tuple(told["failed"]),
        )

    def _call(self, function: str, payload: bytes) -> "tuple[_How, str]":
        claim = self._called.claim(function)
        if claim is None:
            return _How.RUNNING, ""
        try:
            self._functions.invoke_async(function, payload)
        except CredentialsRejected:
            raise
        except DrError as error:
            log.event("watch.not_called", level=logging.ERROR, function=function, because=[str(error)])
            if isinstance(error, OutcomeUnknown):
                return _How.UNSURE, ""  # perhaps it runs: the claim keeps others from calling it once more at once
            self._called.release(claim)
            return (_How.AGAIN, "") if isinstance(error, Retryable) else (_How.FAILED, str(error))
        self._called.mark(claim)
        return _How.CALLED, ""


class _How(Enum):
    CALLED = "called"
    RUNNING = "running"
    AGAIN = "again"
    UNSURE = "unsure"
    FAILED = "failed"


def concerned(policy: Policy, names: Iterable[str]) -> tuple[Pair, ...]:
    """The pairs that an event is about: it names one of their masters, their balancer, or a rule that the policy lists
    as theirs."""
    named = {name for name in names if name}
    return tuple(
        pair
        for pair in policy.pairs
        if named & {*(member.instance for member in pair.members), pair.balancer or "", *pair.alarms} - {""}
    )


def sites_of(pairs: Iterable[Pair]) -> tuple[SiteName, ...]:
    """Of all their members, each once."""
    return tuple(dict.fromkeys(member.site for pair in pairs for member in pair.members))


def named(pairs: Iterable[Pair]) -> tuple[PairName, ...]:
    return tuple(pair.name for pair in pairs)
