"""`name show` and `name trail`: what stands under the names of a pair, whether it is right, and who changed it. Read
with the operator's own key; nothing is changed here."""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import typer
from rich.markup import escape

from shared.adapters import chance
from shared.domain.dns_plan import RUNBOOK, NameRecord, Rebind, RefuseRebind, plan_name
from shared.domain.errors import BadInput, CredentialsRejected, NotFound, Permanent
from shared.domain.ids import SiteName
from shared.domain.lease import Lease
from shared.domain.name_ttl import floor_finding, ttl_finding
from shared.domain.pair import NameRule, NameService, Pair
from shared.ports.trail import NameChange
from shared.state import codec
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.policies import Policies
from shared.usecases.failover.naming import label
from shared.wiring import foundation
from understudy.cli import exporting
from understudy.cli.connection import Connection
from understudy.cli.outcome import NEEDS_OPERATOR, REFUSED
from understudy.cli.screen import console, table

if TYPE_CHECKING:
    from shared.ports.names import Names
    from shared.ports.trail import Trail

AHEAD = timedelta(minutes=5)  # the cloud's clock may be that much before ours: nothing of the trail is to be left out


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """One name, as it stands."""

    name: str
    service: str
    wanted: str  # what it is to give now; empty: nobody is known to be active
    records: tuple[NameRecord, ...]
    state: str  # bound | astray | refused | unknown
    says: str
    finding: str = ""  # what will cost time when the pair moves


def show(pair_name: str, *, as_json: bool) -> None:
    """Ends with 0 when each name points to the holder, 1 when a watch is to bind one, 3 when it will not touch one."""
    connection = Connection()
    pair = _pair(connection, pair_name)
    lease = _lease(connection, pair)
    shown = [_shown(connection, pair, rule, lease) for rule in pair.names]
    if as_json:
        typer.echo(json.dumps({"pair": pair.name, "names": [asdict(one) for one in shown]}, indent=2))
    else:
        _print(pair, lease, shown)
    if any(one.state == "refused" for one in shown):
        raise typer.Exit(NEEDS_OPERATOR)
    if any(one.state != "bound" for one in shown):
        raise typer.Exit(REFUSED)


def prepare(pair_name: str) -> None:
    """The order is given when a record differs, and every name's service takes what the policy says."""
    connection = Connection()
    pair = _pair(connection, pair_name)
    differ: list[NameRecord] = []
    for rule in pair.names:
        service = names_of(rule.service, connection)
        if finding := floor_finding(rule, service.least_ttl(zone=rule.zone)):
            raise BadInput(finding)
        records = service.records(zone=rule.zone, host=rule.host)
        differ += [one for one in records if one.ttl_seconds != rule.ttl_seconds]
    out = console()
    if not differ:
        out.print(f"[green]{escape(pair.name)}: every name has the policy's time to live[/green]")
        return
    connection.command("prepare_names", pair=pair.name, at=f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}")
    longest = max(one.ttl_seconds for one in differ)
    out.print(
        f"ordered: in calm, the watch of the holder's site sets {len(differ)} names of {escape(pair.name)}. Clients "
        f"may keep an answer under the old time to live for up to {longest} s more: do not move the pair before. "
        f"`understudy explain {escape(pair.name)}` tells how it went",
        soft_wrap=True,
    )


def trail(pair_name: str, *, since: str) -> None:
    connection = Connection()
    pair = _pair(connection, pair_name)
    begin = _moment(since) if since else None
    now = connection.clock.now()

    def changes() -> Iterator[NameChange]:
        for rule in pair.names:
            found = trail_of(rule.service, connection)
            for one in found.changes(zone=rule.zone, host=rule.host, since=begin, until=now + AHEAD):
                yield replace(one, name=label(rule).lower())

    names = [label(rule).lower() for rule in pair.names]
    for line in exporting.trail(pair.name, names, changes(), since=begin, until=now):
        typer.echo(line)


def names_of(service: NameService, connection: Connection) -> "Names":
    from shared.adapters.sdk import Endpoint

    where = Endpoint(connection.settings.region, connection.settings.endpoint)
    if service is NameService.PUBLIC:
        from shared.adapters.alidns import AlidnsNames

        return AlidnsNames(endpoint=where, credentials=foundation.credentials)
    from shared.adapters.pvtz import PvtzNames

    return PvtzNames(endpoint=where, credentials=foundation.credentials)


