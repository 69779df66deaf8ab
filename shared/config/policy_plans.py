"""The section `plans` of `understudy.yaml`: waves of recoveries, databases before applications."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, WithJsonSchema

from shared.config import policy_rules
from shared.config.policy_reading import at, listed, sound
from shared.config.policy_section import Section, key
from shared.config.policy_selection import SelectSection
from shared.config.policy_values import InstanceIdText, Minutes, Name, Port, Switch, Text, in_words, integers, whole
from shared.config.problems import Path, Problem, nearest, quoted
from shared.domain.ids import InstanceId
from shared.domain.policy import Gate, PlanAction, PlanStep, RecoveryPlan, Selection, Wave

MOST_WAVES = 20
MOST_STEPS = 20
ACTIONS = tuple(one.value for one in PlanAction)
POINTS = ("newest", "at")

_OF_LAUNCH = ("family", "like", "amount")
_OF_OTHERS = ("select",)


def _action(value: object) -> str:
    if value not in ACTIONS:
        hint = nearest(value, ACTIONS) if isinstance(value, str) else ""
        raise ValueError(f"{quoted(value)} is no way to recover.{hint} Use restore, rebuild or launch")
    return str(value)


def _point(value: object) -> str:
    if value not in POINTS:
        raise ValueError(
            f"{quoted(value)} is no choice of a restore point. Use newest; or at, and name the moment when the plan is "
            "run: `understudy plan run NAME --at 2026-11-20T02:00:00Z`"
        )
    return str(value)


def _several(what: str, most: int) -> BeforeValidator:
    def read(value: object) -> object:
        if value == []:
            raise ValueError(f"the list is empty, so it would do nothing. Write at least one {what}")
        if isinstance(value, list) and len(value) > most:
            raise ValueError(f"has {len(value)} entries; at most {most} are read. Make two plans of it")
        return value

    return BeforeValidator(read)


_Action = Annotated[str, BeforeValidator(_action), WithJsonSchema({"enum": list(ACTIONS)})]
_Point = Annotated[str, BeforeValidator(_point), WithJsonSchema({"enum": list(POINTS)})]
_Amount = Annotated[int, BeforeValidator(whole(1, 1_000, what="a number of instances")), integers(1, 1_000)]
_AtOnce = Annotated[int, BeforeValidator(whole(1, 100, what="a number of instances")), integers(1, 100)]


class StepSection(Section):
    """One piece of work of a wave; all of a wave's steps run side by side."""

    name: Name = key("databases", says="Its name.")
    action: _Action = key("restore", says="restore: roll back; rebuild: replace; launch: make new ones of an image.")
    select: SelectSection | None = key("{tags: {role: db}}", default=None, says="Which instances; not for launch.")
    point: _Point = key("newest", default="newest", says="For restore: newest, or at (named when the plan is run).")
    family: Text | None = key("app", default=None, says="For launch: the image family.")
    like: InstanceIdText | None = key(
        "i-bp67acfmxazb4ph", default=None, says="For launch: whose type, network, groups, tags and key pair are taken."
    )
    amount: _Amount = key("2", default=1, says="For launch: how many.")
    at_once: _AtOnce = key("10", default=10, says="Instances under way at a time.")

    def value(self) -> PlanStep:
        return PlanStep(
            name=self.name,
            action=PlanAction(self.action),
            select=self.select.value() if self.select else None,
            point=self.point,
            family=self.family or "",
            like=InstanceId(self.like) if self.like else None,
            amount=self.amount,
            at_once=self.at_once,
        )


class GateSection(Section):
    """What must answer before the next wave begins."""

    port: Port = key("5432", says="Every instance that the wave touched must accept connections here.")
    within: Minutes = key("10m", default=timedelta(minutes=10), says="For how long that is waited for.")

    def value(self) -> Gate:
        return Gate(port=self.port, within=self.within)


