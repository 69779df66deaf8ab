"""Function Compute's door with a sound signature and anything behind it: documented refusals, and it goes on."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from http.client import HTTPConnection
from itertools import count
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.fc.coverage import COMMON_ERRORS, OPERATIONS
from emulator.testing import Local, mock_aliyun
from emulator.wire import acs3
from tests.emulator.fc_projects import CODE, props, timer, web_trigger, write

NONCES = count()
CALLS: Final = (
    ("ListFunctions", "GET", "/functions"),
    ("GetFunction", "GET", "/functions/{f}"),
    ("ListTriggers", "GET", "/functions/{f}/triggers"),
    ("CreateTrigger", "POST", "/functions/{f}/triggers"),
    ("GetTrigger", "GET", "/functions/{f}/triggers/{t}"),
    ("UpdateTrigger", "PUT", "/functions/{f}/triggers/{t}"),
    ("DeleteTrigger", "DELETE", "/functions/{f}/triggers/{t}"),
    ("GetAsyncInvokeConfig", "GET", "/functions/{f}/async-invoke-config"),
    ("PutAsyncInvokeConfig", "PUT", "/functions/{f}/async-invoke-config"),
    ("DeleteAsyncInvokeConfig", "DELETE", "/functions/{f}/async-invoke-config"),
    ("ListAsyncInvokeConfigs", "GET", "/async-invoke-configs"),
    ("ListAsyncTasks", "GET", "/functions/{f}/async-tasks"),
    ("GetAsyncTask", "GET", "/functions/{f}/async-tasks/{t}"),
    ("StopAsyncTask", "PUT", "/functions/{f}/async-tasks/{t}/stop"),
    ("GetConcurrencyConfig", "GET", "/functions/{f}/concurrency"),
    ("PutConcurrencyConfig", "PUT", "/functions/{f}/concurrency"),
    ("DeleteConcurrencyConfig", "DELETE", "/functions/{f}/concurrency"),
    ("ListConcurrencyConfigs", "GET", "/concurrency-configs"),
    ("DisableFunctionInvocation", "POST", "/functions/{f}/invoke/disable"),
    ("EnableFunctionInvocation", "POST", "/functions/{f}/invoke/enable"),
    ("ListLayers", "GET", "/layers"),
    ("InvokeFunction", "POST", "/functions/nobody/invocations"),
)
FIELDS: Final = (
    *("asyncTask", "maxAsyncRetryAttempts", "maxAsyncEventAgeInSeconds", "destinationConfig", "reservedConcurrency"),
    *("reason", "abortOngoingRequest", "triggerName", "triggerType", "triggerConfig", "qualifier", "sourceArn"),
)
CONFIGS: Final = (
    *("{}", "[]", "no", '{"enable": 1}', '{"cronExpression": 5, "enable": true}', "null"),
    '{"methods": 5, "authType": "anonymous"}',
    *('{"cronExpression": "@every 1m", "enable": true, "payload": []}', '{"methods": [[]], "authType": "function"}'),
    *('{"eventSourceConfig": [], "runOptions": 1}', '{"eventRuleFilterPattern": "[", "eventSourceConfig": {}}'),
)  # fmt: skip
VALUES: Final = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.sampled_from(["", "timer", "http", "eventbridge", "oss", "LATEST", "é", *CONFIGS]),
    st.just({"onSuccess": {"destination": 5}}),
    st.just({"onSuccess": "x", "other": {}}),
    st.just([1]),
)
QUERIES: Final = (
    *("limit", "nextToken", "prefix", "status", "startedTimeBegin", "sortOrderByTime", "includePayload", "qualifier"),
    *("functionName", "odd"),
)


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("fc")
    project = write(folder / "s.yaml", props("f", triggers=[timer("tick", "@every 60m"), web_trigger("page")]))
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_workdir=folder / "work") as running:
        yield running


def ask(local: Local, action: str, method: str, path: str, query: str, body: bytes) -> tuple[int, bytes]:
    headers = {
        "host": local.host,
        "x-acs-action": action,
        "x-acs-version": "2023-03-30",
        "x-acs-date": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "x-acs-signature-nonce": f"fc-{next(NONCES)}",
    }
    canonical = acs3.canonical_request(method, path, acs3.parse_query(query), headers, headers, body)
    names, signature = ";".join(sorted(headers)), acs3.sign("testsecret", canonical)
    headers["authorization"] = f"ACS3-HMAC-SHA256 Credential=testid,SignedHeaders={names},Signature={signature}"
    connection = HTTPConnection(local.host, timeout=10)
    try:
        connection.request(method, path + (f"?{query}" if query else ""), body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


@settings(max_examples=600, deadline=None, derandomize=True)
@given(
    call=st.sampled_from(CALLS),
    names=st.tuples(st.sampled_from(["f", "f", "f", "no", "é", "a b"]), st.sampled_from(["tick", "page", "no", "%00"])),
    body=st.one_of(st.dictionaries(st.sampled_from(FIELDS), VALUES, max_size=4), VALUES),
    raw=st.one_of(st.none(), st.none(), st.binary(max_size=20)),
    query=st.dictionaries(st.sampled_from(QUERIES), st.sampled_from(["", "0", "1", "x", "²", "9" * 30]), max_size=2),
)  # fmt: skip
def test_whatever_a_call_is_given_it_answers_as_declared(
    local: Local, call: Any, names: tuple[str, str], body: Any, raw: bytes | None, query: dict[str, str]
) -> None:
    action, method, path = call
    path = "/2023-03-30" + path.format(f=quote(names[0]), t=quote(names[1]))
    sent = b"" if method == "GET" else json.dumps(body).encode() if raw is None else raw
    text = "&".join(f"{name}={quote(value)}" for name, value in sorted(query.items()))

    status, told = ask(local, action, method, path, text, sent)

    if status >= 300:
        declared = COMMON_ERRORS | set(OPERATIONS[action].errors if action in OPERATIONS else ())
        assert json.loads(told)["Code"] in declared, told
        assert status in range(400, 500)
