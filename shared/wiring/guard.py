"""The one place where a handler catches. Below it errors travel; here each becomes a line and a result, or a retry.

What FC may retry (nothing happened, or nobody knows) is raised again, so that its queue repeats the invocation. What a
repetition cannot mend is logged as refused, with the words of the error (what, where, remedy), and returned. Errors
that nobody foresaw are not caught: FC records them, retries, and hands them to the failure destination.
"""

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, is_dataclass
from typing import Final, Protocol

from shared.adapters import chance, process
from shared.domain.errors import Conflict, CredentialsRejected, DrError, NeedsOperator, OutcomeUnknown, Retryable
from shared.observability import log
from shared.triggers.parse import parse
from shared.triggers.trigger import Trigger
from shared.wiring import foundation

FRESH_INSTANCE: Final = 64
"""Exit status of a process that ends because its credentials were rejected."""


class FcContext(Protocol):
    """What is the same in every Python runtime of Function Compute."""

    request_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    trigger: Trigger
    run: str  # the request id: the same when FC repeats an invocation
    owner: str  # unique to this very execution: what claims are taken with


Body = Callable[[Call], object]


def guarded(body: Body, event: bytes, context: FcContext) -> str:
    """Synchronise the clock, parse the event, run `body`, answer JSON. See the module for errors."""
    log.configure()
    run = str(getattr(context, "request_id", "") or f"local-{chance.token(4)}")
    try:
        foundation.clock().sync()
        call = Call(trigger=parse(event), run=run, owner=f"{run}/{chance.token(4)}")
        return to_json(body(call))
    except CredentialsRejected as error:
        log.event("credentials.rejected", level=logging.ERROR, run=run, because=[str(error)])
        process.end(FRESH_INSTANCE)
        raise
    except (Retryable, OutcomeUnknown, Conflict) as error:
        log.event(
            "invocation.postponed", level=logging.WARNING, run=run, because=[str(error)], kind=type(error).__name__
        )
        raise
    except DrError as error:
        return to_json(refusal(error, run))


def refusal(error: DrError, run: str) -> Mapping[str, object]:
    """One logged line, and the same as a result."""
    runbook = error.runbook if isinstance(error, NeedsOperator) else None
    evidence = list(error.evidence) if isinstance(error, NeedsOperator) else []
    kind = type(error).__name__
    log.event(
        "invocation.refused",
        level=logging.ERROR,
        run=run,
        because=[str(error), *evidence],
        kind=kind,
        runbook=runbook,
    )
    return {"refused": kind, "because": str(error), **({"runbook": runbook} if runbook else {})}


def prepared(*builders: Callable[[], object]) -> None:
    """Pay for imports and clients once per instance, not in the first request. What is missing here is said again, and
    refused properly, by the handler: a failing initializer would only hide it behind a platform error."""
    log.configure()
    try:
        for build in builders:
            build()
    except DrError as error:
        log.event("instance.unprepared", level=logging.WARNING, because=[str(error)])


def to_json(result: object) -> str:
    plain = asdict(result) if is_dataclass(result) and not isinstance(result, type) else result
    return json.dumps(plain, ensure_ascii=False, default=str)
