"""How a preview looks: what would be done, whether it can begin, how long it takes and what it costs. For every command
that shows what it would do before it does it."""

import json
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, Final

import typer
from rich.markup import escape

from understudy.cli.outcome import REFUSED
from understudy.cli.screen import console, duration, table

NO_PRICE: Final = "unknown (prices.yaml has no prices of instances)"


def show(preview: Mapping[str, Any], *, confirm: str, as_json: bool = False, cost: str = NO_PRICE) -> None:
    """`preview`: as function recover answers it. `confirm`: how to have exactly this done. `cost`: what is said of the
    monthly cost when it is not known; "": nothing. Ends with exit code 1 when it cannot begin."""
    checks = _rows(preview, "checks")
    if as_json:
        typer.echo(json.dumps(dict(preview), indent=2, ensure_ascii=False))
    else:
        _print(preview, checks, confirm, cost)
    if not _may_start(checks):
        raise typer.Exit(REFUSED)


def _print(preview: Mapping[str, Any], checks: list[Mapping[str, Any]], confirm: str, cost: str) -> None:
    out = console()
    out.print(f"[bold]{escape(str(preview['kind']))} {escape(str(preview['subject']))}[/bold]: nothing is done yet")
    actions = _rows(preview, "actions")
    if actions:
        steps = table("step", "does", "takes about")
        for one in actions:
            steps.add_row(str(one["wave"]), escape(str(one["does"])), duration(length(one["takes"])))
        out.print(steps)
    held = table("check", "", "seen")
    for one in checks:
        mark = "[green]ok[/green]" if one["ok"] else "[red]no[/red]"
        says = escape(str(one["says"])) + (f". [bold]{escape(str(one['remedy']))}[/bold]" if one["remedy"] else "")
        held.add_row(escape(str(one["name"])), mark, says)
    out.print(held)
    for warning in preview.get("warnings") or ():
        out.print(f"[yellow]note[/yellow]: {escape(str(warning))}", soft_wrap=True)
    money = str(preview.get("monthly_cost") or cost)
    told = f"; a month costs: {escape(money)}" if money else ""
    how = ", as earlier ones took" if preview.get("measured") else ""
    if actions:
        out.print(f"takes about {duration(length(preview['takes']))} in all{how}{told}", soft_wrap=True)
    if _may_start(checks):
        out.print(f"to do exactly this: {escape(confirm)}", soft_wrap=True)
    else:
        out.print("[red]it cannot begin[/red]: see what is marked [red]no[/red]", soft_wrap=True)


def length(text: object) -> timedelta:
    """Of a duration as JSON has it: `0:00:32`, `1 day, 0:00:32`, or seconds."""
    if isinstance(text, int | float):
        return timedelta(seconds=text)
    days, _, clock = str(text).rpartition("day")
    hours, minutes, seconds = (float(part) for part in clock.removeprefix("s").strip(", ").split(":"))
    return timedelta(days=int(days or 0), hours=hours, minutes=minutes, seconds=seconds)


def _may_start(checks: Iterable[Mapping[str, Any]]) -> bool:
    return all(one["ok"] for one in checks)


def _rows(preview: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    return list(preview.get(name) or ())
