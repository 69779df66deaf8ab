"""What an operator asks of a pair's names: that their records get the policy's time to live.

It is an order for the watch of the holder's site, which alone writes names, and which does it in calm only. Lowering a
time to live helps no client that holds the old one, so it has to be done at least one old time to live before a move.
"""

from collections.abc import Callable, Mapping
from datetime import datetime

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import PairName
from shared.observability import log
from shared.ports.clock import Clock
from shared.state.decisions import Decisions
from shared.state.name_orders import NameOrder, NameOrders
from shared.state.policies import Policies
from shared.usecases.arguments import Arguments, asked_by, needed

Result = dict[str, object]


class AskNames:
    """Command `prepare_names`."""

    def __init__(self, *, policies: Policies, orders: NameOrders, decisions: Decisions, clock: Clock) -> None:
        self._policies, self._orders, self._decisions, self._clock = policies, orders, decisions, clock

    def commands(self, moment: Callable[[Arguments], datetime]) -> Mapping[str, Callable[[Arguments, str], Result]]:
        return {"prepare_names": lambda arguments, run: self._prepare(arguments, moment(arguments), run)}

    def _prepare(self, arguments: Arguments, asked: datetime, run: str) -> Result:
        name = needed(arguments, "pair", "the name of a pair of the policy")
        version, policy = self._policies.active()
        pair = next((one for one in policy.pairs if one.name == name), None)
        if pair is None:
            known = ", ".join(one.name for one in policy.pairs) or "none"
            raise BadInput(f"argument pair is {name!r}, which policy {version} does not have; it has: {known}")
        order = NameOrder(pair=PairName(name), at=asked, by=asked_by(arguments))
        stands = self._orders.pending(order.pair)
        if stands != order:
            made = Decision(
                event="names.prepare_ordered",
                at=self._clock.now(),
                subject=pair.name,
                because=(f"{order.by} wants the policy's time to live for {', '.join(map(str, pair.names))}",),
                inputs={"asked": asked.isoformat()},
                policy=version,
                acted=True,
                run=run,
            )
            log.decision(made)
            self._decisions.record(pair.name, made)
            self._orders.give(order)
        return {"pair": pair.name, "names": {str(one): one.ttl_seconds for one in pair.names}}
