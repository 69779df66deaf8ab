"""`points`, `rollback`, `undo-rollback`, `reinitialise`, `replace-system-disk`: shown first, done when confirmed."""

import json
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import typer
from rich.markup import escape

from understudy.cli import previewing
from understudy.cli.connection import Connection
from understudy.cli.screen import console, duration, table


def points(instance: str, *, as_json: bool) -> None:
    answer = Connection().command("points", instance=instance)
    found: Any = answer["points"]
    if as_json:
        typer.echo(json.dumps(dict(answer), indent=2, ensure_ascii=False))
        return
    out = console()
    if not found:
        out.print(
            f"{escape(instance)} has no restore points: no protection selects it, or none was taken yet. Has it "
            "replaced another one, whose disks it has now? Then see `understudy points OLD`, and "
            f"`understudy rollback {escape(instance)} --of OLD --disk DISK`",
            soft_wrap=True,
        )
        return
    shown = table("point", "taken", "age", "level", "state", "of", "where", "disks")
    for one in found:
        where = one["place"] + (", a copy" if one["copy"] else "")
        state = one["state"] + (", pinned" if one["pinned"] else "")
        shown.add_row(
            escape(one["point"]),
            one["taken"],
            duration(timedelta(seconds=one["age_seconds"])),
            one["level"],
            state,
            escape(one["protection"]),
            escape(where),
            escape(", ".join(one["disks"])),
        )
    out.print(shown)
    if len(found) < int(str(answer["of"])):
        out.print(f"the newest {len(found)} of {answer['of']}")
    out.print(f"`understudy rollback {escape(instance)} --point ID` shows what going back to one of them would do")


def rollback(
    instance: str,
    *,
    point: str,
    of: str,
    as_of: str,
    disks: Sequence[str],
    accept_size: bool,
    confirm: str,
    as_json: bool,
) -> None:
    what: dict[str, Any] = {"instance": instance, "point": point, "of": of, "as_of": as_of}
    what |= {"disks": list(disks), "accept_size": accept_size}
    _ask("rollback", instance, what, confirm=confirm, as_json=as_json)


def undo(operation: str, *, confirm: str, as_json: bool) -> None:
    _ask("undo_rollback", "", {"operation": operation}, confirm=confirm, as_json=as_json)


def reinitialise(instance: str, *, disks: Sequence[str], account: str, confirm: str, as_json: bool) -> None:
    what = {"instance": instance, "disks": list(disks), "account": account}
    _ask("reinitialise", instance, what, confirm=confirm, as_json=as_json)


def replace_system_disk(instance: str, *, image: str, disk: str, account: str, confirm: str, as_json: bool) -> None:
    what = {"instance": instance, "image": image, "disk": disk, "account": account}
    _ask("replace_system_disk", instance, what, confirm=confirm, as_json=as_json)


def _ask(command: str, instance: str, what: dict[str, Any], *, confirm: str, as_json: bool) -> None:
    connection = Connection()
    # The moment is part of the operation's id: a request that has to be repeated is the same one.
    at = f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    given = {key: value for key, value in what.items() if value not in ("", [], False)}
    answer = connection.command(command, at=at, **given, **({"confirm": confirm} if confirm else {}))
    if "preview" in answer:
        preview = answer["preview"]
        assert isinstance(preview, dict), preview
        if "point" in answer and not as_json:
            console().print(f"restore point {escape(str(answer['point']))}, taken {answer['taken']}", soft_wrap=True)
        name = instance or str(preview["subject"])
        # The newest point may be another one by then, and a name confirms whatever is done.
        this = f"--point {answer['point']} " if "point" in answer and not what.get("point") else ""
        how = f"the same command with --confirm {preview['token']} (or {this}--confirm {name})"
        previewing.show(preview, confirm=how, as_json=as_json, cost="")
        return
    operation = str(answer["operation"])
    if as_json:
        typer.echo(json.dumps({"operation": operation}))
        return
    console().print(
        f"asked for {escape(operation)}; `understudy explain {escape(operation)}` tells how it goes, and "
        f"`understudy undo-rollback {escape(operation)}` goes back",
        soft_wrap=True,
    )
