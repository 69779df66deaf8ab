"""Our budget of API calls: a window of a minute, as the cloud throttles, for each account, region and action.

Everybody of one installation spends from the same windows. Back-ups and prune stop at their share, so that the rest is
there when something must be recovered. A refusal by the cloud for too many calls closes the window for back-ups and
prune: others than us spend from it as well (the console, Terraform), and what is refused in a minute is refused until
it is over. Source: ECS, throttling, read 2024: limits are per account, region and action; being throttled in a minute
lasts until the next one. Assumption: the cloud's minutes begin when UTC's do.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from shared.domain.policy import ApiLimits

BATCHES: Final = 10
"""A caller takes a tenth of its share at a time: the store is asked once for that many calls, and a caller that ends
leaves little of the minute unused."""


AHEAD_AT_MOST: Final = 2
"""Minutes by which clocks that are kept in step may differ. A row further ahead was written by one that was wrong: it
is begun anew, as nobody would be given a call before that minute comes."""


class Caller(StrEnum):
    ORDINARY = "ordinary"  # back-ups, copies, prune
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What was taken from one minute so far."""

    minute: int = 0  # since 1970
    taken: int = 0
    closed: bool = False  # the cloud has throttled in it


def minute_of(now: datetime) -> int:
    return int(now.timestamp()) // 60


def until_next(now: datetime) -> timedelta:
    """How long this minute lasts still: more than none, at most a minute."""
    return timedelta(minutes=1) - timedelta(seconds=now.second, microseconds=now.microsecond)


def share(limits: ApiLimits, action: str, caller: Caller) -> int:
    """Calls a minute up to which `caller` may go on, at least one."""
    whole = limits.actions.get(action, limits.default)
    percent = 100 if caller is Caller.RECOVERY else 100 - limits.reserve_percent
    return max(1, whole * percent // 100)


def batch(share: int) -> int:
    return max(1, share // BATCHES)


def take(window: Window, minute: int, *, share: int, caller: Caller) -> tuple[int, Window]:
    """How many calls the caller may make, and the window after that. None are granted when the share is used up, or
    the window is closed (recovery asks the cloud all the same), or somebody whose clock is ahead is in a later minute.
    """
    if minute < window.minute <= minute + AHEAD_AT_MOST:
        return 0, window
    now = window if window.minute == minute else Window(minute=minute)
    if now.closed and caller is Caller.ORDINARY:
        return 0, now
    granted = max(0, min(batch(share), share - now.taken))
    return granted, replace(now, taken=now.taken + granted)


def close(window: Window, minute: int) -> Window:
    """The cloud has throttled a call of this minute."""
    if minute < window.minute <= minute + AHEAD_AT_MOST:
        return window
    now = window if window.minute == minute else Window(minute=minute)
    return replace(now, closed=True)
