"""`certificate` and `verify-certificate`: what each prune did, and whether a checker that trusts nobody accepts it."""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer
from rich.markup import escape
from rich.table import Table

from shared.domain.errors import BadInput, Forbidden
from shared.domain.ids import AccountName, SnapshotId
from shared.domain.place import Place
from shared.state.certificates import Certificate, Certificates, CertificateState, Part, document
from shared.state.decisions import Decisions
from understudy.certificate_checker import Unreadable, Verdict, read, remaining
from understudy.certificate_checker import verify as checked
from understudy.cli.connection import Connection
from understudy.cli.outcome import BAD_INPUT, REFUSED
from understudy.cli.screen import console, moment, table

DECISIONS = 2_000
"""The latest of prune, among which the one that told of a certificate is looked for."""


def listed(last: int) -> None:
    shown = table("begun", "run", "policy", "state", "what became of it")
    for one in Certificates(Connection().store).newest(last):
        shown.add_row(moment(one.at), escape(one.run), str(one.policy), one.state.value, escape(_ends(one)))
    console().print(shown)


def show(run: str, *, as_json: bool) -> None:
    certificates = Certificates(Connection().store)
    found = _found(certificates, run)
    if as_json:
        sys.stdout.write(json.dumps(document(found, certificates.parts(found)), ensure_ascii=False) + "\n")
        return
    terms = found.terms
    out = console()
    out.print(f"run {escape(found.run)}, begun {moment(found.at)}, policy {found.policy}: [bold]{found.state}[/bold]")
    out.print(f"{terms.points} points judged as of {moment(terms.as_of)}, {terms.going} to go: {escape(_ends(found))}")
    for reason in (*found.refused, *((found.stopped,) if found.stopped else ())):
        out.print(f"[yellow]{escape(reason)}[/yellow]", soft_wrap=True)
    for part in certificates.parts(found):
        shown = table("instance", "taken", "restore point", "what became of it", "rule", title=f"in {part['region']}")
        for instance in part["instances"]:
            for point in instance["points"]:
                cells = (instance["subject"], point["taken"][:19] + "Z", point["id"], point["fate"])
                shown.add_row(*map(escape, cells), escape("; ".join(point["because"])))
        for one in part["leftovers"]:
            shown.add_row("", "", escape(one["image"]), one["fate"], escape("; ".join(one["because"])))
        if shown.row_count:
            out.print(shown)
        if "images" in part:
            out.print(_images(part))


def _images(part: Part) -> Table:
    shown = table(
        "image family", "version", "image", "what became of it", "because", title=f"images in {part['region']}"
    )
    for one in part.get("images", ()):
        cells = (part.get("family", ""), str(one["version"]), one["image"], one["fate"], "; ".join(one["because"]))
        shown.add_row(*map(escape, cells))
    return shown


def verify(source: str, *, cloud: bool) -> None:
    """Ends with 0, 1 or 2 (see `outcome`)."""
    path = Path(source)
    told: list[str] = []
    try:
        if source and path.is_file():
            found = read(path)
        else:
            connection = Connection()
            certificates = Certificates(connection.store)
            head = _found(certificates, source)
            found = document(head, certificates.parts(head))
            told = _not_as_told(connection, head)
        verdict = checked(found)
    except Unreadable as error:
        sys.stderr.write(f"cannot check: {error}\n")
        raise typer.Exit(BAD_INPUT) from None
    verdict.reasons += told
    if cloud:
        _ask_cloud(found, verdict)
    sys.stdout.write(f"{verdict}\n")
    if not verdict.accepted:
        raise typer.Exit(REFUSED)


def _found(certificates: Certificates, run: str) -> Certificate:
    found = certificates.of(run) if run else next(certificates.newest(1), None)
    if found is None:
        raise BadInput(
            f"there is no file and no certificate {run!r}: `understudy certificate list` shows those that there are"
            if run
            else "there is no certificate yet: no prune found anything to do"
        )
    return found


def _ends(certificate: Certificate) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(certificate.outcomes.items())) or "nothing touched"


def _not_as_told(connection: Connection, head: Certificate) -> list[str]:
    """The decision of the run's end repeats the digest: whoever rewrites a certificate must rewrite that as well."""
    if head.settled_by or (head.state is CertificateState.ENDED and not head.parts):
        return []  # settled, or a comparison only: no decision names it
    for made in Decisions(connection.store).of("prune", newest=DECISIONS):
        if made.run == head.run and made.inputs.get("digest"):
            if made.inputs["digest"] == head.digest:
                return []
            return ["its digest is not the one that was told when the run ended"]
    return []


def _ask_cloud(found: Mapping[str, Any], verdict: Verdict) -> None:
    """Whether each disk still has one of the snapshots that it was left with. Later prunes may let these go too, so
    this is a question for a fresh certificate."""
    from shared.wiring import foundation

    wanted: dict[Place, list[tuple[str, frozenset[str]]]] = {}
    for region, account, disk, snapshots in remaining(found):
        wanted.setdefault(Place(region, AccountName(account)), []).append((disk, snapshots))
    for place, disks in wanted.items():
        ids = sorted(SnapshotId(one) for _, snapshots in disks for one in snapshots)
        shown = {one.id for one in foundation.clouds_of_operator().at(place).snapshots.list(ids=ids) if one.usable}
        if not shown and ids:
            raise Forbidden(f"{place} shows none of {len(ids)} snapshots: is ecs:DescribeSnapshots allowed to you?")
        for disk, snapshots in disks:
            if not shown & snapshots:
                verdict.reasons.append(f"{place}: of disk {disk} none of what was left is usable in the cloud now")
