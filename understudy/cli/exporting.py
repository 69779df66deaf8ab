"""What `understudy prove` reads: decisions and trails as JSON lines, between one line that says how far they reach and
another that counts them. The format is told in `understudy.checker_exports`, which reads it and shares nothing with
this."""

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

import typer

from shared.domain.decision import Decision
from shared.ports.trail import NameChange
from shared.state import codec
from shared.state.decisions import Decisions
from understudy.cli.connection import Connection


def decisions(scope: str, *, last: int | None) -> None:
    """Of a pair, or whatever else is decided about, oldest first. All of them, unless only the `last` are asked for."""
    connection = Connection()
    until = connection.clock.now()
    for line in decided(scope, Decisions(connection.store), last=last, until=until):
        typer.echo(line)


def decided(scope: str, stored: Decisions, *, last: int | None = None, until: datetime) -> Iterator[str]:
    """The export as lines. `until`: read before the store is."""
    # One more than asked for says whether anything is left out.
    found = list(stored.of(scope, newest=None if last is None else last + 1))[::-1]
    complete = last is None or len(found) <= last
    shown: Sequence[Decision] = found if complete else found[1:]
    since = None if complete or not shown else shown[0].at
    lines = (codec.dump(one) for one in shown)
    return _exported("decisions", scope, lines, complete=complete, since=since, until=until)


def trail(
    of: str, names: Sequence[str], changes: Iterable[NameChange], *, since: datetime | None, until: datetime
) -> Iterator[str]:
    """The export as lines. Whatever the cloud still has since then: how long that is, it does not say."""
    lines = (codec.dump(one) for one in sorted(changes, key=lambda change: change.at))
    return _exported("trail", of, lines, complete=True, since=since, until=until, names=tuple(names))


def _exported(
    kind: str,
    of: str,
    lines: Iterable[str],
    *,
    complete: bool,
    since: datetime | None,
    until: datetime,
    names: Sequence[str] = (),
) -> Iterator[str]:
    head = {
        "export": kind,
        "of": of,
        "complete": complete,
        "since": None if since is None else codec.moment(since),
        "until": codec.moment(until),
        "names": list(names),
    }
    yield json.dumps(head)
    count = 0
    for line in lines:
        yield line
        count += 1
    yield json.dumps({"end": kind, "lines": count})
