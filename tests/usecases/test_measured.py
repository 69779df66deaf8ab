"""How long recoveries took is what the next ones are expected to take."""

from datetime import timedelta

from shared.domain.estimate import Estimate
from shared.domain.operation import OperationKind
from shared.state import codec
from shared.state.decisions import Decisions
from shared.usecases.recovery.measured import Measured
from shared.usecases.recovery.previews import Previews
from shared.usecases.recovery.recovery_requests import RebuildRequest
from tests.usecases.plan_world import DB, WEB_1, PlanWorld


def timed(world: PlanWorld, kind: str, subject: str, seconds: float, **phases: float) -> None:
    """A recovery whose end is told as `Recovering` tells it."""
    world.measured[subject] = {"rto_seconds": f"{seconds}", "phases": codec.dump(phases)}
    request = RebuildRequest(instance=WEB_1, rule="web", asked=world.clock.now(), by="li", confirm=WEB_1)
    assert kind == "rebuild"
    world.start(request.operation(policy=world.policies.active()[0], now=world.clock.now(), because="asked for"))
    world.run_recovery(minutes=3)


def measured(world: PlanWorld) -> Estimate:
    return Measured(Decisions(world.store))()


def test_nothing_was_measured_at_first() -> None:
    assert measured(PlanWorld()).measured == {}


def test_what_was_waited_before_a_rebuild_is_not_part_of_it() -> None:
    world = PlanWorld()
    timed(world, "rebuild", WEB_1, 600.0, detect=100.0, decide=300.0, create=150.0, boot=50.0)

    found = measured(world)
    assert found.took("rebuild", WEB_1) == timedelta(seconds=200)
    assert found.took("rebuild", "i-other") == timedelta(seconds=200), "of the kind"
    assert found.took("restore", DB) is None


def test_a_plan_and_a_preview_are_estimated_by_it() -> None:
    world = PlanWorld()
    before = world.shown().takes
    timed(world, "rebuild", WEB_1, 900.0)

    assert world.shown().takes == before + timedelta(seconds=900) - timedelta(seconds=40)
    views = Previews(
        {OperationKind.REBUILD: world.previews[OperationKind.REBUILD]()}, estimate=Measured(Decisions(world.store))
    )
    request = RebuildRequest(instance=WEB_1, rule="web", asked=world.clock.now(), by="li", confirm="")
    shown = views.of("rebuild", codec.dump(request))
    assert (shown.takes, shown.measured) == (timedelta(seconds=900), True)


def test_the_token_does_not_depend_on_how_long_it_takes() -> None:
    world = PlanWorld()
    token = world.shown().token
    timed(world, "rebuild", WEB_1, 900.0)

    assert world.shown().token == token
