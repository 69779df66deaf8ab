"""One run: a local cloud of its own, the demo's topology, real SDKs over real sockets, real seconds.

A fresh cloud for each costs about seven seconds before the loss, of which three are a watch's own first looks. It buys
independence: no run meets a block, an epoch or a record that another has left behind.
"""

import os
import signal
import subprocess
import tempfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import UTC, timedelta
from functools import partial
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.failover_policy import Terms, written
from bench.failover_series import Felt, Run
from shared.adapters.chance import Seeded, token
from shared.adapters.clock import SystemClock
from shared.domain.errors import DrError
from shared.domain.failover_fsm import State
from shared.domain.ids import PolicyVersion
from shared.state.journal import POINTERS, Journal
from shared.state.leases import Leases
from shared.usecases.requests import BackUpRequest
from understudy.checker import Unreadable
from understudy.demo import act3
from understudy.demo.clients import Gap
from understudy.demo.crowd import CACHES, HONOURS, RESOLVES
from understudy.demo.local_cloud import CloudDied
from understudy.demo.losses import OLD, Loss
from understudy.demo.narrator import Narrator
from understudy.demo.promises import Promises
from understudy.demo.stage import NotInTime, Stage
from understudy.demo.verdicts import Result, judge

KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "resolving": (RESOLVES,),
    "ttl": (RESOLVES, HONOURS),
    "cached-30s": (RESOLVES, CACHES),
    "all": (RESOLVES, HONOURS, CACHES),
}
AGO: Final = timedelta(minutes=5)  # operations that were to begin so long ago are overdue: the next tick takes them up
WRITERS: Final = 4
PATIENCE: Final = 150.0  # seconds after the loss: a stop that is waited for in vain, and an operator's order
FAR: Final = 300.0  # seconds: a limit that no run reaches; the series have limits of their own


@dataclass(frozen=True, kw_only=True)
class Setting:
    loss: Loss
    terms: Terms = Terms.FAST
    clients: str = "resolving"
    agentless: bool = False
    alarm: bool = False  # no timer: only the event of the failed machine starts the watches
    load: int = 0  # open backup operations


def measured(setting: Setting, number: int) -> Run:
    """One run; what kept it from being measured is in its record."""
    clock = SystemClock()
    began = clock.monotonic()
    try:
        run = _once(setting, number, clock)
    except (
        CloudDied,
        NotInTime,
        Unreadable,
        DrError,
        OSError,
        KeyError,
        ValueError,
        subprocess.SubprocessError,
    ) as error:
        first = (str(error).splitlines() or [""])[0]
        run = Run(number=number, load=setting.load, failed=f"{type(error).__name__}: {first}")
    return replace(run, took=clock.monotonic() - began)


def _once(setting: Setting, number: int, clock: SystemClock) -> Run:
    promises, work, operator = Promises(), BackgroundWork(setting.load), Operator(clock)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="understudy-bench-")))
        policy = written(folder, setting.terms, agentless=setting.agentless)
        stage = stack.enter_context(
            Stage.opened(
                folder / "cloud",
                narrator=Narrator(Console(quiet=True)),
                promises=promises,
                clock=clock,
                seed=number,
                policy_at=policy,
            )
        )
        stage.prepare()
        start = start_without_timers if setting.alarm else act3.start_watching
        result = act3.play(
            stage,
            setting.loss,
            kinds=KINDS[setting.clients],
            luck=Seeded(number),
            start=partial(_with_work, work, start),
            meanwhile=operator.look,
            patience=PATIENCE,
            stay=act3.TIME_FOR_HARM,
        )
        judge(stage, result, limit=FAR)
        run = _record(result, promises, number=number, load=setting.load, worked=work.done(stage))
        if not setting.agentless:
            return run
        fenced = sum(result.phases.get(phase, 0.0) for phase in ("detect", "decide", "fence"))
        return replace(run, fenced=fenced if result.phases else None, asked=operator.asked, ordered=operator.took(run))


def start_without_timers(stage: Stage) -> None:
    """Nobody watches. Time flows, and the masters' agents have made the pair's first lease by themselves."""
    stage.cloud.flow(1)
    stage.wait_for("an active master", lambda: stage.master_status(OLD).get("active") is True, seconds=15)


