"""An agent that has lost a thread, or whose renewing thread hangs, does not go on saying that it is ready."""

import logging
import threading
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import Permanent
from shared.domain.ids import PairName
from shared.state.heartbeats import Heartbeat, Heartbeats
from tests.agent.conftest import wait_for
from tests.agent.systemd_socket import Systemd
from tests.agent.test_holder import PAIR, TERMS, H, Hands, Table
from tests.simulation.failover_world import TruthStore
from understudy.agent.config import Identity
from understudy.agent.notify import Notify
from understudy.agent.process import Agent

Start = Callable[..., Agent]


class NoHeartbeats(Heartbeats):
    def beat(self, pair: PairName, beat: Heartbeat) -> None:
        raise Permanent("the table is gone")


@pytest.fixture
def start() -> Iterator[Start]:
    agents: list[Agent] = []

    def begin(
        table: Table,
        step: Callable[[], bool] | None = None,
        *,
        beats: type[Heartbeats] = Heartbeats,
        notify: Notify | None = None,
    ) -> Agent:
        holder, _ = table.agent("a")
        agent = Agent(
            identity=Identity(pair=PAIR, site=H, preferred=True, terms=TERMS),
            holder=holder,
            heartbeats=beats(TruthStore(table.rows)),
            check=None,
            clock=table.clock,
            bind=("127.0.0.1", 0),
            address="127.0.0.1",
            run_id="r",
            notify=notify or Notify(None),
        )
        if step is not None:
            holder.step = step  # type: ignore[method-assign]
        agents.append(agent)
        agent.start()
        return agent

    yield begin
    for agent in agents:
        agent.stop()


def ready(agent: Agent) -> bool:
    return bool(agent.status()[1]["ready"])


@pytest.mark.parametrize("error", [OSError("disk full"), ZeroDivisionError("division by zero")], ids=["OS", "ours"])
def test_an_error_that_nobody_foresaw_ends_the_agent_with_a_line_in_the_log(
    start: Start, error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    def step() -> bool:
        raise error

    with caplog.at_level(logging.CRITICAL):
        agent = start(Table(), step)
        assert agent.over.wait(5)

    assert agent.failed
    assert not ready(agent)
    assert f"agent.thread_died: renew: {type(error).__name__}: {error}" in caplog.text


def test_an_agent_whose_renewing_thread_hangs_is_not_ready(start: Start) -> None:
    table, hangs = Table(clock=Hands()), threading.Event()
    agent = start(table, lambda: hangs.wait(5))
    assert ready(agent)
    table.clock.sleep(timedelta(seconds=7))

    assert not ready(agent)
    assert agent.status()[1]["detail"] == "the agent has taken no step for 7.0 s"
    hangs.set()


def test_heartbeats_that_are_refused_do_not_end_the_agent(start: Start, caplog: pytest.LogCaptureFixture) -> None:
    agent = start(Table(), beats=NoHeartbeats)
    wait_for("a lost heartbeat", lambda: "agent.heartbeat_lost" in caplog.text)

    assert not agent.over.is_set()
    assert ready(agent)


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    listening = Systemd(tmp_path / "notify")
    yield listening
    listening.close()


def test_each_completed_step_is_a_beat(start: Start, systemd: Systemd) -> None:
    beats: list[str] = []
    start(Table(), notify=Notify(systemd.path))

    def heard() -> bool:
        beats.extend(systemd.heard())
        return len(beats) >= 2

    wait_for("two beats", heard)
    assert set(beats) == {"WATCHDOG=1"}


def test_an_agent_whose_renewing_thread_hangs_beats_no_more_whatever_else_goes_on(
    start: Start, systemd: Systemd
) -> None:
    hangs, steps = threading.Event(), threading.Semaphore(0)

    def step() -> bool:
        steps.release()
        return not hangs.wait(30)

    agent = start(Table(), step, notify=Notify(systemd.path))
    assert steps.acquire(timeout=5)
    # The door goes on answering, which is exactly why it may not be what beats.
    for _ in range(20):
        assert agent.status()[1]["pair"] == "control"
    assert systemd.heard() == []
    hangs.set()
    wait_for("the beat after the step", systemd.heard)
