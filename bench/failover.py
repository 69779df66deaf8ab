"""Act 3 alone, again and again: how long from the loss of the active master to the first good answer.

    python -m bench failover [--runs 20] [--loss LOSS ...] [--terms fast|cautious] [--clients KIND]
    python -m bench failover --switchover [--clients all]      an order instead of a loss
    python -m bench failover --operations 1000                 turn by turn without and with so many open backups
    python -m bench failover --agentless                       no agents: the old master is stopped, and read back
    python -m bench failover --alarm                           no timers: the event of the failed machine starts it all
    python -m bench failover --table reports/bench/failover    the reports as Markdown; runs nothing

Unlike the other benches this one measures no speed: its seconds are the arithmetic of lease, margin and renewal, with a
little of the machine on top. At which moment between two renewals the loss comes is drawn.

Each series is one JSON report under --reports, written anew after each run. Exits 1 when two masters were ever active
at once, when a run failed or broke a promise, when phases do not sum to their total, or when a limit of the series is
passed: with the fast terms a median of 6 s and a worst of 10 s, in a switchover 2 s without service.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.failover_policy import TIMES, Terms
from bench.failover_runs import KINDS, Setting, measured
from bench.failover_series import Limits, Run, Series
from bench.failover_table import markdown
from understudy.demo.losses import WORDS, Loss
from understudy.demo.verdicts import MOST_REFUSED

REPORTS = Path("reports/bench/failover")
THE_THREE = (Loss.MASTER_KILLED, Loss.HOST_KILLED, Loss.ZONE_SILENT)


@dataclass(frozen=True)
class Plan:
    """A series and the settings that its runs take in turn."""

    series: Series
    settings: tuple[Setting, ...]


def limits(setting: Setting) -> Limits:
    """Of the series with the fast terms, where service depends on nothing but the lease; else none is set."""
    if setting.loss is Loss.SWITCHOVER:
        return Limits(without=MOST_REFUSED)
    if setting.terms is Terms.CAUTIOUS or setting.alarm or setting.agentless:
        return Limits()
    return Limits(median=6.0, worst=10.0)


def planned(options: argparse.Namespace) -> Iterator[Plan]:
    losses = [Loss.SWITCHOVER] if options.switchover else options.loss or list(THE_THREE)
    if options.alarm:
        losses = [Loss.HOST_KILLED]
    for loss in losses:
        loads = (0, options.operations) if options.operations else (0,)
        settings = tuple(
            Setting(
                loss=loss,
                terms=options.terms,
                clients=options.clients,
                agentless=options.agentless,
                alarm=options.alarm,
                load=load,
            )
            for load in loads
        )
        parts = [
            loss.value,
            options.terms.value,
            "" if options.clients == "resolving" else options.clients,
            "agentless" if options.agentless else "",
            "alarm" if options.alarm else "",
            f"operations-{options.operations}" if options.operations else "",
        ]
        told = "the active master's process is killed; it has no agent"
        words = told if options.agentless and loss is Loss.MASTER_KILLED else WORDS[loss]
        words += "; no timer runs, an event starts the watches" if options.alarm else ""
        series = Series(
            name="-".join(part for part in parts if part),
            loss=loss.value,
            words=words,
            terms=TIMES[options.terms],
            settings={
                "clients": options.clients,
                "agentless": options.agentless,
                "alarm": options.alarm,
                "operations": options.operations,
            },
            limits=limits(settings[0]),
        )
        yield Plan(series, settings)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    first, _, rest = (__doc__ or "").partition("\n")
    parser = argparse.ArgumentParser(
        prog="bench failover", description=first, epilog=rest, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--runs", type=int, default=5, help="of each series, and of each load (default: 5)")
    add("--loss", type=Loss, choices=[one for one in Loss if one is not Loss.SWITCHOVER], action="append",
        help="repeatable; default: master-killed, host-killed and zone-silent")  # fmt: skip
    add("--switchover", action="store_true")
    add("--terms", type=Terms, choices=list(Terms), default=Terms.FAST)
    add("--clients", choices=list(KINDS), default="resolving", help="besides the one that resolves each time")
    add("--operations", type=int, default=0, metavar="N")
    add("--agentless", action="store_true", help="what is lost is one of the default three")
    add("--alarm", action="store_true")
    add("--reports", type=Path, default=REPORTS, help=f"folder (default: {REPORTS})")
    add("--table", type=Path, nargs="+", metavar="REPORT", help="files or folders")
    options = parser.parse_args(arguments)
    if options.alarm and (options.loss or options.switchover):
        parser.error("--alarm has its own loss, the host that fails: leave --loss and --switchover out")
    if options.agentless and (options.switchover or set(options.loss or ()) - set(THE_THREE)):
        parser.error("--agentless has no agent to lose, and no switchover that would end one")
    if options.switchover and options.loss:
        parser.error("--switchover is no loss: leave --loss out")
    if options.runs < 1 or options.operations < 0:
        parser.error("--runs is at least 1, --operations at least 0")
    return options


def main(arguments: Sequence[str]) -> int:
    options = parse(arguments)
    if options.table:
        try:
            print(markdown(options.table))
        except (OSError, ValueError) as error:
            print(f"bench failover: {error}", file=sys.stderr)
            return 2
        return 0
    plans = list(planned(options))
    for plan in plans:
        carry_out(plan, runs=options.runs, reports=options.reports)
    print()
    for plan in plans:
        print(*told(plan.series), sep="\n")
    return 1 if any(plan.series.troubles for plan in plans) else 0


def carry_out(plan: Plan, *, runs: int, reports: Path) -> None:
    series = plan.series
    for number in range(1, runs + 1):
        for setting in plan.settings:  # turn by turn, so that all meet the same weather
            series.runs.append(measured(setting, number))
            path = series.keep(reports)
            print(f"{series.name} {number}/{runs}: {line(series.runs[-1])}", flush=True)
    print(f"written: {path}")


def line(run: Run) -> str:
    if run.failed:
        return f"FAILED {run.failed}"
    seconds = "never" if run.first_good is None else f"after {run.first_good:.2f} s"
    load = f" with {run.load} open operations" if run.load else ""
    text = f"served again {seconds}{load}, epoch {run.epochs[0]} -> {run.epochs[1]}, {run.verdict} ({run.took:.0f} s)"
    return "\n  BROKEN ".join([text, *run.broken, *([run.off] if run.off else [])])


def told(series: Series) -> Iterator[str]:
    for load in series.loads():
        every, phases = series.seconds(load), series.phases(load)
        name = f"{series.name} ({load} open operations)" if len(series.loads()) > 1 else series.name
        if not every:
            yield f"{name}: no run came to its end"
            continue
        yield (
            f"{name}: min {min(every):.2f}, median {series.median(load):.2f}, worst {max(every):.2f} s "
            f"of {len(every)} runs "
            f"({', '.join(f'{phase} {seconds:.2f}' for phase, seconds in phases.items())})"
        )
    for what, found in (
        ("the old one reads as stopped", [run.fenced for run in series.of(None) if run.asked is None]),
        ("an operator is called", [run.asked for run in series.of(None)]),
        ("from the operator's order to service", [run.ordered for run in series.of(None)]),
    ):
        if known := [seconds for seconds in found if seconds is not None]:
            yield f"  {what}: {min(known):.1f} to {max(known):.1f} s"
    for kind in series.kinds:
        without = series.felt(kind, "without")
        if without and (len(series.kinds) > 1 or series.loss == Loss.SWITCHOVER):
            yield f"  the client that {kind}: without service for {min(without):.2f} to {max(without):.2f} s"
    yield from (f"  NOT AS IT SHOULD BE: {why}" for why in series.troubles)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
