"""Ahead of need: the instances of rules with `platform_restart: disarm` are set so that the platform leaves them
stopped when their host fails. A rebuild then need not wait for a restart that might come.

What the cloud says is the memory: it is asked in batches, and only what is not set yet is set, and told.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from shared.domain.decision import Decision
from shared.domain.errors import NotFound
from shared.domain.ids import InstanceId
from shared.domain.inventory import Instance
from shared.domain.policy import PlatformRestart, RebuildRule
from shared.domain.rebuild import ISOLATED
from shared.observability import log
from shared.ports.clock import Clock
from shared.ports.compute import Instances
from shared.state.decisions import Decisions
from shared.usecases.recovery.look import rule_subject

AT_ONCE: Final = 100
"""Set in one tick; the next goes on. A new policy of a large fleet must not use recovery's budget up."""


@dataclass(slots=True, kw_only=True)
class Disarm:
    instances: Instances
    decisions: Decisions
    clock: Clock

    def run(self, rule: RebuildRule, selected: Sequence[Instance], *, run: str) -> tuple[InstanceId, ...]:
        """Those that were set now. Nothing for a rule that waits for the platform."""
        if rule.platform_restart is not PlatformRestart.DISARM:
            return ()
        wanted = [one.id for one in selected if ISOLATED not in one.tags]
        alone = self.instances.leaves_alone(wanted) if wanted else frozenset()
        armed = [one for one in wanted if one not in alone][:AT_ONCE]
        done = tuple(one for one in armed if self._set(one))
        if done:
            self._tell(rule, done, run)
        return done

    def _set(self, instance: InstanceId) -> bool:
        try:
            self.instances.leave_alone(instance)
        except NotFound:
            return False  # released meanwhile
        return True

    def _tell(self, rule: RebuildRule, done: tuple[InstanceId, ...], run: str) -> None:
        made = Decision(
            event="platform_restart.disarmed",
            at=self.clock.now(),
            subject=rule_subject(rule),
            because=(f"the platform leaves {len(done)} instances stopped when their host fails: {', '.join(done)}",),
            inputs={"rule": rule.name},
            run=run,
        )
        log.decision(made)
        self.decisions.record(made.subject, made)
