"""`switchover`, `failback`, `failover`: a pair moved on purpose; shown first, ordered when it is confirmed. `switch`
keeps a pair where it is, `lease restore` has a lost lease row written anew."""

import json
from collections.abc import Sequence

import typer
from rich.markup import escape

from shared.domain.errors import BadInput
from understudy.cli import previewing
from understudy.cli.connection import Connection
from understudy.cli.outcome import REFUSED
from understudy.cli.screen import console, table


def move(
    kind: str, pair: str, *, to: str = "", because: str = "", force: Sequence[str] = (), confirm: str, as_json: bool
) -> None:
    if force and not because:
        raise BadInput("--because is missing: who overrides a rule says why")
    connection = Connection()
    more = {key: value for key, value in (("to", to), ("because", because), ("confirm", confirm)) if value}
    # The moment is part of the order's id: a request that has to be repeated is the same one.
    answer = connection.command(kind, pair=pair, at=_now(connection), force=list(force), **more)
    if "preview" in answer:
        preview = answer["preview"]
        assert isinstance(preview, dict), preview
        how = f"the same command with --confirm {preview['token']} (or --confirm {pair})"
        previewing.show(preview, confirm=how, as_json=as_json, cost="")
        return
    if as_json:
        typer.echo(json.dumps({"order": answer["order"]}))
        return
    _ordered(f"{kind} of {pair} is ordered", pair)


def readiness(pair: str, *, as_json: bool) -> None:
    answer = Connection().command("readiness", pair=pair)
    if as_json:
        typer.echo(json.dumps(answer, indent=2, ensure_ascii=False))
    else:
        listed = table("check", "", "seen")
        checks = answer["checks"]
        assert isinstance(checks, list), checks
        for one in checks:
            warns = one["ok"] and one["remedy"]
            mark = "[yellow]note[/yellow]" if warns else "[green]ok[/green]" if one["ok"] else "[red]no[/red]"
            says = escape(str(one["says"])) + (f". [bold]{escape(str(one['remedy']))}[/bold]" if one["remedy"] else "")
            listed.add_row(escape(str(one["name"])), mark, says)
        out = console()
        out.print(listed)
        ends = "[green]could fail over now[/green]" if answer["ready"] else "[red]would not fail over by itself[/red]"
        out.print(f"{escape(pair)}: {answer['active']} is active; to {answer['standby']} it {ends}", soft_wrap=True)
    if not answer["ready"]:
        raise typer.Exit(REFUSED)


def switch(pair: str, to: str, *, because: str = "") -> None:
    answer = Connection().command("switch", pair=pair, to=to, because=because)
    if answer["was"] == to:
        console().print(f"{escape(pair)} was switched {to} already")
    elif to == "off":
        console().print(
            f"[yellow]{escape(pair)} is switched off[/yellow]: nothing moves it, neither a loss nor an order. "
            f"`understudy switch on {escape(pair)}` ends it",
            soft_wrap=True,
        )
    else:
        console().print(f"[green]{escape(pair)} is switched on[/green]")


def restore(pair: str, *, owner: str, epoch: int, because: str, force: Sequence[str]) -> None:
    connection = Connection()
    connection.command(
        "restore_lease",
        pair=pair,
        owner=owner,
        epoch=epoch,
        because=because,
        force=list(force),
        at=_now(connection),
    )
    _ordered(
        f"the lease row of {pair} is to be written anew for {owner} as epoch {epoch}, once a watch has seen it missing "
        "or damaged for a whole lease and every agent says that it is not active",
        pair,
    )


def _ordered(what: str, pair: str) -> None:
    console().print(
        f"{escape(what)}; `understudy explain {escape(pair)}` tells how it goes, and if it is refused", soft_wrap=True
    )


def _now(connection: Connection) -> str:
    return f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"
