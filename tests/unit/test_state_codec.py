"""Rows outlive code versions: what is stored must come back, and damage must stop the reader by name."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum

import pytest

from shared.domain.errors import Permanent
from shared.domain.ids import DiskId
from shared.state import codec
from tests.usecases.backup_world import a_policy


class Colour(StrEnum):
    RED = "red"


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    at: datetime
    span: timedelta


@dataclass(frozen=True, slots=True, kw_only=True)
class Outer:
    name: str
    colour: Colour
    pair: tuple[DiskId, int]
    many: tuple[Inner, ...] = ()
    words: dict[str, str] = field(default_factory=dict)
    maybe: datetime | None = None
    count: int = 0


AT = datetime(2026, 3, 2, 1, 2, 3, 456789, tzinfo=UTC)
WHOLE = Outer(
    name="ünï",
    colour=Colour.RED,
    pair=(DiskId("d-1"), 7),
    many=(Inner(at=AT, span=timedelta(minutes=75)),),
    words={"a": "b"},
    maybe=AT,
    count=3,
)


@pytest.mark.parametrize("value", [WHOLE, Outer(name="", colour=Colour.RED, pair=(DiskId(""), 0)), a_policy()])
def test_what_is_stored_comes_back_equal(value: object) -> None:
    assert codec.load(type(value), codec.dump(value)) == value


def test_moments_sort_as_text_in_time_order_whatever_zone_they_came_in() -> None:
    shanghai = timezone(timedelta(hours=8))
    moments = [AT, AT + timedelta(microseconds=1), (AT + timedelta(seconds=1)).astimezone(shanghai)]

    assert sorted(map(codec.moment, reversed(moments))) == list(map(codec.moment, moments))
    assert {len(codec.moment(one)) for one in [*moments, AT.replace(microsecond=0)]} == {27}


def test_a_newer_versions_extra_key_is_ignored_and_a_missing_one_takes_its_default() -> None:
    text = '{"name":"x","colour":"red","pair":["d-1",2],"from_the_future":[1]}'

    assert codec.load(Outer, text) == Outer(name="x", colour=Colour.RED, pair=(DiskId("d-1"), 2))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "stored Outer cannot be read"),
        ("[]", "stored Outer cannot be read"),
        ('{"name":"x","colour":"red"}', "Outer lacks pair"),
        ('{"name":"x","colour":"blue","pair":["d",1]}', "blue"),
        ('{"name":7,"colour":"red","pair":["d",1]}', "expected str, found 7"),
        ('{"name":"x","colour":"red","pair":["d",true]}', "expected int, found True"),
        ('{"name":"x","colour":"red","pair":["d"]}', "stored Outer cannot be read"),
        ('{"name":"x","colour":"red","pair":["d",1],"maybe":"yesterday"}', "yesterday"),
    ],
)
def test_a_damaged_row_stops_the_reader_and_says_what_it_is(text: str, words: str) -> None:
    with pytest.raises(Permanent, match="stored Outer") as raised:
        codec.load(Outer, text)
    assert words in str(raised.value)
