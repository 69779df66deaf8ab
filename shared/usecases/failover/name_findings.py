"""What is wrong with a pair's names while nothing moves: what would stop a move, or make it longer."""

from collections.abc import Callable, Iterator
from typing import Final

from shared.domain.dns_plan import RefuseRebind, plan_name
from shared.domain.errors import CredentialsRejected, DrError, NotFound
from shared.domain.ids import Epoch
from shared.domain.name_ttl import floor_finding, ttl_finding
from shared.domain.pair import NameRule, NameService, Pair
from shared.ports.names import Names
from shared.usecases.failover.naming import label

ANY_EPOCH: Final = Epoch(2**62)  # newer than any remark: what a remark claims is judged where the lease is known


def name_findings(pair: Pair, service_of: Callable[[NameService], Names]) -> Iterator[str]:
    """Sentences, none when all is well. What could not be looked at is one too. Raises CredentialsRejected alone."""
    for rule in pair.names:
        try:
            yield from _of(rule, pair, service_of(rule.service))
        except CredentialsRejected:
            raise
        except NotFound as error:
            yield f"pair {pair.name}: {label(rule)} has no zone {rule.zone} here: {error}"
        except DrError as error:
            yield f"pair {pair.name}: {label(rule)} could not be looked at: {error}"


def _of(rule: NameRule, pair: Pair, service: Names) -> Iterator[str]:
    name = label(rule)
    records = service.records(zone=rule.zone, host=rule.host)
    value = records[0].value if records else ""
    plan = plan_name(records, name=name, type=rule.type, value=value, epoch=ANY_EPOCH)
    if isinstance(plan, RefuseRebind):
        yield f"pair {pair.name}: {plan.because}; runbook: {plan.runbook}"
    floor = floor_finding(rule, service.least_ttl(zone=rule.zone))
    differs = ttl_finding(name, rule, records, pair=pair.name)
    if floor or differs:
        yield f"pair {pair.name}: {floor or differs}"
