"""Where events end: functions by EventBridge and by CloudMonitor, HTTP triggers by webhook; and with faults."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from emulator.cms.event_rules import EventRule, Pattern
from emulator.events.deeds import publish
from emulator.events.target import webhook
from emulator.faults.fault import Fault
from emulator.testing import mock_aliyun
from tests.emulator.fc_projects import CODE, World, props, rule, running, web_trigger, write
from tests.emulator.webhook import receiver

FAILURE = {"eventId": "e-1", "instanceId": "i-1", "eventType": "SystemFailure.Reboot", "eventStatus": "Executing"}
NAME = "Instance:SystemFailure.Reboot:Executing"


def tell(tmp_path: Path, story: Callable[[World], Awaitable[None]], *functions: dict[str, Any]) -> None:
    async def whole() -> None:
        async with running(tmp_path, *functions) as world:
            await story(world)

    asyncio.run(whole())


def event_rule(world: World, function: str, *, service: str = "", silence: int = 0) -> None:
    fields = {"Id": "1", "Region": "cn-hangzhou", "ServiceName": service, "FunctionName": function}
    world.cloud.cms.event_rules.put(
        EventRule(
            name="dr",
            silence=silence,
            patterns=(Pattern(product="ECS", names=(NAME,)),),
            targets={"FcParameters": {"1": fields}},
        )
    )


def events(world: World) -> list[dict[str, Any]]:
    return [json.loads(note["event"]) for note in world.notes()]


def test_an_event_that_a_rule_does_not_name_reaches_nobody(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "f")
        publish(world.cloud, name="Instance:SystemFailure.Reboot:Executed", content=FAILURE)
        await world.advance(seconds=60)
        assert world.notes() == []

    tell(tmp_path, story, props("f"))


def test_a_target_that_does_not_exist_is_noted_and_nothing_breaks(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "nobody")
        publish(world.cloud, name=NAME, content=FAILURE)
        await world.advance(seconds=60)
        assert [one.outcome for one in world.cloud.deliveries.log] == ["404 FunctionNotFound"]

    tell(tmp_path, story, props("f"))


def test_the_same_event_comes_raw_by_cloudmonitor_and_as_a_cloud_event_by_eventbridge(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "raw")
        publish(world.cloud, name=NAME, content=FAILURE, level="CRITICAL")
        await world.advance(seconds=60)

        by_function = {note["fn"]: json.loads(note["event"]) for note in world.notes()}
        raw, bridged = by_function["raw"], by_function["bridged"]
        assert (raw["name"], raw["content"]) == (NAME, FAILURE)
        assert (bridged["type"], bridged["data"]) == ("ecs:Instance:SystemFailure.Reboot", FAILURE)

    pattern = {"source": ["acs.ecs"], "type": [{"prefix": "ecs:Instance:SystemFailure"}]}
    tell(tmp_path, story, props("raw"), {**props("bridged"), "triggers": [rule("failures", pattern)]})


def test_an_old_target_of_service_and_function_finds_the_function_of_both_names(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "alarm", service="understudy")
        publish(world.cloud, name=NAME, content=FAILURE)
        await world.advance(seconds=60)
        assert [note["fn"] for note in world.notes()] == ["understudy-alarm"]

    tell(tmp_path, story, props("understudy-alarm"))


def test_a_rules_mute_period_swallows_the_same_news_of_the_same_resource(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "f", silence=3600)
        for _ in range(2):
            publish(world.cloud, name=NAME, content=FAILURE)
            await world.advance(seconds=60)
        publish(world.cloud, name=NAME, content={**FAILURE, "instanceId": "i-2"})
        await world.advance(seconds=60)
        assert [event["content"]["instanceId"] for event in events(world)] == ["i-1", "i-2"]

    tell(tmp_path, story, props("f"))


def test_a_test_event_goes_to_cloudmonitors_rules_and_not_to_eventbridge(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        event_rule(world, "raw")
        world.cloud.cms.dry_run("ECS", NAME, FAILURE)
        await world.advance(seconds=60)
        assert [note["fn"] for note in world.notes()] == ["raw"]
        assert "id" not in events(world)[0]

    pattern = {"source": ["acs.ecs"]}
    tell(tmp_path, story, props("raw"), {**props("bridged"), "triggers": [rule("all", pattern)]})


def test_a_webhook_may_be_a_functions_http_trigger(tmp_path: Path) -> None:
    project = write(tmp_path / "s.yaml", {**props("f"), "triggers": [web_trigger("web")]})
    notes = tmp_path / "notes.jsonl"
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env={"NOTES": str(notes)}) as local:
        hook = webhook({"url": f"{local.url}/_fc/http/f/web/hook?token=t", "shape": "cms-form"})
        local.run(lambda: local.cloud.deliveries.add_webhook(hook))

        local.run(lambda: publish(local.cloud, name=NAME, content=FAILURE))
        local.advance(2)

        (outcome,) = [one.outcome for one in local.cloud.deliveries.log]
        assert outcome == "ok"
        event = json.loads(json.loads(notes.read_text())["event"])
        assert event["isBase64Encoded"] is True, "form bodies arrive so"
        assert event["queryParameters"] == {"token": "t"}


def test_a_webhooks_delivery_can_be_lost_or_doubled_by_the_menu_of_faults() -> None:
    with receiver() as box, mock_aliyun() as local:
        local.run(lambda: local.cloud.deliveries.add_webhook(webhook({"url": box.url, "shape": "raw"})))

        def news() -> int:
            before = len(box.got)
            local.run(lambda: publish(local.cloud, name=NAME, content=FAILURE))
            local.advance(5)
            return len(box.got) - before

        local.run(lambda: local.cloud.faults.add(Fault(kind="deliver_lost", service="webhook", calls=1)))
        lost = news()
        local.run(lambda: local.cloud.faults.add(Fault(kind="deliver_twice", service="webhook", calls=1)))
        doubled = news()

        assert (lost, doubled, news()) == (0, 2, 1)
