"""Whatever becomes of ticks, pauses and policies: each due slot comes to exactly one end, and none is invented."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import example, given, settings
from hypothesis import strategies as st

from shared.domain.errors import OutcomeUnknown, Retryable
from shared.domain.policy import Blackout, Schedule
from tests.usecases.accounts import Books
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, MASTERS, Died, World, a_policy

QUARTERLY = Schedule(
    name="quarterly", hours=tuple(range(24)), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC", every=timedelta(minutes=15)
)
NIGHTLY = Schedule(name="nightly", hours=(2,), weekdays=(1, 2, 3, 4, 5), zone="Asia/Shanghai")
NIGHT = Blackout(name="night", zone="UTC", weekdays=(1, 2, 3, 4, 5, 6, 7), begins=22 * 60, ends=90)

TWO = replace(APPLICATIONS, schedules=(EVERY_HOUR, QUARTERLY), blackouts=(NIGHT,))
SLOWER = replace(
    APPLICATIONS, schedules=(EVERY_HOUR, replace(QUARTERLY, every=timedelta(minutes=30))), blackouts=(NIGHT,)
)
MASTERS_AT_NIGHT = replace(MASTERS, schedules=(NIGHTLY,))
POLICIES = (
    a_policy(TWO, MASTERS_AT_NIGHT),
    a_policy(SLOWER, MASTERS_AT_NIGHT),
    a_policy(TWO),
    a_policy(MASTERS, replace(TWO, name="servers")),
)

Deed = tuple[str, int]
DEEDS = st.one_of(
    st.tuples(st.just("ticks"), st.integers(1, 30)),
    st.tuples(st.just("silence"), st.integers(1, 1500)),
    st.tuples(st.just("silence"), st.integers(1500, 15_000)),
    st.tuples(st.just("race"), st.integers(0, 12)),
    st.tuples(st.sampled_from(["die before", "die after", "lose the answer"]), st.integers(0, 12)),
    st.tuples(st.sampled_from(["pause", "resume"]), st.just(0)),
    st.tuples(st.just("apply"), st.integers(0, len(POLICIES) - 1)),
    st.tuples(st.just("backup"), st.just(0)),
)
READS = ("store.get", "store.scan")


def do(books: Books, deed: Deed) -> None:
    world, (name, number) = books.world, deed
    if name == "ticks":
        for _ in range(number):
            world.advance(minutes=5)
            world.invoke(world.schedule)
    elif name == "silence":
        world.advance(minutes=number)
    elif name == "pause":
        books.pause()
    elif name == "resume":
        books.resume()
    elif name == "apply":
        books.apply(POLICIES[number])
    elif name == "backup":
        world.invoke(world.backup)
    else:
        _disturbed_tick(world, name, len(world.wire.labels) + number)


def _disturbed_tick(world: World, name: str, at: int) -> None:
    def trouble(number: int, label: str, after: bool) -> None:
        if number != at:
            return
        if name == "race" and not after:
            world.wire.trouble = lambda number, label, after: None
            world.invoke(world.schedule)
        elif name in ("die before", "die after") and after is (name == "die after"):
            raise Died(label)
        elif name == "lose the answer" and after:
            raise Retryable(label) if label in READS else OutcomeUnknown(label)

    world.wire.trouble = trouble
    world.invoke(world.schedule)
    world.wire.trouble = lambda number, label, after: None


@settings(max_examples=40, deadline=None)
@given(st.lists(DEEDS, min_size=4, max_size=24))
@example([("ticks", 20), ("die after", 1), ("apply", 2), ("ticks", 5)])
@example([("silence", 61), ("pause", 0), ("silence", 40), ("resume", 0), ("pause", 0), ("silence", 9), ("resume", 0)])
def test_each_due_slot_comes_to_exactly_one_end(deeds: list[Deed]) -> None:
    world = World(POLICIES[0])
    books = Books(world, POLICIES[0])
    for deed in deeds:
        do(books, deed)

    books.resume()
    for _ in range(60):  # longer than the blackout
        do(books, ("ticks", 1))
        do(books, ("backup", 0))

    accounts = books.balance()
    assert accounts.due > 0
    assert accounts.balanced, accounts
    tags = [
        (one.disk, one.tags) for one in world.in_cloud() if "understudy:slot" in one.tags
    ]  # the newest wait for them
    snapshots = [(disk, own["understudy:schedule"], own["understudy:slot"]) for disk, own in tags]
    assert len(snapshots) == len(set(snapshots))
