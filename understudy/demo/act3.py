"""Act 3, in real seconds: the active master is lost, and the standby goes on.

The loss is chosen by `Loss`: a whole zone falls silent (the demo), or the agent, or agent and master, are killed or
stopped (the variants of `bench/failover.py`). In every case somebody inside the lost zone goes on sending commands
straight to the old master: whether it still accepts them is what the checker looks at.

The clients start before anything else, so that the addresses that they believe at the loss are as old as they would be
on any day, and the one that caches for 30 s need not be waited for from the loss on.
"""

import contextlib
import os
import signal
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from http import HTTPStatus
from typing import Any, Final

from shared.domain.decision import Decision
from shared.domain.objectives import FAILOVER_PHASES
from shared.state.failovers import Failover
from understudy.agent.client import boottime
from understudy.demo.clients import Client, Gap, Resolver, gap_of, steady
from understudy.demo.stage import MASTER_PORT, WATCHES, Stage

STANDBY = "hz-i"
ACTIVE_ZONE = "cn-hangzhou-h"
OLD, NEW = "i-master-h", "i-master-i"
RESOLVES: Final = "resolves each time"
CACHES: Final = "caches 30 s"
LIMIT = 12.0  # seconds
STEADY = 2.5  # seconds for which everybody is served before the loss
WATCHED = timedelta(seconds=3)  # the loss does not meet a watch that has just been started
NEXT_TICK = 75.0  # seconds: a watch that dies comes back with its next minute, and takes a moment to start
PATIENCE = NEXT_TICK + 15.0  # seconds after the loss: for the watches' next minute and a whole lease
LOOK_EVERY = timedelta(milliseconds=200)
SETTLED = 0.4  # seconds after which nothing older can still come in: the story is told in order
TIME_FOR_HARM = timedelta(seconds=1.5)  # around the moment in which what was stopped runs again


class Loss(StrEnum):
    ZONE_SILENT = "zone-silent"
    HOST_KILLED = "host-killed"  # the machine stops dead, and its address is silent
    MASTER_KILLED = "master-killed"  # its agent lives, sees it and gives the lease back
    AGENT_KILLED = "agent-killed"
    AGENT_STOPPED = "agent-stopped"
    BOTH_STOPPED = "both-stopped"  # agent and master stopped, and continued after the take-over


DEAD: Final = frozenset({Loss.HOST_KILLED, Loss.MASTER_KILLED})
"""Losses that leave no old master: nobody is there who could refuse, or accept."""
WORDS = {
    Loss.ZONE_SILENT: "zone H falls silent: nothing gets in or out, nothing is refused",
    Loss.HOST_KILLED: "the active master's host dies: its address is silent",
    Loss.MASTER_KILLED: "the active master's process is killed; its agent lives",
    Loss.AGENT_KILLED: "the active master's agent is killed",
    Loss.AGENT_STOPPED: "the active master's agent is stopped (SIGSTOP)",
    Loss.BOTH_STOPPED: "agent and master of the active site are stopped (SIGSTOP)",
}


@dataclass(kw_only=True)
class Result:
    loss: Loss
    gaps: list[Gap] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)  # seconds
    decisions: list[tuple[float, str]] = field(default_factory=list)  # seconds after the loss, sentence
    epoch_before: int = 0
    epoch_after: int = 0
    accepted: int = 0  # commands that the checker looked at
    violations: list[str] = field(default_factory=list)
    reigns: list[str] = field(default_factory=list)
    silence_between: float | None = None  # seconds between the last command of the old reign and the first of the new
    names: list[tuple[str, str]] = field(default_factory=list)  # value and remark of each record
    inside_last_accepted: float | None = None  # seconds after the loss
    inside_accepted: int = 0  # sent after the loss was complete, and accepted
    inside_refused: int = 0  # answered with a refusal
    inside_unanswered: int = 0
    continued_refused: int | None = None  # of these, after what was stopped ran again
    continued_accepted: int = 0  # must stay 0

    @property
    def first_good(self) -> float | None:
        """Seconds from loss to the first good answer of the client that resolves each time."""
        return next((gap.first_served_again for gap in self.gaps if gap.kind == RESOLVES), None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "first_good_seconds": self.first_good, "words": WORDS[self.loss]}


@dataclass(frozen=True, kw_only=True)
class Crowd:
    outside: list[Client]
    inside: Client  # in the lost zone, beside the old master

    @property
    def all(self) -> list[Client]:
        return [*self.outside, self.inside]


