"""`explain`: what was decided, and why. Reads only.

By scope as a table; by time, or for one operation, in sentences.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import islice
from zoneinfo import ZoneInfo

import typer
from rich.markup import escape

from shared.domain.decision import Decision
from shared.domain.errors import BadInput
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationState
from shared.domain.policy import Policy
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.policies import Policies
from understudy.cli import told
from understudy.cli.asked_time import asked_time
from understudy.cli.connection import Connection
from understudy.cli.plainly import plainly
from understudy.cli.screen import console, duration, moment, table

SEEN_OF_AN_ORDER = 200
"""Decisions of a pair that are looked through for those of one order."""


def explain(words: Sequence[str], *, last: int) -> None:
    connection = Connection()
    decisions = Decisions(connection.store)
    scope, said = _split(words, connection)
    if said:
        _of_time(connection, decisions, scope, said)
        return
    if scope:
        found = _of_scope(connection, decisions, scope, last)
        if found is None:
            return
    else:
        found = [one for name in _scopes(_policy(connection)) for one in decisions.of(name, newest=last)]
        found = sorted(found, key=lambda one: one.at, reverse=True)[:last]
        if not found:
            console().print("nothing was decided yet")
            return
    _table(found)


def replay(words: Sequence[str], *, last: int | None) -> None:
    """Makes the decisions of a pair again. Ends with 1 when one comes out otherwise."""
    connection = Connection()
    policy = _policy(connection)
    scope = " ".join(words)
    names = [pair.name for pair in policy.pairs]
    if scope and scope not in names:
        raise BadInput(f"only decisions about pairs are made again: '{scope}' is none of {', '.join(names) or 'them'}")
    wrong = [
        told.replayed(name, Decisions(connection.store).of(name, newest=last)) for name in ([scope] if scope else names)
    ]
    if any(wrong):
        raise typer.Exit(1)


def _of_scope(connection: Connection, decisions: Decisions, scope: str, last: int) -> list[Decision] | None:
    """None: all is told already."""
    found = list(decisions.of(scope, newest=last))
    operation = Journal(connection.store, connection.clock).find(OperationId(scope))
    if operation is not None:
        _operation(operation)
        if operation.subject != scope:
            of_it = (one for one in decisions.of(operation.subject) if one.inputs.get("operation") == operation.id)
            found += islice(of_it, last)
        return found or None
    if found:
        return found
    policy = _policy(connection)
    pair = next((pair.name for pair in policy.pairs if f"/{pair.name}/" in scope), None)
    if pair is not None:
        seen = list(decisions.of(pair, newest=SEEN_OF_AN_ORDER))[::-1]
        of_order = _of_order(seen, scope)
        if of_order:
            for one in of_order:
                for line in told.decision(one):
                    console().print(line, soft_wrap=True)
            return None
    raise _unknown(scope, policy)


def _unknown(scope: str, policy: Policy) -> BadInput:
    return BadInput(
        f"nothing was decided about '{scope}', and it is no operation, order or time. Scopes of the active "
        f"policy: {', '.join(_scopes(policy))}; or an instance id"
    )


def _of_order(decisions: Sequence[Decision], order: str) -> list[Decision]:
    """Oldest first: those that name the order, and the steps of the move that it began."""
    found: list[Decision] = []
    moving = False
    for one in decisions:
        if one.inputs.get("order") == order:
            found.append(one)
            moving = one.event == "failover.decided"
        elif moving and "witness" not in one.inputs:
            found.append(one)
            moving = not one.event.endswith(".completed")
    return found


def _split(words: Sequence[str], connection: Connection) -> tuple[str, str]:
    """The scope, and what is a time at the end of the words."""
    text = " ".join(words).split(" ")
    for count in (2, 1):
        end = " ".join(text[-count:])
        if len(text) >= count and asked_time(end, now=connection.clock.now(), zone=ZoneInfo("UTC")) is not None:
            return " ".join(text[:-count]), end
    return " ".join(words), ""


def _of_time(connection: Connection, decisions: Decisions, scope: str, said: str) -> None:
    """Raises BadInput for a time that is to come, and for a scope of which nothing was ever decided."""
    policy, now = _policy(connection), connection.clock.now()
    zone = told.zone_of(policy)
    asked = asked_time(said, now=now, zone=zone)
    assert asked is not None, "what is a time in one zone is one in any"
    if asked.since > now:
        raise BadInput(f"{moment(asked.since)} is to come; it is {moment(now)}")
    pairs = [pair.name for pair in policy.pairs]
    if scope and scope not in _scopes(policy) and not list(decisions.of(scope, newest=1)):
        raise _unknown(scope, policy)
    scopes = [scope] if scope else sorted(_scopes(policy), key=lambda one: one not in pairs)  # what moves first
    told.of_time(decisions, scopes, pairs, asked, zone)


def _operation(operation: Operation) -> None:
    """How it stands: its journal."""
    out = console()
    out.print(
        f"operation {escape(operation.id)}: [bold]{operation.state}[/bold], begun {moment(operation.created)} under "
        f"policy {operation.policy}: {escape(operation.because)}",
        soft_wrap=True,
    )
    for sentence in _sentences(operation):
        out.print(escape(sentence), soft_wrap=True)
    if operation.steps:
        shown = table("step", "state", "last written", "of it")
        for step in operation.steps:
            known = "\n".join(f"{key}: {plainly(value)}" for key, value in step.data.items() if value)
            shown.add_row(escape(step.name), step.state, moment(step.at), escape(known))
        out.print(shown)
    for key, value in operation.result.items():
        if value and value not in ("[]", "{}") and key not in ("because", "phases"):
            out.print(f"{escape(key)}: {escape(plainly(value))}", soft_wrap=True)


def _sentences(operation: Operation) -> list[str]:
    """What it came to, and what it took."""
    because = operation.result.get("because", "")
    ends = [step.at for step in operation.steps]
    said = [f"It came to this: {because}" + ("" if because.endswith(".") else ".")] if because else []
    if ends and operation.state is not OperationState.OPEN:
        length = max(ends) - operation.created
        phases = _phases(operation.result.get("phases", ""))
        said.append(f"From its beginning to its last step it took {duration(length)}{phases}.")
    elif ends:
        waits = next((step for step in operation.steps if step.state != "done"), operation.steps[-1])
        said.append(f"It is at its step {waits.name}, last written {moment(waits.at)}.")
    return said


def _phases(text: str) -> str:
    try:
        spent = {str(name): float(seconds) for name, seconds in json.loads(text).items()}
    except (ValueError, TypeError, AttributeError):
        return ""
    told_of = ", ".join(f"{seconds:g} s {name}" for name, seconds in spent.items() if seconds)
    return f" ({told_of})" if told_of else ""


def _table(found: Iterable[Decision]) -> None:
    shown = table("when", "about", "decision", "because")
    for one in found:
        shown.add_row(moment(one.at), escape(one.subject), _event(one), escape("\n".join(one.because)))
    console().print(shown)


def _event(decision: Decision) -> str:
    return escape(decision.event) if decision.acted else f"[yellow]{escape(decision.event)}[/yellow] (not acted)"


def _policy(connection: Connection) -> Policy:
    _, policy = Policies(connection.store).active()
    return policy


def _scopes(policy: Policy) -> list[str]:
    names = [one.name for one in policy.protections] + [pair.name for pair in policy.pairs]
    return [*dict.fromkeys([*names, "policy", "prune"])]
