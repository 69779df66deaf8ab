"""`explain`: what was decided, and why. Reads only."""

from rich.markup import escape

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.state.decisions import Decisions
from shared.state.policies import Policies
from understudy.cli.connection import Connection
from understudy.cli.screen import console, moment, table


def explain(scope: str, *, last: int) -> None:
    connection = Connection()
    decisions = Decisions(connection.store)
    if scope:
        found = list(decisions.of(scope, newest=last))
        if not found:
            known = ", ".join(_scopes(connection))
            raise BadInput(
                f"nothing was decided about '{scope}'. Scopes of the active policy: {known}; or an instance id"
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


def _event(decision: Decision) -> str:
    return escape(decision.event) if decision.acted else f"[yellow]{escape(decision.event)}[/yellow] (not acted)"


def _scopes(connection: Connection) -> list[str]:
    _, policy = Policies(connection.store).active()
    names = [one.name for one in policy.protections] + [pair.name for pair in policy.pairs]
    return [*dict.fromkeys([*names, "policy", "prune"])]
