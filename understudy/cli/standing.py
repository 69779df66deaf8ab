"""`status`: how things stand, on a terminal. The same view as the page's."""

import sys
from datetime import timedelta
from typing import Final

from rich.console import Console
from rich.markup import escape

from shared.domain.objectives import Freshness
from shared.observability.view import DiskView, StatusView, Tone
from understudy.cli.connection import Connection
from understudy.cli.screen import console, duration, moment, table

TONES: Final = {
    Freshness.FRESH: "green",
    Freshness.STALE: "yellow",
    Freshness.CRITICAL: "red",
    Freshness.NONE: "red",
    Freshness.UNJUDGED: "dim",
}
PAIR_TONES: Final = {Tone.GOOD: "green", Tone.WARN: "yellow", Tone.BAD: "red"}


def status(*, as_json: bool, after: str = "") -> None:
    connection = Connection()
    assert connection.clock, "synchronised before anything is read"
    from shared.wiring.status import status as wired

    view = wired().view(after=after)
    if as_json:
        from shared.state import codec

        sys.stdout.write(codec.dump(view) + "\n")
        return
    screen = console()
    _head(screen, view)
    _pairs(screen, view)
    _bounds(screen, view)
    _roles(screen, view)
    _disks(screen, view)
    _slots(screen, view)
    _copies(screen, view)
    _operations(screen, view)
    _addresses(screen, view)
    _prune(screen, view)


def _head(screen: Console, view: StatusView) -> None:
    if view.policy is None:
        screen.print("[red]no policy is active[/red]: `understudy apply` makes one so")
    else:
        screen.print(f"policy version [bold]{view.policy}[/bold], seen {moment(view.at)}")
    for pause in view.pauses:
        screen.print(f"[yellow]{escape(str(pause))}[/yellow]", soft_wrap=True)


def _pairs(screen: Console, view: StatusView) -> None:
    for pair in view.pairs:
        # Who holds the lease, not who is active: that is measured from the masters' own logs.
        holder = "nobody holds the lease" if pair.lease_owner is None else f"lease: [bold]{pair.lease_owner}[/bold]"
        epoch = "" if pair.epoch is None else f", epoch {pair.epoch}"
        screen.print(
            f"pair [bold]{escape(pair.pair)}[/bold] ({escape(pair.name)}): {holder} ({pair.lease_state}{epoch})",
            soft_wrap=True,
        )
        tone = PAIR_TONES[pair.tone]
        screen.print(f"  failover [{tone}]{escape(pair.failover)}[/{tone}]: {escape(pair.because)}", soft_wrap=True)
        for finding in (*pair.warnings, *pair.names):
            screen.print(f"  [yellow]{escape(finding)}[/yellow]", soft_wrap=True)
        for agent in pair.agents:
            told = escape(str(agent))
            screen.print(f"  [yellow]{told}[/yellow]" if agent.doubted else f"  {told}")
        for watch in pair.watches:
            tone = "green" if watch.running else "red"
            screen.print(f"  watch [{tone}]{escape(str(watch))}[/{tone}]")


def _disks(screen: Console, view: StatusView) -> None:
    if not view.disks:
        screen.print("no disk has a restore point yet")
        return
    shown = table("disk", "instance", "points", "newest is", "state", "RPO now", "worst in 7 days", "bound", "target")
    for disk in view.disks:
        tone = TONES[disk.freshness]
        shown.add_row(
            escape(disk.disk),
            escape(disk.instance),
            str(disk.points),
            escape(disk.level) or "-",
            f"[{tone}]{disk.freshness}[/{tone}]",
            _judged(disk, disk.rpo_now),
            _judged(disk, disk.rpo_worst),
            duration(disk.rpo_bound),
            duration(disk.rpo_target),
        )
    screen.print(shown)
    if view.following:
        screen.print(
            f"[yellow]there are more instances[/yellow]: `understudy status --after {escape(view.following)}`",
            soft_wrap=True,
        )


def _bounds(screen: Console, view: StatusView) -> None:
    for bound in view.bounds:
        tone = "green" if bound.at_most is not None and bound.at_most <= bound.target else "red"
        screen.print(
            f"[{tone}]{escape(bound.protection)}[/{tone}] is {escape(bound.because)}; target {duration(bound.target)}",
            soft_wrap=True,
        )


def _addresses(screen: Console, view: StatusView) -> None:
    for one in view.addresses:
        screen.print(
            f"address of {escape(one.instance)} changed: {one.before} -> {one.now} ({escape(one.replacement)}, "
            f"{moment(one.at)})",
            soft_wrap=True,
        )


def _roles(screen: Console, view: StatusView) -> None:
    """What is not ready; `understudy images` has all of it."""
    for role in view.roles:
        if role.judged is None or (role.ready and not role.lacks):
            continue
        tone, state = ("yellow", "ready, but") if role.ready else ("red", "not ready")
        screen.print(
            f"image family [{tone}]{escape(role.family)}[/{tone}]: {state}: {escape('; '.join(role.lacks))}",
            soft_wrap=True,
        )


def _copies(screen: Console, view: StatusView) -> None:
    for one in view.copies:
        overdue = f", [red]{one.overdue} beyond their deadline[/red]" if one.overdue else ""
        screen.print(
            f"copies of {escape(one.protection)} to {escape(one.region)}: {one.waiting} awaited{overdue}, the oldest "
            f"point of {moment(one.oldest)}",
            soft_wrap=True,
        )


def _judged(disk: DiskView, age: timedelta | None) -> str:
    if age is None:
        return "[red]none[/red]"
    missed = disk.rpo_target is not None and age > disk.rpo_target
    return f"[red]{duration(age)}[/red]" if missed else f"[green]{duration(age)}[/green]"


def _slots(screen: Console, view: StatusView) -> None:
    if not view.slots:
        return
    shown = table("protection", "schedule", "due in 7 days", "taken", "late", "skipped", "skipped, by reason")
    for one in view.slots:
        late = f"[yellow]{one.late}[/yellow]" if one.late else "0"
        skipped = f"[yellow]{one.skipped}[/yellow]" if one.skipped else "0"
        reasons = ", ".join(f"{count} {reason}" for reason, count in one.reasons.items())
        shown.add_row(
            escape(one.protection), escape(one.schedule), str(one.due), str(one.taken), late, skipped, escape(reasons)
        )
    screen.print(shown)
    for skip in view.skips[:5]:
        screen.print(f"  skipped {moment(skip.due)} {escape(skip.subject)}: {escape(skip.because)}", soft_wrap=True)
    if len(view.skips) > 5:
        screen.print("  ... `--json` shows more of them")


def _operations(screen: Console, view: StatusView) -> None:
    if not view.operations:
        screen.print("no operation is under way")
        return
    shown = table("operation", "since", "because", "last step")
    for one in view.operations:
        last = one.steps[-1] if one.steps else "not begun"
        shown.add_row(escape(one.id), moment(one.since), escape(one.because), escape(last))
    screen.print(shown)


def _prune(screen: Console, view: StatusView) -> None:
    if view.prune is None:
        return
    outcomes = (
        ", ".join(f"{count} {outcome}" for outcome, count in sorted(view.prune.outcomes.items())) or "nothing to do"
    )
    screen.print(f"last prune {moment(view.prune.at)}: {escape(view.prune.state)}, {escape(outcomes)}")
    for one in view.prune.refused:
        screen.print(f"  [red]refused[/red] {escape(one)}", soft_wrap=True)
    if view.prune.orphans or view.prune.missing:
        screen.print(
            f"  {view.prune.orphans} snapshots of ours without a point, {view.prune.missing} points without them"
        )
