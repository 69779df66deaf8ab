"""Act 3, in real seconds: the active master is lost, and the standby goes on.

The loss is chosen by `Loss`: a whole zone falls silent (the demo), or a host, a master or an agent is killed or
stopped (the variants of `bench/failover.py`). In every case somebody inside the lost zone goes on sending commands
straight to the old master: whether it still accepts them is what the checker looks at.

The clients start before anything else, so that the addresses that they believe at the loss are as old as they would be
on any day, and the one that caches for 30 s need not be waited for from the loss on.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Final

from shared.adapters.chance import Seeded, token
from shared.domain.decision import Decision
from shared.state.leases import Leases
from understudy.agent.client import boottime
from understudy.demo.clients import Gap, gap_of, steady
from understudy.demo.crowd import CACHES, HOLDS, RESOLVES, Crowd, clients
from understudy.demo.losses import OLD, WORDS, Cause, Loss
from understudy.demo.stage import WATCHES, Stage
from understudy.demo.verdicts import Result, count_inside, judge, read_evidence, refusals, shown

Start = Callable[[Stage], None]
STANDBY = "hz-i"
STEADY = 2.5  # seconds for which everybody is served before the loss
WATCHED = timedelta(seconds=3)  # the loss does not meet a watch that has just been started
NEXT_TICK = 75.0  # seconds: a watch that dies comes back with its next minute, and takes a moment to start
PATIENCE = NEXT_TICK + 15.0  # seconds after the loss: for the watches' next minute and a whole lease
LOOK_EVERY = timedelta(milliseconds=200)
SETTLED = 0.4  # seconds after which nothing older can still come in: the story is told in order
TIME_FOR_HARM = timedelta(seconds=1.5)  # around the moment in which what was stopped runs again


def start_watching(stage: Stage) -> None:
    """Let time flow from just before the watch timers' first minute, so that they fire at once."""
    for function in WATCHES:
        stage.cloud.enable(function, "every-minute", True)
    stage.cloud.jump(timedelta(seconds=58.8))
    stage.cloud.flow(1)
    wait_until_watched(stage)


def wait_until_watched(stage: Stage) -> None:
    stage.wait_for("both watch functions", lambda: all(map(stage.looping, WATCHES)), seconds=NEXT_TICK)
    stage.wait_for("an active master", lambda: stage.master_status(OLD).get("active") is True, seconds=15)


def play(
    stage: Stage,
    loss: Loss = Loss.ZONE_SILENT,
    *,
    kinds: Sequence[str] = tuple(HOLDS),
    luck: Seeded | None = None,
    start: Start = start_watching,
    meanwhile: Callable[[Stage, float], None] = lambda _stage, _seconds: None,
    patience: float = PATIENCE,
    stay: timedelta = timedelta(0),
) -> Result:
    """The whole act. It ends as soon as each of these kinds of clients is back; one must be RESOLVES. With `luck` the
    loss comes at any moment between two renewals, and clients hold answers of any age. `start` brings about a pair at
    work; `meanwhile` is called every now and then with the seconds since the loss. `stay`: how long
    everybody goes on once all are back."""
    result = Result(loss=loss, attended=stage.policy.pairs[0].agents)
    with clients(stage, kinds, luck=luck) as crowd:
        start(stage)
        result.epoch_before = int(stage.master_status(OLD)["epoch"])
        stage.clock.sleep(WATCHED)
        stage.wait_for("every client to be served without a miss", lambda: _all_steady(stage, crowd), seconds=30)
        pair = stage.policy.pairs[0]
        if luck is not None:
            stage.clock.sleep(pair.renew_every * luck.uniform(0.0, 1.0))
        lease = Leases(stage.view.store, tokens=token).read(pair.name)
        result.voices = len(lease.voices) if lease else 0
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
            while stage.clock.monotonic() - at < patience:
                if continued is None and cause.undoable and told.is_back(RESOLVES):
                    stage.clock.sleep(TIME_FOR_HARM)
                    continued = stage.clock.monotonic()
                    told.soon(continued - at, "[bold yellow]what was stopped is continued[/], and is asked at once")
                    cause.undo()
                if told.everybody_back() and (continued is None or refusals(crowd.inside, since=continued)):
                    break
                stage.clock.sleep(LOOK_EVERY)
                told.look()
                meanwhile(stage, stage.clock.monotonic() - at)
        finally:
            cause.undo()
        if continued is not None:
            stage.clock.sleep(TIME_FOR_HARM)
            result.continued_refused = refusals(crowd.inside, since=continued)
            result.continued_accepted = sum(o.served for o in crowd.inside.outcomes if o.at > continued)
        stage.clock.sleep(stay)
        told.look(last=True)
    result.gaps, result.decisions = told.gaps(), told.decisions
    count_inside(result, crowd.inside, loss=at, struck=struck)
    read_evidence(stage, result, loss=boot, wall=wall)
    return result


def _all_steady(stage: Stage, crowd: Crowd) -> bool:
    now = stage.clock.monotonic()
    return all(steady(client, now=now, seconds=STEADY) for client in crowd.all)


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
        [(g.kind, shown(g.cached), shown(g.last_served), shown(g.first_served_again), g.lost) for g in result.gaps],
    )
    total = sum(result.phases.values())
    narrator.table(
        "RTO by phase, from the loss to the first good answer",
        ("phase", "seconds"),
        [*((name, f"{seconds:.2f}") for name, seconds in result.phases.items()), ("total", f"{total:.2f}")],
    )
    judge(stage, result)
    stage.report["act3"] = result.to_json()
