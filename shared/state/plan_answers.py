"""What operators said to a run of a recovery plan: that a wave may begin, that nothing more shall.

Rows of the small table of controls, written by function `command` and read by `recover` one at a time. They stay: who
approved what, and when, can be read later.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from shared.domain.errors import Conflict
from shared.domain.ids import OperationId
from shared.ports.store import Absent, Row, Store
from shared.state import codec, settle
from shared.state.controls import TABLE

APPROVED: Final = "plan-approved/"
ABORTED: Final = "plan-aborted/"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanAnswer:
    by: str
    at: datetime
    because: str = ""


class PlanAnswers:
    def __init__(self, store: Store) -> None:
        self._store = store

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
        row = Row(key=(name,), columns={"body": codec.dump(answer)})
        try:
            settle.put(self._store, TABLE, row, condition=Absent())
        except Conflict:
            return self._said(name) or answer
        return answer

    def _said(self, name: str) -> PlanAnswer | None:
        row = self._store.get(TABLE, (name,))
        return None if row is None else codec.load(PlanAnswer, str(row.columns["body"]))
