"""`explain`: what was decided, and why. Reads only."""

from itertools import islice
from typing import Final

from rich.markup import escape

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import OperationId
from shared.domain.operation import Operation
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from understudy.cli.connection import Connection
from understudy.cli.screen import console, moment, table

SHOWN: Final = 400
"""Characters of one value: a refusal with its reason fits, a list of a whole fleet does not."""


def explain(scope: str, *, last: int) -> None:
    connection = Connection()
    decisions = Decisions(connection.store)
    if scope:
        found = list(decisions.of(scope, newest=last))
        operation = Journal(connection.store, connection.clock).find(OperationId(scope))
        if operation is not None:
            _operation(operation)
            of_it = (one for one in decisions.of(operation.subject) if one.inputs.get("operation") == operation.id)
            found += islice(of_it, last)
            if not found:
                return
        if not found:
            known = ", ".join(_scopes(connection))
            raise BadInput(
                f"nothing was decided about '{scope}', and it is no operation. Scopes of the active policy: {known}; "
                "or an instance id"
            )
    else:
        found = [one for name in _scopes(connection) for one in decisions.of(name, newest=last)]
        found = sorted(found, key=lambda one: one.at, reverse=True)[:last]
        if not found:
            console().print("nothing was decided yet")
            return
    shown = table("when", "about", "decision", "because")
    for one in found:
        shown.add_row(moment(one.at), escape(one.subject), _event(one), escape("\n".join(one.because)))
    console().print(shown)


def _operation(operation: Operation) -> None:
    """How it stands: its journal."""
    out = console()
    out.print(
        f"operation {escape(operation.id)}: [bold]{operation.state}[/bold], begun {moment(operation.created)} under "
        f"policy {operation.policy}: {escape(operation.because)}",
        soft_wrap=True,
    )
    if operation.steps:
        shown = table("step", "state", "last written", "of it")
        for step in operation.steps:
            known = "\n".join(f"{key}: {_short(value)}" for key, value in step.data.items() if value)
            shown.add_row(escape(step.name), step.state, moment(step.at), escape(known))
        out.print(shown)
    for key, value in operation.result.items():
        out.print(f"{escape(key)}: {escape(_short(value))}", soft_wrap=True)


def _short(value: str) -> str:
    return value if len(value) <= SHOWN else f"{value[:SHOWN]}..."


def _event(decision: Decision) -> str:
    return escape(decision.event) if decision.acted else f"[yellow]{escape(decision.event)}[/yellow] (not acted)"


def _scopes(connection: Connection) -> list[str]:
    _, policy = Policies(connection.store).active()
    names = [one.name for one in policy.protections] + [pair.name for pair in policy.pairs]
    return [*dict.fromkeys([*names, "policy", "prune"])]
