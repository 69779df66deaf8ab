"""The last step of a failover, as a client takes it: ask for the name, go where it leads, meet the active master.

What a client sees can lag behind what was done: a resolver may keep an old answer for the record's time to live, and a
resolver may be down by itself. Neither says that the move failed, so neither calls an operator. Patience:

- A master that does not answer at the address where the names lead is waited for as long as a failover waits at all.
- A resolver with another answer is waited for when that answer ends by itself within `HELD_FOR`. One that may be kept
  for longer is told with its time, and not waited for: nothing can take it back.
- A resolver that does not answer, or not with an answer, is waited for `SILENT_FOR`, then told.
- Public names lead to addresses that a function inside the VPC may have no way to: no answer there is told as well.
"""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from shared.domain.detection import Sight
from shared.domain.dns_plan import same_value
from shared.domain.ids import Epoch
from shared.domain.pair import Member, NameRule, NameService, Pair
from shared.ports.clock import Clock
from shared.ports.probes import Agents, Probes, Tried
from shared.ports.resolvers import Resolved, Resolvers
from shared.usecases.failover.outcome import PROMOTE_TIMEOUT

ASK_TIMEOUT: Final = timedelta(milliseconds=500)  # of all resolvers and names together: they are asked at once
CONNECT_TIMEOUT: Final = timedelta(seconds=1)
SILENT_FOR: Final = 1.0  # seconds since the first look of this confirmation
HELD_FOR: Final = 10.0
MOST_LED: Final = 4  # addresses of one answer: a resolver that gives a hundred must not keep a watch from its rounds


class ClientView:
    def __init__(
        self, pair: Pair, *, agents: Agents, probes: Probes | None, resolvers: Resolvers | None, clock: Clock
    ) -> None:
        """Without `resolvers` or `probes` that part is not looked at."""
        self._pair, self._agents, self._probes = pair, agents, probes
        self._resolvers, self._clock = resolvers, clock
        self._began: float | None = None

    def forget(self) -> None:
        """Another confirmation begins."""
        self._began = None

    def look(
        self, address: str, member: Member, epoch: Epoch, values: Sequence[tuple[NameRule, str]]
    ) -> tuple[bool, tuple[str, ...]]:
        """Whether clients are served, and why (not). `address`: of `member`, which is to be active under `epoch`.
        `values`: what each name's record says."""
        now = self._clock.monotonic()
        self._began = now if self._began is None else self._began
        waited = now - self._began
        report = self._agents.look(address, member.agent_port, timeout=PROMOTE_TIMEOUT)
        if not report.active or report.epoch != epoch:
            return False, (f"{address} is not active under epoch {epoch}: {report.sight}",)
        waits, told, leads = self._ask(values, waited)
        for where, needed in leads.items():
            tried = self._try(where, member.port)
            if not tried.well:
                why = f"{where}:{member.port}{self._pair.probe} is {tried.sight} {tried.detail}".rstrip()
                (waits if needed or waited < SILENT_FOR else told).append(why)
        if waits:
            return False, (*waits, *told)
        return True, (f"{address} answers as active under epoch {epoch}", *told)

    def _ask(
        self, values: Sequence[tuple[NameRule, str]], waited: float
    ) -> tuple[list[str], list[str], dict[str, bool]]:
        """What keeps us waiting, what is only told, and where clients are led: whether we must find the master there.

        Without an answer a client's way is not known, and the record of an address says it as well."""
        waits: list[str] = []
        told: list[str] = []
        leads: dict[str, bool] = {}
        answers: tuple[Resolved, ...] = ()
        if self._resolvers is not None:
            names = list(dict.fromkeys(str(rule) for rule, _ in values))
            answers = self._resolvers.ask(names, servers=self._pair.resolvers, timeout=ASK_TIMEOUT)
        for rule, value in values:
            private = rule.service is NameService.PRIVATE
            addresses = (value,) if rule.type == "A" else ()
            for answer in (one for one in answers if one.name == str(rule)):
                told_values = answer.values(rule.type)
                if not answer.answered:
                    why = f"resolver {answer.server} does not tell {rule}: {answer.why}"
                    (waits if waited < SILENT_FOR else told).append(why)
                elif len(told_values) == 1 and same_value(rule.type, told_values[0], value):
                    addresses = tuple(dict.fromkeys((*addresses, *answer.addresses[:MOST_LED])))
                    if not answer.addresses:
                        why = f"resolver {answer.server} leads {rule} to {value}, and to no address"
                        (waits if waited < SILENT_FOR else told).append(why)
                else:
                    left = answer.ttl_seconds or 0
                    gives = ", ".join((*answer.aliases[:1], *answer.addresses)) or "nothing"
                    why = f"resolver {answer.server} still gives {rule} as {gives}, for up to {left} s"
                    (waits if waited + left <= HELD_FOR else told).append(why)
            for one in addresses:
                leads[one] = leads.get(one, False) or private
        return waits, told, leads

    def _try(self, address: str, port: int) -> Tried:
        if self._probes is None:
            return Tried(sight=Sight.ANSWERED, well=True)
        return self._probes.tries(address, port, path=self._pair.probe, timeout=CONNECT_TIMEOUT)