def trail_of(service: NameService, connection: Connection) -> "Trail":
    from shared.adapters.sdk import Endpoint

    where = Endpoint(connection.settings.region, connection.settings.endpoint)
    if service is NameService.PUBLIC:
        from shared.adapters.alidns_trail import AlidnsTrail

        return AlidnsTrail(endpoint=where, credentials=foundation.credentials)
    from shared.adapters.pvtz_trail import PvtzTrail

    return PvtzTrail(endpoint=where, credentials=foundation.credentials)


def _pair(connection: Connection, name: str) -> Pair:
    version, policy = Policies(connection.store).active()
    found = next((pair for pair in policy.pairs if pair.name == name), None)
    if found is None:
        known = ", ".join(pair.name for pair in policy.pairs) or "none"
        raise BadInput(f"{name!r} is no pair of policy {version}; it has: {known}")
    return found


def _lease(connection: Connection, pair: Pair) -> Lease | None:
    try:
        return Leases(connection.store, tokens=chance.token).read(pair.name)
    except CredentialsRejected:
        raise
    except Permanent:
        return None  # damaged: nobody is known to be active, and another runbook tells what to do


def _shown(connection: Connection, pair: Pair, rule: NameRule, lease: Lease | None) -> Shown:
    name = label(rule)
    wanted = None if lease is None else _value(connection, pair, rule, lease.owner)

    def told(state: str, says: str, records: tuple[NameRecord, ...] = ()) -> Shown:
        return Shown(
            name=name,
            service=rule.service.value,
            wanted=wanted or "",
            records=records,
            state=state,
            says=says,
            finding=ttl_finding(name, rule, records, pair=pair.name),
        )

    try:
        records = names_of(rule.service, connection).records(zone=rule.zone, host=rule.host)
    except NotFound as error:
        return told("refused", f"its zone {rule.zone} is not there: {error}")
    except CredentialsRejected:
        raise
    except Permanent as error:
        return told("refused", str(error))
    if lease is None or wanted is None:
        why = "no lease row can be read" if lease is None else f"the address of {lease.owner} is not known"
        return told("unknown", f"{why}: `understudy status`", records)
    plan = plan_name(records, name=name, type=rule.type, value=wanted, epoch=lease.epoch)
    match plan:
        case RefuseRebind():
            return told("refused", plan.because, records)
        case Rebind():
            return told("astray", f"{plan.because}: a watch binds it within its next rounds, unless paused", records)
    return told("bound", plan.because, records)


def _value(connection: Connection, pair: Pair, rule: NameRule, site: SiteName) -> str | None:
    if site in rule.values:
        return rule.values[site]
    beat = Heartbeats(connection.store).of(pair.name).get(site)
    if beat is not None and beat.address:
        return beat.address
    found = connection.inventory.instances(ids=(pair.member(site).instance,))
    return next((one.private_address for one in found), None) or None


def _print(pair: Pair, lease: Lease | None, shown: list[Shown]) -> None:
    out = console()
    held = "no lease row can be read" if lease is None else f"{lease.owner} has epoch {lease.epoch}, {lease.state}"
    out.print(f"[bold]{escape(pair.name)}[/bold]: {escape(held)}", soft_wrap=True)
    for one in shown:
        out.print(f"[bold]{escape(one.name)}[/bold] ({one.service}) is to give {one.wanted or 'nothing known'}")
        records = table("record", "type", "value", "TTL", "enabled", "remark")
        for record in one.records:
            on = "yes" if record.enabled else "[red]no[/red]"
            values = (record.record_id, record.type, record.value, f"{record.ttl_seconds} s")
            records.add_row(*(escape(value) for value in values), on, escape(record.remark))
        if one.records:
            out.print(records)
        colour = {"bound": "green", "refused": "red"}.get(one.state, "yellow")
        out.print(f"[{colour}]{one.state}[/{colour}]: {escape(one.says)}", soft_wrap=True)
        if one.finding:
            out.print(f"[yellow]{escape(one.finding)}[/yellow]", soft_wrap=True)
    if any(one.state == "refused" for one in shown):
        out.print(f"runbook: {RUNBOOK}")


def _moment(text: str) -> datetime:
    try:
        return codec.instant(text)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"--since {text!r} is no moment; write it as 2026-03-02T10:00:00Z") from error
