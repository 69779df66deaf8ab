"""What was found out about one change of the active master, how clients felt it, and whether that is as promised."""

from dataclasses import asdict, dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

from shared.domain.failover_fsm import IN_HAND
from shared.domain.objectives import FAILOVER_PHASES
from shared.state.failovers import Failover
from understudy.demo.clients import Client, Gap, is_refusal
from understudy.demo.crowd import RESOLVES
from understudy.demo.losses import DEAD, WORDS, Loss
from understudy.demo.proof import prove
from understudy.demo.stage import Stage

NEW: Final = "i-master-i"
LIMIT: Final = 10.0  # seconds from a loss to service
MOST_REFUSED: Final = 2.0  # seconds without service in a switchover
ENDS_WITHIN: Final = 5.0  # seconds for what is left of the failover once clients are served
LOOK_EVERY: Final = timedelta(milliseconds=50)


@dataclass(kw_only=True)
class Result:
    loss: Loss
    gaps: list[Gap] = field(default_factory=list)
    phases: dict[str, float] = field(default_factory=dict)  # seconds
    decisions: list[tuple[float, str]] = field(default_factory=list)  # seconds after the loss, sentence
    epoch_before: int = 0
    epoch_after: int = 0
    accepted: int = 0  # commands that the checker looked at
    violations: list[str] = field(default_factory=list)
    unproved: list[str] = field(default_factory=list)  # what decisions and trail could not show
    reigns: list[str] = field(default_factory=list)
    silence_between: float | None = None  # seconds between the last command of the old reign and the first of the new
    attended: bool = True  # an agent stands beside each master
    voices: int = 0  # agents on whose pledges the old holder could live, by its lease row
    names: list[tuple[str, str]] = field(default_factory=list)  # value and remark of each record
    inside_last_accepted: float | None = None  # seconds after the loss
    inside_accepted: int = 0  # sent after the loss was complete, and accepted
    inside_refused: int = 0  # answered with a refusal
    inside_unanswered: int = 0
    continued_refused: int | None = None  # of these, after what was stopped ran again
    continued_accepted: int = 0  # must stay 0

    @property
    def first_good(self) -> float | None:
        """Seconds from loss to the first good answer of the client that resolves each time."""
        return next((gap.first_served_again for gap in self.gaps if gap.kind == RESOLVES), None)

    def to_json(self) -> dict[str, Any]:
        return {**asdict(self), "first_good_seconds": self.first_good, "words": WORDS[self.loss]}


def refusals(client: Client, *, since: float) -> int:
    return sum(is_refusal(outcome.detail) for outcome in list(client.outcomes) if outcome.sent > since)


def count_inside(result: Result, inside: Client, *, loss: float, struck: float) -> None:
    after = [o for o in inside.outcomes if o.sent >= loss]
    result.inside_last_accepted = max((o.at - loss for o in inside.outcomes if o.served), default=None)
    result.inside_refused = refusals(inside, since=loss)
    result.inside_accepted = sum(o.served for o in inside.outcomes if o.sent >= struck)
    result.inside_unanswered = sum(not o.served and not is_refusal(o.detail) for o in after)


def read_evidence(stage: Stage, result: Result, *, loss: float, wall: datetime) -> None:
    """`loss` on the clock of the accept logs, `wall` on the cloud's."""
    failover = _confirmed(stage)
    result.epoch_after = int(failover.epoch or 0)
    result.phases = phases_of(failover, loss=wall, first_good=result.first_good)
    proof = prove(stage)
    result.accepted, result.violations, result.unproved = proof.accepted, proof.violations, proof.unproved
    result.reigns = [
        f"epoch {reign.epoch}: {reign.site} accepted {reign.accepted} commands "
        f"from {shown(reign.first.at - loss)} s to {shown(reign.last.at - loss)} s"
        for reign in proof.reigns
    ]
    result.silence_between = proof.gaps[-1] if proof.gaps else None
    result.names = stage.name_values()


