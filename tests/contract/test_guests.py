"""Commands in guests through both doors: accepted is not executed, and what was executed need not have gone well."""

from datetime import timedelta

import pytest

from emulator.ecs.assistant import Answer, Errand
from shared.domain.errors import NotFound, Permanent
from shared.domain.ids import InstanceId
from shared.domain.inventory import Ran
from tests.contract.conftest import Door
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write

APP, OLD = InstanceId("i-app"), InstanceId("i-old")
MINUTE = timedelta(minutes=1)


def result(door: Door, run: str, instance: InstanceId = APP) -> Ran:
    [found] = [ran for ran in door.guests.results(run) if ran.instance == instance]
    return found


def behave(door: Door, on: str, answer: Answer) -> None:
    door.run(lambda: door.cloud.ecs.assistant.behave(on, answer))


# Refusals -----------------------------------------------------------------------------------------------------------


def test_one_instance_that_does_not_exist_refuses_the_whole_call(door: Door) -> None:
    with pytest.raises(NotFound, match="i-nobody"):
        door.guests.run([APP, InstanceId("i-nobody")], "true", within=MINUTE, token="t")


def test_more_than_a_hundred_instances_are_refused(door: Door) -> None:
    with pytest.raises(Permanent):
        door.guests.run([APP] * 101, "true", within=MINUTE, token="t")


def test_a_script_of_more_than_24_kib_in_base64_is_refused(door: Door) -> None:
    with pytest.raises(Permanent, match=r"CmdContent\.ExceedLimit"):
        door.guests.run([APP], "x" * 18_433, within=MINUTE, token="t")
    assert door.guests.run([APP], "x" * 18_432, within=MINUTE, token="u")


def test_an_unknown_run_has_no_results(door: Door) -> None:
    assert list(door.guests.results("t-unknown")) == []


# How it ends --------------------------------------------------------------------------------------------------------


def test_an_accepted_command_has_not_run(door: Door) -> None:
    run = door.guests.run([APP], "true", within=MINUTE, token="t")

    young = result(door, run)
    assert (young.state, young.over, young.exit_code) == ("pending", False, None)
    door.advance(5)
    assert result(door, run) == Ran(instance=APP, state="success", exit_code=0, output="")


def test_a_failed_command_tells_its_exit_code_and_its_words(door: Door) -> None:
    behave(door, "mysqldump", Answer(exit_code=3, output="no such database: 店"))
    run = door.guests.run([APP], "mysqldump shop", within=MINUTE, token="t")
    door.advance(5)

    ended = result(door, run)
    assert (ended.state, ended.exit_code, ended.output) == ("failed", 3, "no such database: 店")
    assert ended.over


def test_a_stopped_machine_is_told_apart_from_the_others(door: Door) -> None:
    run = door.guests.run([APP, OLD], "true", within=MINUTE, token="t")
    door.advance(5)

    assert result(door, run, APP).state == "success"
    assert result(door, run, OLD).state == "aborted"
    assert "not running" in result(door, run, OLD).error


def test_a_silent_agent_is_given_up_after_a_minute(door: Door) -> None:
    door.run(lambda: door.cloud.ecs.assistant.silence(APP))
    run = door.guests.run([APP], "true", within=MINUTE, token="t")
    door.advance(30)
    assert result(door, run).state == "pending"
    door.advance(40)

    assert result(door, run).state == "aborted"
    assert result(door, run).over


def test_the_platform_ends_a_command_after_its_time(door: Door) -> None:
    behave(door, "hang", Answer(seconds=500))
    run = door.guests.run([APP], "hang", within=timedelta(seconds=20), token="t")
    door.advance(15)
    assert result(door, run).state == "running"
    door.advance(10)

    assert result(door, run).state == "timeout"


def test_the_same_token_begins_no_second_run(door: Door) -> None:
    first = door.guests.run([APP], "true", within=MINUTE, token="t")

    assert door.guests.run([APP], "true", within=MINUTE, token="t") == first
    assert door.guests.run([APP], "true", within=MINUTE, token="u") != first


TEXTS = {
    "quotes": 'it\'s "so" `x` $HOME',
    "newlines": "one\n\n  two\n",
    "other letters": "Größe 快照",
    "holes": "{{x}}",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_script_arrives_as_it_was_written(door: Door, text: str) -> None:
    heard: list[str] = []

    def hear(errand: Errand) -> Answer:
        heard.append(errand.text)
        return Answer()

    door.run(lambda: door.cloud.ecs.assistant.behave("", hear))
    door.guests.run([APP], text, within=MINUTE, token="t")
    door.advance(5)

    assert heard == [text]


# Under faults -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_lost_or_refused_command_says_what_is_known(door: Door, mishap: Mishap) -> None:
    before = door.run(lambda: len(door.cloud.ecs.assistant.invocations))
    write = Write(
        action="RunCommand",
        send=lambda: door.guests.run([APP], "true", within=MINUTE, token="t"),
        done=lambda: door.run(lambda: len(door.cloud.ecs.assistant.invocations)) == before + 1,
    )
    hold_write(door.cloud, door.run, "ecs", write, mishap)


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_unread_results_are_asked_for_again(door: Door, mishap: Mishap) -> None:
    run = door.guests.run([APP], "true", within=MINUTE, token="t")
    read = Read(action="DescribeInvocationResults", ask=lambda: list(door.guests.results(run)))
    hold_read(door.cloud, door.run, "ecs", read, mishap)
