"""What operators said to a run of a recovery plan: that a wave may begin, that nothing more shall.

Written by function `command` and read by `recover`, one row at a time. They stay: who approved what, and when, can be
read later.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.ids import OperationId
from shared.state import codec
from shared.state.controls import Controls

APPROVED: Final = "plan-approved/"
ABORTED: Final = "plan-aborted/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    by: str
    at: datetime
    because: str = ""


class PlanAnswers:
    def __init__(self, controls: Controls) -> None:
        self._controls = controls

    def approve(self, run: OperationId, wave: str, answer: PlanAnswer) -> PlanAnswer:
        """What stands now: the first approval stays."""
        return self._say(f"{APPROVED}{run}/{wave}", answer)

    def approval(self, run: OperationId, wave: str) -> PlanAnswer | None:
        return self._said(f"{APPROVED}{run}/{wave}")

    def abort(self, run: OperationId, answer: PlanAnswer) -> PlanAnswer:
        return self._say(f"{ABORTED}{run}", answer)

    def aborted(self, run: OperationId) -> PlanAnswer | None:
        return self._said(f"{ABORTED}{run}")

    def _say(self, name: str, answer: PlanAnswer) -> PlanAnswer:
        return codec.load(PlanAnswer, self._controls.say(name, codec.dump(answer)))

    def _said(self, name: str) -> PlanAnswer | None:
        body = self._controls.said(name)
        return None if body is None else codec.load(PlanAnswer, body)
