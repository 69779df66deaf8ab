"""The agent as a real process, on real seconds, against the local cloud's Tablestore over HTTP."""

import contextlib
import json
import signal
import time
import urllib.request
from datetime import timedelta

import pytest

from shared.adapters.agents import HttpAgents
from shared.domain.ids import Epoch
from shared.domain.lease import LeaseState
from shared.ports.probes import Sight
from shared.state.heartbeats import Heartbeats
from tests.agent.conftest import PAIR, STANDBY, STEADY, TERMS, H, Running, Site, post, stops, store, wait_for
from understudy.agent.client import boottime

SECOND = timedelta(seconds=3)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--pair", "p"], "go together"),
        (["--pair", "p", "--site", "s", "--lease", "2", "--margin", "1", "--renew-every", "3"], "must be shorter than"),
        ([], "who am I?"),
    ],
    ids=["half of the terms", "renewal slower than the lease", "no identity"],
)
def test_wrong_arguments_end_with_2_and_say_what_to_do(site: Site, arguments: list[str], said: str) -> None:
    process = site.start(["-m", "understudy.agent", *arguments])
    output, _ = process.communicate(timeout=20)

    assert process.returncode == 2
    assert said in output.decode()


def test_a_second_agent_for_the_same_master_refuses_to_start(site: Site) -> None:
    first = site.agent()
    wait_for("the first agent", first.active)
    second = site.agent()
    output, _ = second.process.communicate(timeout=20)

    assert second.process.returncode == 2
    assert "another agent already writes" in output.decode()
    assert first.active()


