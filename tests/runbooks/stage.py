"""A pair in trouble, and an operator at a terminal: the simulated masters, agents and watches with the emulated cloud
behind HTTP, on which the real command line looks and orders.

The world's virtual time is the emulated calendar's, so that what the operator's commands read is as old as it looks.
"""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from Tea.exceptions import TeaException

from shared.domain.errors import Forbidden
from shared.domain.failover_fsm import State
from shared.domain.ids import Epoch, HolderId, SiteName
from shared.ports.names import NameRecord, Names
from shared.state.decisions import Decisions
from shared.state.heartbeats import Heartbeat, Heartbeats
from shared.usecases.failover.watch import Ports
from shared.wiring import command as wired_command
from shared.wiring import foundation
from tests.runbooks.aliyun import aliyun
from tests.runbooks.book import Procedure, filled
from tests.simulation.failover_world import ADDRESS, INSTANCE, FailoverWorld, TruthStore
from tests.simulation.over_http import Wire, wire
from tests.simulation.pair_world import PAIR, H, I
from tests.simulation.world import Faults, Process, ProcessClock, World
from tests.wirings import forget
from understudy.agent.record import Record, Tell
from understudy.cli.main import main
from understudy.simulation.functions import InProcessFunctions
from understudy.simulation.instances import InProcessInstances

BETWEEN = 12.0
"""Seconds that an operator takes from one command to the next, and that watches need to follow it."""
SETTLES = 60.0
RESTS = {State.WATCHING, State.REPROTECTING}
BAD_INPUT = 2


@dataclass(frozen=True, slots=True)
class Ended:
    command: list[str]
    code: int
    out: str
    err: str

    @property
    def said(self) -> str:
        return " ".join((self.out + self.err).split())


class OnTime:
    """The name service, with the calendar put forward to the moment of each change, which its trail will tell."""

    def __init__(self, stage: "Stage", names: Names) -> None:
        self._stage, self._names = stage, names

    def __getattr__(self, name: str) -> Any:
        if name in ("rebind", "retime", "remark"):
            self._stage.sync()
        return getattr(self._names, name)


class Changing:
    """What watches may change of instances, at the emulator's, with the calendar at the moment of each call."""

    def __init__(self, pair: "StagedWorld", process: Process) -> None:
        self._pair, self._process = pair, process
        self._instances = InProcessInstances(pair.cloud)

    def __getattr__(self, name: str) -> Any:
        def call(*words: Any, **more: Any) -> Any:
            self._pair.world.wait(self._process, 0.01)
            if name in self._pair.stage.may_not:
                raise Forbidden(f"function watch may not {name} an instance")
            self._pair.stage.sync()
            return self._pair.in_cloud(lambda: getattr(self._instances, name)(*words, **more))

        return call


class StagedWorld(FailoverWorld):
    stage: "Stage"

    def ports(self, process: Process, site: SiteName, **more: Any) -> Ports:
        return replace(super().ports(process, site, **more), instances=Changing(self, process))

    def names_of_the_cloud(self) -> Names:
        return OnTime(self.stage, super().names_of_the_cloud())

    def tells(self, unit: SiteName, clock: ProcessClock) -> Tell:
        record = Record(
            Decisions(TruthStore(self.rows)), pair=PAIR, site=unit, holder=HolderId(unit), run="agent", clock=clock
        )

        def tell(event: str, epoch: Epoch, because: str, began: datetime | None) -> None:
            record.tell(event, epoch, because, began)
            record.write()

        return tell


