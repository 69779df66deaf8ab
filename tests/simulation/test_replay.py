"""What was decided on drawn bad days is decided again from what was recorded of it, to the letter.

100 seeds here make 1,500 decisions; 2,000 by hand (`python -m bench.replay --seeds 2000`) make 30,000.
"""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.decision import Decision
from shared.domain.failover_attempt import Attempt
from shared.domain.failover_decision import decide
from shared.domain.failover_fsm import On, State
from shared.domain.failover_situation import Situation
from shared.state import codec
from shared.usecases.failover.outcome import ATTEMPT
from shared.usecases.failover.replay import RESOLUTION, SITUATION, Again, replay, replay_all, situation_of
from tests.simulation.seeds import lived

SEEDS, CHUNK = 100, 25
LARGEST = 4096
"""Bytes of a stored situation on these days. The bound by construction is in `failover_situation`."""


def recorded(seed: int) -> list[Decision]:
    return lived(seed, keep_decisions=True).recorded


@pytest.mark.parametrize("first", range(0, SEEDS, CHUNK))
def test_each_decision_is_made_again_from_its_inputs(first: int) -> None:
    counted: Counter[Again] = Counter()
    for seed in range(first, first + CHUNK):
        made, again = replay_all(recorded(seed))
        counted += again
        wrong = [one for one in made if one.again in (Again.DIFFERS, Again.OLDER)]
        assert not wrong, f"seed {seed}: {wrong[0].decision.event} at {wrong[0].decision.at}: {wrong[0].says}"
        for one in made:
            if SITUATION in one.decision.inputs:
                stored = one.decision.inputs[SITUATION]
                situation = codec.load(Situation, stored)
                assert codec.dump(situation) == stored, "bit for bit"
                decided = replace(decide(situation), because=())
                assert codec.dump(decided) == one.decision.inputs[RESOLUTION], "bit for bit"
        sizes = [len(one.decision.inputs.get(SITUATION, "").encode()) for one in made]
        assert max(sizes, default=0) <= LARGEST

    assert counted[Again.SAME] > 5 * CHUNK
    assert counted[Again.SAME] > 5 * counted[Again.RECORD]


@pytest.fixture(scope="module")
def days() -> list[Decision]:
    return [one for seed in range(40) for one in recorded(seed)]


def judged(days: list[Decision], on: On) -> Decision:
    return next(one for one in days if SITUATION in one.inputs and one.inputs.get("on") == on)


def test_the_days_hold_decisions_of_many_kinds(days: list[Decision]) -> None:
    met = {one.inputs["on"] for one in days if SITUATION in one.inputs and "on" in one.inputs}

    assert {On.LOST, On.SUSPECT, On.BLIND, On.HEALTHY, On.UNKNOWN, On.SWITCH} <= met
    assert any(one.event.endswith((".waits", ".refused")) and SITUATION in one.inputs for one in days)


def test_a_changed_input_is_noticed(days: list[Decision]) -> None:
    lost = judged(days, On.LOST)
    tampered = lost.inputs[SITUATION].replace('"sight":"answered"', '"sight":"silent"')

    said = replay(replace(lost, inputs={**lost.inputs, SITUATION: tampered}))

    assert said.again is Again.DIFFERS
    assert any("decided then" in why or "because then" in why for why in said.says)


def test_a_changed_reason_is_noticed(days: list[Decision]) -> None:
    lost = judged(days, On.LOST)

    said = replay(replace(lost, because=("it was Tuesday",)))

    assert said.again is Again.DIFFERS
    assert "it was Tuesday" in said.says[0]


def test_another_target_than_recorded_is_noticed(days: list[Decision]) -> None:
    lost = judged(days, On.LOST)
    situation = situation_of(lost)
    assert situation is not None
    other = lost.inputs[RESOLUTION].replace(f'"target":"{situation.standby}"', f'"target":"{situation.active}"')
    assert other != lost.inputs[RESOLUTION]

    assert replay(replace(lost, inputs={**lost.inputs, RESOLUTION: other})).again is Again.DIFFERS


