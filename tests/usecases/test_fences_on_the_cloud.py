"""Stop and isolation of a guest, by the official SDK and real sockets: only what can be read back, and what is seen
to die, counts as off."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from emulator import deeds
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_instances import EcsInstances
from shared.adapters.master_probes import MasterProbes
from shared.adapters.sdk import Endpoint
from shared.domain.ids import InstanceId, PairName, SiteName
from shared.domain.pair import Fence, FenceBy, Member, Pair
from shared.usecases.failover import isolation
from shared.usecases.failover.fence_step import Step
from shared.usecases.failover.isolation import Isolate
from shared.usecases.failover.old_side import Stop
from tests.emulator.networks import free_network
from tests.emulator.test_guest_addresses import SCRIPT, SEED

H, I = SiteName("hz-h"), SiteName("hz-i")  # noqa: E741
OLD = Member(site=H, zone="cn-hangzhou-h", instance=InstanceId("i-one"), port=8000, agent_port=1)
OTHER = Member(site=I, zone="cn-hangzhou-h", instance=InstanceId("i-two"), port=8000, agent_port=1)
PROOF = timedelta(seconds=5)


def pair() -> Pair:
    second = timedelta(seconds=1)
    return Pair(
        name=PairName("control"),
        members=(OLD, OTHER),
        preferred=H,
        name_zone="corp.example",
        name_host="master",
        name_ttl_seconds=5,
        lease=5 * second,
        margin=second,
        renew_every=second,
        watch_every=second,
        agents=False,
        probe="/",
        fence=Fence(by=FenceBy.ISOLATE, group="sg-shut", proof=PROOF),
    )


class HandClock:
    """Time passes between two looks, and not while one waits."""

    def __init__(self) -> None:
        self.at = 100.0

    def monotonic(self) -> float:
        return self.at


class Stage:
    def __init__(self, local: Local) -> None:
        self.local, self.clock = local, HandClock()
        key, secret = local.access_key[:2]
        where = Endpoint("cn-hangzhou", f"http://{local.endpoints['cn-hangzhou']}")

        def keys() -> Credentials:
            return Credentials(key, secret)

        self.inventory = EcsInventory(endpoint=where, credentials=keys)
        self.instances = EcsInstances(endpoint=where, credentials=keys)
        self.row: dict[str, str] = {}
        self.isolations: list[Isolate] = []

    def isolate(self) -> Isolate:
        made = Isolate(
            pair(),
            instances=self.instances,
            inventory=self.inventory,
            probes=MasterProbes(),
            clock=self.clock,  # type: ignore[arg-type]  # what a fence asks of it
        )
        self.isolations.append(made)
        return made

    def looks(self, way: Isolate | Stop, times: int) -> list[Step]:
        """As a failover does: what is to be journalled is, before the next look."""
        steps = []
        for _ in range(times):
            step = way.step(self.row, OLD)
            self.row = {**self.row, **step.row} if step.row is not None else self.row
            steps.append(step)
            self.clock.at += 2.0
        return steps

    def groups(self) -> tuple[str, ...]:
        [found] = self.inventory.instances(ids=(OLD.instance,))
        return found.security_groups


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(isolation, "TRY_TIMEOUT", timedelta(milliseconds=300))
    (tmp_path / "guest.py").write_text(SCRIPT)
    (tmp_path / "seed.yaml").write_text(SEED)
    settings = {"net": str(free_network()), "script": str(tmp_path / "guest.py")}
    with mock_aliyun(seed=tmp_path / "seed.yaml", settings=settings, regions=("cn-hangzhou", "cn-shanghai")) as local:
        local.advance(1)
        made = Stage(local)
        yield made
        for one in made.isolations:
            one.forget()


def test_in_a_dark_zone_a_stop_is_taken_and_never_read_back(stage: Stage) -> None:
    stage.local.run(lambda: stage.local.cloud.do(deeds.set_dark, zone="cn-hangzhou-h", dark=True))
    stop = Stop(instances=stage.instances, inventory=stage.inventory, clock=stage.clock)  # type: ignore[arg-type]  # as above

    stage.looks(stop, 2)
    stage.local.advance(600)

    assert not any(step.off for step in stage.looks(stop, 3))


def test_a_stop_counts_once_it_reads_stopped(stage: Stage) -> None:
    stop = Stop(instances=stage.instances, inventory=stage.inventory, clock=stage.clock)  # type: ignore[arg-type]  # as above

    [journal, asked] = stage.looks(stop, 2)
    assert (journal.row, asked.off) == ({"by": "stop", "instance": "i-one"}, False)
    stage.local.advance(60)

    [last] = stage.looks(stop, 1)
    assert last.off


def test_in_a_dark_zone_nothing_is_isolated(stage: Stage) -> None:
    stage.local.run(lambda: stage.local.cloud.do(deeds.set_dark, zone="cn-hangzhou-h", dark=True))

    [step, *_] = stage.looks(stage.isolate(), 2)

    assert "is silent already" in step.why
    assert stage.groups() == ("sg-open",)


def test_a_connection_that_outlives_the_isolation_keeps_it_from_counting(stage: Stage) -> None:
    stage.local.run(lambda: setattr(stage.local.cloud.ecs.security_groups, "established_survive", True))

    steps = stage.looks(stage.isolate(), 12)

    assert stage.groups() == ("sg-shut",)
    assert not any(step.off for step in steps)
    assert stage.row["groups"] == "sg-open"
    assert "still passes" in stage.row["leaks"]


def test_an_isolation_counts_when_all_was_silent_for_long_enough(stage: Stage) -> None:
    steps = stage.looks(stage.isolate(), 6)

    assert [step.off for step in steps] == [False, False, False, False, False, True]
    assert stage.row["heard"] == "line"
