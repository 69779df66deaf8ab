"""Two real agents, a store that falls silent for both, and what each master may do meanwhile."""

import json
import signal
import subprocess
import time
import urllib.request
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.adapters.agents import HttpAgents
from shared.adapters.peers import HttpPeers
from shared.domain.ids import Epoch, HolderId, Place
from shared.domain.lease import Terms
from shared.domain.pledge import TIMEOUT, Ask, place_of
from shared.ports.probes import Sight
from shared.state.heartbeats import Heartbeats
from tests.agent.conftest import (
    PAIR,
    ROOT,
    STANDBY,
    STEADY,
    TERMS,
    H,
    Running,
    Site,
    free_port,
    post,
    stops,
    store,
    wait_for,
)
from understudy.agent.client import boottime

SECRET = "s3cret"
SOON = timedelta(seconds=1)


PATIENT = replace(TERMS, lease=timedelta(seconds=6))
"""So long that a machine under load asks in time; how long things take is read off the deadlines."""


def start(site: Site, name: str, port: int, *more: str, secret: str = SECRET, of: Terms = TERMS) -> Running:
    role_file = site.folder / name / "role.json"
    arguments = site.arguments(H if name == H else STANDBY, port=port, role_file=role_file, of=of)
    environment = {"UNDERSTUDY_AGENT_SECRET": secret} if secret else {}
    return Running(site.start(["-m", "understudy.agent", *arguments, *more], **environment), port, role_file)


def both(site: Site, of: Terms = TERMS) -> tuple[Running, Running]:
    """Both know each other, and the row names them as voices."""
    ports = {H: free_port(), STANDBY: free_port()}
    active = start(site, H, ports[H], "--peer", f"{STANDBY}=127.0.0.1:{ports[STANDBY]}", of=of)
    standby = start(site, STANDBY, ports[STANDBY], "--peer", f"{H}=127.0.0.1:{ports[H]}", of=of)
    wait_for("both voices in the row", lambda: len(getattr(site.leases().read(PAIR), "voices", ())) == 2)
    wait_for("the preferred site", active.active)
    wait_for("the standby's door", lambda: standby.look().sight is Sight.ANSWERED)
    wait_for("what the standby may have promised before its start", lambda: pledged_for(standby) == 0)
    return active, standby


def status(running: Running) -> dict[str, Any]:
    with urllib.request.urlopen(f"http://127.0.0.1:{running.port}/status", timeout=2) as answer:
        body: dict[str, Any] = json.loads(answer.read())
    return body


def pledged_for(running: Running) -> float:
    return float(status(running)["pledged_for_s"])


def test_while_the_store_is_silent_for_both_the_active_master_serves_on_until_its_peer_is_gone(site: Site) -> None:
    active, standby = both(site, PATIENT)
    site.proxy.silent = True
    steady = (PATIENT.lease - PATIENT.margin).total_seconds()
    alone_until = boottime() + steady  # no renewal moves the deadline beyond this
    while active.role().look().until < alone_until + 2:
        assert active.active()
        assert not standby.active()
        time.sleep(0.02)
    assert pledged_for(standby) > 0

    standby.signal(signal.SIGKILL)
    standby.process.wait(5)
    since = boottime()
    assert stops(active) <= since + steady


def test_a_pledged_standby_answers_409_to_a_promotion_and_says_until_when(site: Site) -> None:
    active, standby = both(site)
    # A silence that only the active site suffers: the watch sees its lease run out, and takes it.
    active_peers = HttpPeers(secret=SECRET)
    lease = site.leases().read(PAIR)
    assert lease is not None
    ask = Ask(pair=PAIR, epoch=lease.epoch, holder=lease.holder, length=timedelta(seconds=30), nonce="n")
    place = place_of("127.0.0.1", standby.port)
    assert active_peers.ask([place], ask, timeout=SOON, one_is_enough=False)[place].pledged
    active.signal(signal.SIGSTOP)
    taken = site.take_over(STANDBY)

    code, body = post(standby.port, "/promote", {"epoch": taken.epoch}, **{"x-understudy-secret": SECRET})

    assert code == 409
    assert f"pledged to {lease.holder} (epoch 1) for 2" in body["detail"]
    assert body["ready"] is True, "it is fit, it only has to wait"
    assert not standby.active()
    report = HttpAgents().look("127.0.0.1", standby.port, timeout=SOON)
    assert report.pledged_for is not None
    assert report.pledged_for > timedelta(seconds=20)
    late = active_peers.ask([place], ask, timeout=SOON, one_is_enough=False)[place]
    assert not late.pledged
    assert "epoch 1 is over" in late.detail


def test_a_pledge_needs_the_secret_in_both_directions(site: Site) -> None:
    port = free_port()
    standby = start(site, STANDBY, port)
    wait_for("its door", lambda: standby.look().sight is Sight.ANSWERED)
    wait_for("its memory", lambda: pledged_for(standby) == 0)
    place = place_of("127.0.0.1", port)
    ask = Ask(pair=PAIR, epoch=Epoch(1), holder=HolderId("forged"), length=TERMS.lease, nonce="n")

    refused = HttpPeers(secret="other").ask([place], ask, timeout=SOON, one_is_enough=False)[place]

    assert not refused.pledged
    assert "HTTP 403" in refused.detail
    assert pledged_for(standby) == 0
    assert post(port, "/pledge", {"pair": PAIR})[0] == 400


