"""Recovery plans on the world of recovery, with small operations in the place of the real kinds: each takes two looks,
leaves its mark on the instance, and ends as the test wants it."""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from shared.domain.ids import DiskId, InstanceId, OperationId, PolicyVersion, SnapshotId
from shared.domain.operation import OperationKind
from shared.domain.plan import WaveState
from shared.domain.policy import Gate, PlanAction, PlanStep, Policy, RecoveryPlan, Selection, Wave
from shared.domain.preview import Check, Preview
from shared.domain.retention import RestorePoint
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.plan_answers import PlanAnswers
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots
from shared.state.subjects import Subjects
from shared.usecases.apply_policy import ApplyPolicy
from shared.usecases.operations import Done, Escalated, Outcome, Refused, Resume, Work, done, intended
from shared.usecases.recovery.ask_plan import AskPlan
from shared.usecases.recovery.measured import Measured
from shared.usecases.recovery.plan_children import Children
from shared.usecases.recovery.plan_preview import PlanPreview
from shared.usecases.recovery.plan_record import waves_of
from shared.usecases.recovery.previews import Show
from shared.usecases.recovery.recovery_requests import LaunchRequest, PlanRequest, RebuildRequest, RestoreRequest
from shared.usecases.recovery.run_plan import PlanRecipe
from tests.usecases.recovery_world import DB, STANDS, WEB_1, WEB_2, RecoveryWorld, recovery_policy

TAKES = timedelta(seconds=40)
"""That a small operation takes."""
DATA = Wave(
    name="data",
    steps=(PlanStep(name="db", action=PlanAction.RESTORE, select=Selection(tags={"role": "db"})),),
    timeout=timedelta(minutes=30),
    gate=Gate(port=5432, within=timedelta(minutes=5)),
)
APPS = Wave(
    name="apps",
    steps=(
        PlanStep(name="web", action=PlanAction.REBUILD, select=Selection(tags={"role": "web"})),
        PlanStep(name="more", action=PlanAction.LAUNCH, family="web", like=WEB_1, amount=2),
    ),
    timeout=timedelta(minutes=30),
)
SITE = RecoveryPlan(name="site", waves=(DATA, APPS))


def plan_policy(*waves: Wave) -> Policy:
    plan = RecoveryPlan(name="site", waves=waves) if waves else SITE
    return recovery_policy(plans=(plan,))


@dataclass(slots=True)
class Small:
    """A recovery in miniature: it intends, marks the instance (or makes nothing), waits, and ends."""

    world: "PlanWorld"
    kind: OperationKind

    def advance(self, work: Work) -> Outcome:
        world, operation = self.world, work.operation
        subject = subject_of(self.kind, operation.inputs["request"])
        end = world.ends.get(subject)
        if not operation.steps:
            work.intend(intended("mark", "", world.clock.now()))
        step = work.step("mark")
        if "marked" not in step.data:
            work.may_act()
            if self.kind is not OperationKind.LAUNCH:
                world.here.instances.tag(
                    [InstanceId(subject)], resource_type="instance", tags={f"done-{self.kind.value}": operation.id}
                )
            work.learn(replace(step, data={"marked": codec.moment(world.clock.now())}))
            return Resume(after=world.takes.get(subject, TAKES), because="it takes its time")
        if end == "refused":
            return Refused(because="no stock anywhere")
        if end == "needs operator":
            return Escalated(because="the host does not obey", runbook="rebuild-needs-operator")
        if end == "hangs":
            return Resume(after=timedelta(minutes=1), because="it hangs")
        work.learn(done(step, world.clock.now()))
        if end == "alive":
            return Done(result={"because": "it is well", "outcome": "recovered"})
        timed = world.measured.get(subject, {})
        return Done(
            result={"because": "it is done"} | timed | ({"replacement": subject} if self.kind == "rebuild" else {})
        )


def subject_of(kind: OperationKind, request: str) -> str:
    match kind:
        case OperationKind.RESTORE:
            return codec.load(RestoreRequest, request).instance
        case OperationKind.REBUILD:
            return codec.load(RebuildRequest, request).instance
        case _:
            return codec.load(LaunchRequest, request).name


