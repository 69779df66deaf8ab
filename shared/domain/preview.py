"""What an operation would do, before anything does: shown to an operator, who confirms exactly that."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

TOKEN_LENGTH: Final = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One condition of starting."""

    name: str
    ok: bool
    says: str  # what was seen
    remedy: str = ""  # how to mend it; when ok, empty or of what costs something and keeps nothing back


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One thing that would be done. `wave`: those of one number run side by side, then comes the next."""

    wave: int
    does: str
    subject: str
    takes: timedelta  # estimated


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    kind: str
    subject: str
    actions: tuple[Action, ...]
    checks: tuple[Check, ...]
    token: str  # of exactly this; an operation begun with it stops when the world has changed what it would do
    takes: timedelta
    monthly_cost: str = ""  # of what would be created, e.g. "12.40 CNY"; empty: unknown
    measured: bool = False  # `takes` is how long earlier ones took, and not the sum of the actions
    warnings: tuple[str, ...] = ()  # what is lost by it, e.g. all writes since the point

    @property
    def may_start(self) -> bool:
        return all(check.ok for check in self.checks)

    @property
    def refusals(self) -> tuple[str, ...]:
        said = (". ".join(filter(None, (f"{one.name}: {one.says}", one.remedy))) for one in self.checks if not one.ok)
        return tuple(one if one.endswith(".") else f"{one}." for one in said)


def token_of(*parts: str) -> str:
    """The same for the same parts in the same order: short enough to be typed back."""
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:TOKEN_LENGTH]


def critical_path(actions: Iterable[Action]) -> timedelta:
    """Of each wave its longest action, one wave after the other."""
    longest: dict[int, timedelta] = {}
    for action in actions:
        longest[action.wave] = max(longest.get(action.wave, timedelta()), action.takes)
    return sum(longest.values(), timedelta())