@pytest.mark.parametrize(
    ("more", "secret", "said"),
    [
        (["--pledges", "on"], "", "needs UNDERSTUDY_AGENT_SECRET"),
        (["--bind", "0.0.0.0"], SECRET, "needs --address"),
        (["--peer", "10.0.1.21:7001"], SECRET, "write SITE=ADDRESS:PORT"),
        (["--peer", "hz-i=control.corp:7001"], SECRET, "no name, it may move"),
        (["--address", "control.corp"], SECRET, "must be an IP address"),
        (["--sidecar", "here"], SECRET, "write PORT, or HOST:PORT"),
        (["--lag-url", "http://x", "--lag-command", "x"], SECRET, "not both"),
    ],
)
def test_options_that_cannot_be_meant_end_with_2(site: Site, more: list[str], secret: str, said: str) -> None:
    agent = start(site, H, free_port(), *more, secret=secret)
    output, _ = agent.process.communicate(timeout=20)

    assert agent.process.returncode == 2
    assert said in output.decode()


def test_without_a_secret_pledges_are_off_and_that_is_said(site: Site) -> None:
    agent = start(site, H, free_port(), secret="")
    wait_for("the agent", agent.active)

    assert status(agent)["pledges"] == "off"
    lease = site.leases().read(PAIR)
    assert lease is not None
    assert lease.voices == ()
    agent.process.terminate()
    output, _ = agent.process.communicate(timeout=20)
    assert "agent.pledges_off: UNDERSTUDY_AGENT_SECRET is not set" in output.decode()


def test_agents_find_each_other_by_their_heartbeats_and_tell_what_they_see_of_each_other(site: Site) -> None:
    ports = {name: free_port() for name in (H, STANDBY)}
    lag = ["--lag-command", "echo 1.25"]
    active, standby = start(site, H, ports[H]), start(site, STANDBY, ports[STANDBY], *lag)
    wait_for("the active site", active.active)

    def view() -> object:
        return HttpAgents().look("127.0.0.1", standby.port, timeout=SOON).peers.get(H)

    wait_for("the standby's view", lambda: getattr(view(), "active", None) is True)
    report = HttpAgents().look("127.0.0.1", standby.port, timeout=SOON)
    assert report.peers[H].sight is Sight.ANSWERED
    assert report.peers[H].epoch == 1
    assert report.peers[H].age < timedelta(seconds=5)
    assert report.lag == timedelta(seconds=1.25)
    assert report.lag_age is not None
    assert report.holder
    beats = Heartbeats(store(site.local))
    wait_for("the lag in its heartbeat", lambda: beats.of(PAIR)[STANDBY].lag_s == 1.25)
    assert beats.of(PAIR)[STANDBY].pledges
    wait_for("the voices", lambda: len(getattr(site.leases().read(PAIR), "voices", ())) == 2)

    active.signal(signal.SIGKILL)
    wait_for("a view of nobody", lambda: getattr(view(), "sight", None) is Sight.REFUSED)


def test_a_master_in_shell_asks_the_sidecar_before_and_after_its_work(site: Site) -> None:
    port, sidecar = free_port(), free_port()
    agent = start(site, H, port, "--sidecar", str(sidecar))
    wait_for("the agent", agent.active)
    snippet = example("sh")

    def accepts() -> str:
        done = subprocess.run(
            ["sh", "-c", snippet + "\ncommand_of_ours() { echo worked; }\naccept command_of_ours"],
            env={**site.environment(), "SIDECAR": f"http://127.0.0.1:{sidecar}"},
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )
        return f"{done.stdout.strip()} {done.returncode}"

    assert accepts() == "worked\naccepted under epoch 1 0"
    agent.signal(signal.SIGSTOP)
    wait_for("the deadline", lambda: not agent.active())
    assert accepts() == "refused 1", "an agent that does not answer is no yes"
    agent.signal(signal.SIGCONT)
    wait_for("it to be active again", agent.active)
    post(port, "/demote", {}, **{"x-understudy-secret": SECRET})
    assert accepts() == "refused 1"


def test_the_sidecar_tells_for_how_long_and_only_under_the_asked_epoch(site: Site) -> None:
    port, sidecar = free_port(), free_port()
    agent = start(site, H, port, "--sidecar", str(sidecar))
    wait_for("the agent", agent.active)

    def ask(path: str) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{sidecar}{path}", timeout=2) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    code, body = ask("/active")
    assert (code, body["active"], body["epoch"], body["site"]) == (200, True, 1, H)
    assert 0 < body["remaining_ms"] <= STEADY * 1000
    assert ask("/active?epoch=1")[0] == 200
    other, said = ask("/active?epoch=2")
    assert (other, said["active"], said["remaining_ms"]) == (503, False, 0)
    assert ask("/active?epoch=one")[0] == 400
    assert ask("/promote")[0] == 404


def example(language: str) -> str:
    """The code of docs/agent.md in this language."""
    text = (ROOT / "docs/agent.md").read_text()
    return text.split(f"```{language} master\n", 1)[1].split("```", 1)[0]


def test_peers_that_say_nothing_cost_no_more_than_the_time_for_one() -> None:
    silent = [Place(f"127.0.0.1:{free_port()}") for _ in range(4)]
    ask = Ask(pair=PAIR, epoch=Epoch(1), holder=HolderId("h"), length=TERMS.lease, nonce="n")

    answers = HttpPeers(secret=SECRET).ask(silent, ask, timeout=TIMEOUT, one_is_enough=False)

    assert not any(answer.pledged for answer in answers.values())
