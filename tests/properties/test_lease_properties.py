"""The inequality on which everything rests, over all timings."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.domain.errors import BadInput
from shared.domain.ids import PairName, SiteName
from shared.domain.lease import Grant, Lease, LeaseState, Sighting, Terms

PAIR, H, STANDBY = PairName("control"), SiteName("hz-h"), SiteName("hz-i")
seconds = st.floats(0, 1e6, allow_nan=False)
short = st.floats(0, 60, allow_nan=False)


@st.composite
def terms(draw: st.DrawFn) -> Terms:
    lease = draw(st.integers(1_000, 120_000))
    margin = draw(st.integers(1, lease // 2))
    renew = draw(st.integers(1, lease - margin - 1))
    return Terms(
        lease=timedelta(milliseconds=lease),
        margin=timedelta(milliseconds=margin),
        renew_every=timedelta(milliseconds=renew),
    )


def held(length: timedelta) -> Lease:
    return Lease.first(PAIR, H, token="t1", length=length)


@given(terms(), seconds, short, short, short, seconds, seconds)
def test_a_taker_that_may_act_finds_the_holders_deadline_past(
    agreed: Terms, start: float, sending: float, answering: float, later: float, holder_zero: float, taker_zero: float
) -> None:
    """True time: renewal starts, is applied, the taker's read of it returns, the taker looks again."""
    applied = start + sending
    read_returned = applied + answering
    looked_again = read_returned + later
    grant = Grant.of_renewal(held(agreed.lease), started=holder_zero + start, terms=agreed)
    sighting = Sighting.first(held(agreed.lease), returned=taker_zero + read_returned)

    if sighting.takeable(taker_zero + looked_again, agreed):
        # 1e-6: the two clocks' readings are floats of a million seconds.
        assert not grant.active_at(holder_zero + looked_again + 1e-6)


@given(terms(), seconds, short)
def test_any_change_of_the_row_starts_the_taker_anew(agreed: Terms, first: float, later: float) -> None:
    lease = held(agreed.lease)
    sighting = Sighting.first(lease, returned=first)
    assert sighting.then(lease, returned=first + later) is sighting

    for changed in (
        lease.renewed(token="t2", length=agreed.lease),
        lease.taken(STANDBY, token="t2", length=agreed.lease),
        lease.released(token="t2"),
    ):
        assert sighting.then(changed, returned=first + later).since == first + later


@given(terms(), st.lists(st.sampled_from(["renew", "take", "release"]), max_size=30))
def test_versions_and_epochs_only_rise(agreed: Terms, moves: list[str]) -> None:
    lease = held(agreed.lease)
    for number, move in enumerate(moves):
        before, token = lease, f"t{number + 2}"
        if move == "take":
            lease = lease.taken(STANDBY if lease.owner == H else H, token=token, length=agreed.lease)
            assert lease.epoch == before.epoch + 1
            assert lease.state is LeaseState.HELD
        elif lease.state is LeaseState.FREE:
            continue
        else:
            lease = lease.renewed(token=token, length=agreed.lease) if move == "renew" else lease.released(token=token)
            assert (lease.epoch, lease.owner) == (before.epoch, before.owner)
        assert lease.version == before.version + 1
        assert lease.token != before.token


@given(terms(), st.integers(1, 500))
def test_a_taker_with_shorter_terms_waits_as_long_as_the_holder_was_promised(agreed: Terms, shorter: int) -> None:
    hasty = Terms(
        lease=timedelta(milliseconds=shorter + 2),
        margin=timedelta(milliseconds=1),
        renew_every=timedelta(milliseconds=max(1, shorter // 2)),
    )
    sighting = Sighting.first(held(agreed.lease), returned=0.0)

    assert sighting.expires_at(hasty) >= agreed.lease.total_seconds()


def test_a_free_lease_need_not_be_waited_for() -> None:
    lease = held(timedelta(seconds=5)).released(token="t2")
    agreed = Terms(lease=timedelta(seconds=5), margin=timedelta(seconds=1), renew_every=timedelta(seconds=1))

    assert Sighting.first(lease, returned=10.0).takeable(10.0, agreed)


@pytest.mark.parametrize(("lease", "margin", "renew"), [(5, 0, 1), (5, 1, 0), (5, 1, 4), (5, 5, 1)], ids=str)
def test_terms_under_which_a_holder_would_lose_its_lease_are_refused(lease: int, margin: int, renew: int) -> None:
    with pytest.raises(BadInput, match="lease terms"):
        Terms(lease=timedelta(seconds=lease), margin=timedelta(seconds=margin), renew_every=timedelta(seconds=renew))
