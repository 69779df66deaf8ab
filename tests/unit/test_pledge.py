"""When an agent may promise not to become active, and what it promises then."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.ids import Epoch, HolderId, PairName, Place, SiteName
from shared.domain.lease import UNCLAIMED, Lease
from shared.domain.pledge import (
    Ask,
    Pledge,
    Promises,
    Standing,
    address_of,
    may_pledge,
    place_of,
    seal,
)

PAIR, ME, ASKER, OTHER = PairName("control"), HolderId("me"), HolderId("asker"), HolderId("other")
LEASE = timedelta(seconds=5)
NOW = 1000.0
ASK = Ask(pair=PAIR, epoch=Epoch(4), holder=ASKER, length=LEASE, nonce="n")
FREE = Standing(
    pair=PAIR, me=ME, place=Place("10.0.2.21:7001"), length=LEASE, until=0.0, seen=None, promises=Promises()
)


def row(epoch: int, holder: HolderId) -> Lease:
    first = Lease.first(PAIR, SiteName("hz-h"), token="t", length=LEASE, holder=holder)
    return replace(first, epoch=Epoch(epoch))


def to(holder: HolderId, *, until: float, epoch: int = 4) -> Promises:
    return Promises(pledge=Pledge(holder=holder, epoch=Epoch(epoch), until=until))


@pytest.mark.parametrize(
    ("ask", "standing", "said"),
    [
        (replace(ASK, pair=PairName("else")), FREE, "this agent serves pair control"),
        (replace(ASK, length=timedelta(0)), FREE, "up to 300 s"),
        (replace(ASK, length=timedelta(minutes=6)), FREE, "up to 300 s"),
        (ASK, replace(FREE, until=NOW + 0.1), "active itself"),
        (ASK, replace(FREE, promises=Promises(floor=Epoch(5))), "has promised for 5"),
        (ASK, replace(FREE, promises=to(OTHER, until=NOW + 0.1)), "pledged to other (epoch 4) for 0.1 s more"),
        (ASK, replace(FREE, promises=Promises(unknown_until=NOW + 2)), "waiting for 2.0 s more"),
        (ASK, replace(FREE, seen=row(5, OTHER)), "the lease stands at 5"),
        (ASK, replace(FREE, seen=row(4, OTHER)), "epoch 4 is held by other"),
        (ASK, replace(FREE, seen=row(4, ME)), "epoch 4 is held by me"),
        (replace(ASK, holder=ME), replace(FREE, promises=to(OTHER, until=NOW + 1)), "pledged to other"),
    ],
    ids=["another pair", "no time", "for ever", "active", "asked to promote", "pledged to another", "does not know",
         "a higher epoch", "held by another", "its own row", "itself, while pledged"],
)  # fmt: skip
def test_refused(ask: Ask, standing: Standing, said: str) -> None:
    refusal = may_pledge(ask, standing, now=NOW)

    assert isinstance(refusal, str)
    assert said in refusal


@pytest.mark.parametrize(
    "standing",
    [
        FREE,
        replace(FREE, until=NOW),
        replace(FREE, promises=to(OTHER, until=NOW)),
        replace(FREE, promises=to(ASKER, until=NOW + 3)),
        replace(FREE, promises=Promises(unknown_until=NOW)),
        replace(FREE, seen=row(4, ASKER)),
        replace(FREE, seen=row(4, UNCLAIMED)),
        replace(FREE, seen=row(3, ME)),
    ],
    ids=["knows nothing", "its grant is over", "an earlier pledge is over", "to the same again", "it knows again",
         "the asker's row", "claimed by nobody", "its own row of an older epoch"],
)  # fmt: skip
def test_promised(standing: Standing) -> None:
    promised = may_pledge(ASK, standing, now=NOW)

    assert isinstance(promised, Promises)
    assert promised.pledge == Pledge(holder=ASKER, epoch=Epoch(4), until=NOW + 5)
    assert promised.floor == 4
    assert "pledged to asker" in promised.barred(ME, NOW + 4.9)
    assert promised.barred(ME, NOW + 5) == ""


@pytest.mark.parametrize(("asked", "own"), [(5, 8), (8, 5)])
def test_a_pledge_lasts_for_the_longer_of_both_leases(asked: int, own: int) -> None:
    promised = may_pledge(
        replace(ASK, length=timedelta(seconds=asked)), replace(FREE, length=timedelta(seconds=own)), now=NOW
    )

    assert isinstance(promised, Promises)
    assert promised.pledged_for(ME, NOW) == timedelta(seconds=8)


def test_what_was_kept_counts_after_a_restart_and_what_was_not_bars_for_one_lease() -> None:
    kept = to(ASKER, until=NOW + 1)

    assert Promises.after_restart(kept, now=NOW, length=LEASE) == kept
    assert Promises.after_restart(None, now=NOW, length=LEASE).barred(ME, NOW + 4.9)
    assert not Promises.after_restart(None, now=NOW, length=LEASE).barred(ME, NOW + 5)


def test_a_pledge_to_oneself_bars_others_and_not_oneself() -> None:
    own = to(ME, until=NOW + 1)

    assert own.barred(ME, NOW) == ""
    assert own.barred(ASKER, NOW)
    assert own.pledged_for(ME, NOW) == timedelta(0)


@pytest.mark.parametrize(
    "other",
    [
        replace(ASK, nonce="m"),
        replace(ASK, epoch=Epoch(5)),
        replace(ASK, holder=OTHER),
        replace(ASK, length=timedelta(seconds=6)),
        replace(ASK, pair=PairName("else")),
    ],
)
def test_a_seal_fits_one_ask_in_one_direction_by_one_agent_under_one_secret(other: Ask) -> None:
    yes = seal(b"s", ASK, by=ME)

    assert yes != seal(b"s", other, by=ME)
    assert yes != seal(b"s", ASK, by=OTHER)
    assert yes != seal(b"s", ASK)
    assert yes != seal(b"t", ASK, by=ME)
    assert yes == seal(b"s", ASK, by=ME)


def test_a_place_is_an_address_and_a_port() -> None:
    assert address_of(place_of("10.0.1.21", 7001)) == ("10.0.1.21", 7001)
    assert address_of(Place("::1:7001")) == ("::1", 7001)
