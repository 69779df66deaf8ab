"""Act 3, in real seconds: the active master is lost, and the standby goes on.

The loss is chosen by `Loss`: a whole zone falls silent (the demo), or the agent, or agent and master, are killed or
stopped (the variants of `bench/failover.py`). In every case somebody inside the lost zone goes on sending commands
straight to the old master: whether it still accepts them is what the checker looks at.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from enum import StrEnum
from typing import Any

from shared.domain.objectives import FAILOVER_PHASES
from understudy.demo.clients import Client, Gap, Resolver, gap_of
from understudy.demo.stage import MASTER_PORT, WATCHES, Stage

STANDBY = "hz-i"
ACTIVE_ZONE = "cn-hangzhou-h"
LIMIT = 12.0  # seconds
STEADY = timedelta(seconds=2.5)  # everybody is served for this long before the loss


class Loss(StrEnum):
    ZONE_SILENT = "zone-silent"
    AGENT_KILLED = "agent-killed"
    AGENT_STOPPED = "agent-stopped"
    BOTH_STOPPED = "both-stopped"  # agent and master stopped, and continued after the take-over


WORDS = {
    Loss.ZONE_SILENT: "zone H falls silent: nothing gets in or out, nothing is refused",
    Loss.AGENT_KILLED: "the active master's agent is killed",
    Loss.AGENT_STOPPED: "the active master's agent is stopped (SIGSTOP)",
    Loss.BOTH_STOPPED: "agent and master are stopped (SIGSTOP), to be continued after the take-over",
}


@dataclass(kw_only=True)
class Result:
    loss: Loss
    gaps: list[Gap] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)  # seconds
    epoch_before: int = 0
    epoch_after: int = 0
    accepted: int = 0  # commands that the checker looked at
    violations: list[str] = field(default_factory=list)
    reigns: list[str] = field(default_factory=list)
    names: list[tuple[str, str]] = field(default_factory=list)  # value and remark of each record
    inside_last_accepted: float | None = None  # seconds after the loss
    inside_refused: int = 0

    @property
    def first_good(self) -> float | None:
        """Seconds from loss to the first good answer of the client that resolves each time."""
        return next((gap.first_served_again for gap in self.gaps if gap.kind == "resolves each time"), None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "first_good_seconds": self.first_good}


@contextlib.contextmanager
def clients(stage: Stage) -> Iterator[list[Client]]:
    server, name, clock = stage.cloud.at.dns, "master.corp.example", stage.clock

    def made(kind: str, *, hold: float | None = None, fixed: str | None = None) -> Client:
        resolver = None if fixed else Resolver(server, name, hold, clock)
        return Client(kind, resolver=resolver, fixed=fixed, port=MASTER_PORT, clock=clock)

    started = [
        made("resolves each time", hold=0.0),
        made("honours the TTL (5 s)"),
        made("caches 30 s", hold=30.0),
        made("inside the lost zone", fixed=stage.inside_address("i-master-h")),
    ]
    for client in started:
        client.start()
    try:
        yield started
    finally:
        for client in started:
            client.stop()
        for client in started:
            client.join(3)


def pids(stage: Stage, instance: str) -> tuple[int, int]:
    """Process ids of the master and of its agent."""
    status = stage.master_status(instance)
    return int(status["pid"]), int(status["agent_pid"])


@contextlib.contextmanager
def lost(stage: Stage, loss: Loss) -> Iterator[None]:
    """Cause the loss; on leaving the block, end it (what was stopped runs again: the most dangerous moment)."""
    if loss is Loss.ZONE_SILENT:
        stage.cloud.darken(ACTIVE_ZONE)
        yield
        return
    master, agent = pids(stage, "i-master-h")
    match loss:
        case Loss.AGENT_KILLED:
            os.kill(agent, signal.SIGKILL)
        case Loss.AGENT_STOPPED:
            os.kill(agent, signal.SIGSTOP)
        case Loss.BOTH_STOPPED:
            os.kill(agent, signal.SIGSTOP)
            os.kill(master, signal.SIGSTOP)
    yield
    for pid in (master, agent):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def start_watching(stage: Stage) -> None:
    """Let time flow from just before a full minute, so that the watch timers fire at once."""
    for function in WATCHES:
        stage.cloud.enable(function, "every-minute", True)
    now = stage.cloud.now()
    stage.cloud.jump_to(now.replace(second=0, microsecond=0) + timedelta(seconds=58.8))
    stage.cloud.flow(1)
    stage.wait_for("both watch functions", lambda: stage.running(WATCHES), seconds=15)
    stage.wait_for("an active master", lambda: stage.master_status("i-master-h").get("active") is True, seconds=15)


def play(stage: Stage, loss: Loss = Loss.ZONE_SILENT, *, patience: timedelta = timedelta(seconds=45)) -> Result:
    """The whole act; the caller has run `start_watching`."""
    result = Result(loss=loss, epoch_before=int(stage.master_status("i-master-h")["epoch"]))
    say = stage.narrator.event
    with clients(stage) as started:
        outside = started[:3]
        stage.clock.sleep(STEADY)
        stage.wait_for(
            "every client to be served", lambda: all(c.outcomes and c.outcomes[-1].served for c in started), seconds=10
        )
        with lost(stage, loss):
            at = stage.clock.monotonic()
            say("0.0 s", f"[bold red]{WORDS[loss]}[/]")
            told: set[str] = set()
            while stage.clock.monotonic() - at < patience.total_seconds():
                gaps = [gap_of(client, loss=at, standby=STANDBY) for client in outside]
                for gap in gaps:
                    if gap.first_served_again is not None and gap.kind not in told:
                        told.add(gap.kind)
                        say(
                            f"{gap.first_served_again:.1f} s",
                            f"[green]served by the standby:[/] the client that {gap.kind}",
                        )
                if all(gap.first_served_again is not None for gap in gaps):
                    break
                stage.clock.sleep(timedelta(milliseconds=50))
        stage.clock.sleep(timedelta(seconds=1.5))  # what was stopped has run again by now: time to do harm, if it can
    result.gaps = [gap_of(client, loss=at, standby=STANDBY) for client in outside]
    inside = started[3]
    result.inside_last_accepted = max((o.at - at for o in inside.outcomes if o.served), default=None)
    result.inside_refused = sum(not o.served and o.sent > at for o in inside.outcomes)
    failover = stage.failover()
    result.epoch_after = int(failover.epoch or 0)
    result.phases = {phase: failover.seconds[phase] for phase in FAILOVER_PHASES if phase in failover.seconds}
    proof = stage.prove()
    result.accepted, result.violations, result.reigns = proof.accepted, proof.violations, [str(r) for r in proof.reigns]
    result.names = stage.name_values()
    return result


def tell(stage: Stage, result: Result) -> None:
    """Show what was measured, and judge it."""
    narrator, check = stage.narrator, stage.promises.check
    narrator.table(
        "Seconds after the loss, as clients felt it",
        ("client", "last served", "served again", "requests lost"),
        [(g.kind, _seconds(g.last_served), _seconds(g.first_served_again), g.lost) for g in result.gaps],
    )
    total = sum(result.phases.values())
    narrator.table(
        "RTO of the failover by phase, as the driver measured it",
        ("phase", "seconds"),
        [*((name, f"{seconds:.2f}") for name, seconds in result.phases.items()), ("total", f"{total:.2f}")],
    )
    first = result.first_good
    check(
        "the client that resolves each time is served within 12 s of the loss",
        first is not None and first <= LIMIT,
        f"after {_seconds(first)} s",
    )
    back = sum(g.first_served_again is not None for g in result.gaps)
    check("every client came back", back == len(result.gaps), f"{back} of {len(result.gaps)} clients")
    check(
        "never two active: proved from the masters' own accept logs",
        not result.violations and len(result.reigns) >= 2 and result.accepted > 0,
        "; ".join(result.violations or result.reigns),
    )
    check(
        "the old master refused by itself what came from inside its zone",
        result.inside_refused > 0,
        f"last accepted {_seconds(result.inside_last_accepted)} s after the loss, "
        f"then {result.inside_refused} refused or unanswered",
    )
    check(
        "one record, bound to the standby, under the new epoch",
        [value for value, _ in result.names] == [stage.address("i-master-i")]
        and result.epoch_after == result.epoch_before + 1,
        f"{result.names}, epoch {result.epoch_before} -> {result.epoch_after}",
    )
    stage.report["act3"] = result.to_json()


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{value:.1f}"
