"""A rebuild that is asked for, by an operator or by a plan: opened here, carried out by function `recover`.

Without a confirmation nothing is opened: what it would do is asked of `recover`, which may read the cloud.
"""

import json
from collections.abc import Mapping
from datetime import datetime

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, OperationId, PolicyVersion
from shared.domain.operation import OperationKind
from shared.domain.policy import Policy, RebuildRule
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.functions import Functions
from shared.state import codec
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.recovery_requests import RebuildRequest
from shared.usecases.suspicion import hand_over


def open_rebuild(
    journal: Journal,
    functions: Functions,
    request: RebuildRequest,
    *,
    policy: PolicyVersion,
    now: datetime,
    because: str,
) -> OperationId:
    """Open it, or find it, and have `recover` take it up at once. Safe to call any number of times."""
    opened = journal.open(request.operation(policy=policy, now=now, because=because))
    hand_over(functions, "recover", {"operation": opened.id, "look": "now"})
    return opened.id


class AskRebuild:
    def __init__(
        self, *, policies: Policies, journal: Journal, decisions: Decisions, functions: Functions, clock: Clock
    ) -> None:
        self._policies = policies
        self._journal = journal
        self._decisions = decisions
        self._functions = functions
        self._clock = clock

    def __call__(
        self, instance: InstanceId, *, rule: str, confirm: str, by: str, asked: datetime, run: str
    ) -> dict[str, object]:
        """The preview; with `confirm` the operation. Raises BadInput for a rule that the policy does not have."""
        version, policy = self._policies.active()
        request = RebuildRequest(
            instance=instance, rule=rule_for(policy, version, rule), asked=asked, by=by, confirm=confirm
        )
        if not confirm:
            question = {"preview": {"kind": OperationKind.REBUILD.value, "request": codec.dump(request)}}
            return {"preview": json.loads(self._functions.invoke("recover", json.dumps(question).encode()))}
        because = f"asked for by {by}"
        made = Decision(
            event="rebuild.requested",
            at=self._clock.now(),
            subject=instance,
            because=(because,),
            inputs={"operation": request.id, "rule": request.rule},
            acted=True,
            run=run,
        )
        log.decision(made)
        self._decisions.record(instance, made)
        open_rebuild(self._journal, self._functions, request, policy=version, now=self._clock.now(), because=because)
        return {"operation": request.id}


def rule_for(policy: Policy, version: PolicyVersion, named: str) -> str:
    """The rule that is named, or the only one. Which instances it selects is judged where the cloud can be read."""
    rules: Mapping[str, RebuildRule] = {one.name: one for one in policy.rebuilds}
    if named in rules:
        return named
    known = ", ".join(rules) or "none"
    if named:
        raise BadInput(f"rebuild rule {named!r} is not in policy {version}; it has: {known}")
    if not rules:
        raise BadInput(f"policy {version} has no rebuilds, so nothing says how an instance is replaced. Add a rule")
    return ""
