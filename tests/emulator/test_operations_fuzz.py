"""Every operation with any parameters: served, or refused with an error that it declares. Nothing else comes out."""

import json
import random
from time import monotonic
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator import seed
from emulator.cloud import Cloud
from emulator.realm import Realm
from emulator.wire import strict_json
from emulator.wire.call import ApiError, Call, Caller, Operation
from emulator.wire.declare import GATEWAY_CODES, check_parameters, errors_of, parameters_of, tell_answer
from emulator.wire.services import VERSIONS
from tests.emulator.wanderer import GUEST, WORDS, WORLD, Wanderer

PATIENCE_SECONDS: Final = 5.0
"""Real. One call takes milliseconds; this only tells work that never ends from a busy machine."""

IDS: Final = ("i-a", "d-a", "m-a", "vsw-h", "sg-a", "vpc-a", "z-a", "lb-a", "cn-hangzhou", "cn-hangzhou-h", GUEST)
ODD: Final = (
    *("", " ", "0", "-1", "1", "3", "65536", "9" * 30, "1e9", "1.5", "inf", "NaN", "+1", "1_0", "²", "٣", "None", "*"),
    *("true", "False", "maybe", "x" * 5_000, "é杭州\0", "\U0001f600", "a,b,,c", ",", "..", "%00", "a\nb", "\\", "'\""),
    *("[]", "{}", "null", "[null]", "[[]]", "[{}]", "[1, true]", '{"a": {"b": []}}', "[" * 3_000, "[NaN]", "[1e999]"),
    *('["\\ud800"]', '["i-a"]', '["i-a", "i-a"]', '[{"ServerId": 1}]', '[{"ServerId": "i-a", "Weight": {}}]', '["x"'),
    *("2026-03-02T00:00:00Z", "2026-03-02T00:00Z", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00Z", "2026-13-45T99:00Z"),
    *("10.0.0.9", "256.1.1.1", "10.0.0.0/8", "0.0.0.0/0", "::/0", "10.0.0.1/99", "1/1", "-1/-1", "22/21", "a.example"),
    *("acs:ram::1000000000000001:role/x", "acs:", "tcp", "TCP", "all", "cloud_essd", "ecs.g7.large", "ZWNobw==", "ZWN"),
)
OPERATIONS: Final = sorted(Cloud().home.operations)


def fresh() -> Cloud:
    cloud = Cloud()
    seed.load_text(WORLD, cloud, where="the test", settings={})
    return cloud


def attempt(realm: Realm, version: str, action: str, operation: Operation, params: dict[str, str]) -> bool:
    """Whether it was served. A refusal has to be one that is declared."""
    call = Call(
        version=version,
        action=action,
        region=realm.region,
        params=params,
        caller=Caller(account=realm.account, access_key="testid", role=None),
    )
    refusal: ApiError | None = None
    begun = monotonic()
    try:
        check_parameters(operation, params, action, VERSIONS[version])
        realm.cloud.ram.authorize(call, VERSIONS[version])
        answer = operation(call)
        json.dumps(answer).encode()
        tell_answer(version, action, answer)
    except ApiError as error:
        refusal = error
    assert monotonic() - begun < PATIENCE_SECONDS, f"{action} took too long"
    if refusal is None:
        return True
    families = tuple(code[:-1] for code in errors_of(operation) if code.endswith(".*"))
    declared = refusal.code in errors_of(operation) | GATEWAY_CODES
    assert declared or refusal.code.startswith(families), f"{action} answered {refusal.code}, undeclared"
    assert refusal.status in range(400, 500), f"{action} answered {refusal}"
    return False


def values(name: str) -> st.SearchStrategy[str]:
    last = name.removesuffix(".N").rpartition(".")[2]
    likely = [*WORDS.get(name, ()), *WORDS.get(last, ()), *(one for one in IDS if last.endswith("Id"))]
    return st.one_of(
        *([st.sampled_from(likely)] if likely else ()), st.sampled_from((*IDS, *ODD)), st.text(max_size=20)
    )


@st.composite
def parameters(draw: st.DrawFn, names: list[str]) -> dict[str, str]:
    chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=8)) if names else []
    return {name.replace("N", draw(st.sampled_from("1122399")), 1) if ".N" in name else name: draw(values(name))
            for name in chosen}  # fmt: skip


@pytest.mark.parametrize("service", sorted({VERSIONS[version] for version, _ in OPERATIONS}))
def test_whatever_an_operation_is_given_it_answers_as_declared(service: str) -> None:
    mine = [key for key in OPERATIONS if VERSIONS[key[0]] == service]

    @settings(max_examples=60 + 6 * len(mine), deadline=None, derandomize=True)
    @given(key=st.sampled_from(mine), data=st.data())
    def check(key: tuple[str, str], data: st.DataObject) -> None:
        realm = fresh().home
        operation = realm.operations[key]
        params = data.draw(parameters(sorted(parameters_of(operation))))
        attempt(realm, *key, operation, params)

    check()


class Vandal(Wanderer):
    """Goes on in a world that has seen much already, and spoils what would have been sensible."""

    def __init__(self, cloud: Cloud, chance: random.Random) -> None:
        self.cloud = cloud
        self.chance = chance
        self.seen = {}
        self.done = 0

    def call(self) -> None:
        realm = self.cloud.realm(self.cloud.account if self.chance.random() < 0.95 else GUEST, "cn-hangzhou")
        asked = self._sensible(realm) if self.chance.random() < 0.6 else self._anything(realm)
        if asked is None:
            return
        version, action, operation, params = asked
        spoils = self.chance.random() < 0.5
        for name in sorted(parameters_of(operation)):
            if spoils and self.chance.random() < 2 / (1 + len(parameters_of(operation))):
                params[self.numbered(name)] = self.chance.choice((*ODD, *IDS))
        self.done += attempt(realm, version, action, operation, params)


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_in_worlds_that_have_seen_much_too(first: int) -> None:
    served = 0
    for number in range(first, first + 20):
        vandal = Vandal(fresh(), random.Random(number))
        for _ in range(250):
            vandal.step()
        served += vandal.done

    assert served > 500, "hardly a call was served: the rest proves little"


@pytest.mark.parametrize(
    "text", ["[" * 100_000, '{"a":' * 100_000, "NaN", "[Infinity]", '"\\ud800"', "\udcff", "1" * 9_000]
)
def test_json_that_no_service_would_take_is_refused(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 (whatever is wrong with it)
        strict_json.parse(text)