def test_when_the_store_falls_silent_the_site_is_passive_before_its_lease_runs_out(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    site.proxy.silent = True
    since = boottime()

    assert stops(agent) <= since + STEADY, "no renewal that began later was acknowledged"
    report = agent.look()
    assert (report.sight, report.active, report.ready) == (Sight.ANSWERED, False, False)
    site.proxy.silent = False
    wait_for("it to be active again: nobody took over", agent.active)
    assert agent.role().look().epoch == 1


def test_a_killed_agent_leaves_a_deadline_that_its_master_obeys_alone(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    agent.signal(signal.SIGKILL)
    agent.process.wait(5)
    since = boottime()

    assert stops(agent) <= since + STEADY


def test_an_agent_that_starts_again_goes_on_under_its_epoch_after_a_renewal_of_its_own(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    agent.signal(signal.SIGKILL)
    agent.process.wait(5)
    again = site.agent()
    wait_for("it to be active again", again.active)

    assert again.role().look().epoch == 1


@pytest.mark.parametrize("takes_over", [True, False], ids=["taken over meanwhile", "not taken over"])
def test_a_stopped_agent_that_goes_on_is_active_only_if_nobody_took_over(site: Site, takes_over: bool) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    agent.signal(signal.SIGSTOP)
    stops(agent)
    if takes_over:
        assert site.take_over(STANDBY).epoch == 2
    agent.signal(signal.SIGCONT)

    if takes_over:
        ended = time.monotonic() + 1.5
        while time.monotonic() < ended:
            assert not agent.active()
            time.sleep(0.005)
        assert agent.look().active is False
    else:
        wait_for("it to be active again", agent.active)


def test_promotion_is_confirmed_under_the_epoch_and_only_if_the_lease_names_the_site(site: Site) -> None:
    old, new = site.agent(H), site.agent(STANDBY)
    wait_for("the preferred site", old.active)
    wait_for("the standby's door", lambda: new.look().sight is Sight.ANSWERED)
    refused = HttpAgents().promote("127.0.0.1", new.port, epoch=Epoch(2), timeout=SECOND)
    assert refused.active is False
    assert "the lease names hz-h under epoch 1" in refused.detail
    assert old.active()

    old.signal(signal.SIGSTOP)
    site.take_over(STANDBY)
    report = HttpAgents().promote("127.0.0.1", new.port, epoch=Epoch(2), timeout=SECOND)

    assert (report.active, report.epoch, report.site) == (True, 2, STANDBY)
    assert new.active()
    again = HttpAgents().promote("127.0.0.1", new.port, epoch=Epoch(2), timeout=SECOND)
    assert (again.active, again.epoch) == (True, 2)


def test_demotion_stops_the_master_first_and_then_gives_the_lease_back(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)

    report = HttpAgents().demote("127.0.0.1", agent.port, timeout=SECOND)

    assert report.active is False
    assert not agent.active()
    lease = site.leases().read(PAIR)
    assert lease is not None
    assert (lease.state, lease.owner, lease.epoch) == (LeaseState.FREE, H, 1)
    time.sleep(1)
    assert not agent.active(), "what was given up is not taken up again by itself"


def test_demotion_while_the_store_is_silent_stops_the_master_at_once(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    site.proxy.silent = True

    status, body = post(agent.port, "/demote", {})

    assert (status, body["active"], body["released"]) == (200, False, False)
    assert not agent.active()


@pytest.mark.parametrize("body", [{}, {"epoch": "2"}, {"epoch": 0}, {"epoch": True}])
def test_a_malformed_promotion_is_refused_with_its_remedy(site: Site, body: dict[str, object]) -> None:
    agent = site.agent()
    wait_for("its door", lambda: agent.look().sight is Sight.ANSWERED)

    status, answer = post(agent.port, "/promote", body)

    assert status == 400
    assert "epoch" in answer["detail"]


def test_a_heartbeat_tells_who_is_active_where(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    beats = Heartbeats(store(site.local))
    wait_for("a heartbeat", lambda: beats.of(PAIR))

    beat = beats.of(PAIR)[H]
    assert beat.address == "127.0.0.1"
    assert beat.ready


def test_the_deadline_is_no_further_away_than_the_lease_less_its_margin(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)

    for _ in range(40):
        assert agent.role().active_until() - boottime() <= STEADY
        time.sleep(0.02)


def holder(running: Running) -> str:
    return str(
        json.loads(urllib.request.urlopen(f"http://127.0.0.1:{running.port}/status", timeout=2).read())["holder"]
    )


def test_of_two_agents_of_one_site_one_is_active_and_the_other_never_takes_part_in_its_lease(site: Site) -> None:
    first = site.agent()
    wait_for("the first agent", first.active)
    twin = site.agent(file="twin")
    wait_for("the twin's door", lambda: twin.look().sight is Sight.ANSWERED)
    refused = HttpAgents().promote("127.0.0.1", twin.port, epoch=Epoch(1), timeout=SECOND)
    assert refused.active is False
    assert "held by another agent of this site" in refused.detail
    ended = time.monotonic() + TERMS.lease.total_seconds() + 0.5
    while time.monotonic() < ended:
        assert first.active()
        assert not twin.active()
        time.sleep(0.02)

    first.signal(signal.SIGKILL)
    killed = time.monotonic()
    wait_for("the twin to take over", twin.active)

    assert time.monotonic() - killed > STEADY - TERMS.renew_every.total_seconds(), "it waited for the lease to run out"
    assert twin.role().look().epoch == 2


def test_an_agent_is_the_same_after_a_restart_and_another_one_from_another_directory(site: Site) -> None:
    first = site.agent()
    wait_for("its door", lambda: first.look().sight is Sight.ANSWERED)
    before = holder(first)
    first.signal(signal.SIGKILL)
    first.process.wait(5)
    again, twin = site.agent(), site.agent(file="twin")
    wait_for("both doors", lambda: all(one.look().sight is Sight.ANSWERED for one in (again, twin)))

    assert holder(again) == before
    assert holder(twin) != before


def test_an_agent_that_cannot_write_its_role_file_ends_and_says_so(site: Site) -> None:
    agent = site.agent()
    wait_for("the agent to be active", agent.active)
    while not agent.role_file.is_dir():  # it may be written between the two calls
        agent.role_file.unlink(missing_ok=True)
        with contextlib.suppress(FileExistsError):
            agent.role_file.mkdir()
    output, _ = agent.process.communicate(timeout=20)

    assert agent.process.returncode == 1
    assert "agent.thread_died: renew: IsADirectoryError" in output.decode()
    wait_for("its lease to run out", lambda: site.take_over(STANDBY))


def test_orders_without_the_secret_are_refused_and_change_nothing(site: Site) -> None:
    agent = site.agent(UNDERSTUDY_AGENT_SECRET="s3cret")
    wait_for("the agent to be active", agent.active)

    for headers in ({}, {"x-understudy-secret": "s3cre"}, {"x-understudy-secret": "s3cr\xe9t"}):
        for path in ("/demote", "/promote"):
            status, body = post(agent.port, path, {"epoch": 1}, **headers)
            assert (status, "UNDERSTUDY_AGENT_SECRET" in body["detail"]) == (403, True)
    assert HttpAgents(secret="other").demote("127.0.0.1", agent.port, timeout=SECOND).detail.startswith("HTTP 403")
    assert agent.active()
    assert agent.look().active, "looking needs no secret"
    assert HttpAgents(secret="s3cret").demote("127.0.0.1", agent.port, timeout=SECOND).active is False
