"""Is it lost? Every way an instance can look, and what is made of it."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Instance, InstanceState, SystemEvent
from shared.domain.policy import RebuildRule, Selection
from shared.domain.rebuild import (
    HandOver,
    NotOurs,
    Rebuild,
    RebuildVerdict,
    Recovered,
    Refuse,
    Service,
    View,
    Wait,
    judge,
    unplanned,
)

SEEN = datetime(2026, 3, 2, 1, 2, 38, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
RULE = RebuildRule(
    name="applications",
    select=Selection(tags={"role": "app"}),
    image_family="app",
    balancer=None,
    weight=100,
    port=8080,
    patience=6 * MINUTE,
    max_at_once=2,
)
RUNNING = Instance(
    id=InstanceId("i-app-h1"),
    name="app-h1",
    state=InstanceState.RUNNING,
    zone="cn-hangzhou-h",
    image=ImageId("m-1"),
    instance_type="ecs.g7.large",
    private_address="127.77.1.11",
    vswitch="vsw-h",
    vpc="vpc-demo",
    security_groups=("sg",),
    created=SEEN - timedelta(days=30),
    tags={"role": "app"},
)
STOPPED = replace(RUNNING, state=InstanceState.STOPPED)
FAILING = SystemEvent(
    id="e-1", instance=RUNNING.id, type="SystemFailure.Reboot", status="executing", published=SEEN, finished=None
)
RESTARTED = replace(FAILING, status="executed", finished=SEEN + 5 * MINUTE)
LONG_AGO = replace(FAILING, published=SEEN - timedelta(days=9), finished=SEEN - timedelta(days=9), status="executed")
PLANNED = replace(FAILING, type="SystemMaintenance.Reboot", status="scheduled")

EARLY, LATE = SEEN + MINUTE, SEEN + 6 * MINUTE
LOST = View(
    now=LATE,
    first_seen=SEEN,
    instance=RUNNING,
    events=(FAILING,),
    service=Service.SILENT,
    in_rotation=False,
    zone_alive=1,
)


@pytest.mark.parametrize(
    ("view", "verdict"),
    [
        pytest.param(LOST, Rebuild, id="failed, silent, patience over"),
        pytest.param(replace(LOST, now=EARLY), Wait, id="failed, within patience"),
        pytest.param(replace(LOST, service=Service.REFUSES), Rebuild, id="failed and its service never came back"),
        pytest.param(replace(LOST, events=(RESTARTED,)), Rebuild, id="restarted, but its service stays away"),
        pytest.param(replace(LOST, instance=STOPPED), Rebuild, id="failed and stopped"),
        pytest.param(replace(LOST, service=Service.ANSWERS), Recovered, id="answers after patience"),
        pytest.param(replace(LOST, service=Service.ANSWERS, events=()), Recovered, id="answers, no event"),
        pytest.param(
            replace(LOST, now=EARLY, service=Service.ANSWERS), Wait, id="answers, but the failure is still executing"
        ),
        pytest.param(
            replace(LOST, now=EARLY, service=Service.ANSWERS, events=(RESTARTED,)),
            Recovered,
            id="restarted and answers",
        ),
        pytest.param(replace(LOST, instance=None), Refuse, id="not in the inventory"),
        pytest.param(
            replace(LOST, instance=replace(RUNNING, tags={"role": "app", "understudy:isolated": "op"})),
            NotOurs,
            id="already replaced",
        ),
        pytest.param(replace(LOST, instance=replace(RUNNING, tags={"role": "db"})), NotOurs, id="no longer selected"),
        pytest.param(replace(LOST, instance=STOPPED, events=()), NotOurs, id="stopped on purpose"),
        pytest.param(replace(LOST, instance=STOPPED, events=(LONG_AGO,)), NotOurs, id="stopped, an old failure"),
        pytest.param(replace(LOST, instance=STOPPED, events=(PLANNED,)), NotOurs, id="stopped, maintenance ahead"),
        pytest.param(replace(LOST, events=(), service=Service.REFUSES), NotOurs, id="its process died"),
        pytest.param(replace(LOST, events=()), Rebuild, id="hangs without an event while its zone lives"),
        pytest.param(replace(LOST, events=(), now=EARLY), Wait, id="hangs without an event, within patience"),
        pytest.param(replace(LOST, events=(), zone_alive=0), HandOver, id="silent like all of its zone, no event"),
        pytest.param(replace(LOST, zone_alive=0, zone_lost=3), HandOver, id="failed like all of its zone"),
        pytest.param(replace(LOST, zone_alive=0, zone_lost=0), Rebuild, id="failed, the only one known in its zone"),
        pytest.param(replace(LOST, zone_alive=1, zone_lost=3), Rebuild, id="failed with others, the zone lives"),
        pytest.param(replace(LOST, ahead=2), Wait, id="two others first"),
        pytest.param(replace(LOST, ahead=1), Rebuild, id="one other first"),
        pytest.param(replace(LOST, ahead=2, events=()), Wait, id="hangs without an event, two others first"),
        pytest.param(replace(LOST, paused="maintenance window"), Wait, id="paused"),
        pytest.param(replace(LOST, paused="x", service=Service.ANSWERS), Recovered, id="paused and recovered"),
        pytest.param(replace(LOST, events=(), service=Service.UNTRIED, now=EARLY), Wait, id="nothing known yet"),
        pytest.param(replace(LOST, events=(), service=Service.UNTRIED), NotOurs, id="nothing known, patience over"),
        pytest.param(replace(LOST, events=(), in_rotation=True), NotOurs, id="silent to us, in rotation"),
        pytest.param(
            replace(LOST, events=(), instance=replace(RUNNING, state=InstanceState.STARTING), now=EARLY),
            Wait,
            id="starting",
        ),
    ],
)
def test_verdict(view: View, verdict: type[RebuildVerdict]) -> None:
    assert isinstance(judge(RULE, view), verdict)


def test_patience_runs_from_the_failure_and_not_from_when_we_heard_of_it() -> None:
    heard_late = replace(LOST, first_seen=SEEN + 5 * MINUTE, now=SEEN + 5 * MINUTE)

    verdict = judge(RULE, heard_late)

    assert isinstance(verdict, Wait)
    assert verdict.until == SEEN + 6 * MINUTE


@pytest.mark.parametrize("service", list(Service))
@pytest.mark.parametrize("events", [(), (FAILING,), (RESTARTED,)])
@pytest.mark.parametrize("state", list(InstanceState))
def test_every_wait_ends_unless_others_come_first(
    state: InstanceState, events: tuple[SystemEvent, ...], service: Service
) -> None:
    view = replace(LOST, instance=replace(RUNNING, state=state), events=events, service=service, now=SEEN)
    for _ in range(30):
        verdict = judge(RULE, view)
        if not isinstance(verdict, Wait):
            return
        assert verdict.until > view.now
        view = replace(view, now=verdict.until)
    pytest.fail("it waits for ever")


def test_the_newest_failure_explains_the_loss() -> None:
    newer = replace(FAILING, id="e-2", published=SEEN + MINUTE)

    assert unplanned((newer, FAILING, PLANNED, LONG_AGO), since=SEEN - timedelta(hours=1)) == newer
    assert unplanned((PLANNED, LONG_AGO), since=SEEN - timedelta(hours=1)) is None
