"""One seed lived to its end and judged. A failing one is lived again, with its draw and its trace, by

python -m bench.seeds --seed N
"""

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from shared.domain.decision import Decision
from shared.domain.failover_decision import Resolution
from shared.domain.failover_fsm import AT_REST, On, State
from shared.domain.ids import SiteName
from shared.state import codec
from shared.state.failovers import Failover
from shared.usecases.failover.replay import RESOLUTION, situation_of
from tests.simulation.failover_world import ADDRESS, FailoverWorld
from tests.simulation.pair_world import H, I
from tests.simulation.surge_ports import APP_I, BEFORE, LOW, RAISED
from tests.simulation.trouble import MENU, Draw, Menu, Trouble, troubled

ENDS_WITHIN = 150.0  # seconds after the last fault: the next minute's tick, a lease, a failover, and somewhat more
RESTS_FOR = 8.0  # that long it must stay at rest
NEWS = 2.0  # how old a look at the lease may be when the name is bound: it is followed by one listing
FORBIDDEN = frozenset({"policy: manual", "policy: maintenance"})
MENDED = 70.0  # how long a late write may stand: until the next tick whose watch looks at the name


@dataclass(kw_only=True)
class Life:
    """What one seed came to. `failures` empty: it kept every promise."""

    seed: int
    failures: list[str] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)  # of the faults drawn
    epochs: int = 0
    accepted: int = 0
    withdrawn: int = 0
    rebinds: int = 0
    lived_on: int = 0
    rest_after: float | None = None  # seconds from the last fault
    draw: Draw | None = None
    trace: list[str] = field(default_factory=list)
    decisions: list[str] = field(default_factory=list)  # what was decided when and why, as far as it was recorded
    recorded: list[Decision] = field(default_factory=list)  # the same, as stored; oldest first

    def story(self) -> str:
        return "\n".join([f"seed {self.seed}: {'; '.join(self.failures) or 'well'}", str(self.draw), *self.trace])


def lived(seed: int, *, menu: Menu = MENU, varied: bool = True, keep_decisions: bool = False, **more: object) -> Life:
    logging.getLogger("understudy").setLevel(logging.CRITICAL)
    pair, trouble = troubled(seed, menu=menu, varied=varied, **more)
    rest = _Rest(pair, trouble)
    died = ""
    try:
        pair.world.run(trouble.draw.trouble + ENDS_WITHIN)
    except AssertionError as error:
        died = f"{error}: {error.__cause__!r}"
    finally:
        pair.world.end()
    decided = pair.decisions() if keep_decisions else []
    return Life(
        seed=seed,
        failures=[died] if died else judged(pair, trouble, rest.after),
        kinds=trouble.draw.kinds,
        epochs=len({one.epoch for one in pair.accepted}),
        accepted=len(pair.accepted),
        withdrawn=pair.withdrawn,
        rebinds=len(pair.rebinds),
        lived_on=pair.lived_on,
        rest_after=rest.after,
        draw=trouble.draw,
        trace=pair.world.trace,
        decisions=[f"{one.at.isoformat()} {one.event} {one.because} {sorted(one.inputs.items())}" for one in decided],
        recorded=decided,
    )


class _Rest:
    """Ends the world when it has been at rest for long enough."""

    def __init__(self, pair: FailoverWorld, trouble: Trouble) -> None:
        self._pair, self._calm = pair, trouble.draw.trouble
        self._since: float | None = None
        self.after: float | None = None
        pair.at(self._calm + 1, self._look)

    def _look(self) -> None:
        world = self._pair.world
        if unrest(self._pair):
            self._since = None
        elif self._since is None:
            self._since = world.now
        elif world.now - self._since >= RESTS_FOR:
            self.after = self._since - self._calm
            world.stop()
            return
        world.later(1.0, self._look)


def unrest(pair: FailoverWorld) -> str:
    """What is not as it should be now that nothing is wrong; empty when all is."""
    active = pair.active()
    if len(active) != 1:
        return f"active: {sorted(active)}"
    (holder,) = active
    if pair.record().value != ADDRESS[holder]:
        return f"the name is bound to {pair.record().value}, and {holder} is active"
    if pair.more_values() != {str(rule): rule.values[holder] for rule in pair.more_names}:
        return f"further names give {pair.more_values()}, and {holder} is active"
    row = pair.failover()
    if row.state not in (*AT_REST, State.SUSPECTING):
        return f"the pair is {row.state}"
    if unraised := misplaced(pair, row, holder):
        return unraised
    return "" if pair.accepted_by(holder, after=pair.world.now - 3) else f"{holder} accepts nothing"


def misplaced(pair: FailoverWorld, row: Failover, holder: SiteName) -> str:
    """What of weights and sizes does not stand as it should; empty when all does, or the pair has none."""
    if not pair.standing.weights:
        return ""
    stands = (pair.standing.weights, pair.standing.sizes)
    # What was raised as far as a bound allowed that was lifted since is nobody's any more: it is left.
    left = any(size not in (BEFORE[1][group], LOW) for group, size in stands[1].items())
    if holder == H and row.state is State.WATCHING and (row.surged or stands[0] != BEFORE[0] or left):
        return f"{holder} serves, both are well, and {row.surged or 'nobody'} is raised: {stands}"
    own = (pair.standing.weights[APP_I], pair.standing.sizes["asg-i"])
    if row.surged == I and own != (RAISED[0][APP_I], RAISED[1]["asg-i"]):
        return f"{I} carries it alone with {stands}"
    return ""


def uncalled(decisions: Sequence[Decision]) -> Iterator[str]:
    """Failovers that began by themselves though the policy forbids it."""
    for one in decisions:
        if one.event == "failover.decided" and one.inputs.get("on") == On.LOST:
            resolved = codec.load(Resolution, one.inputs[RESOLUTION])
            situation = situation_of(one)
            if situation is not None and resolved.target != situation.active:
                yield f"it moved to {resolved.target} by itself at {one.at}: {one.because}"


def judged(pair: FailoverWorld, trouble: Trouble, rest_after: float | None) -> list[str]:
    found = [pair.overlap()]
    if not FORBIDDEN.isdisjoint(trouble.draw.kinds):
        found += uncalled(pair.decisions())
    if rest_after is None:
        found.append(f"no rest {ENDS_WITHIN:.0f} s after the last fault: {unrest(pair)}; {pair.failover()}")
    found += [untimely(pair, number, trouble.draw.trouble) for number in range(len(pair.bindings))]
    return [one for one in found if one]


def untimely(pair: FailoverWorld, number: int, calm: float) -> str:
    """Why one rebind came before its time, or stood beyond it; empty when it did neither."""
    one = pair.bindings[number]
    what = f"bound to {one.value} at {one.at:.3f} under epoch {one.epoch}"
    if one.news > NEWS:
        return f"{what}, {one.news:.1f} s after the last look at the lease"
    if one.value != ADDRESS[one.owner]:
        if one.seen == one.epoch:
            return f"{what}, though it had just seen that {one.owner} holds it"
        # A watch that was frozen wrote for an older epoch. In calm the next rounds mend that.
        mended = next((then.at for then in pair.bindings[number + 1 :] if then.value != one.value), None)
        if mended is None or mended > max(one.at, calm) + MENDED:
            return f"{what}, and until {mended} not mended"
        return ""
    late = [accepted for accepted in pair.accepted if accepted.epoch < one.epoch and accepted.until >= one.at]
    if late:
        return f"{what}, but {late[0]}"
    if pair.granted.get((one.owner, one.epoch), one.at) >= one.at:
        return f"{what} before {one.owner} was told of it"
    return ""
