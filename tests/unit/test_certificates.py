"""A certificate's rows: what a part holds, how parts and head are chained, and what an older version left behind."""

import random
from dataclasses import replace

from emulator.cloud import Cloud
from shared.domain.ids import PolicyVersion
from shared.ports.store import Anything, Row
from shared.state.certificates import (
    COLUMN,
    HOLDS,
    TABLE,
    Certificate,
    Certificates,
    CertificateState,
    Part,
    PointLine,
    Terms,
    opening,
    sealed,
    sealed_part,
    text_of,
)
from shared.usecases.prune.prune_survey import LINE
from tests.unit.points import utc
from understudy.simulation.store import InProcessStore, create_tables

AT = utc("2026-03-02")


def store() -> InProcessStore:
    cloud = Cloud(start=AT)
    create_tables(cloud, "understudy")
    return InProcessStore(cloud, "understudy")


def head(run: str = "run-1") -> Certificate:
    terms = Terms(run=run, at=AT, as_of=AT, policy=PolicyVersion(1))
    return Certificate(terms=terms, last=opening(terms))


def part(previous: str, *, number: int = 1, points: int = 1, disks: int = 2) -> Part:
    chance = random.Random(7)

    def an_id(kind: str) -> str:
        return f"{kind}-bp1{chance.getrandbits(90):018x}"

    volumes = [an_id("d") for _ in range(disks)]

    def line() -> PointLine:
        return {
            "id": f"applications/hourly/2026-03-01T00:00:00Z/{an_id('i')}",
            "protection": "applications",
            "slot": "2026-03-01T00:00:00.000000Z",
            "taken": f"2026-03-01T00:00:0{chance.randrange(10)}.000000Z",
            "usable": True,
            "complete": True,
            "failed": False,
            "pinned": False,
            "locked_until": None,
            "uncopied": [],
            "adopted": False,
            "group": an_id("ssg"),
            "copy_of": "",
            "disks": [[volume, an_id("s")] for volume in volumes],
            "fate": "gone",
            "because": ["not among 30 days, 24 last, 24 hourly, 7 daily, 4 weekly, 12 monthly, 10 yearly"],
        }

    return sealed_part(
        {
            "run": "run-1",
            "number": number,
            "previous": previous,
            "state": "ended",
            "region": "cn-hangzhou",
            "account": "",
            "looked": "2026-03-02T00:00:00.000000Z",
            "read_back": "2026-03-02T00:01:00.000000Z",
            "instances": [{"subject": an_id("i"), "points": [line() for _ in range(points)]}],
            "leftovers": [],
            "before": {},
            "after": {},
            "digest": "",
        }
    )


def test_a_part_as_full_as_a_batch_may_be_takes_about_a_megabyte_of_its_column() -> None:
    for disks in (1, 2, 17):
        points = HOLDS * 10 // (LINE * (10 + disks))
        certificates, made = Certificates(store()), part("x", points=points, disks=disks)

        certificates.put_part(head(), made)

        (row,) = certificates._store.scan(TABLE, ("parts/2026-03-02T00:00:00.000000Z/run-1",))
        assert len(text_of(made)) < 2 * HOLDS
        assert len(str(row.columns["z"])) < COLUMN * 2 // 3
        assert list(certificates.parts(head())) == [made]


def test_parts_come_back_in_their_order_and_none_of_another_run() -> None:
    certificates = Certificates(store())
    one, other = head("run-1"), head("run-10")
    for number in range(12, 0, -1):
        certificates.put_part(one, part("x", number=number))
    certificates.put_part(other, part("x"))

    assert [found["number"] for found in certificates.parts(one)] == list(range(1, 13))
    assert len(list(certificates.parts(other))) == 1


def test_a_head_is_sealed_as_it_stands_and_found_by_run_or_moment() -> None:
    certificates = Certificates(store())
    begun = certificates.put(head())
    ended = certificates.put(replace(begun, state=CertificateState.ENDED, ended=AT))

    assert begun.digest != ended.digest
    assert sealed(ended) == ended
    assert list(certificates.newest(None)) == [ended]
    assert certificates.of("run-1") == certificates.of("2026-03-02T00:00:00Z") == ended
    assert certificates.of("run-2") is None
    assert certificates.unfinished() == ()


def test_what_an_older_version_wrote_in_another_form_is_left_out() -> None:
    rows = store()
    old = Row(key=("prune", "2026-01-01T00:00:00.000000Z/r"), columns={"state": "ended", "body": '{"run":"r"}'})
    rows.put(TABLE, old, condition=Anything())
    made = Certificates(rows).put(head())

    assert list(Certificates(rows).newest(None)) == [made]
    assert Certificates(rows).unfinished() == (made,)
