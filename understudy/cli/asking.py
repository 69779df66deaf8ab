"""Requests to the `command` function: it writes the intent, and the functions that may act carry it out."""

from rich.markup import escape

from shared.domain.errors import BadInput
from understudy.cli.connection import Connection
from understudy.cli.screen import console

PAUSABLE = ("backups", "prune", "rebuilds", "failover", "all")


def back_up(protection: str) -> None:
    connection = Connection()
    # The moment is part of the operation's id: a request that has to be repeated makes no second point.
    answer = connection.command("back_up", protection=protection, at=_now(connection))
    _say(f"asked for a restore point of every instance of {protection}", answer.get("operation"))


def pin(instance: str, point: str, because: str) -> None:
    Connection().command("pin", instance=instance, point=point, because=because)
    console().print(f"pinned {escape(point)} of {escape(instance)}: {escape(because)}")


def unpin(instance: str, point: str) -> None:
    Connection().command("unpin", instance=instance, point=point)
    console().print(f"unpinned {escape(point)} of {escape(instance)}")


def pause(scope: str, because: str) -> None:
    _known(scope)
    Connection().command("pause", scope=scope, because=because)
    name = escape(scope)
    console().print(f"[yellow]{name} paused[/yellow]: {escape(because)}. `understudy resume {name}` ends it")


def resume(scope: str) -> None:
    _known(scope)
    answer = Connection().command("resume", scope=scope)
    was = answer.get("was_paused", True)
    console().print(f"[green]{escape(scope)} goes on[/green]" if was else f"{escape(scope)} was not paused")


def acknowledge(subject: str) -> None:
    Connection().command("acknowledge", subject=subject)
    console().print(f"acknowledged {escape(subject)}: automation may act on it again")


def _known(scope: str) -> None:
    if scope not in PAUSABLE and not scope.startswith("failover/"):
        raise BadInput(
            f"scope: '{scope}' cannot be paused or resumed. Use one of {', '.join(PAUSABLE)}; or failover/PAIR"
        )


def _now(connection: Connection) -> str:
    return f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"


def _say(what: str, operation: object) -> None:
    console().print(f"{escape(what)}; `understudy explain {escape(str(operation))}` tells how it goes", soft_wrap=True)