@contextlib.contextmanager
def clients(stage: Stage, *, caching: bool) -> Iterator[Crowd]:
    """Already sending; stopped at the end. Without `caching` ones only the client that resolves each time comes."""
    server, name, clock = stage.cloud.at.dns, "master.corp.example", stage.clock

    def made(kind: str, *, hold: float | None = None, fixed: str | None = None) -> Client:
        resolver = None if fixed else Resolver(server, name, hold, clock)
        return Client(kind, resolver=resolver, fixed=fixed, port=MASTER_PORT, clock=clock)

    outside = [made(RESOLVES, hold=0.0)]
    if caching:
        outside += [made("honours the TTL (5 s)"), made(CACHES, hold=30.0)]
    crowd = Crowd(outside=outside, inside=made("inside the lost zone", fixed=stage.inside_address(OLD)))
    for client in crowd.all:
        client.start()
    try:
        yield crowd
    finally:
        for client in crowd.all:
            client.stop()
        for client in crowd.all:
            client.join(3)


class Cause:
    """The loss itself. `undo` lets what was stopped run again: the most dangerous moment of all."""

    def __init__(self, stage: Stage, loss: Loss) -> None:
        """Nothing is lost before `strike`."""
        self.loss, self._stage = loss, stage
        self._stopped: tuple[int, ...] = ()
        status = stage.master_status(OLD)
        self._master, self._agent = int(status["pid"]), int(status["agent_pid"])

    def strike(self) -> None:
        match self.loss:
            case Loss.ZONE_SILENT:
                self._stage.cloud.darken(ACTIVE_ZONE)
            case Loss.HOST_KILLED:
                self._stage.cloud.ask("POST", f"instances/{OLD}/fail", {"recovers": False})
            case Loss.MASTER_KILLED:
                os.kill(self._master, signal.SIGKILL)
            case Loss.AGENT_KILLED:
                os.kill(self._agent, signal.SIGKILL)
            case Loss.AGENT_STOPPED:
                self._stop(self._agent)
            case Loss.BOTH_STOPPED:
                self._stop(self._agent, self._master)

    @property
    def undoable(self) -> bool:
        return bool(self._stopped)

    def _stop(self, *pids: int) -> None:
        self._stopped = pids
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)

    def undo(self) -> None:
        for pid in reversed(self._stopped):  # the master first: its agent has not yet told it that it lost
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped = ()


def start_watching(stage: Stage) -> None:
    """Let time flow from just before the watch timers' first minute, so that they fire at once."""
    for function in WATCHES:
        stage.cloud.enable(function, "every-minute", True)
    stage.cloud.jump(timedelta(seconds=58.8))
    stage.cloud.flow(1)
    stage.wait_for("both watch functions", lambda: all(map(stage.looping, WATCHES)), seconds=NEXT_TICK)
    stage.wait_for("an active master", lambda: stage.master_status(OLD).get("active") is True, seconds=15)


def play(stage: Stage, loss: Loss = Loss.ZONE_SILENT, *, caching: bool = True) -> Result:
    """The whole act. Without `caching` clients it ends as soon as the one that resolves each time is back."""
    result = Result(loss=loss)
    with clients(stage, caching=caching) as crowd:
        start_watching(stage)
        result.epoch_before = int(stage.master_status(OLD)["epoch"])
        stage.clock.sleep(WATCHED)
        stage.wait_for("every client to be served without a miss", lambda: _all_steady(stage, crowd), seconds=30)
        cause = Cause(stage, loss)
        wall, boot, at = stage.cloud.now(), boottime(), stage.clock.monotonic()
        cause.strike()
        struck = stage.clock.monotonic()
        told = Telling(stage, crowd, at=at, wall=wall)
        told.line(0.0, f"[bold red]{WORDS[loss]}[/]")
        for gap in told.gaps():
            if gap.kind == CACHES and gap.cached is not None:
                told.line(0.0, f"[dim]the client that {CACHES} holds an answer that is {gap.cached:.1f} s old[/]")
        continued: float | None = None
        try:
            while stage.clock.monotonic() - at < PATIENCE:
                if continued is None and cause.undoable and told.is_back(RESOLVES):
                    stage.clock.sleep(TIME_FOR_HARM)
                    continued = stage.clock.monotonic()
                    told.soon(continued - at, "[bold yellow]what was stopped is continued[/], and is asked at once")
                    cause.undo()
                if told.everybody_back() and (continued is None or _refusals(crowd.inside, since=continued)):
                    break
                stage.clock.sleep(LOOK_EVERY)
                told.look()
        finally:
            cause.undo()
        if continued is not None:
            stage.clock.sleep(TIME_FOR_HARM)
            result.continued_refused = _refusals(crowd.inside, since=continued)
            result.continued_accepted = sum(o.served for o in crowd.inside.outcomes if o.at > continued)
        told.look(last=True)
    result.gaps, result.decisions = told.gaps(), told.decisions
    _count_inside(result, crowd.inside, loss=at, struck=struck)
    _read_evidence(stage, result, loss=boot, wall=wall)
    return result