class WaveSection(Section):
    """Steps that run side by side. The next wave begins when all of them are done and the gate is through."""

    name: Name = key("data", says="Its name.")
    steps: Annotated[list[StepSection], _several("step", MOST_STEPS)] = key(
        "[{name: databases, action: restore, select: {tags: {role: db}}}]", says="What it does."
    )
    timeout: Minutes = key("1h", default=timedelta(hours=1), says="After this an operator is asked.")
    gate: GateSection | None = key("{port: 5432, within: 10m}", default=None, says="What must answer afterwards.")
    approval: Switch = key("true", default=False, says="Whether an operator must let it begin.")

    def value(self) -> Wave:
        return Wave(
            name=self.name,
            steps=tuple(one.value() for one in self.steps),
            timeout=self.timeout,
            gate=self.gate.value() if self.gate else None,
            approval=self.approval,
        )


class PlanSection(Section):
    """Waves one after the other: databases before applications."""

    name: Name = key("site", says="Its name.")
    waves: Annotated[list[WaveSection], _several("wave", MOST_WAVES)] = key(
        "[{name: data, steps: [{name: databases, action: restore, select: {tags: {role: db}}}]}]",
        says="What is done, in this order.",
    )

    def value(self) -> RecoveryPlan:
        return RecoveryPlan(name=self.name, waves=tuple(one.value() for one in self.waves))


def of_plan(part: object, path: Path, *, rebuilds: bool) -> Iterator[Problem]:
    """The rules between its parts. `rebuilds`: whether the file has any rebuild rule."""
    waves = listed(part, "waves")
    yield from policy_rules.of_names(waves, (*path, "waves"))
    restored: list[tuple[str, Selection]] = []
    for place, wave in enumerate(waves):
        here = (*path, "waves", place)
        yield from policy_rules.of_names(listed(wave, "steps"), (*here, "steps"))
        read = sound(WaveSection, wave)
        if read is not None and read.gate is not None and read.gate.within >= read.timeout:
            says = (
                f"{in_words(read.gate.within)} is not less than the wave's timeout {in_words(read.timeout)}, so the "
                "gate could never run out by itself. Use less, or give the wave more time"
            )
            yield Problem(path=(*here, "gate", "within"), says=says)
        for number, step in enumerate(listed(wave, "steps")):
            yield from _step(step, (*here, "steps", number), rebuilds, restored)


def _step(step: object, path: Path, rebuilds: bool, restored: list[tuple[str, Selection]]) -> Iterator[Problem]:
    action = at(step, "action")
    if not isinstance(step, dict) or action not in ACTIONS:
        return
    foreign = (*_OF_OTHERS, "point") if action == "launch" else _OF_LAUNCH
    for name in foreign:
        if name in step:
            yield Problem(path=(*path, name), says=f"does nothing for action {action}. Remove it")
    if action == "rebuild" and "point" in step:
        says = "does nothing for action rebuild: its rebuild rule says where data comes from. Remove it"
        yield Problem(path=(*path, "point"), says=says)
    if action == "launch":
        for name, example in (("family", "app"), ("like", "i-bp67acfmxazb4ph")):
            if name not in step:
                yield Problem(path=path, says=f"launch needs {name}. Add {name}: {example}")
        return
    if "select" not in step:
        yield Problem(path=path, says=f"{action} needs select. Add select: {{tags: {{role: app}}}}")
    yield from policy_rules.of_selection(at(step, "select"), (*path, "select"))
    if action == "rebuild":
        if at(step, "select", "disks") is not None:
            says = "a rebuild replaces whole instances, so disks would do nothing. Remove it"
            yield Problem(path=(*path, "select", "disks"), says=says)
        if not rebuilds:
            says = "replaces instances by their rebuild rules, and there is none. Add one under rebuilds"
            yield Problem(path=(*path, "action"), says=says)
    selected = sound(SelectSection, at(step, "select"))
    if action == "restore" and selected is not None:
        twice = next((name for name, other in restored if other == selected.value()), None)
        if twice is not None:
            says = f"selects what step {twice} restores already. Once is enough: remove one of the two"
            yield Problem(path=(*path, "select"), says=says)
        restored.append((str(at(step, "name")), selected.value()))
