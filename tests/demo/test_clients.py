"""What a client felt: the arithmetic of gaps, without any client running."""

import pytest

from shared.adapters.clock import SystemClock
from understudy.demo.clients import Client, Gap, Outcome, Resolver, gap_of, steady

LOSS = 100.0


def served(at: float, by: str = "hz-h") -> Outcome:
    return Outcome(at=at, sent=at - 0.01, served=True, by=by, detail="200")


def missed(at: float, *, sent: float | None = None, detail: str = "TimeoutError") -> Outcome:
    return Outcome(at=at, sent=at - 0.5 if sent is None else sent, served=False, by="", detail=detail)


def client(*outcomes: Outcome, asked: tuple[float, ...] = ()) -> Client:
    clock = SystemClock()
    resolver = Resolver(("127.0.0.1", 1), "master.corp.example", 30.0, clock)
    resolver.asked.extend(asked)
    made = Client("test", resolver=resolver, fixed=None, port=1, clock=clock)
    made.outcomes.extend(outcomes)
    return made


def gap(*outcomes: Outcome, asked: tuple[float, ...] = ()) -> Gap:
    return gap_of(client(*outcomes, asked=asked), loss=LOSS, standby="hz-i")


def test_a_client_that_never_comes_back_has_no_second_time() -> None:
    found = gap(served(99.9), missed(100.6), missed(101.2))

    assert found.first_served_again is None
    assert (found.requests, found.lost) == (2, 2)
    assert found.last_served == pytest.approx(-0.1)


def test_a_client_that_was_never_served_has_no_first_time() -> None:
    found = gap(missed(99.0), missed(100.6))

    assert found.last_served is None
    assert found.first_served_again is None


def test_the_old_master_still_answering_after_the_loss_is_not_service_by_the_standby() -> None:
    found = gap(served(99.9), served(102.0), missed(103.0), served(105.0, by="hz-i"))

    assert found.last_served == pytest.approx(2.0)
    assert found.first_served_again == pytest.approx(5.0)
    assert (found.requests, found.lost) == (2, 1)


def test_an_answer_of_the_old_master_after_the_standbys_first_does_not_count_as_last_served() -> None:
    found = gap(served(99.9), served(105.0, by="hz-i"), served(106.0, by="hz-h"))

    assert found.last_served == pytest.approx(-0.1)


def test_a_request_sent_before_the_loss_and_lost_by_it_is_not_counted_as_sent_into_it() -> None:
    found = gap(served(99.8), missed(100.3, sent=99.9), missed(100.9), served(105.0, by="hz-i"))

    assert found.lost == 1


def test_standby_answers_before_the_loss_are_not_recovery() -> None:
    found = gap(served(99.0, by="hz-i"), missed(100.6))

    assert found.first_served_again is None


def test_the_age_of_the_cached_address_is_that_of_the_last_answer_before_the_loss() -> None:
    found = gap(served(99.9), asked=(60.0, 93.5, 104.0))

    assert found.cached == pytest.approx(6.5)


def test_a_client_that_never_resolved_has_no_cached_address() -> None:
    assert gap(missed(100.6)).cached is None


@pytest.mark.parametrize(
    ("outcomes", "expected"),
    [
        pytest.param([], False, id="nothing sent yet"),
        pytest.param([served(97.0), served(99.0)], True, id="served long enough"),
        pytest.param([served(98.5), served(99.0)], False, id="not for long enough"),
        pytest.param([served(90.0), missed(98.5), served(99.9)], False, id="a miss in between"),
        pytest.param([missed(90.0), served(97.0), served(99.0)], True, id="a miss long ago"),
        pytest.param([served(90.0)], False, id="nothing sent lately"),
    ],
)
def test_steady_means_served_without_a_miss_for_the_whole_time(outcomes: list[Outcome], expected: bool) -> None:
    assert steady(client(*outcomes), now=100.0, seconds=2.5) is expected


def test_refusals_are_told_from_silence_and_timed_from_the_first_sent_to_the_last_answered() -> None:
    found = gap(
        served(100.1),
        missed(100.3, sent=100.2, detail="503"),
        missed(100.9, sent=100.4),
        missed(101.1, sent=101.0, detail="503"),
        served(101.3, by="hz-i"),
    )

    assert (found.lost, found.refused) == (3, 2)
    assert found.refused_for == pytest.approx(0.9)
    assert found.without == pytest.approx(1.2)


def test_a_client_that_is_not_served_again_is_without_service_for_an_unknown_time() -> None:
    assert gap(served(100.1), missed(100.3, detail="503")).without is None
