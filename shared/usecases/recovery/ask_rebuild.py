"""A rebuild that is asked for, by an operator or by a plan: opened here, carried out by function `recover`.

Without a confirmation nothing is opened: what it would do is asked of `recover`, which may read the cloud.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
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
from shared.usecases.arguments import Arguments, needed, optional
from shared.usecases.recovery.confirming import check_token
from shared.usecases.recovery.recovery_requests import RebuildRequest
from shared.usecases.recovery.suspicion import hand_over

Result = dict[str, object]


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

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        """`moment`: when it was asked for, which is part of the operation's id."""
        return {"rebuild": lambda arguments, run: self._rebuild(arguments, moment(arguments), run)}

    def _rebuild(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        """The preview; with `confirm` the operation. Raises BadInput for a rule that the policy does not have."""
        version, policy = self._policies.active()
        request = RebuildRequest(
            instance=InstanceId(needed(arguments, "instance", "an instance id, e.g. i-bp1...")),
            rule=rule_for(policy, version, optional(arguments, "rule")),
            asked=asked,
            by=optional(arguments, "by") or "an operator",
            confirm=optional(arguments, "confirm"),
        )
        if not request.confirm:
            question = {"preview": {"kind": OperationKind.REBUILD.value, "request": codec.dump(request)}}
            answer = json.loads(self._functions.invoke("recover", json.dumps(question).encode()))
            return answer if "refused" in answer else {"preview": answer}
        check_token(
            self._functions,
            self._journal,
            OperationKind.REBUILD,
            request.id,
            request=codec.dump(replace(request, confirm="")),
            confirm=request.confirm,
        )
        because = f"asked for by {request.by}"
        made = Decision(
            event="rebuild.requested",
            at=self._clock.now(),
            subject=request.instance,
            because=(because,),
            inputs={"operation": request.id, "rule": request.rule},
            acted=True,
            run=run,
        )
        log.decision(made)
        self._decisions.record(request.instance, made)
        now = self._clock.now()
        open_rebuild(self._journal, self._functions, request, policy=version, now=now, because=because)
        return {"operation": request.id}


def rule_for(policy: Policy, version: PolicyVersion, named: str) -> str:
    """The rule that is named; "" for the first that selects the instance, judged where the cloud can be read."""
    rules: Mapping[str, RebuildRule] = {one.name: one for one in policy.rebuilds}
    if named in rules:
        return named
    known = ", ".join(rules) or "none"
    if named:
        raise BadInput(f"rebuild rule {named!r} is not in policy {version}; it has: {known}")
    if not rules:
        raise BadInput(f"policy {version} has no rebuilds, so nothing says how an instance is replaced. Add a rule")
    return ""
