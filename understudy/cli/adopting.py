"""`adopt`: the request to take foreign snapshots over. Function backup judges each of them."""

from collections.abc import Sequence

from rich.markup import escape

from understudy.cli.connection import Connection
from understudy.cli.screen import console


def adopt(snapshots: Sequence[str], *, protection: str, instance: str = "", automatic: bool = False) -> None:
    connection = Connection()
    # The moment is part of the operation's id: a request that has to be repeated is the same one.
    more = {"instance": instance} if instance else {}
    answer = connection.command(
        "adopt",
        protection=protection,
        snapshots=list(snapshots),
        automatic=automatic,
        at=f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}",
        **more,
    )
    console().print(
        f"asked function backup to take {answer['snapshots']} snapshots over (operation "
        f"{escape(str(answer['operation']))}); `understudy explain {escape(protection)}` tells which became restore "
        f"points of {escape(protection)}, and why the others did not",
        soft_wrap=True,
    )
