"""A machine that a rebuild made and nobody waits for: ordered by an executor that froze just before the call, when
another one had gone on without it. The cloud takes such an order, token or not. It has the tags of the old one but no
traffic; the tick stops it, marks it so that no rule takes it for a member, and tells. It is not deleted.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from shared.domain.decision import Decision
from shared.domain.ids import InstanceId, OperationId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.operation import OperationState
from shared.domain.provenance import OPERATION
from shared.domain.rebuild import ISOLATED, REPLACES
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Instances
from shared.state.decisions import Decisions
from shared.state.journal import Journal

EXTRA: Final = "rebuild.extra"
TOLD_LATELY: Final = 50


@dataclass(slots=True, kw_only=True)
class Doubles:
    instances: Instances
    journal: Journal
    decisions: Decisions
    clock: Clock

    def run(self, selected: Iterable[Instance], *, run: str) -> None:
        """`selected`: of one rule, those in isolation left out. Costs a call only where two carry one rebuild's tag."""
        made: dict[tuple[InstanceId, OperationId], list[Instance]] = defaultdict(list)
        for one in selected:
            if OPERATION in one.tags and REPLACES in one.tags:
                made[InstanceId(one.tags[REPLACES]), OperationId(one.tags[OPERATION])].append(one)
        for (old, operation), several in made.items():
            if len(several) > 1:
                self._part(old, operation, several, run)

    def _part(self, old: InstanceId, id: OperationId, several: list[Instance], run: str) -> None:
        found = self.journal.find(id)
        if found is not None and found.state is OperationState.OPEN:
            return  # the rebuild itself sees to it
        serves = found.result.get("replacement") if found is not None else None
        names = ", ".join(one.id for one in several)
        if serves is None or serves not in [one.id for one in several]:
            self._tell(old, id, f"{names} carry the tag of {id}: keep one, and delete the others", run)
            return
        for one in several:
            if one.id == serves or one.state not in (InstanceState.RUNNING, InstanceState.STOPPED):
                continue  # what is coming up cannot be stopped yet
            if one.state is InstanceState.RUNNING:
                self.instances.stop(one.id, force=True)
            self._tell(old, id, f"{one.id} was ordered late, beside {serves}: it is stopped and marked; delete it", run)
            # Last: what is marked is not looked at again.
            self.instances.tag([one.id], resource_type="instance", tags={ISOLATED: one.tags[OPERATION]})

    def _tell(self, old: InstanceId, id: OperationId, because: str, run: str) -> None:
        told = self.decisions.of(old, newest=TOLD_LATELY)
        if any(one.event == EXTRA and one.because[0] == because for one in told):
            return
        made = Decision(
            event=EXTRA, at=self.clock.now(), subject=old, because=(because,), inputs={"operation": id}, run=run
        )
        log.decision(made)
        self.decisions.record(old, made)
