"""A master's host fails: EventBridge, function `alarm` and both watches as deployed, each with its role's keys.

The masters have no agents here: what the watches decide is shown elsewhere, that they are started is shown here.
"""

from collections.abc import Iterator
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from deploy.bootstrap import POLICIES, entries
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore, OtsTables
from shared.domain.ids import SiteName
from shared.domain.policy import Policy, PruneLimits
from shared.state.decisions import Decisions
from shared.state.heartbeats import Heartbeats
from shared.state.policies import Policies
from tests.agent.conftest import wait_for
from tests.emulator.networks import free_network
from tests.functions.deployed import QUIET, ROOT
from tests.simulation.failover_world import INSTANCE, SEED, pair_policy
from tests.simulation.pair_world import PAIR, H, I

ROLES = tuple((f"understudy-{entry}", (POLICIES / f"{entry}.json",)) for entry in entries())
WATCHES = ("understudy-watch-hz-h", "understudy-watch-hz-i")


class Region:
    def __init__(self, local: Local) -> None:
        self.local = local
        key = Credentials(*local.access_key)
        self.store = OtsStore(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key)
        OtsTables(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key).create_tables()
        Policies(self.store).append(
            Policy(
                region="cn-hangzhou",
                protections=(),
                rebuilds=(),
                pairs=(pair_policy(),),
                prune=PruneLimits(max_items=1, max_percent=1),
            )
        )
        fc = local.cloud.fc
        assert fc is not None
        for watch in WATCHES:  # no tick: what starts them is the event
            local.run(partial(fc.enable, watch, "every-minute", False))

    def fail(self, site: SiteName) -> None:
        ecs = self.local.cloud.ecs
        self.local.run(lambda: ecs.lifecycle.fail(ecs.instances[INSTANCE[site]], recovers=False))

    def watching(self) -> set[SiteName]:
        """Whose watch has begun a round."""
        return set(Heartbeats(self.store).watches(PAIR))

    def denied(self) -> list[tuple[str, str, str]]:
        return self.local.run(lambda: [who for who, n in self.local.cloud.ram.exercised.items() if n.denied])


@pytest.fixture
def region(tmp_path: Path) -> Iterator[Region]:
    seed = tmp_path / "pair.yaml"
    seed.write_text(SEED.replace("10.0.", f"127.{free_network()}."))
    environment = {
        "UNDERSTUDY_ENDPOINT": "{url}",
        "UNDERSTUDY_OTS_ENDPOINT": "{url}",
        "UNDERSTUDY_CLOCK": "{url}/_emulator/clock",
    }
    with mock_aliyun(
        seed=seed, ram_roles=ROLES, ram_vars={"zone": "*"}, fc=ROOT / "s.yaml", fc_vars=QUIET, fc_env=environment,
        fc_code=(ROOT / "functions", ROOT), fc_workdir=tmp_path / "fc", fc_key_lifetime=timedelta(hours=4), rate=1.0,
    ) as local:  # fmt: skip
        yield Region(local)


def test_a_masters_failure_starts_the_watches_of_both_sites(region: Region) -> None:
    assert region.watching() == set()
    region.fail(H)
    wait_for("both watches", lambda: region.watching() == {H, I}, seconds=40)

    assert region.denied() == []
    heard = [one for one in Decisions(region.store).of(PAIR) if one.event.startswith("alarm.")]
    called = [watch for one in heard if one.acted for watch in one.inputs["operation"].split(", ")]
    assert len(heard) > 1, "the failure and the change of state it brings are events of their own"
    assert sorted(called) == ["watch-hz-h", "watch-hz-i"]
