"""`plan`: recovery plans of the policy, what a run would do, and how one stands."""

import json
from datetime import datetime
from typing import Any, Final

import typer
from rich.markup import escape

from shared.domain.errors import BadInput
from shared.domain.ids import OperationId
from shared.domain.operation import Operation, OperationKind, OperationState
from shared.domain.plan import Fate, WaveState, phases_of, some
from shared.domain.policy import PlanAction, PlanStep, RecoveryPlan
from shared.state import codec
from shared.state.journal import Journal
from shared.state.policies import Policies
from shared.usecases.recovery.plan_record import waiting_wave, waves_of
from shared.usecases.recovery.recovery_requests import PlanRequest
from understudy.cli import previewing
from understudy.cli.connection import Connection
from understudy.cli.outcome import NEEDS_OPERATOR
from understudy.cli.screen import console, duration, moment, table

LISTED: Final = 20
STATES: Final = {
    OperationState.OPEN: "[yellow]under way[/yellow]",
    OperationState.DONE: "[green]done[/green]",
    OperationState.REFUSED: "[red]refused[/red]",
    OperationState.NEEDS_OPERATOR: "[red]needs an operator[/red]",
}


def list_(*, as_json: bool) -> None:
    """The active policy's plans, and the runs that are under way or wait for an operator."""
    connection = Connection()
    version, policy = Policies(connection.store).active()
    journal = Journal(connection.store, connection.clock)
    runs = [
        *journal.open_of(OperationKind.PLAN, sweep=False, damaged=[]),
        *journal.waiting(OperationKind.PLAN),
    ]
    if as_json:
        plans = [{"name": one.name, "waves": [wave.name for wave in one.waves]} for one in policy.plans]
        found = [{"run": one.id, "state": one.state.value, "created": codec.second(one.created)} for one in runs]
        typer.echo(json.dumps({"policy": version, "plans": plans, "runs": found}, indent=2))
        return
    if not policy.plans:
        console().print(f"policy {version} has no plans. docs/plans.md shows how one is written")
    for plan in policy.plans:
        console().print(f"[bold]{plan.name}[/bold]")
        for number, wave in enumerate(plan.waves, start=1):
            steps = "; ".join(_step_in_words(step) for step in wave.steps)
            gate = f", then port {wave.gate.port} must answer" if wave.gate else ""
            asked = ", after an approval" if wave.approval else ""
            console().print(f"  {number} {wave.name}{asked}: {escape(steps)}{gate}", soft_wrap=True)
    for run in runs:
        console().print(f"{escape(run.id)} is {STATES[run.state]}", soft_wrap=True)


def show(name: str, *, at: str, as_json: bool) -> None:
    connection = Connection()
    more = {"as_of": at} if at else {}
    answer = connection.command("plan_show", plan=name, at=_now(connection), **more)
    preview = answer["preview"]
    assert isinstance(preview, dict), preview
    moment_ = f" --at {at}" if at else ""
    how = f"understudy plan run {name}{moment_} --confirm {preview['token']}"
    previewing.show(preview, confirm=how, as_json=as_json)


def run(name: str, *, at: str, confirm: str, as_json: bool) -> None:
    """Without a confirmation it is shown, and nothing is done."""
    if not confirm:
        show(name, at=at, as_json=as_json)
        return
    connection = Connection()
    more = {"as_of": at} if at else {}
    # The moment is part of the run's id: a request that has to be repeated is the same run.
    answer = connection.command("plan_run", plan=name, confirm=confirm, at=_now(connection), **more)
    if as_json:
        typer.echo(json.dumps({"run": answer["operation"]}))
        return
    id_ = str(answer["operation"])
    console().print(
        f"asked for {escape(id_)}; `understudy plan status {escape(id_)}` tells how it goes", soft_wrap=True
    )


def approve(id: str, wave: str) -> None:
    answer = Connection().command("plan_approve", run=id, **({"wave": wave} if wave else {}))
    console().print(
        f"wave {escape(str(answer['approved']))} may begin: approved by {escape(str(answer['by']))} at {answer['at']}",
        soft_wrap=True,
    )


def abort(id: str, because: str) -> None:
    Connection().command("plan_abort", run=id, **({"because": because} if because else {}))
    console().print(
        f"[yellow]nothing more is begun[/yellow]; `understudy plan status {escape(id)}` says what stands",
        soft_wrap=True,
    )


def resume(id: str, *, without_failed: bool) -> None:
    answer = Connection().command("plan_resume", run=id, without_failed=without_failed)
    how = "leaving out what failed" if without_failed else "with a new operation for each that failed"
    said = f"[green]{escape(id)} goes on[/green], {how}" if answer["resumed"] else f"{escape(id)} is under way already"
    console().print(said, soft_wrap=True)