def test_a_field_that_was_not_known_then_is_no_difference(days: list[Decision]) -> None:
    lost = judged(days, On.LOST)
    before = {SITUATION: lost.inputs[SITUATION].replace('"asking":"",', "").replace('"loss":null,', ""),
              RESOLUTION: lost.inputs[RESOLUTION].replace('"loss":null,', "")}  # fmt: skip
    assert before[SITUATION] != lost.inputs[SITUATION]

    assert replay(replace(lost, inputs={**lost.inputs, **before})).again is Again.SAME


def test_a_field_that_is_lost_is_a_difference(days: list[Decision]) -> None:
    lost = judged(days, On.LOST)
    more = {SITUATION: lost.inputs[SITUATION].replace('"asking":"",', '"asking":"","weather":"bad",')}

    said = replay(replace(lost, inputs={**lost.inputs, **more}))

    assert said.says == ("the situation does not come back as it was stored",)


def test_a_step_to_a_state_outside_the_table_is_noticed(days: list[Decision]) -> None:
    fenced = next(one for one in days if one.inputs.get("from") == State.FENCING and SITUATION not in one.inputs)

    said = replay(replace(fenced, inputs={**fenced.inputs, "to": State.CONFIRMING}))

    assert said.again is Again.DIFFERS
    assert "confirming" in said.says[0]


def test_a_fence_that_what_it_saw_does_not_bear_out_is_noticed(days: list[Decision]) -> None:
    fenced = next(one for one in days if one.inputs.get("on") == On.FENCED and '"state":"held"' in one.inputs[ATTEMPT])
    seen = codec.load(Attempt, fenced.inputs[ATTEMPT])
    assert seen.lease is not None
    early = replace(seen, lease=replace(seen.lease, unchanged=timedelta(seconds=3)))

    said = replay(replace(fenced, inputs={**fenced.inputs, ATTEMPT: codec.dump(early)}))

    assert said.again is Again.DIFFERS
    assert said.says == ("the lease had been seen unchanged for 3 s only",)


def test_each_step_that_matters_holds_what_it_rests_on(days: list[Decision]) -> None:
    steps = [one for one in days if one.inputs.get("on") in (On.FENCED, On.PROMOTED, On.OVERDUE)]

    assert len(steps) > 20
    assert all(ATTEMPT in one.inputs for one in steps)


def test_decisions_of_other_rules_are_passed_over_and_counted(days: list[Decision]) -> None:
    of_a_day = days[:50]
    older = [
        replace(one, inputs={**one.inputs, SITUATION: one.inputs[SITUATION].replace('"code":"', '"code":"0.')})
        if SITUATION in one.inputs
        else one
        for one in of_a_day
    ]

    made, counted = replay_all(older)

    assert counted[Again.OLDER] == sum(SITUATION in one.inputs for one in of_a_day) > 0
    assert counted[Again.DIFFERS] == 0
    assert all("these are rules" in one.says[0] for one in made if one.again is Again.OLDER)


def test_whoever_changes_a_rule_raises_the_version_of_the_rules() -> None:
    """Recorded once, by other code: what the rules of this `CODE` said of one situation of each kind."""
    file = Path(__file__).with_name("recorded_decisions.jsonl")
    anew = f"python -m bench.replay --seeds 400 --record {file.relative_to(Path(__file__).parents[2])}"

    made, counted = replay_all(codec.load(Decision, line) for line in file.read_text().splitlines())

    changed = next((one for one in made if one.again is Again.DIFFERS), None)
    assert changed is None, f"a rule was changed: raise CODE in failover_decision, then {anew}. {changed}"
    assert counted[Again.OLDER] == 0, f"CODE was raised: {anew}"
    assert counted[Again.SAME] >= 30
