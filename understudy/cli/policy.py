"""`check` and `apply`: from a file to the active policy version."""

from pathlib import Path

from rich.markup import escape

from shared.config import policy_file
from shared.domain.errors import BadInput, Permanent
from shared.domain.feasibility import doubts, most_points
from shared.domain.policy import Policy, Schedule
from shared.domain.retention import describe
from understudy.cli.connection import Connection, operator
from understudy.cli.screen import console, duration, table

ALL_HOURS = tuple(range(24))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check(file: Path, *, cloud: bool, accept_doubts: bool) -> None:
    policy = policy_file.load(file)
    if cloud:
        _against_cloud(policy, file, Connection())
    _show(policy)
    _doubt(policy, file, accept=accept_doubts)
    seen = "and every selection matches instances" if cloud else "(offline; --cloud compares it with the instances)"
    doubted = " but for what you accepted" if doubts(policy) else ""
    console().print(f"[green]{escape(file.name)} is sound[/green]{doubted} {seen}")


def apply(file: Path, *, accept_doubts: bool) -> None:
    policy = policy_file.load(file)
    connection = Connection()
    _against_cloud(policy, file, connection)
    _doubt(policy, file, accept=accept_doubts)
    made = connection.create_tables()
    if made:
        console().print(f"made {len(made)} tables in Tablestore instance {connection.settings.ots_instance}")
        connection.wait_for_new_tables()
    from shared.state.controls import Controls
    from shared.state.decisions import Decisions
    from shared.state.policies import Policies
    from shared.state.slots import Slots
    from shared.usecases.apply_policy import ApplyPolicy

    store = connection.store
    use_case = ApplyPolicy(
        policies=Policies(store),
        controls=Controls(store),
        slots=Slots(store),
        decisions=Decisions(store),
        clock=connection.clock,
    )
    applied = use_case.run(policy, by=operator())
    if applied.changed:
        console().print(f"[green]policy version {applied.version} is active[/green]")
    else:
        console().print(f"nothing changed: policy version {applied.version} says this already")


def _against_cloud(policy: Policy, file: Path, connection: Connection) -> None:
    from understudy.cli.against_cloud import mismatches

    region = connection.settings.region
    if policy.region != region:
        raise BadInput(
            f"{file.name}: region: {policy.region}, but UNDERSTUDY_REGION is {region}. Correct the one that is wrong"
        )
    found = mismatches(policy, connection.inventory)
    if found:
        raise BadInput("\n".join(f"{file.name}: {one}" for one in found))


def _doubt(policy: Policy, file: Path, *, accept: bool) -> None:
    """Raises Permanent when the policy cannot be kept as it is written, and nobody said that this is meant."""
    found = doubts(policy)
    if found and not accept:
        told = [f"{file.name}: {one}" for one in found]
        raise Permanent("\n".join([*told, "Refused, because it cannot be kept. If it is meant, add --accept-doubts"]))
    for one in found:
        console().print(f"[yellow]accepted, though doubtful:[/yellow] {escape(one)}", soft_wrap=True)


def _show(policy: Policy) -> None:
    shown = table("protection", "due", "keeps", "points per disk", "RPO target")
    for one in policy.protections:
        most = most_points(one)
        due = "\n".join(_due(schedule) for schedule in one.schedules)
        points = "no bound" if most is None else f"at most {most}"
        shown.add_row(escape(one.name), escape(due), describe(one.keep), points, duration(one.rpo_target))
    if policy.protections:
        console().print(shown)
    for rule in policy.rebuilds:
        console().print(
            f"rebuild [bold]{escape(rule.name)}[/bold]: from image family {escape(rule.image_family)}, after "
            f"{duration(rule.patience)} of patience, {rule.max_at_once} at once"
        )
    for pair in policy.pairs:
        sites = " and ".join(f"{member.site} ({member.zone})" for member in pair.members)
        console().print(
            f"pair [bold]{escape(pair.name)}[/bold]: {escape(sites)}, {escape(pair.preferred)} when all is well; name "
            f"{escape(pair.name_host)}.{escape(pair.name_zone)}; lease {duration(pair.lease)}"
        )


def _due(schedule: Schedule) -> str:
    hours = "every hour" if schedule.hours == ALL_HOURS else " ".join(f"{one:02}" for one in schedule.hours)
    minute = "" if schedule.minute == 0 else f" at minute {schedule.minute}"
    days = "" if len(schedule.weekdays) == 7 else " on " + " ".join(WEEKDAYS[day - 1] for day in schedule.weekdays)
    return f"{schedule.name}: {hours}{minute}{days}, {schedule.zone}"
