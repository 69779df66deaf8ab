"""`prune`: what the active policy would let go, rule by rule; and, asked for, the request to do it."""

from rich.markup import escape

from shared.domain.errors import Permanent
from shared.domain.retention import PrunePlan, describe, merge, plan_prune
from shared.state.points import Points
from shared.state.policies import Policies
from understudy.cli.connection import Connection
from understudy.cli.screen import console, moment, table

SHOWN = 40
"""Rows of the table; the count below it is always of all."""


def prune(*, apply: bool, everything: bool) -> None:
    connection = Connection()
    version, policy = Policies(connection.store).active()
    now = connection.clock.now()
    points = tuple(Points(connection.store).all())
    plans = [
        plan_prune([point for point in points if point.protection == one.name], one.keep, zone=one.zone, now=now)
        for one in policy.protections
    ]
    rules = {one.name: describe(one.keep) for one in policy.protections}
    plan = merge(plans)
    _show(plan, rules, everything=everything)
    strangers = len(points) - len(plan.keep) - len(plan.expire)
    if strangers:
        console().print(f"{strangers} points belong to no protection of policy {version} and stay")
    if not plan.expire:
        console().print(f"[green]nothing to prune[/green] under policy {version}: {len(plan.keep)} points stay")
        return
    console().print(f"{len(plan.expire)} of {len(points)} points are let go by policy {version}")
    _guarded(apply=apply)
    if not apply:
        console().print("Nothing was deleted. `understudy prune --apply` asks for it")
        return
    connection.command("prune", apply=True)
    console().print(
        "[yellow]asked for[/yellow]: function prune deletes them; `understudy explain prune` tells how it ended"
    )


def _guarded(*, apply: bool) -> None:
    """What the guardrails say, against the cloud as it is now. Raises Permanent when they refuse the run."""
    from shared.wiring.prune import prune as wired

    found = wired().run(run="cli", dry=True)
    if found.stopped and apply:
        raise Permanent(f"prune is {found.stopped}. `understudy resume prune` ends that")
    if found.stopped:
        console().print(f"[yellow]prune is {escape(found.stopped)}[/yellow]")
    if found.refused:
        raise Permanent("\n".join(found.refused))
    if found.waiting:
        console().print(
            f"[yellow]{found.waiting} of them wait for the next run[/yellow]: one certificate holds no more"
        )
    for one in found.spared:
        console().print(f"[yellow]spared:[/yellow] {escape(one)}", soft_wrap=True)


def _show(plan: PrunePlan, rules: dict[str, str], *, everything: bool) -> None:
    shown = table("instance", "taken", "restore point", "what becomes of it", "rule")
    if everything:
        for kept in plan.keep[-SHOWN:]:
            point = kept.point
            shown.add_row(
                escape(point.subject),
                moment(point.taken),
                escape(point.id),
                "[green]stays[/green]",
                escape("; ".join(kept.because)),
            )
    for point in plan.expire[:SHOWN]:
        rule = "failed" if point.failed else f"not among {rules[point.protection]}"
        shown.add_row(escape(point.subject), moment(point.taken), escape(point.id), "[red]goes[/red]", escape(rule))
    if shown.row_count:
        console().print(shown)
    hidden = len(plan.expire) - SHOWN
    if hidden > 0:
        console().print(f"... and {hidden} more")
