"""The demo's master with its agent, as real processes: what it accepts while things are killed and stopped."""

import json
import os
import signal
import time
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from shared.domain.lease import Lease, LeaseState
from shared.domain.policy import Policy, PruneLimits
from shared.state.policies import Policies
from tests.agent.conftest import PAIR, STANDBY, Site, post, store, wait_for
from tests.simulation.failover_world import pair_policy
from understudy.checker import check

BIND = {"h": "127.91.1.21", "i": "127.91.2.21"}
LEASE = 5.0


@dataclass
class Master:
    host: str
    log: Path
    sent: int = 0

    def status(self) -> dict[str, Any]:
        try:
            with urllib.request.urlopen(f"http://{self.host}:7000/status", timeout=1) as answer:
                return dict(json.loads(answer.read()))
        except OSError:
            return {}

    def active(self) -> bool:
        return self.status().get("active") is True

    def command(self) -> str:
        self.sent += 1
        return str(post(7000, "/command", {"id": f"c-{self.sent}"}, host=self.host)[1]["outcome"])


@pytest.fixture
def masters(site: Site) -> dict[str, Master]:
    policy = Policy(
        region="cn-hangzhou",
        protections=(),
        rebuilds=(),
        pairs=(pair_policy(),),
        prune=PruneLimits(max_items=1, max_percent=1),
    )
    Policies(store(site.local)).append(policy)
    running = {}
    for key, host in BIND.items():
        log = site.folder / f"{key}.jsonl"
        site.start(
            ["-m", "understudy.demo.machine"],
            GUEST_INSTANCE=f"i-master-{key}",
            GUEST_BIND=host,
            GUEST_ADDRESS=host,
            MASTER_LOG=str(log),
        )
        running[key] = Master(host, log)
        if key == "h":
            wait_for("the preferred master", running["h"].active)
    wait_for("the standby's agent", lambda: running["i"].status().get("site") == STANDBY)
    return running


def promote(master: Master, lease: Lease) -> None:
    status, _ = post(7001, "/promote", {"epoch": lease.epoch}, host=master.host)
    assert status == 200


def commands_until(master: Master, outcome: str, seconds: float) -> float:
    began = time.monotonic()
    while master.command() != outcome:
        assert time.monotonic() - began < seconds, f"{master.host} never {outcome}"
        time.sleep(0.01)
    return time.monotonic() - began


def test_killing_the_agent_alone_stops_the_master_before_the_lease_ends(masters: dict[str, Master], site: Site) -> None:
    old, new = masters["h"], masters["i"]
    assert old.command() == "accepted"
    assert new.command() == "refused"
    os.kill(int(old.status()["agent_pid"]), signal.SIGKILL)
    assert commands_until(old, "refused", LEASE) <= LEASE - 1 + 0.2

    promote(new, site.take_over(STANDBY))
    wait_for("the standby to be active", new.active)
    assert new.command() == "accepted"
    assert old.command() == "refused"
    proof = check([old.log, new.log])
    assert proof.holds, str(proof)
    assert [reign.site for reign in proof.reigns] == ["hz-h", "hz-i"]


def test_agent_and_master_stopped_and_continued_after_the_take_over_accept_nothing(
    masters: dict[str, Master], site: Site
) -> None:
    old, new = masters["h"], masters["i"]
    status = old.status()
    for number in (status["agent_pid"], status["pid"]):
        os.kill(int(number), signal.SIGSTOP)
    promote(new, site.take_over(STANDBY))
    wait_for("the standby to be active", new.active)
    assert new.command() == "accepted"
    for number in (status["pid"], status["agent_pid"]):
        os.kill(int(number), signal.SIGCONT)

    ended = time.monotonic() + 1
    while time.monotonic() < ended:
        assert old.command() == "refused"
        assert new.command() == "accepted"
    proof = check([old.log, new.log])
    assert proof.holds, str(proof)


def test_killing_the_master_alone_leaves_its_agent_which_gives_the_lease_back(
    masters: dict[str, Master], site: Site
) -> None:
    status = masters["h"].status()
    os.kill(int(status["pid"]), signal.SIGKILL)

    wait_for("the lease to be given back", lambda: released(site), 8)
    os.kill(int(status["agent_pid"]), 0)


def test_master_and_agent_end_with_their_machine(masters: dict[str, Master], site: Site) -> None:
    status = masters["h"].status()
    machine = int(Path(f"/proc/{status['pid']}/stat").read_text().split(") ")[1].split()[1])
    os.kill(machine, signal.SIGKILL)

    wait_for("both to be gone", lambda: gone(status["pid"]) and gone(status["agent_pid"]), 3)


def gone(pid: object) -> bool:
    try:
        # An orphan that nobody has reaped yet is dead as well.
        return Path(f"/proc/{pid}/stat").read_text().split(") ")[1][0] == "Z"
    except FileNotFoundError:
        return True


def test_a_hanging_master_gives_way_long_before_its_lease_runs_out(masters: dict[str, Master], site: Site) -> None:
    status = masters["h"].status()
    os.kill(int(status["pid"]), signal.SIGSTOP)

    wait_for("the lease to be given back", lambda: released(site), 8)
    os.kill(int(status["pid"]), signal.SIGCONT)

    assert commands_until(masters["h"], "refused", 2) < 1


def released(site: Site) -> bool:
    lease = site.leases().read(PAIR)
    return lease is not None and lease.state is LeaseState.FREE
