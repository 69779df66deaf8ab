"""What a run of a recovery plan would do, worked out from the policy and the world: for its preview, and once more by
the run's first step. Reads only.

Every child is previewed by its own kind where there is time for that; what is not is said, and is checked anyway when
the child begins.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Final

from shared.domain.errors import BadInput, CredentialsRejected, DrError, Forbidden
from shared.domain.estimate import Estimate, Sized, in_lanes
from shared.domain.ids import InstanceId, PolicyVersion
from shared.domain.inventory import Disk, Instance
from shared.domain.operation import OperationKind
from shared.domain.plan import MOST_TASKS, Task, batches, some, token_of_plan
from shared.domain.policy import PlanAction, PlanStep, Policy, RecoveryPlan, Wave
from shared.domain.preview import Action, Check, Preview
from shared.domain.selection import selects
from shared.ports.clock import Clock
from shared.ports.compute import Inventory
from shared.state import codec
from shared.state.policies import Policies
from shared.usecases.backup import selecting
from shared.usecases.recovery.measured import Estimating
from shared.usecases.recovery.plan_children import Children, ChildRequest, digest_of
from shared.usecases.recovery.previews import Show
from shared.usecases.recovery.recovery_requests import PlanRequest

LOOK_FOR: Final = timedelta(seconds=60)
"""How long one working out may look into its children's own previews: half of function recover's time-out."""
_NAME: Final = 40


@dataclass(slots=True, kw_only=True)
class Planned:
    """All of a run, as the world stands."""

    plan: RecoveryPlan
    tasks: dict[str, dict[str, tuple[Task, ...]]] = field(default_factory=dict)  # by wave and step
    checks: list[Check] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    parts: dict[str, list[str]] = field(default_factory=dict)  # of the token, by wave
    takes: timedelta = timedelta()

    @property
    def token(self) -> str:
        return token_of_plan(self.parts)

    def preview(self) -> Preview:
        return Preview(
            kind=OperationKind.PLAN.value,
            subject=self.plan.name,
            actions=tuple(self.actions),
            checks=tuple(self.checks),
            token=self.token,
            takes=self.takes,
            warnings=tuple(self.warnings),
        )


@dataclass(slots=True, kw_only=True)
class PlanPreview:
    inventory: Inventory
    children: Children
    policies: Policies
    previews: Mapping[OperationKind, Show]
    clock: Clock
    estimate: Estimating = Estimate

    def show(self, request: str) -> Preview:
        """Raises BadInput for a plan that the active policy does not have, and as the reads do."""
        version, policy = self.policies.active()
        return self.work_out(version, policy, codec.load(PlanRequest, request)).preview()

    def work_out(self, version: PolicyVersion, policy: Policy, request: PlanRequest) -> Planned:
        plan = policy.plan(request.plan)
        if plan is None:
            known = ", ".join(one.name for one in policy.plans) or "none"
            raise BadInput(f"plan {request.plan!r} is not in policy {version}; it has: {known}")
        return _Working(self, policy, plan, request).out()


class _Working:
    def __init__(self, own: PlanPreview, policy: Policy, plan: RecoveryPlan, request: PlanRequest) -> None:
        self._own, self._policy, self._request = own, policy, request
        self._out = Planned(plan=plan)
        self._estimate = own.estimate()
        self._deadline = own.clock.monotonic() + LOOK_FOR.total_seconds()
        self._seen: Counter[tuple[PlanAction, str]] = Counter()
        self._together: Counter[tuple[str, str]] = Counter()
        self._unseen = 0
        self._passed: Counter[str] = Counter()
        self._batch = 0

    def out(self) -> Planned:
        out = self._out
        self._moment()
        for number, wave in enumerate(out.plan.waves, start=1):
            out.parts[wave.name] = [codec.dump(wave)]
            out.tasks[wave.name] = {}
            if wave.approval:
                self._does(number, "waits until an operator approves it", f"wave {wave.name}", timedelta())
            lengths = [self._step(number, wave, step) for step in wave.steps]
            out.takes += max(lengths)
            if wave.gate is not None:
                what = f"must answer on port {wave.gate.port} within {_words(wave.gate.within)}"
                out.takes += self._estimate.gate()
                self._does(number, what, f"every instance of wave {wave.name}", self._estimate.gate())
        self._once()
        self._size()
        for kind, count in sorted(self._passed.items()):
            says = f"{count} looked into, and every check of each is passed"
            out.checks.append(Check(name=f"{kind} operations", ok=True, says=says))
        if self._unseen:
            out.warnings.append(
                f"{self._unseen} of its operations could not be looked into in {_words(LOOK_FOR)}: each is checked "
                "when it begins"
            )
        return out

    def _step(self, number: int, wave: Wave, step: PlanStep) -> timedelta:
        """Its tasks; how long it takes."""
        where = f"wave {wave.name}, step {step.name}"
        if step.action is PlanAction.LAUNCH:
            tasks, lengths = self._launches(number, where, step)
            self._out.tasks[wave.name][step.name] = tasks
            self._cover(wave, step, [(one, self._request_of(step, one)) for one in tasks])
            return in_lanes(lengths, 1)
        assert step.select is not None
        selected = selecting.select(self._own.inventory, step.select)
        for absent in selected.absent:
            self._out.warnings.append(f"{where}: {absent} is left out: {selected.why(absent)}")
        if not selected.instances:
            self._failed(
                where, "it selects nothing", "Mend its select; or the role of function recover may see nothing"
            )
        disks = selecting.disks_of(self._own.inventory, selected.instances) if selected.instances else {}
        chosen = self._restores if step.action is PlanAction.RESTORE else self._rebuilds
        pairs = list(chosen(number, where, step, selected.instances, disks))
        self._out.tasks[wave.name][step.name] = tuple(task for task, _, _ in pairs)
        self._cover(wave, step, [(task, request) for task, request, _ in pairs])
        self._out.parts[wave.name] += self._rules({task.chosen for task, _, _ in pairs}, step)
        self._meet(wave, [task.key for task, _, _ in pairs])
        return in_lanes([length for _, _, length in pairs], step.at_once)

    def _restores(
        self,
        number: int,
        where: str,
        step: PlanStep,
        instances: Sequence[Instance],
        disks: Mapping[InstanceId, Sequence[Disk]],
    ) -> Iterator[tuple[Task, ChildRequest, timedelta]]:
        until = self._request.at if step.point == "at" else None
        without: list[str] = []
        for one in instances:
            self._seen[(step.action, one.id)] += 1
            point = self._own.children.newest(one.id, until=until)
            if point is None:
                without.append(one.id)
                continue
            task = Task(key=one.id, chosen=point.id)
            request = self._own.children.to_point(step, task, self._request, point)
            if not request.disks:
                says = f"point {point.id} has none of the disks that the step selects"
                self._failed(f"{where}: disks of {one.id}", says, "Mend select.disks of the step")
                continue
            changed = {change.disk for change in request.disks}
            sized = [Sized(size_gib=d.size_gib, category=d.category) for d in disks[one.id] if d.id in changed]
            length = self._look_into(OperationKind.RESTORE, one.id, request) or self._estimate.restore(
                resets=sized, subject=one.id
            )
            lost = codec.second(point.taken)
            self._does(number, f"restored to its point of {lost} ({point.id})", _named(one), length)
            yield task, request, length
        if without:
            before = f" taken at {codec.second(until)} or before" if until else ""
            says = f"{len(without)} have no usable restore point{before}: {some(without)}"
            remedy = "Name a later moment with --at" if until else "Back them up, or take them out of the step"
            self._failed(f"{where}: restore points", says, remedy)
        if len(instances) > len(without):
            self._out.warnings.append(
                f"{where}: everything written since its point is lost on {len(instances) - len(without)} instances; "
                f"what stood before is kept as a safety point for {self._policy.safety_days} days"
            )

    def _rebuilds(
        self,
        number: int,
        where: str,
        step: PlanStep,
        instances: Sequence[Instance],
        disks: Mapping[InstanceId, Sequence[Disk]],
    ) -> Iterator[tuple[Task, ChildRequest, timedelta]]:
        without: list[str] = []
        for one in instances:
            self._seen[(step.action, one.id)] += 1
            rule = next((rule for rule in self._policy.rebuilds if selects(rule.select, one)), None)
            if rule is None:
                without.append(one.id)
                continue
            task = Task(key=one.id, chosen=rule.name)
            request = self._request_of(step, task)
            sized = [Sized(size_gib=d.size_gib, category=d.category) for d in disks[one.id]]
            length = self._look_into(OperationKind.REBUILD, one.id, request) or self._estimate.rebuild(
                data_disks=sized[1:], subject=one.id
            )
            self._does(
                number, f"replaced by rule {rule.name}, from image family {rule.image_family}", _named(one), length
            )
            yield task, request, length
        if without:
            says = f"no rebuild rule selects {some(without)}"
            self._failed(f"{where}: rebuild rules", says, "Add a rule under rebuilds, or take them out of the step")

    def _launches(self, number: int, where: str, step: PlanStep) -> tuple[tuple[Task, ...], list[timedelta]]:
        assert step.like is not None
        tasks: list[Task] = []
        lengths: list[timedelta] = []
        like = next(iter(self._own.inventory.instances(ids=[step.like])), None)
        if like is None:
            says = f"{step.like}, which the new ones are to be like, is not shown by the cloud"
            self._failed(f"{where}: like", says, "Name an instance that stands")
        for amount in batches(step):
            self._batch += 1
            name = f"{self._out.plan.name[:_NAME]}-{step.name[:_NAME]}-{self._batch:03d}"
            task = Task(key=name, amount=amount)
            length = self._estimate.launch()
            if not tasks and like is not None:
                # One stands for all: they differ in nothing but their number.
                length = self._look_into(OperationKind.LAUNCH, name, self._request_of(step, task)) or length
            tasks.append(task)
            lengths.append(max(length, lengths[0]) if lengths else length)
            self._does(number, f"{amount} made of image family {step.family}, like {step.like}", name, lengths[-1])
        return tuple(tasks), lengths

    def _request_of(self, step: PlanStep, task: Task) -> ChildRequest:
        return self._own.children.request(step, task, self._request)

    def _cover(self, wave: Wave, step: PlanStep, pairs: Sequence[tuple[Task, ChildRequest]]) -> None:
        self._out.parts[wave.name] += [f"{step.name}/{task.key}/{digest_of(request)}" for task, request in pairs]

    def _rules(self, names: set[str], step: PlanStep) -> list[str]:
        """Rebuild rules say what is done; how many may be under way, when nobody asked for them, does not matter."""
        if step.action is not PlanAction.REBUILD:
            return []
        rules = [rule for rule in self._policy.rebuilds if rule.name in names]
        return [f"{step.name}/{codec.dump(replace(rule, max_at_once=0, max_per_hour=0))}" for rule in rules]

    def _meet(self, wave: Wave, keys: Sequence[str]) -> None:
        """Never two recoveries on one instance: of two steps that run side by side, one would be refused."""
        for key in keys:
            self._together[(wave.name, key)] += 1

    def _look_into(self, kind: OperationKind, subject: str, request: ChildRequest) -> timedelta | None:
        """The child's own preview: its failed checks and warnings are ours. None: there is none, or no time for it."""
        if kind not in self._own.previews:
            return None
        if self._own.clock.monotonic() > self._deadline:
            self._unseen += 1
            return None
        try:
            seen = self._own.previews[kind](codec.dump(request))
        except (CredentialsRejected, Forbidden):
            raise
        except DrError as error:
            self._failed(f"{kind.value} {subject}", str(error), "See its own preview")
            return None
        failed = [one for one in seen.checks if not one.ok]
        for one in failed:
            self._out.checks.append(
                Check(name=f"{kind.value} {subject}: {one.name}", ok=False, says=one.says, remedy=one.remedy)
            )
        if not failed:
            self._passed[kind.value] += 1
        return self._estimate.took(kind.value, subject) or seen.takes

    # checks of the whole

    def _moment(self) -> None:
        at = self._request.at
        wanted = [
            f"wave {wave.name}, step {step.name}"
            for wave in self._out.plan.waves
            for step in wave.steps
            if step.action is PlanAction.RESTORE and step.point == "at"
        ]
        if wanted and at is None:
            says = f"{some(wanted)}: the point's moment is named when the plan is run"
            self._failed("moment", says, "Add --at, e.g. --at 2026-11-20T02:00:00Z")
        if at is not None and at > self._own.clock.now():
            self._failed("moment", f"{codec.second(at)} has not come yet", "Name a moment that is past")
        if at is not None and not wanted:
            self._out.warnings.append("--at does nothing: no step of the plan has point: at")

    def _once(self) -> None:
        for (action, subject), times in sorted(self._seen.items()):
            if times > 1:
                says = f"{times} steps would {action} {subject}"
                self._failed(f"{action} {subject} once", says, "Take it out of all steps but one")
        for (wave, subject), times in sorted(self._together.items()):
            if times > 1 and max(self._seen[(action, subject)] for action in PlanAction) == 1:
                says = f"{times} steps of wave {wave} would deal with {subject} side by side"
                self._failed(f"{subject} in wave {wave}", says, "Put them into waves one after the other")

    def _size(self) -> None:
        count = sum(len(own) for steps in self._out.tasks.values() for own in steps.values())
        if count > MOST_TASKS:
            says = f"it would be {count} operations, and a plan has at most {MOST_TASKS}"
            self._failed("size", says, "Make several plans of it")

    def _failed(self, name: str, says: str, remedy: str) -> None:
        self._out.checks.append(Check(name=name, ok=False, says=says, remedy=remedy))

    def _does(self, wave: int, does: str, subject: str, takes: timedelta) -> None:
        self._out.actions.append(Action(wave=wave, does=f"{subject}: {does}", subject=subject, takes=takes))


def _named(instance: Instance) -> str:
    return f"{instance.id} ({instance.name})" if instance.name and instance.name != instance.id else instance.id


def _words(length: timedelta) -> str:
    seconds = int(length.total_seconds())
    return f"{seconds // 60} min" if seconds % 60 == 0 else f"{seconds} s"