def _confirmed(stage: Stage) -> Failover:
    """The failover's row once it is at its end, or as far as it has come."""
    end = stage.clock.monotonic() + ENDS_WITHIN
    while (failover := stage.failover()).state in IN_HAND and stage.clock.monotonic() < end:
        stage.clock.sleep(LOOK_EVERY)
    return failover


def phases_of(failover: Failover, *, loss: datetime, first_good: float | None) -> dict[str, float]:
    """From the loss to the first good answer: the driver's own durations, but `detect` counts from the loss (the driver
    can only count from its last good sight) and `serve` up to what the client felt. A client may be served while the
    record is still being read back: what comes after its answer is in no phase. Their sum is `first_good`. Empty
    without a failover, or without an answer."""
    if "detect" not in failover.ended or failover.ended["detect"] < loss or first_good is None:
        return {}
    left, known = first_good, {}
    for phase in FAILOVER_PHASES[:-1]:
        spent = failover.seconds.get(phase, 0.0)
        if phase == "detect":
            spent = (failover.ended["detect"] - loss).total_seconds()
        known[phase] = min(spent, left)
        left -= known[phase]
    return {**known, FAILOVER_PHASES[-1]: left}


def judge(stage: Stage, result: Result, *, limit: float = LIMIT) -> None:
    """`limit`: seconds from the loss to the first good answer of the client that resolves each time."""
    check = stage.promises.check
    first = result.first_good
    check(
        f"the client that {RESOLVES} is served within {limit:g} s of the loss",
        first is not None and first <= limit,
        "never" if first is None else f"after {first:.1f} s",
    )
    if result.loss is Loss.SWITCHOVER:
        felt = next((gap for gap in result.gaps if gap.kind == RESOLVES), None)
        without = None if felt is None else felt.without
        check(
            f"the client that {RESOLVES} is refused for no longer than {MOST_REFUSED:g} s",
            without is not None and without <= MOST_REFUSED,
            "never served again" if without is None else f"{without:.2f} s between two good answers",
        )
    back = sum(g.first_served_again is not None for g in result.gaps)
    check("every client came back", back == len(result.gaps), f"{back} of {len(result.gaps)} clients")
    check(
        "never two active, proved from accept logs, decisions and the name's trail",
        not result.violations and not result.unproved and result.accepted > 0,
        "\n".join(result.violations or result.unproved or _reigns(result)),
    )
    inside = (
        f"last accepted {shown(result.inside_last_accepted)} s after the loss, "
        f"then {result.inside_refused} refused, {result.inside_unanswered} unanswered"
    )
    if not result.attended:
        pass  # nothing tells it to refuse: it answers until it is stopped; the accept logs tell if that was too late
    elif result.loss in DEAD:
        alone = result.inside_accepted == 0 and result.inside_unanswered > 0
        check("nobody answered in the dead master's place", alone, inside)
    else:
        check("the old master refused by itself what came from inside its zone", result.inside_refused > 0, inside)
    if result.continued_refused is not None:
        check(
            "what was stopped and continued found by itself that its time was over",
            result.continued_refused > 0 and result.continued_accepted == 0 and not result.violations,
            f"since then {result.continued_refused} commands refused, {result.continued_accepted} accepted",
        )
    check(
        "one record, bound to the standby, under the new epoch",
        [value for value, _ in result.names] == [stage.address(NEW)] and result.epoch_after == result.epoch_before + 1,
        f"{', '.join(f'{value} ({remark})' for value, remark in result.names)}; "
        f"epoch {result.epoch_before} -> {result.epoch_after}",
    )


def _reigns(result: Result) -> list[str]:
    if result.silence_between is None:
        return result.reigns
    return [*result.reigns, f"{result.silence_between:.1f} s in between with nobody active"]


def shown(value: float | None) -> str:
    return "never" if value is None else f"{round(value, 1) + 0.0:.1f}"  # never "-0.0"