@dataclass
class Stage:
    wired: Wire
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    block: float = 0.0
    watches: tuple[SiteName, ...] = (I,)
    rules: Mapping[str, Any] = field(default_factory=dict)  # of the pair, other than usual
    may_not: set[str] = field(default_factory=set)  # what watches are refused of instances
    transcript: list[Ended] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.world = World(1, Faults.none())
        self.pair = StagedWorld(
            self.world,
            restarts=0.0,
            wire=self.wired,
            block=timedelta(seconds=self.block),
            agreed=lambda pair: replace(pair, **self.rules),
        )
        self.pair.stage = self
        self.pair.open(watches=self.watches)

    # --- time ---

    def run(self, seconds: float) -> None:
        self.world.run(seconds)
        self.sync()
        self.beat()

    def run_until(self, reached: Callable[[], bool], *, within: float = SETTLES) -> None:
        end = self.world.now + within
        while not reached() and self.world.now < end:
            self.run(1.0)

    def sync(self) -> None:
        behind = self.pair.now() - self.wired.local.run(self.wired.cloud.clock.now)
        if behind > timedelta(0):
            self.wired.local.advance(behind.total_seconds())

    def beat(self) -> None:
        """What the agents that live and reach the store would have written by now."""
        store = Heartbeats(TruthStore(self.pair.rows))
        for site in (H, I):
            if site in self.pair.dark or self.pair.gone(site) or site not in self.pair.holders:
                continue
            holder = self.pair.holders[site]
            store.beat(
                PAIR,
                Heartbeat(
                    site=site,
                    sequence=int(self.world.now),
                    run="agent",
                    at=self.pair.now(),
                    active=site in self.pair.active(),
                    epoch=holder.grant.epoch,
                    address=ADDRESS[site],
                    ready=self.pair.ready(site),
                    lag_s=None if site not in self.pair.lags else self.pair.lags[site].total_seconds(),
                    lag_age_s=0.0 if site in self.pair.lags else None,
                ),
            )

    # --- the operator ---

    def understudy(self, *words: str) -> Ended:
        self.monkeypatch.setattr(sys, "argv", ["understudy", *words])
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = self.capsys.readouterr()
        self.transcript.append(Ended(["understudy", *words], int(ended.value.code or 0), shown.out, shown.err))
        return self.transcript[-1]

    def follow(self, procedure: Procedure, **words: str) -> Ended:
        """Every command, with the time that it takes to type the next. What the last one said."""
        assert procedure.lines, f"{procedure.name} has no command"
        for line in procedure.lines:
            self.do(filled(line, {**self._words(), **words}))
            self.run(BETWEEN)
        return self.transcript[-1]

    def _words(self) -> dict[str, str]:
        """What the operator reads off `understudy name show` and the answers of the cloud, as it stands now."""
        return {
            "PAIR": str(PAIR),
            "ZONE": self._zone_id(),
            "ZONE_NAME": "corp.example",
            "HOST": "master",
            "RECORD": self._record_id(),
            "TTL": "5",
            "SERVICE": "region-master",
        }

    def do(self, command: Sequence[str]) -> None:
        kind, *words = command
        if kind == "understudy":
            ended = self.understudy(*words)
            assert ended.code != BAD_INPUT, f"{' '.join(command)}: {ended.err}"
        elif kind == "aliyun":
            try:
                answer = aliyun(words, url=self.wired.local.url, key=self.wired.local.access_key)
            except TeaException as refusal:
                raise AssertionError(f"{' '.join(command)}: {refusal}") from refusal
            self.transcript.append(Ended(list(command), 0, json.dumps(answer["body"]), ""))
        elif kind == "ssh":
            self._on_master(*words)
        else:
            raise AssertionError(f"nobody knows how to run: {' '.join(command)}")

    def _on_master(self, master: str, *words: str) -> None:
        site = next(site for site, instance in INSTANCE.items() if instance == master)
        what = " ".join(word for word in words if word != "sudo")
        if what == "systemctl start understudy-agent":
            self.pair.dead.discard(site)
        elif what == "systemctl stop understudy-agent":
            self.pair.dead.add(site)
        elif what == "systemctl start region-master":
            self.pair.unready.discard(site)
        else:
            raise AssertionError(f"nobody knows how to run on {site}: {what}")
        self.transcript.append(Ended(["ssh", master, *words], 0, "", ""))

    # --- what stands ---

    def records(self) -> list[NameRecord]:
        zones = [one for one in self.wired.cloud.pvtz.zones.values() if one.name == "corp.example"]
        found = [record for zone in zones for record in zone.records.values() if record.rr == "master"]
        return sorted(
            (
                NameRecord(
                    record_id=str(one.id),
                    zone="corp.example",
                    host=one.rr,
                    type=one.type,
                    value=one.value,
                    ttl_seconds=one.ttl,
                    enabled=one.status == "ENABLE",
                    remark=one.remark,
                )
                for one in found
            ),
            key=lambda one: int(one.record_id),
        )

    def _zone_id(self) -> str:
        return next((zone.id for zone in self.wired.cloud.pvtz.zones.values() if zone.name == "corp.example"), "")

    def _record_id(self) -> str:
        """That which stands in the way: the newest."""
        return max((one.record_id for one in self.records()), key=int, default="")

    def serves(self, site: SiteName) -> bool:
        """It accepts commands, the name leads there, and nobody is asked for."""
        values = [(one.value, one.enabled) for one in self.records()]
        rests = self.pair.failover().state in RESTS
        return self.pair.active() == {site} and values == [(ADDRESS[site], True)] and rests

    def told(self) -> str:
        return "\n".join(f"$ {' '.join(one.command)}\n{one.out}{one.err}" for one in self.transcript)


@contextmanager
def staged(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **more: Any) -> Iterator[Stage]:
    with wire() as wired:
        key, secret = wired.local.access_key[:2]
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALIBABA_CLOUD_SECURITY_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        for name, value in {
            "UNDERSTUDY_REGION": "cn-hangzhou",
            "UNDERSTUDY_OTS_INSTANCE": wired.local.ots_instance,
            "UNDERSTUDY_ENDPOINT": wired.local.url,
            "UNDERSTUDY_CLOCK": f"{wired.local.url}/_emulator/clock",
            "ALIBABA_CLOUD_ACCESS_KEY_ID": key,
            "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret,
        }.items():
            monkeypatch.setenv(name, value)
        forget()
        functions = InProcessFunctions(_commands)
        monkeypatch.setattr(foundation, "functions", lambda: functions)
        monkeypatch.setattr(wired_command, "functions", lambda: functions)
        stage = Stage(wired, monkeypatch, capsys, **more)
        try:
            yield stage
        finally:
            stage.world.end()
            forget()


def _commands(name: str, payload: bytes) -> bytes:
    """Function `command` as it is deployed."""
    assert name == "command", f"nothing answers for function {name} here"
    foundation.clock().sync()
    return json.dumps(wired_command.command().run(json.loads(payload), run="test")).encode()