def _with_work(work: "BackgroundWork", start: act3.Start, stage: Stage) -> None:
    work.begin(stage)
    start(stage)
    if stage.policy.pairs[0].agents:  # pledges are on: the lease may live on the other agent's word
        stage.wait_for("the standby to be a voice of the lease", partial(_has_voices, stage), seconds=30)
    work.go_on(stage)


def _has_voices(stage: Stage) -> bool:
    lease = Leases(stage.view.store, tokens=token).read(stage.policy.pairs[0].name)
    return lease is not None and bool(lease.voices)


class Operator:
    """Called where a dark zone hides a master without an agent: has somebody inside end it, and then says so."""

    def __init__(self, clock: SystemClock) -> None:
        self.asked: float | None = None  # seconds after the loss
        self._clock, self._at = clock, 0.0

    def look(self, stage: Stage, seconds: float) -> None:
        if self.asked is not None or stage.failover().state is not State.NEEDS_OPERATOR:
            return
        self.asked = seconds
        os.kill(int(stage.master_status(OLD)["pid"]), signal.SIGKILL)
        pair = stage.policy.pairs[0].name
        order = {
            "command": "failover", "pair": pair, "to": act3.STANDBY, "force": ["fence"], "confirm": pair,
            "at": f"{stage.cloud.now().astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}", "because": "it was seen to be off",
        }  # fmt: skip
        began = self._clock.monotonic()
        stage.invoke("command", order)
        self._at = seconds + self._clock.monotonic() - began

    def took(self, run: Run) -> float | None:
        """Seconds from the order to service."""
        return None if self.asked is None or run.first_good is None else run.first_good - self._at


class BackgroundWork:
    """So many open backup operations in the store, and the backup function at work on them, one after the other, as
    its timer has it. None with a load of 0."""

    def __init__(self, load: int) -> None:
        self._load = load
        self._before = 0

    def begin(self, stage: Stage) -> None:
        if not self._load:
            return
        now = stage.cloud.now()
        journal = Journal(stage.view.store, stage.clock)

        def opened(number: int) -> None:
            request = BackUpRequest(
                protection="applications", schedule="hourly", due=now - AGO - timedelta(seconds=number)
            )
            journal.open(request.operation(policy=PolicyVersion(1), now=now - AGO, because="the bench's load"))

        with ThreadPoolExecutor(WRITERS) as writers:
            for _ in writers.map(opened, range(self._load)):
                pass

    def go_on(self, stage: Stage) -> None:
        """Time flows by now: the function's own time-outs count."""
        if not self._load:
            return
        stage.view.functions.invoke_async("backup", b'{"job": "backup"}')
        stage.wait_for("the backup function to be at work", lambda: self._calls(stage) > 0, seconds=30)
        self._before = self._calls(stage)

    def done(self, stage: Stage) -> int:
        """Snapshots asked for since the watches have begun. Raises NotInTime when the load was not there all along."""
        if not self._load:
            return 0
        left, calls = sum(1 for _ in stage.view.store.scan(POINTERS, ())), self._calls(stage) - self._before
        if left < self._load or not calls:
            raise NotInTime(f"only {left} of {self._load} operations were open at the end, {calls} snapshots meanwhile")
        return calls

    def _calls(self, stage: Stage) -> int:
        totals: dict[str, int] = stage.cloud.ask("GET", "requests/totals")
        return sum(count for name, count in totals.items() if "CreateSnapshot" in name)


def _record(result: Result, promises: Promises, *, number: int, load: int, worked: int) -> Run:
    return Run(
        number=number,
        load=load,
        first_good=result.first_good,
        phases=result.phases,
        clients={gap.kind: _felt(gap) for gap in result.gaps},
        epochs=(result.epoch_before, result.epoch_after),
        voices=result.voices,
        silence=result.silence_between,
        accepted=result.accepted,
        overlaps=tuple(result.violations),
        broken=tuple(f"{promise.text}: {promise.evidence}" for promise in promises.broken),
        worked=worked,
    )


def _felt(gap: Gap) -> Felt:
    return Felt(
        served_again=gap.first_served_again,
        cached=gap.cached,
        without=gap.without,
        refused=gap.refused,
        refused_for=gap.refused_for,
        lost=gap.lost,
    )
