"""A look aside may end in its own thread at any moment, also while somebody asks about it."""

from datetime import UTC, datetime, timedelta

from shared.domain.errors import Retryable
from shared.usecases.failover.aside import Aside


class InterruptedClock:
    """Runs something in the midst of each reading, as another thread may."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self.meanwhile: Aside[int] | None = None

    def now(self) -> datetime:
        return datetime(2026, 3, 2, tzinfo=UTC)

    def monotonic(self) -> float:
        if self.meanwhile is not None:
            aside, self.meanwhile = self.meanwhile, None
            aside.start()
        return self.seconds

    def sleep(self, duration: timedelta) -> None:
        self.seconds += duration.total_seconds()


def test_a_look_that_succeeds_while_its_failure_is_asked_about_ends_that_failure() -> None:
    answers: list[Retryable | int] = [Retryable("no answer"), 7]
    clock = InterruptedClock()

    def look() -> int:
        answer = answers.pop(0)
        if isinstance(answer, Retryable):
            raise answer
        return answer

    aside = Aside(look, what="test", run=lambda do: do(), clock=clock)
    aside.start()
    clock.sleep(timedelta(seconds=40))
    assert aside.failing_for() == timedelta(seconds=40)

    clock.meanwhile = aside
    assert aside.failing_for() == timedelta(0)
    assert aside.trouble == ""
    assert aside.newest() == (40.0, 7)
