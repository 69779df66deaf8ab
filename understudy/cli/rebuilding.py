"""`rebuild`: one instance replaced by a new one; shown first, done when it is confirmed."""

import json

import typer
from rich.markup import escape

from understudy.cli import previewing
from understudy.cli.connection import Connection
from understudy.cli.screen import console


def rebuild(instance: str, *, rule: str, confirm: str, as_json: bool) -> None:
    connection = Connection()
    # The moment is part of the operation's id: a request that has to be repeated is the same one.
    at = f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    more = {key: value for key, value in (("rule", rule), ("confirm", confirm)) if value}
    answer = connection.command("rebuild", instance=instance, at=at, **more)
    if "preview" in answer:
        preview = answer["preview"]
        assert isinstance(preview, dict), preview
        named = f" --rule {rule}" if rule else ""
        how = f"understudy rebuild {instance}{named} --confirm {preview['token']} (or --confirm {instance})"
        previewing.show(preview, confirm=how, as_json=as_json)
        return
    operation = str(answer["operation"])
    if as_json:
        typer.echo(json.dumps({"operation": operation}))
        return
    console().print(
        f"asked for a replacement of {escape(instance)}; `understudy explain {escape(operation)}` tells how it goes",
        soft_wrap=True,
    )
