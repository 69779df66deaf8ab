"""Reading what woke a function: tolerant about fields, strict about size, nesting and identity."""

import base64
import json
from datetime import UTC, datetime
from urllib.parse import urlencode

import pytest

from shared.domain.errors import BadInput
from shared.triggers.fields import MAX_BYTES, moment
from shared.triggers.parse import parse, parse_request
from shared.triggers.threshold import dimensions_of
from shared.triggers.trigger import (
    AlarmState,
    CloudEvents,
    DestinationRecord,
    EventKind,
    EventStatus,
    HttpRequest,
    Invocation,
    Nothing,
    SystemEventNotice,
    ThresholdAlarm,
    TimerTick,
)

FAILURE = {
    "eventId": "e-1",
    "instanceId": "i-app-h1",
    "eventType": "SystemFailure.Reboot",
    "eventStatus": "Executing",
    "executeStartTime": "2026-03-02T01:02:38Z",
}


def event(value: object) -> bytes:
    return json.dumps(value).encode()


def cms(name: str = "Instance:SystemFailure.Reboot:Executing", **over: object) -> dict[str, object]:
    return {
        "product": "ECS",
        "name": name,
        "resourceId": "acs:ecs:cn-hangzhou:1000000000000001:instance/i-app-h1",
        "content": FAILURE,
    } | over


def notice(value: object) -> SystemEventNotice:
    found = parse(event(value))
    assert isinstance(found, CloudEvents)
    (only,) = found.notices
    return only


