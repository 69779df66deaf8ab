"""Whether the names could follow a planned move, asked while the old side still serves: a master that moves where its
clients are not led makes things worse, and to stay costs nothing. A loss is not asked about: the new side serves then,
whoever finds it.
"""

from functools import partial
from typing import Final

from shared.domain.dns_plan import NameRecord, RefuseRebind, plan_name
from shared.domain.ids import Epoch, SiteName
from shared.domain.pair import NameRule, Pair
from shared.ports.clock import Clock
from shared.usecases.failover.aside import Aside, Run
from shared.usecases.failover.naming import Naming, label

GOOD_FOR: Final = 5.0  # seconds: an older listing says nothing of now


class NamesAsked:
    def __init__(self, pair: Pair, *, naming: Naming, clock: Clock, run: Run) -> None:
        self._naming, self._clock = naming, clock
        self._looks: tuple[tuple[NameRule, Aside[tuple[NameRecord, ...]]], ...] = tuple(
            (rule, Aside(partial(naming.records_of, rule), what=f"name {label(rule)}", run=run, clock=clock))
            for rule in pair.names
        )

    def ask(self) -> None:
        """Returns at once."""
        for _, look in self._looks:
            if self._fresh(look) is None:
                look.start()

    def judged(self, target: SiteName, epoch: Epoch) -> tuple[str, str]:
        """Why a name must not be bound to `target` under `epoch`, and what is not known yet; empty where there is
        nothing to say. What is not known may pass."""
        refused, waits = [], []
        for rule, look in self._looks:
            records, value = self._fresh(look), self._naming.value(rule, target)
            if look.refusal:
                refused.append(f"{label(rule)}: {look.refusal}")
            elif look.trouble or records is None:
                waits.append(f"{label(rule)} cannot be read: {look.trouble or 'no answer yet'}")
            elif value is None:
                waits.append(f"what {label(rule)} is to give is not known")
            else:
                plan = plan_name(records, name=label(rule), type=rule.type, value=value, epoch=epoch)
                refused += [plan.because] if isinstance(plan, RefuseRebind) else []
        return "; ".join(refused), "; ".join(waits)

    def _fresh(self, look: Aside[tuple[NameRecord, ...]]) -> tuple[NameRecord, ...] | None:
        newest = look.newest()
        return None if newest is None or self._clock.monotonic() - newest[0] > GOOD_FOR else newest[1]