@dataclass
class PlanWorld(RecoveryWorld):
    policy: Policy | None = None
    stands: str = STANDS
    ends: dict[str, str] = field(default_factory=dict)
    takes: dict[str, timedelta] = field(default_factory=dict)
    measured: dict[str, dict[str, str]] = field(default_factory=dict)  # what a small operation says it took
    checks: dict[str, Check] = field(default_factory=dict)  # that a child's preview fails

    def __post_init__(self) -> None:
        super().__init__(self.policy or plan_policy(), stands=self.stands)
        small = (OperationKind.RESTORE, OperationKind.REBUILD, OperationKind.LAUNCH)
        self.recipes = {kind: self._small(kind) for kind in small} | {OperationKind.PLAN: self._plan}
        self.previews = {kind: self._shown(kind) for kind in small} | {
            OperationKind.PLAN: lambda: self.plan_preview().show
        }
        for name in ("db", "web-1", "web-2"):
            self.point(InstanceId(f"i-{name}"), DiskId(f"d-{name}-data"))

    def _small(self, kind: OperationKind) -> Any:
        return lambda: Small(self, kind)

    def _shown(self, kind: OperationKind) -> Any:
        def show(request: str) -> Preview:
            subject = subject_of(kind, request)
            failed = self.checks.get(subject)
            return Preview(
                kind=kind.value,
                subject=subject,
                actions=(),
                checks=(failed,) if failed else (),
                token="",
                takes=self.takes.get(subject, TAKES),
            )

        made: Show = show
        return lambda: made

    def plan_preview(self) -> PlanPreview:
        return PlanPreview(
            inventory=self.here.inventory,
            children=self._children(),
            policies=Policies(self.store),
            previews={kind: make() for kind, make in self.previews.items() if kind is not OperationKind.PLAN},
            clock=self.clock,
            estimate=Measured(Decisions(self.store)),
        )

    def _children(self) -> Children:
        return Children(points=Points(self.store), inventory=self.here.inventory, region="cn-hangzhou")

    def _plan(self) -> PlanRecipe:
        return PlanRecipe(
            preview=self.plan_preview(),
            children=self._children(),
            inventory=self.here.inventory,
            balancer=self.balancer,
            services=self.services,
            journal=Journal(self.store, self.clock),
            answers=PlanAnswers(Controls(self.store)),
            controls=Controls(self.store),
            decisions=Decisions(self.store),
            policies=Policies(self.store),
            functions=self.functions,
            clock=self.clock,
        )

    def ask(self) -> AskPlan:
        return AskPlan(
            policies=Policies(self.store),
            journal=Journal(self.store, self.clock),
            subjects=Subjects(self.store),
            answers=PlanAnswers(Controls(self.store)),
            decisions=Decisions(self.store),
            functions=self.functions,
            clock=self.clock,
        )

    # what an operator does

    def shown(self, *, at: datetime | None = None, plan: str = "site") -> Preview:
        request = PlanRequest(plan=plan, asked=self.clock.now(), by="test", confirm="", at=at)
        return self.plan_preview().show(codec.dump(request))

    def run_plan(self, *, confirm: str | None = None, at: datetime | None = None) -> OperationId:
        token = self.shown(at=at).token if confirm is None else confirm
        asked = self.clock.now().replace(microsecond=0)
        answer = self.ask().run("site", confirm=token, by="ada", at=at, asked=asked, run="run")
        return OperationId(str(answer["operation"]))

    def apply(self, policy: Policy) -> None:
        ApplyPolicy(
            policies=Policies(self.store),
            controls=Controls(self.store),
            slots=Slots(self.store),
            decisions=Decisions(self.store),
            clock=self.clock,
        ).run(policy, by="test")

    # what stands

    def said(self) -> str:
        """All that was told of the plan."""
        return " | ".join(why for one in Decisions(self.store).of("plan site") for why in one.because)

    def point(self, instance: InstanceId, disk: DiskId, *, age: timedelta = timedelta(hours=1), **more: Any) -> str:
        taken = self.clock.now() - age
        id_ = f"servers/hourly/{codec.second(taken)}/{instance}"
        values: dict[str, Any] = {
            "id": id_,
            "subject": instance,
            "slot": taken,
            "schedule": "hourly",
            "taken": taken,
            "usable": True,
            "complete": True,
            "disks": ((disk, SnapshotId(f"s-{disk}-{taken:%H%M}")),),
            "protection": "servers",
            "policy": PolicyVersion(1),
        }
        Points(self.store).put([RestorePoint(**(values | more))])
        return id_

    def wave(self, run: OperationId, name: str) -> WaveState:
        return waves_of(self.operation(run))[name]

    def state(self, run: OperationId) -> str:
        return self.operation(run).state.value

    def children(self) -> list[str]:
        kinds = (OperationKind.RESTORE, OperationKind.REBUILD, OperationKind.LAUNCH)
        return sorted(one.id for kind in kinds for one in self.operations(kind))


__all__ = ["APPS", "DATA", "DB", "SITE", "TAKES", "WEB_1", "WEB_2", "PlanWorld", "plan_policy", "subject_of"]
