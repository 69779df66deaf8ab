"""`explain TIME` and `explain PAIR TIME`: what was decided about pairs at a time, in sentences. Reads only."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from rich.markup import escape

from shared.domain.decision import Decision
from shared.domain.failover_decision import CODE, decide
from shared.domain.policy import Policy
from shared.domain.telling import tell
from shared.state.decisions import Decisions
from shared.usecases.failover.replay import Again, replay, replay_all, situation_of
from understudy.cli.asked_time import Asked
from understudy.cli.screen import console, duration, moment

FOLLOWED: Final = 12
LOOKED_BACK: Final = 50  # decisions, for the other watch's newest


@dataclass(frozen=True, slots=True)
class Around:
    """The decisions about one scope around a time."""

    standing: tuple[Decision, ...]  # the newest before it, one of each witness; newest first
    within: tuple[Decision, ...]  # oldest first
    after: tuple[Decision, ...]  # oldest first


def around(decisions: Decisions, scope: str, asked: Asked) -> Around:
    before = decisions.until(scope, asked.since, newest=LOOKED_BACK)
    standing: dict[str, Decision] = {}
    for one in _of_newest_epoch(list(before)):
        if not standing or "witness" in one.inputs:
            standing.setdefault(one.inputs.get("witness", ""), one)
    later = list(decisions.after(scope, asked.since, first=LOOKED_BACK + FOLLOWED))
    within = tuple(one for one in later if one.at <= asked.until)
    return Around(tuple(standing.values()), within, tuple(later[len(within) :][:FOLLOWED]))


def _of_newest_epoch(before: Sequence[Decision]) -> Iterator[Decision]:
    """Newest first, as given. What was decided about an earlier epoch stands no more; nor does what bears no epoch
    (the lease could not be read) and is older than that."""
    held = max((one.epoch for one in before if one.epoch is not None), default=None)
    passed = False
    for one in before:
        passed = passed or one.epoch not in (None, held)
        if one.epoch == held or (one.epoch is None and not passed):
            yield one


def of_time(decisions: Decisions, scopes: Sequence[str], pairs: Sequence[str], asked: Asked, zone: ZoneInfo) -> None:
    """`pairs` in sentences, all other scopes in a line each."""
    out = console()
    local = asked.since.astimezone(zone)
    out.print(f"[bold]{moment(asked.since)}[/bold], which is {local:%Y-%m-%d %H:%M:%S} in {zone.key}")
    for scope in scopes:
        found = around(decisions, scope, asked)
        out.print()
        for line in story(scope, found, asked) if scope in pairs else brief(scope, found):
            out.print(line, soft_wrap=True)


def story(scope: str, found: Around, asked: Asked) -> list[str]:
    """What stood, what was decided in that time, and what followed."""
    lines = [f"[bold]{escape(scope)}[/bold]"]
    if not found.standing and not found.within:
        lines.append("Nothing had been decided about it by then.")
    elif not found.within:
        before = _ago(asked.since - found.standing[0].at)
        lines.append(
            f"The newest decision by then was made {before} before. Decisions are recorded when they change, so until "
            "the next one the newest of each watch still held."
        )
        for one in found.standing:
            lines += decision(one)
    else:
        lines += [f"Before it stood: {_line(one)}" for one in found.standing[:1]]
        for one in found.within:
            lines += decision(one)
    lines += followed(found.after)
    return lines


def brief(scope: str, found: Around) -> list[str]:
    newest = found.within[-1] if found.within else found.standing[0] if found.standing else None
    if newest is None:
        return [f"[bold]{escape(scope)}[/bold]: nothing had been decided by then."]
    return [f"[bold]{escape(scope)}[/bold]: {_line(newest)}", *followed(found.after[:1])]


def decision(one: Decision) -> list[str]:
    """One decision in full."""
    by = f" by the watch of {escape(one.inputs['witness'])}" if "witness" in one.inputs else ""
    head = f"[bold]{_instant(one.at)}[/bold] {escape(one.event)}{by}"
    return [head, *(f"  {escape(text)}" for text in sentences(one))]


def sentences(one: Decision) -> list[str]:
    """From the situation, where it holds one that this code judges alike; else the reasons as they were recorded."""
    situation = situation_of(one)
    if situation is None:
        return [*_sentences_of(one.because), *cost(one)]
    if situation.code != CODE:
        return [*_sentences_of(one.because), f"(Judged by rules {situation.code}; these are rules {CODE}.)"]
    told = list(tell(situation, decide(situation)).sentences)
    if replay(one).again is Again.DIFFERS:
        told.append(
            "(Made again from its inputs, this decision comes out otherwise: `understudy explain PAIR --replay`.)"
        )
    return told


def cost(one: Decision) -> list[str]:
    """What a move took, of the decision that ends it."""
    try:
        seconds: dict[str, float] = json.loads(one.inputs["seconds"])
        total = float(one.inputs["total"])
    except (KeyError, ValueError):
        return []
    spent = ", ".join(f"{value:.1f} s to {phase}" for phase, value in seconds.items())
    return [f"From the last good sight of the old side to service it took {total:.1f} s: {spent}."]


def followed(after: Iterable[Decision]) -> list[str]:
    lines = []
    for one in after:
        lines.append(f"  {_line(one)}")
        lines += [f"    {escape(text)}" for text in cost(one)]
    return ["What followed:", *lines] if lines else ["Nothing was decided since."]


def _line(one: Decision) -> str:
    witness = f" ({escape(one.inputs['witness'])})" if "witness" in one.inputs else ""
    reasons = one.because[:1] if "witness" in one.inputs else one.because[:2]
    return f"{_instant(one.at)} {escape(one.event)}{witness}: {escape('; '.join(reasons))}"


def _instant(at: datetime) -> str:
    """To the tenth: a failover is over in seconds."""
    tenths = at.astimezone(UTC).microsecond // 100_000
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{tenths}Z"


def _ago(length: timedelta) -> str:
    return duration(timedelta(seconds=round(length.total_seconds(), 1)))


def _sentences_of(because: Iterable[str]) -> list[str]:
    return [f"{_begun(text)}{'' if text.endswith('.') else '.'}" for text in because if text]


def _begun(text: str) -> str:
    """With a capital, unless it begins with the name of a thing."""
    return text[:1].upper() + text[1:] if text.split(" ", 1)[0].isalpha() else text


def replayed(scope: str, decisions: Iterable[Decision]) -> int:
    """Says what differs, and how many were made again. The exit code: 1 when a decision comes out otherwise."""
    out = console()
    made, counted = replay_all(decisions)
    for one in made:
        if one.again in (Again.DIFFERS, Again.OLDER):
            says = "; ".join(one.says)
            out.print(
                f"{moment(one.decision.at)} {escape(one.decision.event)}: {one.again}: {escape(says)}", soft_wrap=True
            )
    same, differs, older = (counted[again] for again in (Again.SAME, Again.DIFFERS, Again.OLDER))
    out.print(
        f"{escape(scope)}: {len(made)} decisions; {same} came out the same, {differs} otherwise, {older} were judged "
        f"by other rules and not made again, {counted[Again.RECORD]} hold nothing to compute",
        soft_wrap=True,
    )
    return 1 if differs else 0


def zone_of(policy: Policy) -> ZoneInfo:
    """In which the policy's times are meant: that of its first schedule, else of a pair's maintenance, else UTC."""
    for protection in policy.protections:
        if protection.schedules:
            return ZoneInfo(protection.zone)
    windows = (one.zone for pair in policy.pairs for one in pair.maintenance)
    return ZoneInfo(next(windows, "UTC"))
