"""What one call has to suffer, decided when it arrives."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from emulator.faults.codes import Refusal, refusal
from emulator.faults.fault import Asked, Fault
from emulator.faults.kinds import Stage

ERRORS = frozenset(["throttle", "error", "error_after", "ok_with_code"])


class Silence(Exception):
    """In process: no answer came, or none that can be read. `applied`: whether the effect stands nevertheless."""

    def __init__(self, why: str, *, applied: bool) -> None:
        super().__init__(why)
        self.applied = applied


@dataclass(frozen=True, slots=True)
class Blow:
    asked: Asked
    faults: tuple[Fault, ...]
    ending: Fault | None  # what keeps the true answer from the caller
    old: Any = None  # the remembered answer that a stale read gets (Tablestore keeps its own past)

    def ends(self, stage: Stage) -> Fault | None:
        return self.ending if self.ending is not None and self.ending.about.stage is stage else None

    def all(self, kind: str) -> tuple[Fault, ...]:
        return tuple(fault for fault in self.faults if fault.kind == kind)

    def refusal(self) -> Refusal | None:
        """The error that ends the call, if an error does."""
        if self.ending is None or self.ending.kind not in ERRORS:
            return None
        return refusal(self.ending, self.asked)

    @property
    def page_rows(self) -> int | None:
        return min((f.rows for f in self.all("short_page") if f.rows is not None), default=None)

    @property
    def empty_page(self) -> bool:
        return bool(self.all("empty_page"))

    @property
    def stale(self) -> timedelta | None:
        found = self.all("stale_read")
        return timedelta(seconds=max(f.seconds or 0 for f in found)) if found else None
