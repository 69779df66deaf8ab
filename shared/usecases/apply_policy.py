"""Make a checked policy the active one, under the next number, and start its schedules' clocks."""

from dataclasses import dataclass

from shared.domain.decision import Decision
from shared.domain.ids import PolicyVersion
from shared.domain.policy import Policy
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.policies import Policies


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    version: PolicyVersion
    changed: bool  # False: this very policy was active already


class ApplyPolicy:
    def __init__(self, *, policies: Policies, controls: Controls, decisions: Decisions, clock: Clock) -> None:
        self._policies = policies
        self._controls = controls
        self._decisions = decisions
        self._clock = clock

    def run(self, policy: Policy, *, by: str, run: str = "") -> Applied:
        """Safe to repeat: an unchanged policy keeps its number. Raises Conflict when another apply ran meanwhile.

        Crash order: cursors, then the version. A cursor without its schedule does nothing; a schedule that became
        active without its cursor would lose the slots up to its first tick.
        """
        now = self._clock.now()
        standing = self._controls.read()
        for protection in policy.protections:
            for schedule in protection.schedules:
                cursor = f"{protection.name}/{schedule.name}"
                if cursor not in standing.cursors:
                    self._controls.advance(cursor, seen=None, to=now)
        before = standing.policy
        version = self._policies.append(policy)
        applied = Applied(version=version, changed=version != before)
        made = Decision(
            event="policy.applied" if applied.changed else "policy.unchanged",
            at=now,
            subject="policy",
            because=(f"applied by {by}",),
            inputs={"before": "" if before is None else str(before)},
            policy=version,
            acted=applied.changed,
            run=run,
        )
        log.decision(made)
        self._decisions.record("policy", made)
        return applied
