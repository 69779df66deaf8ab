"""A region master is failover's business, also where a rebuild rule would select it: by tag that happens unseen."""

from datetime import timedelta

import pytest

from shared.domain.ids import PairName, SiteName
from shared.domain.operation import OperationKind, OperationState
from shared.domain.policy import Member, Pair
from tests.usecases.rebuild_world import RebuildWorld, ask
from tests.usecases.recovery_world import WEB_1, WEB_2, H, I

PAIR = Pair(
    name=PairName("control"),
    members=(
        Member(site=SiteName("hz-h"), zone=H, instance=WEB_1, port=7000, agent_port=7001),
        Member(site=SiteName("hz-i"), zone=I, instance=WEB_2, port=7000, agent_port=7001),
    ),
    preferred=SiteName("hz-h"),
    name_zone="corp.example",
    name_host="master",
    name_ttl_seconds=5,
    lease=timedelta(seconds=15),
    margin=timedelta(seconds=3),
    renew_every=timedelta(seconds=3),
    watch_every=timedelta(seconds=3),
)


@pytest.mark.parametrize("heard", [True, False], ids=["by its event", "by the tick"])
def test_a_master_that_a_rule_selects_by_tag_is_never_rebuilt(heard: bool) -> None:
    world = RebuildWorld(pairs=(PAIR,))
    if heard:
        world.lose(WEB_1)
        assert "region master" in world.why(WEB_1)
    else:
        world.fail_host(WEB_1)
    world.run_recovery(minutes=30)

    assert world.operations(OperationKind.REBUILD) == []
    assert world.made() == []


def test_asked_for_by_hand_it_is_refused_and_told_what_to_use_instead() -> None:
    world = RebuildWorld(pairs=(PAIR,))
    checks = ask(world, WEB_1)["preview"]["checks"]
    assert any("region master" in one["says"] for one in checks if not one["ok"])

    operation = ask(world, WEB_1, confirm=WEB_1)["operation"]
    world.run_recovery(minutes=10)
    assert world.operation(str(operation)).state is OperationState.REFUSED
    assert world.cloud.ecs.instances[WEB_1].state == "Running"
