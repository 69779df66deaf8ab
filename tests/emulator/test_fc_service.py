"""Functions as real processes: failures first, then the queue, timers, events and dark zones."""

import asyncio
import json
import os
import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.bus import CloudEvent
from emulator.faults.fault import Fault
from emulator.fc.queue import Refused
from tests.emulator.fc_projects import START, World, destination, event, props, rule, tell, timer

DEAD = props("dead")
VPC_H = {"vpcId": "vpc", "securityGroupId": "sg", "vSwitchIds": ["vsw-h"]}


# --- a function fails --------------------------------------------------------------------------------------------


def test_an_exception_becomes_the_documented_error_and_the_instance_lives_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        failed = await world.fc.invoke("f", event(**{"raise": "no such disk"}))
        assert failed.error == "UnhandledInvocationError"
        told = json.loads(failed.body)
        assert told["errorMessage"] == "no such disk"
        assert told["errorType"] == "ValueError"
        assert told["stackTrace"][-1][2] == "handler"
        fine = await world.fc.invoke("f", b"again")
        assert json.loads(fine.body)["requests"] == 2  # the same process
        assert "ValueError: no such disk" in (tmp_path / "fc/logs/f.log").read_text()

    tell(tmp_path, story, props("f"))


def test_a_function_that_ends_its_process_is_told_apart_and_replaced(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        failed = await world.fc.invoke("f", event(exit=3))
        assert failed.error == "UnhandledInvocationError"
        assert "exit status 3" in json.loads(failed.body)["errorMessage"]
        assert json.loads((await world.fc.invoke("f", b"x")).body)["requests"] == 1

    tell(tmp_path, story, props("f"))


def test_a_function_that_takes_too_long_is_killed(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.fc.invoke("f", b"warm up")
        (instance,) = world.fc.instances("f")
        begun = time.monotonic()
        failed = await world.fc.invoke("f", event(sleep=30))
        assert time.monotonic() - begun < 5
        assert "timed out after 1 seconds" in json.loads(failed.body)["errorMessage"]
        assert world.outcomes("f") == ["ok", "time-out"]
        await instance.gone()
        assert world.fc.instances("f") == ()

    tell(tmp_path, story, props("f", timeout=1))


def test_a_handler_that_is_not_there_fails_the_request_not_the_emulator(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        failed = await world.fc.invoke("f", b"")
        assert json.loads(failed.body)["errorType"] == "ModuleNotFoundError"

    tell(tmp_path, story, props("f", handler="nowhere.handler"))


def test_a_failed_initializer_fails_this_request_and_the_next_starts_anew(tmp_path: Path) -> None:
    hook = {"initializer": {"handler": "probe.broken_initialize", "timeout": 5}}

    async def story(world: World) -> None:
        for _ in range(2):
            failed = await world.fc.invoke("f", b"")
            assert failed.error == "InitializationError"
            assert json.loads(failed.body)["errorMessage"] == "no connection"
        assert world.fc.instances("f") == ()

    tell(tmp_path, story, props("f", instanceLifecycleConfig=hook))


def test_an_unknown_function_is_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        with pytest.raises(Refused, match="404 FunctionNotFound"):
            await world.fc.invoke("nobody", b"")
        with pytest.raises(Refused, match="404 TriggerNotFound"):
            world.fc.enable("f", "nothing", True)

    tell(tmp_path, story, props("f"))


# --- what a function sees ----------------------------------------------------------------------------------------


def test_a_function_sees_what_fc_documents_and_nothing_of_this_machine(tmp_path: Path) -> None:
    hook = {"initializer": {"handler": "probe.initialize", "timeout": 5}}

    async def story(world: World) -> None:
        first = json.loads((await world.fc.invoke("f", b"hello")).body)
        second = json.loads((await world.fc.invoke("f", b"")).body)
        assert (first["event"], second["event"]) == ("hello", "")
        assert (first["initialized"], second["initialized"], second["requests"]) == (1, 1, 2)
        assert first["pid"] == second["pid"] != os.getpid()
        assert first["credentials"] is False  # python3.12's context has none
        assert first["stdlib_queue"] is True  # the emulator's own modules shadow nothing
        env = first["env"]
        assert env["FC_FUNCTION_NAME"] == "f"
        assert env["FC_ACCOUNT_ID"] == "1000000000000001"
        assert env["COLOUR"] == "blue"
        assert env["PYTHONPATH"].endswith("/fc_code/python")
        key = world.cloud.keys.find(env["ALIBABA_CLOUD_ACCESS_KEY_ID"])
        assert key is not None
        assert key.role == "probe-role"
        assert key.token == env["ALIBABA_CLOUD_SECURITY_TOKEN"]
        assert "HOME" in env
        assert not [name for name in env if name.startswith(("VIRTUAL_ENV", "PYTEST"))]

    tell(tmp_path, story, props("f", instanceLifecycleConfig=hook))


def test_a_function_without_a_role_gets_no_credentials(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        env = json.loads((await world.fc.invoke("f", b"")).body)["env"]
        assert not [name for name in env if name.startswith("ALIBABA_CLOUD")]

    tell(tmp_path, story, props("f", role=None))


def test_answers_are_text_bytes_or_json(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert (await world.fc.invoke("f", event(answer="plain"))).body == b"plain"
        assert json.loads((await world.fc.invoke("f", event(answer={"a": 1}))).body) == {"a": 1}

    tell(tmp_path, story, props("f"))


def test_requests_at_the_same_time_get_an_instance_each(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        both = await asyncio.gather(*(world.fc.invoke("f", event(sleep=0.3)) for _ in range(2)))
        assert len({json.loads(outcome.body)["pid"] for outcome in both}) == 2

    tell(tmp_path, story, props("f"))


# --- concurrency -------------------------------------------------------------------------------------------------


def test_reserved_concurrency_is_a_limit_and_a_guarantee(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        slow = asyncio.ensure_future(world.fc.invoke("kept", event(sleep=0.5)))
        others = asyncio.ensure_future(world.fc.invoke("other", event(sleep=0.5)))
        await asyncio.sleep(0)
        with pytest.raises(Refused, match="429"):
            await world.fc.invoke("kept", b"")
        with pytest.raises(Refused, match="429"):
            await world.fc.invoke("other", b"")  # the account has 2, one of them is kept
        assert {(await slow).error, (await others).error} == {None}

    kept = props("kept", concurrencyConfig={"reservedConcurrency": 1})
    tell(tmp_path, story, kept, props("other"), account_limit=2)


def test_a_throttled_event_waits_without_using_up_its_retries(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for _ in range(3):
            world.fc.invoke_async("f", event(sleep=0.1))
        await world.advance(minutes=5)
        assert world.outcomes("f") == ["ok", "ok", "ok"]
        assert [r.attempt for r in world.fc.records] == [1, 1, 1]

    one = props("f", concurrencyConfig={"reservedConcurrency": 1}, asyncInvokeConfig={"maxAsyncRetryAttempts": 0})
    tell(tmp_path, story, one)


# --- the asynchronous queue --------------------------------------------------------------------------------------


def test_a_failing_event_is_retried_and_then_sent_to_its_destination(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        request = world.fc.invoke_async("f", event(**{"raise": "for ever"}))
        await world.advance(minutes=10)
        assert world.outcomes("f") == ["UnhandledInvocationError"] * 3
        (dead,) = [json.loads(n["event"]) for n in world.notes() if n["fn"] == "dead"]
        assert dead["requestContext"] == {
            "requestId": request,
            "functionArn": "acs:fc:cn-hangzhou:1000000000000001:functions/f",
            "condition": "UnhandledInvocationError",
            "approximateInvokeCount": 3,
        }
        assert json.loads(dead["requestPayload"]) == {"raise": "for ever"}
        assert dead["responseContext"] == {"statusCode": 200, "functionError": "UnhandledInvocationError"}
        assert json.loads(dead["responsePayload"])["errorMessage"] == "for ever"

    twice = {"maxAsyncRetryAttempts": 2, "destinationConfig": destination("dead")}
    tell(tmp_path, story, props("f", asyncInvokeConfig=twice), DEAD)


def test_an_event_that_fails_once_succeeds_on_its_retry(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.fc.invoke_async("f", event(fail_first=True))
        await world.advance(minutes=1)
        assert world.outcomes("f") == ["UnhandledInvocationError", "ok"]
        assert world.outcomes("dead") == []

    config = {"destinationConfig": destination("dead")}
    tell(tmp_path, story, props("f", asyncInvokeConfig=config), DEAD)


def test_an_event_that_grew_too_old_is_dropped_and_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.zones.set_dark("cn-hangzhou-h", True)
        world.fc.invoke_async("f", b"first")
        await world.advance(seconds=10)
        world.fc.invoke_async("f", b"throttled until it is old")
        await world.advance(seconds=600)
        assert world.outcomes("f") == ["dropped: expired", "time-out"]
        conditions = [json.loads(n["event"])["requestContext"]["condition"] for n in world.notes()]
        assert conditions == ["EventAgeExceeded", "UnhandledInvocationError"]

    young = {
        "maxAsyncRetryAttempts": 0,
        "maxAsyncEventAgeInSeconds": 60,
        "destinationConfig": destination("dead"),
    }
    watch = props(
        "f", asyncInvokeConfig=young, vpcConfig=VPC_H, timeout=300, concurrencyConfig={"reservedConcurrency": 1}
    )
    tell(tmp_path, story, watch, DEAD)


def test_a_delayed_event_waits_on_the_emulated_calendar(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        with pytest.raises(Refused, match="3600"):
            world.fc.invoke_async("f", b"", delay=timedelta(seconds=3601))
        world.fc.invoke_async("f", b"later", delay=timedelta(seconds=900))
        await world.advance(seconds=899)
        assert world.notes() == []
        await world.advance(seconds=1)
        assert world.fc.records[0].at == START + timedelta(seconds=900)

    tell(tmp_path, story, props("f"))


def test_a_task_id_is_taken_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.fc.invoke_async("f", b"1", task="op-1")
        with pytest.raises(Refused, match="409"):
            world.fc.invoke_async("f", b"2", task="op-1")
        with pytest.raises(Refused, match="malformed"):
            world.fc.invoke_async("f", b"3", task="1 starts with a digit")
        await world.advance(seconds=1)
        assert len(world.notes()) == 1
        record = world.fc.queue.tasks["f", "op-1"]
        assert [state for state, _ in record.history] == ["Enqueued", "Running", "Succeeded"]

    tell(tmp_path, story, props("f", asyncInvokeConfig={"asyncTask": True}))


def test_a_payload_over_the_limit_is_refused(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        with pytest.raises(Refused, match="EntityTooLarge"):
            world.fc.invoke_async("f", b"x" * (128 * 1024 + 1))

    tell(tmp_path, story, props("f"))


@pytest.mark.parametrize(("kind", "times"), [("deliver_twice", 2), ("deliver_lost", 0), ("deliver_late", 1)])
def test_a_delivery_can_be_doubled_lost_or_late(tmp_path: Path, kind: str, times: int) -> None:
    async def story(world: World) -> None:
        late = kind == "deliver_late"
        world.cloud.faults.add(Fault(kind=kind, function="f", seconds=120 if late else None))
        world.fc.invoke_async("other", b"not this one")
        first = world.fc.invoke_async("f", b"x")
        await world.advance(seconds=60)
        hit = [n for n in world.notes() if n["fn"] == "f"]
        assert len(hit) == (0 if late else times)
        assert {n["id"] for n in hit} <= {first}
        await world.advance(seconds=60)
        world.fc.invoke_async("f", b"y")
        await world.advance(seconds=1)
        assert len([n for n in world.notes() if n["fn"] == "f"]) == times + 1

    tell(tmp_path, story, props("f"), props("other"))


# --- triggers ----------------------------------------------------------------------------------------------------


def test_timers_fire_on_the_emulated_calendar_with_their_planned_time(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        await world.advance(minutes=21)
        told = [json.loads(n["event"]) for n in world.notes()]
        assert [t for t in told if t["triggerName"] == "five"] == [
            {"triggerTime": f"2026-03-02T00:{m:02d}:00Z", "triggerName": "five", "payload": '{"job":"x"}'}
            for m in (5, 10, 15, 20)
        ]
        assert [t["triggerTime"] for t in told if t["triggerName"] == "ten"] == [
            "2026-03-02T00:10:00Z",
            "2026-03-02T00:20:00Z",
        ]
        world.fc.enable("f", "five", False)
        await world.advance(minutes=20)
        assert sum(json.loads(n["event"])["triggerName"] == "five" for n in world.notes()) == 4
        world.fc.enable("f", "five", True)
        await world.advance(minutes=5)
        assert sum(json.loads(n["event"])["triggerName"] == "five" for n in world.notes()) == 5

    timers = [timer("five", "0 */5 * * * *", '{"job":"x"}'), timer("ten", "@every 10m")]
    tell(tmp_path, story, props("f", triggers=timers))


def test_a_jump_waits_for_the_functions_that_it_starts(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.fc.invoke_async("f", event(sleep=0.4), delay=timedelta(seconds=30))
        await world.advance(hours=1)
        assert world.outcomes() == ["ok"]
        assert world.fc.records[0].at == START + timedelta(seconds=30)

    tell(tmp_path, story, props("f"))


def failure(name: str, **content: Any) -> CloudEvent:
    return CloudEvent(
        id="e1",
        product="ECS",
        name=name,
        level="CRITICAL",
        region="cn-hangzhou",
        account="1000000000000001",
        resource="instance/i-1",
        at=datetime(2026, 3, 2, tzinfo=UTC),
        content=content,
    )


def test_events_reach_the_functions_whose_rules_match(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.bus.publish(failure("Instance:SystemFailure.Reboot:Executing", eventStatus="Executing"))
        world.cloud.bus.publish(failure("Instance:StateChange", state="Stopped"))
        await world.advance(seconds=5)
        told = {n["fn"]: json.loads(n["event"]) for n in world.notes()}
        assert set(told) == {"whole", "raw"}
        assert told["whole"]["type"] == "ecs:Instance:SystemFailure.Reboot"
        assert told["raw"] == {"eventStatus": "Executing"}

    wanted = {"source": ["acs.ecs"], "type": [{"prefix": "ecs:Instance:SystemFailure"}]}
    tell(
        tmp_path,
        story,
        props("whole", triggers=[rule("e", wanted)]),
        props("raw", triggers=[rule("e", wanted, "RawData")]),
        props("not", triggers=[rule("e", {"source": ["acs.rds"]})]),
    )


def test_events_of_another_account_or_region_reach_no_function(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event = failure("Instance:SystemFailure.Reboot:Executing", eventStatus="Executing")
        world.cloud.bus.publish(replace(event, account="1000000000000002"))
        world.cloud.bus.publish(replace(event, region="cn-shanghai"))
        await world.advance(seconds=5)
        assert world.notes() == []

    tell(tmp_path, story, props("f", triggers=[rule("e", {"source": ["acs.ecs"]})]))


# --- dark zones and chaos ----------------------------------------------------------------------------------------


def stopped(pid: int) -> bool:
    return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] == "T"


def test_a_function_in_a_dark_zone_stands_still_and_goes_on_with_its_zone(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        call = asyncio.ensure_future(world.fc.invoke("f", event(sleep=0.5)))
        while not world.notes():
            await asyncio.sleep(0.02)
        (instance,) = world.fc.instances("f")
        world.cloud.zones.set_dark("cn-hangzhou-h", True)
        await asyncio.sleep(0.1)
        assert stopped(instance.pid)
        await world.advance(seconds=10)  # what stands still does not hold time
        assert not call.done()
        world.cloud.zones.set_dark("cn-hangzhou-h", False)
        assert (await call).error is None
        assert json.loads((await call).body)["pid"] == instance.pid

    tell(tmp_path, story, props("f", vpcConfig=VPC_H))


def test_a_function_frozen_for_longer_than_its_time_out_is_killed_on_the_emulated_calendar(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.zones.set_dark("cn-hangzhou-h", True)
        call = asyncio.ensure_future(world.fc.invoke("f", b"never starts"))
        await asyncio.sleep(0)
        await world.advance(seconds=19)
        assert not call.done()
        await world.advance(seconds=2)
        assert (await call).error == "UnhandledInvocationError"
        assert world.outcomes("f") == ["time-out"]
        assert world.notes() == []

    tell(tmp_path, story, props("f", vpcConfig=VPC_H))


def test_a_function_with_a_vswitch_in_a_lit_zone_goes_on(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.zones.set_dark("cn-hangzhou-h", True)
        assert (await world.fc.invoke("both", b"")).error is None
        assert (await world.fc.invoke("none", b"")).error is None

    tell(tmp_path, story, props("both", vpcConfig={**VPC_H, "vSwitchIds": ["vsw-h", "vsw-i"]}), props("none"))


def test_chaos_kills_a_working_instance_and_the_event_is_tried_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        assert world.fc.kill_one() is None
        world.fc.invoke_async("f", event(sleep=0.4))
        while not world.notes():
            await asyncio.sleep(0.02)
        assert world.fc.kill_one() == "f"
        await world.advance(seconds=10)
        assert world.outcomes("f") == ["UnhandledInvocationError", "ok"]

    tell(tmp_path, story, props("f"))


def test_no_instance_outlives_an_emulator_that_is_killed(tmp_path: Path) -> None:
    script = f"""
import asyncio, sys
from pathlib import Path
from tests.emulator.fc_projects import props, running

async def main():
    async with running(Path({str(tmp_path)!r}), props("f")) as world:
        await world.fc.invoke("f", b"idle, so suspended")
        asyncio.ensure_future(world.fc.invoke("f", b'{{"sleep": 60}}'))
        asyncio.ensure_future(world.fc.invoke("f", b'{{"sleep": 60}}'))
        while len(world.notes()) < 3:
            await asyncio.sleep(0.02)
        print(*(i.pid for i in world.fc.instances()), flush=True)
        await asyncio.sleep(60)

asyncio.run(main())
"""
    root = Path(__file__).resolve().parents[2]
    with subprocess.Popen([sys.executable, "-c", script], cwd=root, stdout=subprocess.PIPE, text=True) as emulator:
        assert emulator.stdout is not None
        pids = [int(pid) for pid in emulator.stdout.readline().split()]
        emulator.kill()
    assert len(pids) == 2
    until = time.monotonic() + 5
    while any(alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    assert not [pid for pid in pids if alive(pid)]


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_an_idle_instance_gets_no_processor_time_and_none_survives_the_end(tmp_path: Path) -> None:
    pids: list[int] = []

    async def story(world: World) -> None:
        await world.fc.invoke("f", b"")
        (instance,) = world.fc.instances("f")
        await asyncio.sleep(0.05)
        assert stopped(instance.pid)
        busy = asyncio.ensure_future(world.fc.invoke("f", event(sleep=30)))
        world.fc.invoke_async("f", event(sleep=30))
        while len(world.notes()) < 3:
            await asyncio.sleep(0.02)
        pids.extend(i.pid for i in world.fc.instances())
        await world.fc.stop()
        assert (await busy).error == "UnhandledInvocationError"

    tell(tmp_path, story, props("f"))
    assert len(pids) == 2
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