def _all_steady(stage: Stage, crowd: Crowd) -> bool:
    now = stage.clock.monotonic()
    return all(steady(client, now=now, seconds=STEADY) for client in crowd.all)


def _refusals(client: Client, *, since: float) -> int:
    return sum(_is_refusal(outcome.detail) for outcome in list(client.outcomes) if outcome.sent > since)


def _is_refusal(detail: str) -> bool:
    return detail == str(int(HTTPStatus.SERVICE_UNAVAILABLE))


def _count_inside(result: Result, inside: Client, *, loss: float, struck: float) -> None:
    after = [o for o in inside.outcomes if o.sent >= loss]
    result.inside_last_accepted = max((o.at - loss for o in inside.outcomes if o.served), default=None)
    result.inside_refused = _refusals(inside, since=loss)
    result.inside_accepted = sum(o.served for o in inside.outcomes if o.sent >= struck)
    result.inside_unanswered = sum(not o.served and not _is_refusal(o.detail) for o in after)


def _read_evidence(stage: Stage, result: Result, *, loss: float, wall: datetime) -> None:
    """`loss` on the clock of the accept logs, `wall` on the cloud's."""
    failover = stage.failover()
    result.epoch_after = int(failover.epoch or 0)
    result.phases = phases_of(failover, loss=wall, first_good=result.first_good)
    proof = stage.prove()
    result.accepted, result.violations = proof.accepted, proof.violations
    result.reigns = [
        f"epoch {reign.epoch}: {reign.site} accepted {reign.accepted} commands "
        f"from {_seconds(reign.first.at - loss)} s to {_seconds(reign.last.at - loss)} s"
        for reign in proof.reigns
    ]
    result.silence_between = proof.gaps[-1] if proof.gaps else None
    result.names = stage.name_values()


def phases_of(failover: Failover, *, loss: datetime, first_good: float | None) -> dict[str, float]:
    """From the loss to the first good answer: the driver's own durations, but `detect` counts from the loss (the driver
    can only count from its last good sight) and `serve` up to what the client felt. A client may be served while the
    record is still being read back: what comes after its answer is in no phase. Their sum is `first_good`. Empty
    without a failover, or without an answer."""
    if "detect" not in failover.ended or failover.ended["detect"] < loss or first_good is None:
        return {}
    left, known = first_good, {}
    for phase in FAILOVER_PHASES[:-1]:
        spent = failover.seconds.get(phase, 0.0)
        if phase == "detect":
            spent = (failover.ended["detect"] - loss).total_seconds()
        known[phase] = min(spent, left)
        left -= known[phase]
    return {**known, FAILOVER_PHASES[-1]: left}


class Telling:
    """Tells the act while it happens: what was decided, and who is served again, in the order of time."""

    def __init__(self, stage: Stage, crowd: Crowd, *, at: float, wall: datetime) -> None:
        """`at` and `wall`: the loss on the monotonic and on the cloud's clock."""
        self.at = at
        self.decisions: list[tuple[float, str]] = []
        self._stage, self._crowd, self._wall = stage, crowd, wall
        self._known: set[str] = set()
        self._pending: list[tuple[float, str]] = []

    def gaps(self) -> list[Gap]:
        return [gap_of(client, loss=self.at, standby=STANDBY) for client in self._crowd.outside]

    def is_back(self, kind: str) -> bool:
        return any(gap.kind == kind and gap.first_served_again is not None for gap in self.gaps())

    def everybody_back(self) -> bool:
        return all(gap.first_served_again is not None for gap in self.gaps())

    def soon(self, seconds: float, text: str) -> None:
        """In its turn."""
        self._pending.append((seconds, text))

    def line(self, seconds: float, text: str) -> None:
        self._stage.narrator.event(f"{seconds:.1f} s", text)

    def look(self, *, last: bool = False) -> None:
        for gap in self.gaps():
            if gap.first_served_again is not None and gap.kind not in self._known:
                self._known.add(gap.kind)
                text = f"[bold green]served by the standby:[/] the client that {gap.kind}"
                self._pending.append((gap.first_served_again, text))
        for decision in self._stage.decisions.of(self._stage.policy.pairs[0].name, newest=12):
            key = f"{decision.at.isoformat()} {decision.event}"
            if decision.at >= self._wall and key not in self._known and (sentence := sentence_of(decision)):
                self._known.add(key)
                self._decided((decision.at - self._wall).total_seconds(), sentence)
        now = self._stage.clock.monotonic() - self.at
        ready = [line for line in self._pending if last or line[0] <= now - SETTLED]
        for seconds, text in sorted(ready):
            self.line(seconds, text)
        self._pending = [line for line in self._pending if line not in ready]

    def _decided(self, seconds: float, sentence: str) -> None:
        self.decisions.append((seconds, sentence))
        self.decisions.sort()
        word, _, why = sentence.partition(": ")
        if word == "held back" and any(why in said or said.startswith("confirmed") for _, said in self.decisions[:-1]):
            return  # the other site's watch says the same, or looks back at what is over
        self._pending.append((seconds, f"[bold]{word}:[/] {why}"))


