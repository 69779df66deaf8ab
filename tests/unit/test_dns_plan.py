"""What is done about the name, from the records that stand there."""

from dataclasses import replace

import pytest

from shared.domain.dns_plan import NameRecord, Rebind, RefuseRebind, Settled, epoch_of, plan_name, remark_of
from shared.domain.ids import Epoch

RECORD = NameRecord(
    record_id="1",
    zone="corp.example",
    host="master",
    type="A",
    value="10.0.1.21",
    ttl_seconds=5,
    enabled=True,
    remark="epoch=3",
)


def plan(*records: NameRecord, value: str = "10.0.2.21", epoch: int = 4) -> Settled | Rebind | RefuseRebind:
    return plan_name(records, name="master.corp.example", type="A", value=value, epoch=Epoch(epoch))


@pytest.mark.parametrize(
    ("records", "because"),
    [
        ((), "has no record"),
        ((RECORD, replace(RECORD, record_id="2", value="10.0.2.21")), "2 records"),
        ((replace(RECORD, enabled=False),), "disabled"),
        ((replace(RECORD, type="CNAME", value="a.example"),), "is a CNAME record"),
        ((replace(RECORD, remark="epoch=9"),), "newer than 4"),
    ],
    ids=["none", "two", "disabled", "wrong type", "newer epoch"],
)
def test_a_name_that_is_not_as_expected_is_left_alone(records: tuple[NameRecord, ...], because: str) -> None:
    made = plan(*records)

    assert isinstance(made, RefuseRebind)
    assert because in made.because
    assert made.runbook


def test_one_record_with_the_old_address_is_rebound_and_gets_the_epoch_as_evidence() -> None:
    made = plan(RECORD)

    assert isinstance(made, Rebind)
    assert (made.record, made.value, made.remark) == (RECORD, "10.0.2.21", "epoch=4")


def test_a_record_that_already_points_there_needs_at_most_its_remark() -> None:
    there = replace(RECORD, value="10.0.2.21")

    assert plan(there) == Settled(
        record=there, remark="epoch=4", because="master.corp.example already points to 10.0.2.21"
    )
    settled = plan(replace(there, remark="ours epoch=4"))
    assert isinstance(settled, Settled)
    assert settled.remark is None


def test_planning_again_after_the_rebind_changes_nothing_more() -> None:
    made = plan(RECORD)
    assert isinstance(made, Rebind)

    again = plan(replace(RECORD, value=made.value, remark=made.remark))

    assert isinstance(again, Settled)
    assert again.remark is None


@pytest.mark.parametrize("remark", ["", "epoch", "epoch=", "epoch=x", "myepoch=3", "epoch=3x", "some text"])
def test_other_remarks_claim_no_epoch(remark: str) -> None:
    assert epoch_of(remark) is None


def test_a_remark_is_read_back_as_written() -> None:
    assert epoch_of(remark_of(Epoch(12))) == 12
