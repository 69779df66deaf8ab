"""The status view tells what the store remembers: RPO per disk, every slot, what is under way, what was let go."""

from dataclasses import replace
from datetime import timedelta

from shared.domain.policy import Retention
from shared.observability.page import render
from shared.observability.view import DiskView, StatusView
from shared.ports.store import Anything, Row
from shared.state import codec
from shared.state.certificates import Certificates
from shared.state.controls import Controls
from shared.state.failovers import Failovers
from shared.state.heartbeats import Heartbeats
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.slots import Slots
from shared.usecases.status import Status
from tests.usecases.backup_world import APPLICATIONS, World, a_policy


def view_of(world: World) -> StatusView:
    return Status(
        policies=world.policies,
        controls=Controls(world.store),
        journal=world.journal,
        points=Points(world.store),
        slots=Slots(world.store),
        certificates=Certificates(world.store),
        leases=Leases(world.store, tokens=lambda: "never"),
        heartbeats=Heartbeats(world.store),
        failovers=Failovers(world.store),
        clock=world.clock,
    ).view()


def disk(world: World, id_: str) -> DiskView:
    return next(one for one in view_of(world).disks if one.disk == id_)


def test_rpo_now_is_the_age_of_the_newest_usable_point() -> None:
    world = World()
    world.run_for(hours=2, minutes=20, prune=False)

    seen = disk(world, "d-a-data")
    assert seen.rpo_now == timedelta(minutes=20)
    assert seen.points == 2
    assert not seen.breached


def test_the_worst_rpo_remembers_points_that_prune_let_go() -> None:
    world = World(a_policy(replace(APPLICATIONS, keep=Retention(last=1))))
    world.run_for(hours=2, minutes=10)
    world.command(command="pause", scope="backups", because="test", by="li")
    world.run_for(hours=4)
    world.command(command="resume", scope="backups", by="li")
    world.run_for(hours=2, minutes=40)

    seen = disk(world, "d-a-sys")
    assert seen.points == 1
    assert seen.rpo_worst is not None
    assert timedelta(hours=4) <= seen.rpo_worst <= timedelta(hours=4, minutes=30)
    assert view_of(world).prune is not None


def test_a_disk_without_a_fresh_point_is_in_breach_and_the_skips_say_why() -> None:
    world = World(a_policy(APPLICATIONS))
    world.run_for(hours=1, minutes=10, prune=False)
    world.command(command="pause", scope="all", because="migration", by="li")
    world.advance(hours=5)
    view = view_of(world)

    assert all(one.breached for one in view.disks)
    assert view.pauses[0].because == "migration (li)"
    assert "migration (li)" in render(view)


def test_operations_under_way_show_their_steps() -> None:
    world = World(a_policy(APPLICATIONS))
    world.advance(hours=1)
    world.schedule()
    world.advance(seconds=2)

    (operation,) = view_of(world).operations
    assert operation.steps == ("snapshot:i-app-a: done", "snapshot:i-app-b: done")
    assert "is due by schedule hourly" in operation.because


def test_before_the_first_point_the_page_says_that_there_is_none() -> None:
    assert "No restore point yet." in render(view_of(World()))


def test_the_page_only_reads_even_beside_a_pointer_that_a_crash_left() -> None:
    """Its role may delete nothing: one stale pointer must not cost the page."""
    world = World()
    left = Row(key=("back_up", "of-long-ago"), columns={"at": codec.moment(world.clock.now() - timedelta(days=9))})
    world.store.put("open_operations", left, condition=Anything())
    before = len(world.wire.labels)

    view_of(world)

    assert set(world.wire.labels[before:]) == {"store.get", "store.scan"}
    assert world.open_operations() == 1
