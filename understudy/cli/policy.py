"""`check` and `apply`: from a file to the active policy version."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from rich.markup import escape

from shared.adapters.clock import SystemClock
from shared.config import policy_file
from shared.domain.api_waves import allowed
from shared.domain.assumptions import Assumptions, Known, Measured
from shared.domain.cost import FUNCTION_CPU, FUNCTION_GB, Prices
from shared.domain.errors import BadInput, Permanent, Retryable
from shared.domain.feasibility import Study, most_points, study
from shared.domain.pair_cost import DAY
from shared.domain.place import Place
from shared.domain.policy import Policy, Schedule
from shared.domain.retention import describe
from shared.ports.compute import Clouds
from understudy.cli.connection import Connection, operator
from understudy.cli.screen import console, duration, table

ALL_HOURS = tuple(range(24))
WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def check(file: Path, *, cloud: bool, accept_doubts: bool, prices: Path | None = None) -> None:
    policy = policy_file.load(file)
    seen = _against_cloud(policy, file, Connection()) if cloud else None
    found = _study(policy, file, prices, seen)
    _show(policy, found)
    _doubt(found.study, file, accept=accept_doubts)
    _costs(found)
    if seen is not None:
        _findings(policy, seen)
    compared = "(offline; --cloud compares it with the instances)"
    if seen is not None:
        compared = "and every selection that could be looked at" if seen.unseen else "and every selection"
        compared += " matches instances"
    doubted = " but for what you accepted" if found.study.refused else ""
    console().print(f"[green]{escape(file.name)} is sound[/green]{doubted} {compared}")


def apply(file: Path, *, accept_doubts: bool, prices: Path | None = None) -> None:
    policy = policy_file.load(file)
    seen = _against_cloud(policy, file, Connection())
    connection = seen.connection
    _doubt(_study(policy, file, prices, seen).study, file, accept=accept_doubts)
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
    _changes(policy, connection)
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


def _changes(policy: Policy, connection: Connection) -> None:
    """Which points the next prune would let go that the active policy keeps: judged as of now, before it is applied."""
    from shared.domain.policy_change import weigh
    from shared.state.points import Points
    from shared.state.policies import Policies

    policies = Policies(connection.store)
    if policies.active_version() is None:
        return
    change = weigh(Points(connection.store).all(), policies.active()[1], policy, now=connection.clock.now())
    if change.expires:
        console().print(f"[yellow]{escape(str(change))}[/yellow]", soft_wrap=True)
        oldest = ", ".join(f"{point.id} of {point.subject}" for point in change.oldest)
        console().print(f"the oldest: {escape(oldest)}. `understudy prune` shows all of them", soft_wrap=True)
    for one in change.stops:
        console().print(f"[yellow]the next prune will stop:[/yellow] {escape(one)}", soft_wrap=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Seen:
    """The cloud that a policy was compared with."""

    connection: Connection
    clouds: Clouds
    unseen: Mapping[Place, str]  # places of other accounts that do not let us look, with the reason


def _against_cloud(policy: Policy, file: Path, connection: Connection) -> _Seen:
    from shared.wiring import foundation
    from understudy.cli.against_cloud import mismatches, unseen

    region = connection.settings.region
    if policy.region != region:
        raise BadInput(
            f"{file.name}: region: {policy.region}, but UNDERSTUDY_REGION is {region}. Correct the one that is wrong"
        )
    clouds = foundation.clouds_of(policy)
    hidden = unseen(policy, clouds)
    found = mismatches(policy, clouds, without=hidden)
    if found:
        raise BadInput("\n".join(f"{file.name}: {one}" for one in found))
    for place, because in hidden.items():
        console().print(
            f"[yellow]not looked at:[/yellow] {escape(str(place))}: {escape(because)}. The functions may have "
            "the right that you have not; their slots tell",
            soft_wrap=True,
        )
    return _Seen(connection=connection, clouds=clouds, unseen=hidden)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Found:
    study: Study
    known: Known
    prices: Prices | None
    real: bool  # the disks are those of the cloud


def _study(policy: Policy, file: Path, named: Path | None, seen: _Seen | None) -> _Found:
    from shared.config import prices as prices_file

    path = named or file.with_name(prices_file.NAME)
    prices, assumptions = None, Assumptions()
    if named is not None or path.exists():
        prices, assumptions = prices_file.load(path)
    if seen is None:
        # The coming year, whatever the clock of a terminal says: this one needs no connection.
        known = Known(assumptions=assumptions)
        found = study(policy, known=known, prices=prices, since=SystemClock().now())
        return _Found(study=found, known=known, prices=prices, real=False)
    from understudy.cli.against_cloud import coverage

    known = Known(assumptions=assumptions, measured=_measured(seen.connection))
    found = study(
        policy,
        coverage=coverage(policy, seen.clouds, without=seen.unseen.keys(), assumptions=assumptions),
        known=known,
        prices=prices,
        since=seen.connection.clock.now(),
    )
    return _Found(study=found, known=known, prices=prices, real=True)


def _measured(connection: Connection) -> dict[str, Measured]:
    """Nothing, where no store has been set up yet."""
    from shared.state.points import Points
    from understudy.cli.against_cloud import measured

    try:
        return measured(Points(connection.store).all(), now=connection.clock.now())
    except (Permanent, Retryable, BadInput):
        return {}


def _doubt(found: Study, file: Path, *, accept: bool) -> None:
    """Raises Permanent when the policy cannot be kept as it is written, and nobody said that this is meant."""
    if found.refused and not accept:
        told = [f"{file.name}: {one}" for one in found.refused]
        raise Permanent("\n".join([*told, "Refused, because it cannot be kept. If it is meant, add --accept-doubts"]))
    for one in found.refused:
        console().print(f"[yellow]accepted, though doubtful:[/yellow] {escape(one)}", soft_wrap=True)
    for one in found.notes:
        console().print(f"note: {escape(one)}", soft_wrap=True)


def _findings(policy: Policy, seen: _Seen) -> None:
    """What stands in the cloud and the policy does not cover, or shares with others."""
    from shared.usecases.backup.coverage import findings

    for one in findings(policy, seen.clouds):
        console().print(f"note: {escape(one)}", soft_wrap=True)
    if not policy.pairs:
        return
    from shared.usecases.failover.name_findings import name_findings
    from understudy.cli.names import names_of

    for pair in policy.pairs:
        for one in name_findings(pair, lambda service: names_of(service, seen.connection)):
            console().print(f"note: {escape(one)}", soft_wrap=True)


def _show(policy: Policy, found: _Found) -> None:
    shown = table("protection", "due", "keeps", "points per disk", "RPO at most", "RPO target")
    for one in policy.protections:
        most = most_points(one)
        due = "\n".join(_due(schedule) for schedule in one.schedules)
        points = "no bound" if most is None else f"at most {most}"
        bound = found.study.bound(one.name)
        tone = "green" if bound.holds else "red"
        at_most = "no bound" if bound.length is None else duration(bound.length)
        target = duration(one.rpo_target)
        shown.add_row(escape(one.name), escape(due), describe(one.keep), points, f"[{tone}]{at_most}[/{tone}]", target)
    if policy.protections:
        console().print(shown)
    for bound in found.study.bounds:
        console().print(f"[bold]{escape(bound.protection)}[/bold] is {escape(str(bound))}", soft_wrap=True)
    _show_waves(policy, found.study)
    for rule in policy.rebuilds:
        console().print(
            f"rebuild [bold]{escape(rule.name)}[/bold]: from image family {escape(rule.image_family)}, after "
            f"{duration(rule.patience)} of patience, {rule.max_at_once} at once"
        )
    for pair in policy.pairs:
        sites = " and ".join(f"{member.site} ({member.zone})" for member in pair.members)
        console().print(
            f"pair [bold]{escape(pair.name)}[/bold]: {escape(sites)}, {escape(pair.preferred)} when all is well; name "
            f"{escape(', '.join(dict.fromkeys(map(str, pair.names))))}; lease {duration(pair.lease)}"
        )


def _show_waves(policy: Policy, found: Study) -> None:
    if not found.waves:
        return
    slowest = found.waves[0]
    console().print(
        f"API calls: what falls due at once needs at most {slowest.calls.get(slowest.slowest, 0)} of "
        f"{slowest.slowest}, {slowest.minutes} min at {allowed(policy.limits, slowest.slowest)} a minute",
        soft_wrap=True,
    )


def _costs(found: _Found) -> None:
    if found.prices is None:
        console().print("no prices.yaml beside the policy file: costs are not estimated (--prices names another)")
        return
    prices, assumed = found.prices, found.known.assumptions
    shown = table(
        "a month",
        "disks",
        "stored",
        "storage",
        "copies",
        "traffic",
        "functions, store",
        "in all",
        "at half the interval",
    )
    for one in found.study.costs:
        halved = "-" if one.halved is None else f"{_money(one.halved)} (every {duration(one.halved_every)})"
        shown.add_row(
            escape(one.protection),
            str(one.disks),
            f"{one.storage_gib:,.0f} GiB",
            _money(one.storage),
            _money(one.copy_storage),
            _money(one.traffic),
            _money(one.functions + one.store),
            f"[bold]{_money(one.total)}[/bold]",
            halved,
        )
    if found.study.costs:
        console().print(shown)
    _pair_costs(found.study)
    disks = "" if found.real else f"; each protection has {assumed.disks} disk(s) of {assumed.size_gib} GiB"
    changed = f"{assumed.changed_per_hour:.1%} of it changed an hour and {assumed.changed_per_day:.0%} a day"
    console().print(
        f"in all {_money(found.study.total)} {escape(prices.currency)} a month, timers included, at the prices of "
        f"{prices.dated}. Assumed: {assumed.used_share:.0%} of a disk used, {changed}{disks}",
        soft_wrap=True,
    )
    guessed = sorted(name for name, price in prices.everywhere.items() if price.assumption)
    if guessed:
        console().print(f"prices that are assumptions: {', '.join(guessed)}", soft_wrap=True)


def _pair_costs(found: Study) -> None:
    if not found.pairs:
        return
    shown = table("a month", "watches", "functions", "store", "in all", "reads, writes a second", "API calls a day")
    for one in found.pairs:
        used = one.usage
        calls = {"DNS": used.name_calls, "balancer": used.balancer_calls, "ECS": used.ecs_calls}
        shown.add_row(
            f"pair {escape(one.pair)}",
            escape(", ".join(one.watches)) or "of other pairs",
            _money(one.functions),
            _money(one.store),
            f"[bold]{_money(one.total)}[/bold]",
            f"{used.read_units:.1f}, {used.write_units:.1f}",
            ", ".join(f"{of} {number * DAY:,.0f}" for of, number in calls.items()),
        )
    console().print(shown)
    console().print(
        f"A watch is one function per site that always runs, with {FUNCTION_CPU:g} vCPU and {FUNCTION_GB:g} GB. "
        "Another pair of the same sites costs its store only. Assumed: calls of the DNS service, ECS and the load "
        "balancer are free, and the store is billed by what is used",
        soft_wrap=True,
    )


def _money(amount: float) -> str:
    return f"{amount:,.2f}"


def _due(schedule: Schedule) -> str:
    hours = "every hour" if schedule.hours == ALL_HOURS else " ".join(f"{one:02}" for one in schedule.hours)
    if schedule.every is not None:
        within = "" if schedule.hours == ALL_HOURS else f" in the hours {hours}"
        hours = f"every {duration(schedule.every)}{within}"
    minute = "" if schedule.minute == 0 else f" at minute {schedule.minute}"
    days = "" if len(schedule.weekdays) == 7 else " on " + " ".join(WEEKDAYS[day - 1] for day in schedule.weekdays)
    return f"{schedule.name}: {hours}{minute}{days}, {schedule.zone}"
