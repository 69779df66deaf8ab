"""The menu itself: which faults make no sense, when and where one strikes, and what it leaves behind."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.blow import Silence
from emulator.faults.codes import refusal
from emulator.faults.fault import Asked, Fault, FaultError, from_json
from emulator.faults.kinds import KINDS
from emulator.wire.call import ApiError
from tests.emulator.ecs_stage import Stage

START = datetime(2026, 3, 2, 0, 0, 30, tzinfo=UTC)


@pytest.fixture
def cloud() -> Cloud:
    return Cloud(start=START)


def call(action: str = "CreateSnapshot", **more: Any) -> Asked:
    return Asked(**{"service": "ecs", "action": action, "account": "1", "region": "cn-hangzhou", **more})


def struck(cloud: Cloud, asked: Asked, times: int = 1) -> list[str | None]:
    """What ends each of so many calls."""
    blows = [cloud.faults.blow(asked) for _ in range(times)]
    return [None if blow is None or blow.ending is None else blow.ending.kind for blow in blows]


@pytest.mark.parametrize(
    ("told", "complaint"),
    [
        ("throttle", "give an object"),
        ({"calls": 3}, "'kind' is missing"),
        ({"kind": "explode"}, "kind 'explode' is none of throttle"),
        ({"kind": "slow", "colour": "red"}, "unknown field 'colour'"),
        ({"kind": "slow", "colour": "red"}, "for, function"),
        ({"kind": "slow", "rows": 3}, "it has no 'rows'; it takes seconds, real"),
        ({"kind": "slow", "seconds": -1}, "seconds is -1, not a number from 0"),
        ({"kind": "slow", "seconds": 1e300}, "seconds is 1e+300, not a number from 0 to"),
        ({"kind": "throttle", "for": 1e13}, "for is 10000000000000.0, not a number of seconds"),
        ({"kind": "slow", "seconds": "5"}, "seconds is '5', not a number from 0"),
        ({"kind": "slow", "real": 1}, "real is 1, not true or false"),
        ({"kind": "error", "calls": 0}, "calls is 0, not a whole number from 1"),
        ({"kind": "error", "calls": True}, "calls is True"),
        ({"kind": "error", "skip": -1}, "skip is -1"),
        ({"kind": "error", "probability": 0}, "probability is 0, not a number above 0"),
        ({"kind": "error", "probability": 1.5}, "probability is 1.5"),
        ({"kind": "error", "action": ""}, "action is '', not a pattern"),
        ({"kind": "error", "action": 5}, "action is 5, not a pattern"),
        ({"kind": "error", "status": 99}, "status is 99, not an HTTP status"),
        ({"kind": "error", "code": "Strange"}, "the HTTP status of Strange is not known here; give 'status'"),
        ({"kind": "error", "for": 0}, "for is 0, not a number of seconds above 0"),
        ({"kind": "error", "for": 60, "until": "2026-03-02"}, "give 'for' or 'until', not both"),
        ({"kind": "error", "until": "tomorrow"}, "until is 'tomorrow', not an ISO 8601 time"),
        ({"kind": "error", "lasts": 60}, "unknown field 'lasts'; say 'for'"),
        ({"kind": "freeze_caller", "moment": "during"}, "moment is 'during', not 'before' or 'after'"),
        ({"kind": "region_outage"}, "name the region"),
        ({"kind": "zone_silence", "zone": "cn-*"}, "name the zone"),
        ({"kind": "no_stock", "zone": "cn-hangzhou-h"}, "instance_type is None, not a type"),
        ({"kind": "deny", "caller": "*", "action": "ecs:*"}, "name the caller"),
        ({"kind": "deny", "caller": "r", "action": "DeleteSnapshot"}, "not an action as in a RAM policy"),
        ({"kind": "region_outage", "region": "cn-hangzhou", "how": "loudly"}, "how is 'loudly'"),
        ({"kind": "split"}, "name the table"),
        ({"kind": "instance_limit"}, "limit is None, not a whole number from 0"),
    ],
    ids=str,
)
def test_a_fault_that_makes_no_sense_is_refused_in_one_sentence(told: object, complaint: str) -> None:
    with pytest.raises(FaultError) as refused:
        from_json(told)
    assert complaint in str(refused.value)
    assert "\n" not in str(refused.value)


def test_places_that_do_not_exist_are_refused(cloud: Cloud) -> None:
    with pytest.raises(FaultError, match="'cn-nowhere' is none of cn-hangzhou"):
        cloud.faults.add(Fault(kind="region_outage", region="cn-nowhere"))
    with pytest.raises(FaultError, match="'cn-hangzhou-z' is none of"):
        cloud.faults.add(Fault(kind="zone_silence", zone="cn-hangzhou-z"))
    with pytest.raises(FaultError, match="over already"):
        cloud.faults.add(Fault(kind="error", until=START))
    assert cloud.faults.all() == ()


def test_of_several_faults_all_are_set_or_none(cloud: Cloud) -> None:
    wrong = Fault(kind="region_outage", region="cn-nowhere")
    with pytest.raises(FaultError):
        cloud.faults.add_all([Fault(kind="error"), wrong])
    assert cloud.faults.all() == ()
    assert not cloud.faults.on_calls


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_comes_back_from_json_as_it_was(kind: str) -> None:
    places: dict[str, dict[str, Any]] = {
        "split": {"table": "leases"},
        "instance_limit": {"limit": 3},
        "region_outage": {"region": "cn-hangzhou"},
        "zone_silence": {"zone": "cn-hangzhou-h"},
        "no_stock": {"zone": "cn-hangzhou-h", "instance_type": "ecs.g7.large"},
        "deny": {"action": "ecs:*"},
    }
    needs = places.get(kind, {})
    for fault in (
        Fault(kind=kind, **{"caller": "understudy-backup", **needs}),
        Fault(kind=kind, **{"caller": "r", "service": "ecs", "skip": 1, "lasts": timedelta(seconds=5), **needs}),
        Fault(kind=kind, **{"caller": "understudy-backup", "calls": 2, "until": START, **needs}),
    ):
        assert from_json(fault.to_json()) == fault


# When ------------------------------------------------------------------------------------------------------------


def test_a_fault_strikes_once_unless_something_says_how_often(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="error"))
    assert struck(cloud, call(), 3) == ["error", None, None]
    cloud.faults.add(Fault(kind="reset_after", calls=2, skip=1))
    assert struck(cloud, call(), 4) == [None, "reset_after", "reset_after", None]
    forever = cloud.faults.add(Fault(kind="error", calls=None))
    assert struck(cloud, call(), 5) == ["error"] * 5
    cloud.faults.remove(forever)
    assert struck(cloud, call()) == [None]
    assert not cloud.faults.on_calls


def test_a_fault_lasts_as_long_as_it_says(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="error", lasts=timedelta(seconds=60)))
    assert struck(cloud, call(), 3) == ["error"] * 3
    cloud.clock.advance(timedelta(seconds=60))
    assert struck(cloud, call()) == [None]
    cloud.faults.add(Fault(kind="error", until=cloud.clock.now() + timedelta(seconds=5), calls=1))
    cloud.clock.advance(timedelta(seconds=5))
    assert cloud.faults.all() == ()


def test_throttling_lasts_until_the_next_minute_begins(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="throttle", action="CreateSnapshot"))
    assert struck(cloud, call("DescribeSnapshots")) == [None]
    assert struck(cloud, call(), 9) == ["throttle"] * 9
    cloud.clock.advance(timedelta(seconds=29))
    assert struck(cloud, call()) == ["throttle"]
    cloud.clock.advance(timedelta(seconds=1))
    assert struck(cloud, call()) == [None]
    assert cloud.faults.all() == ()


def test_throttling_by_chance_closes_one_action_of_one_account_and_region_at_a_time(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="throttle", probability=0.5))
    while struck(cloud, call()) == [None]:
        pass
    assert struck(cloud, call(), 20) == ["throttle"] * 20
    others = [struck(cloud, call(region=f"cn-{n}"))[0] for n in range(20)]
    assert {None, "throttle"} == set(others)
    cloud.clock.advance(timedelta(minutes=1))
    assert None in struck(cloud, call(), 40)


def test_the_same_seed_strikes_the_same_calls() -> None:
    def of(seed: int) -> list[str | None]:
        cloud = Cloud(seed=seed)
        cloud.faults.add(Fault(kind="error", probability=0.3))
        return struck(cloud, call(), 60)

    assert of(1) == of(1) != of(2)
    assert 8 <= of(1).count("error") <= 28


def test_drawing_faults_does_not_change_the_world(cloud: Cloud) -> None:
    other = Cloud(start=START)
    cloud.faults.add(Fault(kind="error", probability=0.3))
    struck(cloud, call(), 50)
    assert cloud.chance.request_id() == other.chance.request_id()


# Where -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("place", "here", "elsewhere"),
    [
        ({"service": "ecs"}, {}, {"service": "slb"}),
        ({"action": "Create*"}, {}, {"action": "DeleteSnapshot"}),
        ({"caller": "understudy-backup"}, {"role": "understudy-backup"}, {"role": "understudy-watch"}),
        ({"caller": "testid"}, {"access_key": "testid"}, {"access_key": "other"}),
        ({"account": "1"}, {}, {"account": "2"}),
        ({"region": "cn-hangzhou"}, {}, {"region": "cn-shanghai"}),
        ({"zone": "*-h"}, {"zones": ("cn-hangzhou-h",)}, {"zones": ("cn-hangzhou-i",)}),
        ({"zone": "*-h"}, {"zones": ("cn-hangzhou-i", "cn-hangzhou-h")}, {}),
        ({"table": "leases"}, {"tables": ("slots", "leases")}, {"tables": ("slots",)}),
        ({"function": "*watch"}, {"function": "understudy-watch"}, {"function": "understudy-backup"}),
    ],
    ids=str,
)
def test_a_fault_strikes_only_where_it_says(
    cloud: Cloud, place: dict[str, Any], here: dict[str, Any], elsewhere: dict[str, Any]
) -> None:
    cloud.faults.add(Fault(kind="error", **place))
    assert struck(cloud, call(**elsewhere)) == [None]
    assert struck(cloud, call(**here)) == ["error"]


def test_of_two_faults_that_end_a_call_the_second_waits_for_the_next_one(cloud: Cloud) -> None:
    cloud.faults.add_all([Fault(kind="reset_before"), Fault(kind="timeout_after"), Fault(kind="slow", calls=2)])
    assert struck(cloud, call(), 3) == ["reset_before", "timeout_after", None]
    assert dict(cloud.faults.counts) == {"reset_before": 1, "timeout_after": 1, "slow": 2}


def test_the_log_tells_what_struck_whom(cloud: Cloud) -> None:
    fault = cloud.faults.add(Fault(kind="error", calls=2))
    struck(cloud, call(role="understudy-backup"), 1)
    [line] = cloud.faults.log
    assert (line.fault, line.kind, line.action, line.caller) == (fault, "error", "CreateSnapshot", "understudy-backup")
    assert line.at == START
    [standing] = cloud.faults.all()
    told = standing.to_json()
    assert (told["id"], told["struck"], told["left"]) == (fault, 1, 1)


@pytest.mark.parametrize(
    ("fault", "service", "action", "told"),
    [
        (Fault(kind="throttle"), "ecs", "CreateSnapshot", (403, "Throttling")),
        (Fault(kind="throttle"), "ecs", "RunInstances", (429, "Throttling.Resource")),
        (Fault(kind="throttle"), "pvtz", "DescribeZones", (400, "Throttling.User")),
        (Fault(kind="throttle"), "ots", "PutRow", (503, "OTSServerBusy")),
        (Fault(kind="throttle"), "fc", "InvokeFunction", (429, "ResourceExhausted")),
        (Fault(kind="error"), "ecs", "StopInstance", (503, "ServiceUnavailable")),
        (Fault(kind="error_after"), "ecs", "StopInstance", (500, "InternalError")),
        (Fault(kind="error"), "ots", "PutRow", (503, "OTSServerUnavailable")),
        (Fault(kind="error_after"), "ots", "PutRow", (503, "OTSTimeout")),
        (Fault(kind="error", code="OTSRowOperationConflict"), "ots", "PutRow", (409, "OTSRowOperationConflict")),
        (Fault(kind="error", code="Mine", status=418), "ecs", "StopInstance", (418, "Mine")),
    ],
    ids=str,
)
def test_each_service_refuses_in_its_own_words(fault: Fault, service: str, action: str, told: tuple[int, str]) -> None:
    found = refusal(fault, call(action, service=service))
    assert (found.status, found.code) == told
    assert found.message


# In process ------------------------------------------------------------------------------------------------------


def test_in_process_a_fault_is_an_exception_before_or_after_the_effect(cloud: Cloud) -> None:
    done: list[str] = []
    faults = ["throttle", "error", "timeout_before", "reset_before", "html", "empty_body"]
    for kind in faults:
        cloud.faults.add(Fault(kind=kind, calls=1))
        with pytest.raises((ApiError, Silence)), cloud.faults.gate(call()):
            done.append(kind)
    assert done == []
    faults = ["error_after", "timeout_after", "reset_after", "html_after", "empty_body_after"]
    for kind in faults:
        cloud.faults.add(Fault(kind=kind))
        with pytest.raises((ApiError, Silence)), cloud.faults.gate(call()):
            done.append(kind)
    assert done == faults


def test_a_refusal_can_be_lost_like_any_answer(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="timeout_after"))
    with pytest.raises(Silence), cloud.faults.gate(call()):
        raise ApiError("InvalidDiskId.NotFound", "No such disk.", 404)


def test_a_slow_call_lets_time_pass_in_process(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="slow", seconds=7))
    due: list[datetime] = []
    cloud.clock.call_later(timedelta(seconds=3), lambda: due.append(cloud.clock.now()))
    with cloud.faults.gate(call()):
        assert due == [START + timedelta(seconds=3)]
    assert cloud.clock.now() == START + timedelta(seconds=7)


def test_without_faults_a_gate_is_open(cloud: Cloud) -> None:
    with cloud.faults.gate(call()) as blow:
        assert blow is None


def test_a_stale_read_says_again_what_was_said_before(cloud: Cloud) -> None:
    ask = call("DescribeSnapshots", question=("DescribeSnapshots", "disk"))

    def read(now: str) -> str:
        with cloud.faults.gate(ask) as blow:
            answer: str = cloud.faults.read(blow, ask, lambda: now)
            return answer

    cloud.faults.add(Fault(kind="stale_read", seconds=60))
    assert read("old") == "old"  # nothing was said before, and the fault waits
    cloud.clock.advance(timedelta(seconds=59))
    assert read("newer") == "newer"
    cloud.clock.advance(timedelta(seconds=1))
    assert read("newest") == "old"
    assert read("newest") == "newest"
    with cloud.faults.standing(Fault(kind="stale_read", action="CreateSnapshot")):
        assert struck(cloud, call()) == [None]


# Zones and regions -----------------------------------------------------------------------------------------------


def test_a_zone_is_heard_again_when_the_last_fault_that_silenced_it_ends() -> None:
    cloud = Cloud(start=START)
    cloud.ecs.zones = ("cn-hangzhou-h", "cn-hangzhou-i")
    zone = cloud.faults.add(Fault(kind="zone_silence", zone="cn-hangzhou-h", lasts=timedelta(minutes=1)))
    cloud.faults.add(Fault(kind="region_outage", region="cn-hangzhou", lasts=timedelta(minutes=2)))
    assert cloud.zones.dark == {"cn-hangzhou-h", "cn-hangzhou-i"}
    cloud.clock.advance(timedelta(minutes=1))
    assert not cloud.faults.remove(zone)
    assert cloud.zones.dark == {"cn-hangzhou-h", "cn-hangzhou-i"}
    cloud.clock.advance(timedelta(minutes=1))
    assert cloud.zones.dark == frozenset()


def test_a_zone_that_was_dark_before_a_fault_stays_so_after_it() -> None:
    cloud = Cloud(start=START)
    cloud.ecs.zones = ("cn-hangzhou-h",)
    cloud.zones.set_dark("cn-hangzhou-h", True)
    with cloud.faults.standing(Fault(kind="zone_silence", zone="cn-hangzhou-h")):
        pass
    assert cloud.zones.is_dark("cn-hangzhou-h")


def test_a_permission_is_missing_while_the_fault_stands(cloud: Cloud) -> None:
    cloud.ram.deny("backup", "ecs:StopInstance")
    fault = Fault(kind="deny", caller="backup", action="ecs:Delete*")
    with cloud.faults.standing(fault), cloud.faults.standing(fault):
        assert cloud.ram.denies("backup", "ecs:DeleteSnapshot")
        assert not cloud.ram.denies("watch", "ecs:DeleteSnapshot")
    assert not cloud.ram.denies("backup", "ecs:DeleteSnapshot")
    assert cloud.ram.denies("backup", "ecs:StopInstance")


def test_stock_comes_back_when_the_fault_ends() -> None:
    stage = Stage()
    order = {"ImageId": "m-base", "InstanceType": "ecs.g7.large", "VSwitchId": "vsw-h", "SecurityGroupId": "sg-a"}
    place = {"zone": "cn-hangzhou-h", "instance_type": "ecs.g7.large"}
    with stage.cloud.faults.standing(Fault(kind="no_stock", **place)):  # type: ignore[arg-type]
        assert stage.refusal("RunInstances", order) == (403, "OperationDenied.NoStock")
    stage.ask("RunInstances", order)


def test_a_region_that_is_out_takes_its_services_with_it_but_not_the_global_ones(cloud: Cloud) -> None:
    with cloud.faults.standing(Fault(kind="region_outage", region="cn-hangzhou")):
        for service in ("ecs", "slb", "ots", "fc"):
            assert struck(cloud, call(service=service)) == ["timeout_before"]
            assert struck(cloud, call(service=service, region="cn-shanghai")) == [None]
        assert struck(cloud, call(service="pvtz")) == [None]
    cloud.faults.add(Fault(kind="region_outage", region="cn-hangzhou", how="error"))
    with pytest.raises(ApiError, match="503 ServiceUnavailable"), cloud.faults.gate(call()):
        pass
    cloud.faults.clear()
    assert struck(cloud, call()) == [None]


# Deliveries ------------------------------------------------------------------------------------------------------


def delivered(cloud: Cloud, *names: str) -> list[str]:
    """Send these now, a second apart; what arrives goes into the list that is returned."""
    got: list[str] = []
    for name in names:
        to = Asked(service="fc", action="InvokeFunction", function=name, triggers=("tick", "timer"))
        cloud.faults.deliveries.send(to, lambda name=name: got.append(name), name)  # type: ignore[misc]
        cloud.clock.advance(timedelta(seconds=1))
    return got


def test_deliveries_come_twice_never_or_late(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="deliver_twice", function="a"))
    cloud.faults.add(Fault(kind="deliver_lost", function="b"))
    cloud.faults.add(Fault(kind="deliver_late", function="c", seconds=10))
    got = delivered(cloud, "a", "b", "c", "d")
    assert got == ["a", "a", "d"]
    cloud.clock.advance(timedelta(seconds=10))
    assert got == ["a", "a", "d", "c"]
    assert cloud.faults.all() == ()


def test_deliveries_overtake_each_other(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="deliver_reordered", seconds=30, calls=5, trigger="timer"))
    got = delivered(cloud, *"abcdef")
    assert got == ["f"]
    cloud.clock.advance(timedelta(seconds=30))
    assert got[1:] != list("abcde")
    assert sorted(got[1:]) == list("abcde")
    assert cloud.faults.all() == ()


def test_two_hours_of_deliveries_arrive_at_once(cloud: Cloud) -> None:
    backlog = cloud.faults.add(Fault(kind="backlog"))
    got = delivered(cloud, *"abc")
    cloud.clock.advance(timedelta(hours=2) - timedelta(seconds=4))
    assert got == []
    assert cloud.faults.deliveries.waiting(backlog) == 3
    cloud.clock.advance(timedelta(seconds=1))
    assert got == list("abc")


def test_a_backlog_that_is_cleared_is_released(cloud: Cloud) -> None:
    cloud.faults.add(Fault(kind="backlog"))
    got = delivered(cloud, "a")
    cloud.faults.clear()
    assert got == ["a"]


# The page --------------------------------------------------------------------------------------------------------


def test_the_page_tells_of_every_kind_what_the_menu_says() -> None:
    page = (Path(__file__).parents[2] / "docs" / "emulator.md").read_text()
    for name, kind in KINDS.items():
        [row] = [line for line in page.splitlines() if line.startswith(f"| `{name}` |")]
        assert kind.says in row
        assert all(f"`{detail}`" in row.split("|")[2] for detail in kind.details)


def test_a_backlog_of_so_many_deliveries_loses_none_of_them(cloud: Cloud) -> None:
    backlog = cloud.faults.add(Fault(kind="backlog", calls=2))
    sent: list[int] = []
    for number in range(3):
        cloud.faults.deliveries.send(Asked(service="webhook"), lambda number=number: sent.append(number), "x")  # type: ignore[misc]
    assert sent == [2]
    assert cloud.faults.deliveries.waiting(backlog) == 2
    cloud.clock.advance(timedelta(hours=2))
    assert sent == [2, 0, 1]
    assert cloud.faults.all() == ()
