"""The trail's contract, of private and of public names, through the official SDKs over HTTP."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from emulator.alidns.editions import EDITIONS
from emulator.testing import Local, mock_aliyun
from shared.adapters.alidns_trail import AlidnsTrail
from shared.adapters.credentials import Credentials
from shared.adapters.pvtz_trail import PvtzTrail
from shared.adapters.sdk import Endpoint
from shared.adapters.trail_words import values
from shared.domain.errors import DrError
from shared.ports.trail import NameChange, Trail

ZONE, HOST, NAME = "corp.example", "master", "master.corp.example"
OLD, NEW = "10.0.1.21", "10.0.2.21"


@dataclass(frozen=True, slots=True)
class Told:
    local: Local
    trail: Trail
    record: str
    update: Callable[[str], Any]
    add: Callable[[str], Any]
    remark: Callable[[str], Any]
    disable: Callable[[], Any]

    def now(self) -> datetime:
        return self.local.run(self.local.cloud.clock.now)

    def changes(self, *, since: datetime | None = None) -> list[NameChange]:
        """Oldest first."""
        until = self.now() + timedelta(seconds=1)
        return list(self.trail.changes(zone=ZONE, host=HOST, since=since, until=until))[::-1]


@pytest.fixture(params=["private", "public"])
def told(request: pytest.FixtureRequest) -> Iterator[Told]:
    with mock_aliyun() as local:
        key, where = Credentials(*local.access_key), Endpoint("cn-hangzhou", local.url)
        pvtz, alidns = local.cloud.pvtz, local.cloud.alidns

        def private(host: str) -> str:
            return str(pvtz.add_record("z-corp", rr=host, type="A", value=OLD, ttl=5).id)

        def public(host: str) -> str:
            return alidns.add_record(ZONE, rr=host, type="A", value=OLD, ttl=5).id

        if request.param == "private":
            local.run(lambda: pvtz.add_zone(ZONE, id="z-corp"))
            made = local.run(lambda: private(HOST))
            yield Told(
                local,
                PvtzTrail(endpoint=where, credentials=lambda: key),
                made,
                lambda value: local.run(lambda: pvtz.update_record(int(made), rr=HOST, type="A", value=value, ttl=5)),
                lambda host: local.run(lambda: private(host)),
                lambda text: local.run(lambda: pvtz.set_remark(int(made), text)),
                lambda: local.run(lambda: pvtz.set_status(int(made), "DISABLE")),
            )
            return
        local.run(lambda: alidns.add_domain(ZONE, edition=EDITIONS["version_enterprise_advanced"]))
        made = local.run(lambda: public(HOST))
        yield Told(
            local,
            AlidnsTrail(endpoint=where, credentials=lambda: key),
            made,
            lambda value: local.run(lambda: alidns.update_record(made, rr=HOST, type="A", value=value, ttl=5)),
            lambda host: local.run(lambda: public(host)),
            lambda text: local.run(lambda: alidns.set_remark(made, text)),
            lambda: local.run(lambda: alidns.set_status(made, "Disable")),
        )


def test_a_change_of_value_tells_when_and_from_what_to_what(told: Told) -> None:
    told.local.advance(60)
    before = told.now()
    told.update(NEW)

    change = told.changes()[-1]

    assert (change.action, change.name, change.before, change.value) == ("update", NAME, OLD, NEW)
    assert abs(change.at - before) < timedelta(seconds=2)


def test_everything_that_was_done_to_the_record_is_told_in_order(told: Told) -> None:
    told.update(NEW)
    told.remark("epoch=2")
    told.disable()

    assert [one.action for one in told.changes()] == ["add", "update", "update_remark", "set_status"]


def test_another_name_of_the_zone_is_another_story(told: Told) -> None:
    told.add("mastery")
    told.add("old-master")

    assert {one.name for one in told.changes()} == {NAME}
    assert len(told.changes()) == 1


def test_nothing_older_than_asked_for_is_told(told: Told) -> None:
    told.local.advance(3600)
    since = told.now()
    told.update(NEW)

    assert [one.action for one in told.changes(since=since)] == ["update"]


def test_a_trail_of_several_pages_is_read_to_its_end(told: Told) -> None:
    for number in range(1, 131):
        told.update(f"10.0.3.{number}")

    changes = told.changes()

    assert len(changes) == 131
    assert changes[-1].value == "10.0.3.130"


def test_a_trail_that_may_not_be_read_is_an_error_and_not_an_empty_one(told: Told) -> None:
    wrong = Credentials("unknown", "secret")
    trail = type(told.trail)(endpoint=Endpoint("cn-hangzhou", told.local.url), credentials=lambda: wrong)  # type: ignore[call-arg]  # both adapters are made so

    with pytest.raises(DrError):
        list(trail.changes(zone=ZONE, host=HOST, since=None, until=told.now()))


@pytest.mark.parametrize(
    ("text", "before", "after"),
    [
        ("master 5 A 10.0.1.21 -> master 5 A 10.0.2.21", "10.0.1.21", "10.0.2.21"),
        ("the record master.corp.example was changed from 10.0.1.21 to 10.0.2.21", "10.0.1.21", "10.0.2.21"),
        ("master 5 CNAME a.example -> master 5 CNAME b.example", "a.example", "b.example"),
        ("master 5 AAAA fd00::1 -> master 5 AAAA fd00::2", "fd00::1", "fd00::2"),
        ("the record was changed", "", ""),
        ("", "", ""),
    ],
)
def test_a_sentence_gives_the_values_or_nothing(text: str, before: str, after: str) -> None:
    assert values(text, name=NAME) == (before, after)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("master A 10.0.1.21 to 10.0.2.21", (OLD, NEW)),
        ("master.corp.to A 10.0.1.21 -> 10.0.2.21", (OLD, NEW)),
        ("master CNAME hz-to-h.example", ("", "hz-to-h.example")),
    ],
)
def test_a_name_with_to_in_it_is_no_change_from_one_to_another(text: str, told: tuple[str, str]) -> None:
    assert values(text, name="master.corp.to") == told
