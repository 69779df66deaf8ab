"""`plans`: what an author is told."""

from datetime import timedelta

import pytest

from shared.domain.policy import Gate, PlanAction
from tests.config.policies import parsed, policy, refusals

WHOLE = """\
plans:
  - name: site
    waves:
      - name: data
        steps: [{name: db, action: restore, select: {tags: {role: db}}, point: at, at_once: 4}]
        gate: {port: 5432}
        timeout: 2h
      - name: apps
        approval: true
        steps:
          - {name: web, action: rebuild, select: {tags: {role: app}}}
          - {name: more, action: launch, family: app, like: i-1, amount: 3}
rebuilds: [{name: apps, select: {tags: {role: app}}, image_family: app, port: 8080}]
"""


def plans(step: str, *, wave: str = "", rebuilds: bool = False) -> str:
    more = f", {wave}" if wave else ""
    lines = f"plans: [{{name: site, waves: [{{name: data, steps: [{step}]{more}}}]}}]"
    rule = "\nrebuilds: [{name: apps, select: {tags: {role: app}}, image_family: app, port: 8080}]" if rebuilds else ""
    return policy(top=lines + rule)


def test_a_plan_is_read_in_its_order() -> None:
    (plan,) = parsed(policy(top=WHOLE)).plans
    data, apps = plan.waves
    assert (data.name, data.timeout, data.gate, data.approval) == (
        "data",
        timedelta(hours=2),
        Gate(port=5432, within=timedelta(minutes=10)),
        False,
    )
    assert (data.steps[0].point, data.steps[0].at_once) == ("at", 4)
    assert (apps.approval, [one.action for one in apps.steps]) == (True, [PlanAction.REBUILD, PlanAction.LAUNCH])
    assert (apps.steps[1].family, apps.steps[1].like, apps.steps[1].amount) == ("app", "i-1", 3)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(
            plans("{name: a, action: restart, select: {tags: {role: db}}}"),
            "plans[0].waves[0].steps[0].action: 'restart' is no way to recover. Did you mean 'restore'? Use restore, "
            "rebuild or launch",
            id="action",
        ),
        pytest.param(
            plans("{name: a, action: restore}"),
            "plans[0].waves[0].steps[0]: restore needs select. Add select: {tags: {role: app}}",
            id="no selection",
        ),
        pytest.param(
            plans("{name: a, action: launch, family: app}"),
            "plans[0].waves[0].steps[0]: launch needs like. Add like: i-bp67acfmxazb4ph",
            id="like nothing",
        ),
        pytest.param(
            plans("{name: a, action: restore, select: {tags: {role: db}}, amount: 2}"),
            "plans[0].waves[0].steps[0].amount: does nothing for action restore. Remove it",
            id="a key of another action",
        ),
        pytest.param(
            plans("{name: a, action: rebuild, select: {tags: {role: db}}}"),
            "plans[0].waves[0].steps[0].action: replaces instances by their rebuild rules, and there is none. Add one "
            "under rebuilds",
            id="no rule",
        ),
        pytest.param(
            plans("{name: a, action: rebuild, select: {tags: {role: db}}, point: newest}", rebuilds=True),
            "plans[0].waves[0].steps[0].point: does nothing for action rebuild: its rebuild rule says where data comes "
            "from. Remove it",
            id="a rebuild has no point",
        ),
        pytest.param(
            plans("{name: a, action: restore, select: {tags: {role: db}}, point: oldest}"),
            "plans[0].waves[0].steps[0].point: 'oldest' is no choice of a restore point. Use newest; or at, and name "
            "the moment when the plan is run: `understudy plan run NAME --at 2026-11-20T02:00:00Z`",
            id="point",
        ),
        pytest.param(
            plans("{name: a, action: restore, select: {tags: {role: db}}}", wave="gate: {port: 1, within: 1h}"),
            "plans[0].waves[0].gate.within: 1h is not less than the wave's timeout 1h, so the gate could never run out "
            "by itself. Use less, or give the wave more time",
            id="gate and time-out",
        ),
        pytest.param(
            policy(top="plans: [{name: site, waves: []}]"),
            "plans[0].waves: the list is empty, so it would do nothing. Write at least one wave",
            id="no waves",
        ),
        pytest.param(
            plans(
                "{name: a, action: restore, select: {tags: {role: db}}}, "
                "{name: a, action: restore, select: {tags: {role: web}}}"
            ),
            "plans[0].waves[0].steps[1].name: 'a' is already the name of steps[0]. Rename one",
            id="names",
        ),
        pytest.param(
            plans(
                "{name: a, action: restore, select: {tags: {role: db}}}, "
                "{name: b, action: restore, select: {tags: {role: db}}}"
            ),
            "plans[0].waves[0].steps[1].select: selects what step a restores already. Once is enough: remove one of "
            "the two",
            id="twice",
        ),
    ],
)
def test_a_slip_is_told_with_its_remedy(text: str, says: str) -> None:
    assert says in refusals(text)