_VERBS: Final = {
    "failover.suspecting": "suspected",
    "failover.decided": "decided",
    "failover.promoting": "fenced",
    "failover.rebinding": "promoted",
    "failover.confirming": "rebound",
}


def sentence_of(decision: Decision) -> str:
    """What was decided, as one sentence with its reason; empty for what only repeats another one."""
    if not decision.acted and decision.event in ("failover.withheld", "failover.not_needed"):
        return f"held back: {decision.because[0]}"
    why = decision.because[1] if len(decision.because) > 1 else decision.because[0]  # the first is the table's own
    if decision.event == "failover.completed" or not decision.event.startswith("failover."):
        return ""
    if decision.event == "failover.confirming":
        return "rebound: one update of the one record, and it reads back"
    if decision.event == "failover.watching":
        return f"confirmed: {why}" if decision.inputs.get("on") == "confirmed" else f"all is well again: {why}"
    return f"{_VERBS.get(decision.event, decision.event)}: {why}"


def tell(stage: Stage, result: Result) -> None:
    """Show what was measured, and judge it."""
    narrator = stage.narrator
    narrator.table(
        "As clients felt it, in seconds from the loss",
        ("client", "cached for", "last served", "served again", "lost"),
        [
            (g.kind, _seconds(g.cached), _seconds(g.last_served), _seconds(g.first_served_again), g.lost)
            for g in result.gaps
        ],
    )
    total = sum(result.phases.values())
    narrator.table(
        "RTO by phase, from the loss to the first good answer",
        ("phase", "seconds"),
        [*((name, f"{seconds:.2f}") for name, seconds in result.phases.items()), ("total", f"{total:.2f}")],
    )
    judge(stage, result)
    stage.report["act3"] = result.to_json()


def judge(stage: Stage, result: Result) -> None:
    check = stage.promises.check
    first = result.first_good
    check(
        f"the client that {RESOLVES} is served within {LIMIT:g} s of the loss",
        first is not None and first <= LIMIT,
        "never" if first is None else f"after {first:.1f} s",
    )
    back = sum(g.first_served_again is not None for g in result.gaps)
    check("every client came back", back == len(result.gaps), f"{back} of {len(result.gaps)} clients")
    check(
        "never two active, proved from the masters' own accept logs",
        not result.violations and result.accepted > 0,
        "\n".join(result.violations or _reigns(result)),
    )
    inside = (
        f"last accepted {_seconds(result.inside_last_accepted)} s after the loss, "
        f"then {result.inside_refused} refused, {result.inside_unanswered} unanswered"
    )
    if result.loss in DEAD:
        alone = result.inside_accepted == 0 and result.inside_unanswered > 0
        check("nobody answered in the dead master's place", alone, inside)
    else:
        check("the old master refused by itself what came from inside its zone", result.inside_refused > 0, inside)
    if result.continued_refused is not None:
        check(
            "what was stopped and continued found by itself that its time was over",
            result.continued_refused > 0 and result.continued_accepted == 0 and not result.violations,
            f"since then {result.continued_refused} commands refused, {result.continued_accepted} accepted",
        )
    check(
        "one record, bound to the standby, under the new epoch",
        [value for value, _ in result.names] == [stage.address(NEW)] and result.epoch_after == result.epoch_before + 1,
        f"{', '.join(f'{value} ({remark})' for value, remark in result.names)}; "
        f"epoch {result.epoch_before} -> {result.epoch_after}",
    )


def _reigns(result: Result) -> list[str]:
    if result.silence_between is None:
        return result.reigns
    return [*result.reigns, f"{result.silence_between:.1f} s in between with nobody active"]


def _seconds(value: float | None) -> str:
    return "never" if value is None else f"{round(value, 1) + 0.0:.1f}"  # never "-0.0"