def status(id: str, *, as_json: bool) -> None:
    connection = Connection()
    operation = Journal(connection.store, connection.clock).find(OperationId(id))
    if operation is None or operation.kind is not OperationKind.PLAN:
        raise BadInput(f"run: '{id}' is no run of a plan. `understudy plan list` shows what is under way")
    plan = Policies(connection.store).at(operation.policy).plan(PlanRequest.of(operation).plan)
    assert plan is not None, "a run is opened for a plan of its policy"
    waves = waves_of(operation)
    if as_json:
        typer.echo(json.dumps(_plain(operation, plan, waves), indent=2, ensure_ascii=False))
    else:
        _print(operation, plan, waves, connection.clock.now())
    if operation.state is OperationState.NEEDS_OPERATOR:
        raise typer.Exit(NEEDS_OPERATOR)


def _print(operation: Operation, plan: RecoveryPlan, waves: dict[str, WaveState], now: datetime) -> None:
    out = console()
    asked = PlanRequest.of(operation)
    out.print(f"{escape(operation.id)} is {STATES[operation.state]}, asked for by {escape(asked.by)}", soft_wrap=True)
    if not waves:
        out.print(escape(operation.result.get("because", "not confirmed yet")), soft_wrap=True)
        return
    shown = table("wave", "began", "took", "how it stands")
    for wave in plan.waves:
        state = waves[wave.name]
        began = state.first_began
        took = None if began is None else (state.ended or now) - began
        approved = f" (approved by {state.approved_by})" if state.approved_by else ""
        gate = f", {len(state.answered)} of {len(state.targets)} answer" if state.worked and not state.ended else ""
        says = escape(state.in_words() + gate + approved)
        shown.add_row(wave.name, moment(began) if began else "-", duration(took), says)
    out.print(shown)
    for name, state in waves.items():
        for change in state.changes:
            out.print(f"wave {name}: {escape(change)}", soft_wrap=True)
        for task in state.failed[:LISTED]:
            out.print(f"[red]{escape(task.key)}[/red]: {escape(task.why)}", soft_wrap=True)
        under_way = [task.key for task in state.under_way]
        if under_way:
            out.print(f"under way in {name}: {escape(some(under_way))}", soft_wrap=True)
    waits = waiting_wave(plan, waves) if operation.state is OperationState.OPEN else ""
    if waits:
        out.print(f"[bold]understudy plan approve {escape(operation.id)} {waits}[/bold] lets it go on", soft_wrap=True)
    if operation.state is OperationState.OPEN:
        return
    out.print(escape(operation.result.get("because", "")), soft_wrap=True)
    if operation.state is OperationState.NEEDS_OPERATOR:
        out.print(f"runbook: {operation.result.get('runbook', '')}")
        out.print(f"go on: [bold]understudy plan resume {escape(operation.id)}[/bold]", soft_wrap=True)
        out.print(f"end it: [bold]understudy plan abort {escape(operation.id)}[/bold]", soft_wrap=True)
    if "phases" in operation.result:
        phases = json.loads(operation.result["phases"])
        in_order = [name for name in phases_of(plan, waves)[0] if name in phases]
        told = ", ".join(f"{name} {phases[name]:.0f} s" for name in in_order)
        out.print(f"RTO {operation.result['rto_seconds']} s: {escape(told)}", soft_wrap=True)


def _plain(operation: Operation, plan: RecoveryPlan, waves: dict[str, WaveState]) -> dict[str, Any]:
    return {
        "run": operation.id,
        "state": operation.state.value,
        "policy": operation.policy,
        "asked_by": PlanRequest.of(operation).by,
        "waits_for_approval_of": waiting_wave(plan, waves) if waves else "",
        "phases": phases_of(plan, waves)[0] if waves else [],
        "waves": [
            {
                "name": name,
                "says": state.in_words(),
                "began": codec.second(state.first_began) if state.first_began else None,
                "ended": codec.second(state.ended) if state.ended else None,
                "approved_by": state.approved_by,
                "changes": list(state.changes),
                "instances": [
                    {"key": one.key, "step": step, "fate": Fate(one.fate).name.lower(), "why": one.why}
                    for step, own in state.tasks.items()
                    for one in own
                ],
            }
            for name, state in waves.items()
        ],
        "result": dict(operation.result),
    }


def _step_in_words(step: PlanStep) -> str:
    match step.action:
        case PlanAction.LAUNCH:
            return f"launch {step.amount} of {step.family}"
        case PlanAction.RESTORE:
            return f"restore {step.name} to {'a moment' if step.point == 'at' else 'the newest point'}"
        case _:
            return f"rebuild {step.name}"


def _now(connection: Connection) -> str:
    return f"{connection.clock.now():%Y-%m-%dT%H:%M:%SZ}"
