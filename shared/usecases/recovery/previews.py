"""What an operation would do, asked before anything is done: one view for each kind that an operator confirms."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from shared.domain.errors import BadInput
from shared.domain.operation import OperationKind
from shared.domain.preview import Preview
from shared.usecases.recovery.measured import Estimating

Show = Callable[[str], Preview]
"""From a request as its operation's journal would hold it (`codec.dump` of it). Reads only."""


class Previews:
    def __init__(self, by_kind: Mapping[OperationKind, Show], *, estimate: Estimating | None = None) -> None:
        """`estimate` knows how long earlier ones took; a plan looks that up by itself."""
        self._by_kind = by_kind
        self._estimate = estimate

    def of(self, kind: str, request: str) -> Preview:
        """Raises BadInput for a kind that has no preview, and as the reads do."""
        known = {one.value: one for one in self._by_kind}
        if kind not in known:
            raise BadInput(f"preview of {kind!r}: it must be one of: {', '.join(sorted(known)) or 'none'}")
        shown = self._by_kind[known[kind]](request)
        if self._estimate is None or known[kind] is OperationKind.PLAN:
            return shown
        took = self._estimate().took(kind, shown.subject)
        return shown if took is None else replace(shown, takes=took, measured=True)
