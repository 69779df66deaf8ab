"""`launch`: instances from an image, a family or a restore point; shown first, done when it is confirmed."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape

from shared.domain.errors import BadInput
from understudy.cli import previewing
from understudy.cli.connection import Connection
from understudy.cli.screen import console


def launch(name: str, *, user_data: Path | None, tags: Sequence[str], confirm: str, as_json: bool, **what: Any) -> None:
    """`what`: the other arguments, as function `command` takes them; empty ones are left out."""
    asked = {key: value for key, value in what.items() if value not in ("", None, [], ())}
    if user_data is not None:
        asked["user_data"] = _text(user_data)
    if tags:
        asked["tags"] = dict(_pair(one) for one in tags)
    connection = Connection()
    # The moment is part of the operation's id: a request that has to be repeated is the same one.
    at = f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"
    answer = connection.command("launch", called=name, at=at, **asked, **({"confirm": confirm} if confirm else {}))
    if "preview" in answer:
        preview = answer["preview"]
        assert isinstance(preview, dict), preview
        how = f"the same command with --confirm {preview['token']} (or --confirm {name})"
        previewing.show(preview, confirm=how, as_json=as_json)
        return
    operation = str(answer["operation"])
    if as_json:
        typer.echo(json.dumps({"operation": operation}))
        return
    console().print(
        f"asked for {asked.get('amount', 1)} instances {escape(name)}; `understudy explain {escape(operation)}` tells "
        "how it goes",
        soft_wrap=True,
    )


def _text(file: Path) -> str:
    try:
        return file.read_bytes().decode("utf-8", "strict")
    except (OSError, UnicodeDecodeError) as error:
        raise BadInput(f"--user-data {file}: {error}. Name a readable text file") from None


def _pair(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise BadInput(f"--tag {text!r}: write KEY=VALUE")
    return key, value
