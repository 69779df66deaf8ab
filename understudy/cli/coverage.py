"""`coverage`: what nobody protects, and who else takes snapshots of the disks."""

import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import islice
from typing import Final

from rich.markup import escape

from shared.domain.capacity import QUOTA
from shared.state import codec
from shared.state.policies import Policies
from shared.usecases.backup.coverage import Coverage, DiskSeen, InstanceSeen, NativeSeen, Seen, Unread, in_words
from understudy.cli.connection import Connection
from understudy.cli.screen import console, table

FORMAT: Final = "understudy coverage 1"
ROWS: Final = 500
"""Of one table; the next ones follow below it."""
KINDS: Final = {InstanceSeen: "instance", DiskSeen: "disk", NativeSeen: "native_policy", Unread: "unread"}


def coverage(*, as_json: bool) -> None:
    from shared.wiring import foundation

    connection = Connection()
    version, policy = Policies(connection.store).active()
    report = Coverage(policy, foundation.clouds_of_operator())
    if as_json:
        _write(report, version)
        return
    natives: list[NativeSeen] = []
    _show(_rows(report, natives))
    for one in natives:
        console().print(
            f"{escape(str(one.place))}: {escape(in_words(one.policy))} is on {one.disks} disks, {one.covered} of them "
            "covered by Understudy too",
            soft_wrap=True,
        )
    _sum_up(report, version)


def _rows(report: Iterable[Seen], natives: list[NativeSeen]) -> Iterator[tuple[str, ...]]:
    for seen in report:
        match seen:
            case Unread():
                yield (str(seen.place), "-", "-", f"[red]not seen[/red]: {escape(seen.because)}", "", "")
            case InstanceSeen():
                named = f"{seen.instance} ({seen.name})" if seen.name else seen.instance
                yield (str(seen.place), escape(named), "", f"[yellow]{escape(seen.because)}[/yellow]", "", "")
            case DiskSeen():
                yield _disk(seen)
            case NativeSeen():
                natives.append(seen)


def _disk(seen: DiskSeen) -> tuple[str, ...]:
    covered = f"by {', '.join(seen.protections)}" if seen.protections else f"[yellow]{escape(seen.because)}[/yellow]"
    foreign = seen.foreign
    newest = "" if foreign.newest is None else f", newest {foreign.newest:%Y-%m-%d %H:%MZ}"
    by_hand = f"{foreign.count} of {foreign.used} in the quota of {QUOTA}{newest}" if foreign.count else ""
    native = ", ".join(seen.native) + (f" ({foreign.automatic} snapshots)" if foreign.automatic else "")
    return (str(seen.place), escape(seen.instance or "-"), escape(seen.disk), covered, by_hand, escape(native))


def _show(rows: Iterator[tuple[str, ...]]) -> None:
    while some := list(islice(rows, ROWS)):
        shown = table("where", "instance", "disk", "protected", "foreign snapshots", "native policies")
        for row in some:
            shown.add_row(*row)
        console().print(shown)


def _sum_up(report: Coverage, version: int) -> None:
    totals = report.totals
    if not totals.instances_uncovered and not totals.disks_uncovered:
        told = f"all of {totals.instances} instances and {totals.disks} disks that are shown are protected"
        console().print(f"[green]{told}[/green] under policy version {version}", soft_wrap=True)
        _unread(totals.unread)
        return
    console().print(
        f"[yellow]{totals.instances_uncovered} of {totals.instances} instances and {totals.disks_uncovered} of "
        f"{totals.disks} disks are protected by nothing[/yellow] under policy version {version}",
        soft_wrap=True,
    )
    _unread(totals.unread)


def _unread(places: int) -> None:
    if places:
        console().print(f"[red]{places} places could not be seen[/red]: there may be more")


def _write(report: Coverage, version: int) -> None:
    """One JSON object, written while the cloud is being read."""
    head = {"format": FORMAT, "policy": version, "quota": QUOTA}
    sys.stdout.write(json.dumps(head)[:-1] + ', "items": [')
    between = "\n"
    for seen in report:
        sys.stdout.write(between + codec.dump({"what": KINDS[type(seen)], **_fields(seen)}))
        between = ",\n"
    sys.stdout.write("\n], " + json.dumps({"totals": asdict(report.totals)})[1:] + "\n")


def _fields(seen: Seen) -> dict[str, object]:
    plain: dict[str, object] = json.loads(codec.dump(seen))
    return plain