def request(body: bytes = b"", *, encoded: bool = False, **over: object) -> HttpRequest:
    found = parse(
        event(
            {
                "rawPath": "/cms",
                "body": base64.b64encode(body).decode() if encoded else body.decode(),
                "isBase64Encoded": encoded,
                "requestContext": {"http": {"method": "post", "path": "/cms"}},
            }
            | over
        )
    )
    assert isinstance(found, HttpRequest)
    return found


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        pytest.param(b"42", "JSON object is needed", id="a number"),
        pytest.param(b'"text"', "JSON object is needed", id="a text"),
        pytest.param(b"hello there", "not JSON", id="plain text"),
        pytest.param(b'{"a": NaN}', "NaN", id="not a JSON number"),
        pytest.param(b'{"a": 1', "not JSON", id="cut off"),
        pytest.param(b"\xff\xfe\x00garbage", "not JSON", id="not text at all"),
        pytest.param(b'{"a": ' + b"9" * 5000 + b"}", "not JSON", id="a number of thousands of digits"),
        pytest.param(b"[" * 50 + b"]" * 50, "nested deeper", id="nested too deeply"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, "nested deeper", id="nested to break the decoder"),
        pytest.param(b'{"a": "' + b"x" * MAX_BYTES + b'"}', "at most", id="too large"),
        pytest.param(b'{"triggerName": "t", "triggerTime": "soon"}', "triggerTime", id="a tick without a time"),
        pytest.param(b'{"triggerName": "t", "triggerTime": null}', "triggerTime", id="a tick with no time at all"),
        pytest.param(event(cms(resourceId="", content={})), "names no instance", id="an event about nothing"),
        pytest.param(event(cms(content=FAILURE | {"instanceId": "i-1; rm -rf"})), "not a resource id", id="no id"),
        pytest.param(event({"alert": "x", "subscription": {}}), "alert is not an object", id="an unreadable wrapper"),
        pytest.param(event({"alertState": "MAYBE", "ruleId": "r"}), "alertState", id="an alarm state nobody sends"),
        pytest.param(event({"TopicName": "t", "Message": ""}), "Message is empty", id="an empty notification"),
        pytest.param(event([1, 2]), "no item of 2", id="a batch of nothing"),
        pytest.param(event([[[]]]), "no item of 1", id="a batch of batches"),
    ],
)
def test_a_malformed_event_is_refused_with_what_where_and_how_to_mend_it(raw: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parse(raw)


def test_envelopes_inside_envelopes_end_somewhere() -> None:
    inner: object = cms()
    for _ in range(6):
        inner = {"TopicName": "t", "Message": json.dumps(inner)}

    with pytest.raises(BadInput, match="envelopes"):
        parse(event(inner))


def test_a_body_that_claims_base64_and_is_not_is_refused() -> None:
    with pytest.raises(BadInput, match="base64"):
        parse(
            event(
                {
                    "isBase64Encoded": True,
                    "body": "{not base64}",
                    "requestContext": {"http": {"method": "POST", "path": "/cms"}},
                }
            )
        )


def test_a_form_with_thousands_of_fields_is_refused() -> None:
    body = "&".join(f"f{n}=1" for n in range(1000)).encode()

    with pytest.raises(BadInput, match="fields"):
        parse_request(request(body))


@pytest.mark.parametrize("raw", [b"", b"  \n", b"{}"])
def test_an_empty_event_is_somebody_pressing_the_button(raw: bytes) -> None:
    assert parse(raw) == Nothing()


def test_our_own_call_comes_back_as_it_was_sent() -> None:
    assert parse(b'{"operation": "rebuild/i-app-h1/e-1"}') == Invocation(payload={"operation": "rebuild/i-app-h1/e-1"})


def test_a_command_about_an_instance_is_not_mistaken_for_an_event() -> None:
    command = {"command": "image", "instanceId": "i-app-h1", "action": "create"}

    assert parse(event(command)) == Invocation(payload=command)


def test_the_four_forms_of_time_are_one_moment() -> None:
    expected = datetime(2026, 3, 2, 1, 2, 38, tzinfo=UTC)

    assert moment("2026-03-02T01:02:38Z") == expected
    assert moment("20260302T090238.000+0800") == expected
    assert moment("1772413358") == moment(1772413358) == expected
    assert moment("1772413358000") == moment(1772413358000) == expected


@pytest.mark.parametrize("value", [None, "", "null", "soon", "Mon Mar 02 PRC 2026", "9" * 30, True, -1, "1", 1e300])
def test_a_time_that_cannot_be_read_is_none_and_not_a_guess(value: object) -> None:
    assert moment(value) is None


def test_a_tick_is_known_by_its_planned_time() -> None:
    tick = parse(b'{"triggerTime": "2026-03-02T01:05:00Z", "triggerName": "every-5-minutes"}')

    assert tick == TimerTick(trigger_time=datetime(2026, 3, 2, 1, 5, tzinfo=UTC), name="every-5-minutes", payload="")


def test_the_content_decides_the_status_and_not_the_name() -> None:
    stale = notice(cms("Instance:SystemMaintenance.Reboot:Scheduled", content=FAILURE | {"eventStatus": "Avoided"}))

    assert stale.status is EventStatus.AVOIDED


def test_the_name_decides_where_the_content_says_nothing() -> None:
    content = {"instanceId": "i-app-h1", "eventType": "SystemFailure.Reboot"}

    assert notice(cms(content=content)).status is EventStatus.EXECUTING
    assert notice(cms(content=content | {"executeFinishTime": "2026-03-02T01:07:21Z"})).status is EventStatus.EXECUTED


def test_a_disk_event_is_over_when_it_has_a_finish_time() -> None:
    disk = {"eventId": "e-d", "diskId": "d-1", "eventType": "Stalled", "ecsInstanceId": "i-app-h1"}

    begins = notice(cms("Disk:Stalled:Executing", content=disk))
    ends = notice(cms("Disk:Stalled:Executing", content=disk | {"executeFinishTime": "2026-03-02T01:03:10Z"}))

    assert (begins.status, ends.status) == (EventStatus.EXECUTING, EventStatus.EXECUTED)
    assert begins.kind is EventKind.DISK_TROUBLE
    assert begins.instance == "i-app-h1"


def test_the_same_event_by_any_route_has_one_logical_key_and_its_own_transport_key() -> None:
    by_eventbridge = notice(
        {
            "specversion": "1.0",
            "id": "x-1",
            "source": "acs.ecs",
            "type": "ecs:Instance:SystemFailure.Reboot",
            "data": FAILURE,
        }
    )
    by_rule = notice(cms(id="2256A988"))
    by_subscription = notice(
        {
            "subscription": {},
            "alert": {
                "product": "ECS",
                "eventName": "Instance:SystemFailure.Reboot:Executing",
                "dedupId": "2256A988",
                "eventContentMap": FAILURE,
            },
        }
    )
    bare = notice(FAILURE)

    assert {by_eventbridge.logical_key, by_rule.logical_key, by_subscription.logical_key, bare.logical_key} == {
        "ECS|i-app-h1|e-1|executing"
    }
    assert by_eventbridge.transport_key != by_rule.transport_key == by_subscription.transport_key


def test_statuses_have_an_order_and_all_ends_are_equal() -> None:
    order = [EventStatus.INQUIRING, EventStatus.SCHEDULED, EventStatus.EXECUTING, EventStatus.EXECUTED]

    assert [status.rank for status in order] == sorted(status.rank for status in order)
    assert EventStatus.EXECUTED.rank == EventStatus.AVOIDED.rank == EventStatus.FAILED.rank
    assert not EventStatus.EXECUTING.final


def test_a_finished_snapshot_is_one_fact_however_it_is_told() -> None:
    content = {"result": "accomplished", "snapshotId": "s-1", "diskId": "d-1"}

    told = notice(cms("Snapshot:CreateSnapshotCompleted", content=content, eventTime="20260302T090238.922+0800"))
    bare = notice(content)

    assert told.logical_key == bare.logical_key
    assert told.kind is EventKind.SNAPSHOT
    assert (told.snapshot, told.outcome) == ("s-1", "accomplished")


def test_a_batch_keeps_what_can_be_read_and_names_what_cannot() -> None:
    good = {"specversion": "1.0", "type": "ecs:Instance:SystemFailure.Reboot", "data": FAILURE}

    found = parse(event([{"specversion": "1.0", "type": "ecs:Instance:SystemFailure.Reboot"}, good, 7]))

    assert isinstance(found, CloudEvents)
    assert len(found.notices) == 1
    assert [line.split(":")[0] for line in found.rejected] == ["item 0", "item 2"]


@pytest.mark.parametrize(
    "written",
    [
        "{userId=1000000000000001, instanceId=i-app-h1}",
        "{userId=1000000000000001, instanceId=i-app-h1)}",
        '{"userId": "1000000000000001", "instanceId": "i-app-h1"}',
        "userId=1000000000000001,instanceId=i-app-h1",
    ],
)
def test_dimensions_are_read_in_every_way_they_are_written(written: str) -> None:
    assert dimensions_of(written) == {"userId": "1000000000000001", "instanceId": "i-app-h1"}


def test_a_threshold_alarm_is_read_from_a_base64_form() -> None:
    form = {
        "alertName": "dr cpu",
        "alertState": "ALERT",
        "dimensions": "{instanceId=i-app-h1}",
        "instanceName": "null",
        "ruleId": "r-1",
        "timestamp": "1772413358922",
    }

    alarm = parse_request(request(urlencode(form).encode(), encoded=True))

    assert isinstance(alarm, ThresholdAlarm)
    assert (alarm.state, alarm.instance, alarm.name) == (AlarmState.ALERT, "i-app-h1", "dr cpu")
    assert alarm.logical_key.startswith("threshold|r-1|instanceId=i-app-h1|alert|2026-03-02T01:02:38.922")


def test_header_names_are_matched_in_any_case_and_values_stay_as_sent() -> None:
    found = request(headers={"X-Thing": " spaced "}, queryParameters={"token": " secret "})

    assert found.headers["x-thing"] == " spaced "
    assert found.query["token"] == " secret "
    assert found.method == "POST"


def test_a_destination_record_is_read_whether_its_payloads_are_texts_or_objects() -> None:
    record = {
        "timestamp": 1772413358901,
        "requestContext": {
            "functionArn": "acs:fc:cn-hangzhou:1:functions/understudy-backup",
            "condition": "x",
            "approximateInvokeCount": "4",
        },
        "responseContext": {"functionError": "UnhandledInvocationError"},
    }
    failure = {"errorMessage": "no answer", "errorType": "Retryable"}

    texts = parse(event(record | {"requestPayload": '{"a": 1}', "responsePayload": json.dumps(failure)}))
    objects = parse(event(record | {"requestPayload": {"a": 1}, "responsePayload": failure}))

    assert texts == objects
    assert isinstance(texts, DestinationRecord)
    assert (texts.function, texts.attempts, texts.error_message) == ("understudy-backup", 4, "no answer")


def test_text_that_would_break_a_log_line_is_made_printable() -> None:
    found = notice(cms(content=FAILURE | {"eventType": "System\nFailure\ud800.Reboot"}, name="Instance:"))

    assert "\n" not in found.type
    assert found.type.encode()
