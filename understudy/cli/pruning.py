"""`prune`: the points and images that the active policy would let go, and why; and, asked for, the request to do it."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain, islice
from typing import Final

from rich.markup import escape

from shared.domain.errors import BadInput, Permanent
from shared.domain.image_versions import Fate
from shared.state import codec
from shared.usecases.images.retire_images import Retirement
from shared.usecases.prune.prune_examine import GOES, REFUSED, SPARED, STAYS, Examination, Item
from understudy.cli.connection import Connection
from understudy.cli.screen import console, moment, table

FORMAT: Final = "understudy prune plan 1"
ROWS: Final = 500
"""Of one table; the next ones follow below it. A fleet's plan is shown while it is being read."""
WORDS: Final = {
    GOES: "[red]goes[/red]",
    SPARED: "[yellow]spared[/yellow]",
    STAYS: "[green]stays[/green]",
    REFUSED: "[yellow]not judged[/yellow]",
}
IMAGE_WORDS: Final = {
    Fate.DEPRECATE.value: "[yellow]leaves its family[/yellow]",
    Fate.DELETE.value: "[red]goes[/red]",
    Fate.KEEP.value: "[green]stays[/green]",
}


def prune(*, apply: bool, everything: bool, as_json: bool = False, protection: str = "", allow: str = "") -> None:
    from shared.wiring.prune import prune as wired

    if apply and as_json:
        raise BadInput("--json shows the plan; leave it out to carry the plan out with --apply")
    connection = Connection()
    assert connection.clock  # says here what is missing, and synchronises it
    examined = wired().examine(protection=protection, allow=allow)
    # As in the run itself: one of some points, or of a plan that was permitted, leaves images alone.
    images = Retirement() if protection or allow else wired().images()
    if as_json:
        _write(examined, images, protection, everything=everything)
        return
    _show(examined.items(everything=everything))
    _sum_up(examined)
    _show_images(images, everything=everything)
    if examined.stopped and apply:
        raise Permanent(f"prune is {examined.stopped}. `understudy resume prune` ends that")
    if examined.stopped:
        console().print(f"[yellow]prune is {escape(examined.stopped)}[/yellow]", soft_wrap=True)
    if examined.refused:
        raise Permanent("\n".join(examined.refused))
    if not examined.goes and not images.changes:
        return
    if not apply:
        console().print("Nothing was deleted. `understudy prune --apply` asks for it")
        return
    connection.command("prune", apply=True, protection=protection, allow=allow)
    console().print(
        "[yellow]asked for[/yellow]: function prune deletes them; `understudy explain prune` tells how it ended, "
        "`understudy certificate show` what became of each",
        soft_wrap=True,
    )


def _sum_up(examined: Examination) -> None:
    if not examined.goes:
        console().print(
            f"[green]nothing to prune[/green] under policy {examined.policy}: {examined.points} points stay"
            + (f", {examined.spared} of them only because they are spared" if examined.spared else "")
        )
        return
    console().print(f"{examined.goes} of {examined.points} points are let go by policy {examined.policy}")
    if examined.spared:
        console().print(f"{examined.spared} more are kept by no rule and [yellow]spared[/yellow]")


def _show(items: Iterable[Item]) -> None:
    left = iter(items)
    while rows := list(islice(left, ROWS)):
        shown = table("instance", "taken", "restore point", "where", "what becomes of it", "rule")
        for item in rows:
            where = f"{item.account}/{item.region}" if item.account else item.region
            shown.add_row(
                escape(item.instance),
                moment(item.taken),
                escape(item.point),
                escape(where),
                WORDS[item.fate],
                escape("; ".join(item.rules)),
            )
        console().print(shown)


def _show_images(images: Retirement, *, everything: bool) -> None:
    shown = table("image family", "version", "image", "where", "made", "what becomes of it", "because")
    for item in _images(images, everything=everything):
        cells = (item["family"], str(item["version"]), item["image"], item["region"])
        words = IMAGE_WORDS[str(item["fate"])]
        shown.add_row(*(escape(str(one)) for one in cells), str(item["made"])[:10], words, escape(str(item["because"])))
    if shown.row_count:
        console().print(shown)
    for reason in images.refused:
        console().print(f"[yellow]{escape(reason)}[/yellow]", soft_wrap=True)


def _images(images: Retirement, *, everything: bool) -> Iterator[dict[str, object]]:
    for group in images.groups:
        for one in group.verdicts:
            if everything or one.fate is not Fate.KEEP:
                yield {
                    "fate": one.fate.value,
                    "family": group.rule.family,
                    "version": one.version.number,
                    "image": one.version.image,
                    "region": group.place.region,
                    "account": group.place.account,
                    "made": codec.moment(one.version.made),
                    "because": one.because,
                }


def _write(examined: Examination, images: Retirement, protection: str, *, everything: bool) -> None:
    """One JSON object, written while the plan is being read."""
    head = {
        "format": FORMAT,
        "policy": examined.policy,
        "as_of": codec.second(examined.as_of),
        "protection": protection,
        "paused": examined.stopped,
    }
    sys.stdout.write(json.dumps(head)[:-1] + ', "items": [')
    for text in _separated(json.dumps(_plain(item)) for item in examined.items(everything=everything)):
        sys.stdout.write(text)
    ends = {
        "points": examined.points,
        "goes": examined.goes,
        "spared": examined.spared,
        "refused": examined.refused,
        "permit": examined.permit,
        "images": list(_images(images, everything=everything)),
        "images_refused": images.refused,
    }
    sys.stdout.write("\n], " + json.dumps(ends)[1:] + "\n")


def _plain(item: Item) -> dict[str, object]:
    return {**asdict(item), "taken": codec.moment(item.taken)}


def _separated(texts: Iterator[str]) -> Iterator[str]:
    first = next(texts, None)
    if first is not None:
        yield from chain(("\n" + first,), (",\n" + text for text in texts))
