"""How a pair's old master is fenced, in `understudy.yaml`: what could not be proven is refused."""

from datetime import timedelta
from typing import Any

import pytest

from shared.domain.errors import BadInput
from shared.domain.pair import FenceBy
from tests.config.test_policy_names import parsed

ISOLATE = {"by": "isolate", "group": "sg-shut"}


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"agents": False}, "without an agent nobody gives up a lease"),
        ({"agents": False, "fence": {"by": "lease"}}, "without an agent nobody gives up a lease"),
        ({"fence": {"by": "isolate"}, "probe": "/health"}, "names no security group"),
        ({"fence": ISOLATE}, "only an answer on an open connection shows whether it is dead"),
        ({"quorum": 0}, "quorum"),
        ({"quorum": 6}, "quorum"),
    ],
)
def test_a_fence_that_proves_nothing_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(BadInput, match=says):
        parsed(**more)


def test_a_pair_without_agents_is_stopped_or_isolated() -> None:
    assert parsed(agents=False, fence={"by": "stop"}).fence.by is FenceBy.STOP
    fence = parsed(agents=False, fence=ISOLATE, probe="/health").fence
    assert (fence.by, fence.group, fence.proof) == (FenceBy.ISOLATE, "sg-shut", timedelta(seconds=10))


def test_with_agents_a_stop_may_come_on_top() -> None:
    assert parsed(fence={"by": "stop"}).agents
