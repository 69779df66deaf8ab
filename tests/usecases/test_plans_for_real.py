"""One plan with the real operations: a database rolled back, then web servers replaced and more of them launched."""

from dataclasses import replace

from shared.domain.operation import OperationKind
from shared.domain.policy import PlanAction, PlanStep, RecoveryPlan, Selection
from shared.state import codec
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.journal import Journal
from shared.state.plan_answers import PlanAnswers
from shared.state.points import Points
from shared.state.policies import Policies
from shared.usecases.lazily import Lazily
from shared.usecases.recovery.plan_children import Children
from shared.usecases.recovery.plan_preview import PlanPreview
from shared.usecases.recovery.recovery_requests import PlanRequest
from shared.usecases.recovery.run_plan import PlanRecipe
from tests.usecases.plan_world import APPS, DATA
from tests.usecases.recovery_world import DB, WEB_1, recovery_policy
from tests.usecases.restore_stage import AFTER, BEFORE, RestoreWorld


class RealPlans(RestoreWorld):
    def __init__(self) -> None:
        web = replace(APPS.steps[0], select=Selection(ids=(WEB_1,)))
        more = PlanStep(name="more", action=PlanAction.LAUNCH, family="web", like=WEB_1, amount=2)
        apps = replace(APPS, steps=(web, more), gate=DATA.gate)
        plan = RecoveryPlan(name="site", waves=(DATA, apps))
        super().__init__(recovery_policy(plans=(plan,)))
        self.recipes[OperationKind.PLAN] = self.planning

    def plan_preview(self) -> PlanPreview:
        children = Children(points=Points(self.store), inventory=self.here.inventory, region="cn-hangzhou")
        return PlanPreview(
            inventory=self.here.inventory,
            children=children,
            policies=Policies(self.store),
            previews=Lazily(self.previews),
            clock=self.clock,
        )

    def planning(self) -> PlanRecipe:
        preview = self.plan_preview()
        controls = Controls(self.store)
        return PlanRecipe(
            preview=preview,
            children=preview.children,
            inventory=self.here.inventory,
            balancer=self.balancer,
            services=self.services,
            journal=Journal(self.store, self.clock),
            answers=PlanAnswers(controls),
            controls=controls,
            decisions=Decisions(self.store),
            policies=Policies(self.store),
            functions=self.functions,
            clock=self.clock,
        )


def test_data_comes_back_first_and_applications_after_it() -> None:
    world = RealPlans()
    world.marked("d-db-data", "d-db-sys")
    asked = PlanRequest(plan="site", asked=world.clock.now().replace(microsecond=0), by="ada", confirm="")
    shown = world.plan_preview().show(codec.dump(asked))
    assert shown.may_start, shown.refusals

    run = str(world.command(command="plan_run", plan="site", confirm=shown.token, by="ada")["operation"])
    world.run_recovery(hours=1)

    ended = world.operation(run)
    assert ended.state.value == "done", (ended.result, [one.data.get("state") for one in ended.steps])
    assert world.read("d-db-data", len(BEFORE)) == BEFORE != AFTER
    (restore,) = world.operations(OperationKind.RESTORE)
    (rebuild,) = world.operations(OperationKind.REBUILD)
    (launch,) = world.operations(OperationKind.LAUNCH)
    assert restore.subject == DB
    assert min(rebuild.created, launch.created) > restore.created
    new = [one for one in world.here.inventory.instances() if one.id not in ("i-web-1", "i-web-2", "i-db")]
    assert len(new) == 3, "one in the place of web-1, and two more"
    assert world.open_operations() == 0
    assert float(ended.result["rto_seconds"]) <= 1.3 * shown.takes.total_seconds()
