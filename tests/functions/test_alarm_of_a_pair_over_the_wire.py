"""A master's host fails: EventBridge, function `alarm` and both watches as deployed, each with its role's keys.

The masters have no agents here: what the watches decide is shown elsewhere, that they are started is shown here.
"""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from deploy.bootstrap import POLICIES, entries
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.functions import FcFunctions
from shared.adapters.ots import OtsStore, OtsTables
from shared.adapters.sdk import Endpoint
from shared.domain.decision import Decision
from shared.domain.ids import LoadBalancerId, SiteName
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
SECRET = {"UNDERSTUDY_WEBHOOK_SECRET": "the-webhook-secret"}  # as the files of events/ have it
STORM = 12
WATCHES = ("understudy-watch-hz-h", "understudy-watch-hz-i")


class Region:
    def __init__(self, local: Local) -> None:
        self.local = local
        key = Credentials(*local.access_key)
        self.functions = FcFunctions(endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: key)
        self.store = OtsStore(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key)
        OtsTables(endpoint=local.url, instance=local.ots_instance, credentials=lambda: key).create_tables()
        Policies(self.store).append(
            Policy(
                region="cn-hangzhou",
                protections=(),
                rebuilds=(),
                pairs=(replace(pair_policy(), balancer=LoadBalancerId("lb-control"), alarms=("control-answers",)),),
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

    def heard(self) -> list[Decision]:
        """What `alarm` decided about the pair."""
        return [one for one in Decisions(self.store).of(PAIR) if one.event.startswith("alarm.")]

    def called(self) -> list[str]:
        """Watches, once for each call of them."""
        return sorted(watch for one in self.heard() if one.acted for watch in one.inputs["operation"].split(", "))

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
        seed=seed, ram_roles=ROLES, ram_vars={"zone": "*"}, fc=ROOT / "s.yaml", fc_vars=QUIET | SECRET,
        fc_env=environment, fc_code=(ROOT / "functions", ROOT), fc_workdir=tmp_path / "fc",
        fc_key_lifetime=timedelta(hours=4), rate=1.0,
    ) as local:  # fmt: skip
        yield Region(local)


def test_a_masters_failure_starts_the_watches_of_both_sites(region: Region) -> None:
    assert region.watching() == set()
    region.fail(H)
    wait_for("both watches", lambda: region.watching() == {H, I}, seconds=40)

    assert region.denied() == []
    assert len(region.heard()) > 1, "the failure and the change of state it brings are events of their own"
    assert region.called() == ["watch-hz-h", "watch-hz-i"]


@pytest.mark.parametrize("name", ["threshold-balancer.json", "threshold-rule-of-a-pair.json"])
def test_an_alarm_that_names_no_master_starts_the_watches_of_both_sites(region: Region, name: str) -> None:
    answer = json.loads(region.functions.invoke("alarm", (ROOT / "events" / name).read_bytes()))

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"])["acted"] == ["watch-hz-h", "watch-hz-i"]
    wait_for("both watches", lambda: region.watching() == {H, I}, seconds=40)
    assert region.denied() == []


def test_a_storm_of_alarms_at_once_starts_one_watch_of_each_site(region: Region) -> None:
    """As many instances of `alarm` as there are events, since each of them serves one at a time."""
    event = json.loads((ROOT / "events" / "eventbridge-master-failure.json").read_text())
    for number in range(STORM):
        event["data"]["eventId"] = f"e-{number}"
        region.functions.invoke_async("alarm", json.dumps(event).encode())
    wait_for("all of them", lambda: len(region.heard()) == STORM, seconds=50)

    assert region.called() == ["watch-hz-h", "watch-hz-i"]
    wait_for("both watches", lambda: region.watching() == {H, I}, seconds=40)
    assert region.denied() == []
