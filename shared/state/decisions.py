"""Decisions, append-only, by scope and moment. Writing the same decision twice leaves one row."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

from shared.domain.decision import Decision
from shared.ports.store import Anything, Row, Store, Write
from shared.state import codec

TABLE: Final = "decisions"


class Decisions:
    def __init__(self, store: Store) -> None:
        self._store = store

    def record(self, scope: str, *decisions: Decision, also: str = "") -> None:
        """`scope` is what one asks about later: a protection, an instance, a pair; `also` is a further one. One call
        for all of them."""
        if decisions:
            scopes = (scope, also) if also else (scope,)
            self._store.put_many([_write(one, decision) for one in scopes for decision in decisions])

    def append(self, scope: str, decision: Decision) -> None:
        """One decision by somebody who may put rows here and not delete any."""
        self._store.put(TABLE, _row(scope, decision), condition=Anything())

    def of(self, scope: str, *, newest: int | None = None) -> Iterator[Decision]:
        """Newest first."""
        for row in self._store.scan(TABLE, (scope,), backward=True, limit=newest):
            yield codec.load(Decision, str(row.columns["body"]))

    def until(self, scope: str, at: datetime, *, newest: int | None = None) -> Iterator[Decision]:
        """Those made at or before `at`, newest first."""
        for row in self._store.scan(TABLE, (scope,), after=(scope, _just_after(at)), backward=True, limit=newest):
            yield codec.load(Decision, str(row.columns["body"]))

    def after(self, scope: str, at: datetime, *, first: int | None = None) -> Iterator[Decision]:
        """Those made after `at`, oldest first."""
        for row in self._store.scan(TABLE, (scope,), after=(scope, _just_after(at)), limit=first):
            yield codec.load(Decision, str(row.columns["body"]))


def _just_after(at: datetime) -> str:
    return f"{codec.moment(at)}/~"  # a digest is hexadecimal


def rows(scope: str, decisions: Sequence[Decision]) -> list[Write]:
    """For a caller that writes them together with other rows whose rewriting is harmless."""
    return [_write(scope, decision) for decision in decisions]


def _write(scope: str, decision: Decision) -> Write:
    return Write(table=TABLE, row=_row(scope, decision))


def _row(scope: str, decision: Decision) -> Row:
    body = codec.dump(decision)
    # The digest keeps two decisions of one instant apart and makes a repeated write hit the same row.
    key = (scope, f"{codec.moment(decision.at)}/{hashlib.sha256(body.encode()).hexdigest()[:12]}")
    return Row(key=key, columns={"body": body, "event": decision.event})
