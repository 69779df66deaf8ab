"""A neighbour's instances are backed up, copied and pruned by the deployed functions, under RAM policies: ours at home,
and in the other account the role that docs/accounts.md asks for."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from deploy.bootstrap import ELSEWHERE, Account, trust_elsewhere
from emulator.realm import Realm
from emulator.testing import mock_aliyun
from shared.adapters.ots import OtsTables
from shared.domain.ids import AccountName, InstanceId
from shared.domain.place import Place
from shared.domain.policy import Account as OtherAccount
from shared.domain.policy import CopyRule, Policy, Protection, Retention, Selection
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.slots import Slots, SlotState
from shared.usecases.apply_policy import ApplyPolicy
from tests.deploy.operators_day import EVENTS, QUIET, ROLES, ROOT, Day
from tests.usecases.backup_world import APPLICATIONS, EVERY_HOUR, SEED, A, a_policy

pytestmark = pytest.mark.timeout(200)

HOME, OTHER = "1000000000000001", "2000000000000002"
HERE, THERE = "cn-hangzhou", "cn-shanghai"
BRANCH = AccountName("branch")
THEIRS = InstanceId("i-theirs")
NEIGHBOUR = f"""
elsewhere:
  - account: "{OTHER}"
    zones: [cn-hangzhou-h]
    vpc: {{id: vpc-n, cidr: 10.9.0.0/16}}
    vswitches: [{{id: vsw-n, zone: cn-hangzhou-h, cidr: 10.9.1.0/24}}]
    security_groups: [{{id: sg-n}}]
    images: [{{id: m-n, name: n, system_disk_gib: 20}}]
    instances:
      - {{id: i-theirs, image: m-n, vswitch: vsw-n, address: 10.9.1.11, state: Running, tags: {{role: app}},
         system_disk: {{id: d-theirs, size_gib: 20, category: cloud_essd}},
         data_disks: [{{id: d-theirs-data, size_gib: 40, category: cloud_essd}}]}}
    ram:
      roles:
        - name: understudy
          policies: [{{file: {ELSEWHERE}}}]
          trust: {trust_elsewhere(Account(id=HOME, region="", ots_instance=""))}
"""


def a_neighbour() -> Protection:
    return replace(
        APPLICATIONS,
        name="neighbours",
        select=Selection(tags={"role": "app"}),
        schedules=(EVERY_HOUR,),
        keep=Retention(last=2),
        account=BRANCH,
        copies=(CopyRule(region=THERE, keep=Retention(last=1), within=timedelta(hours=6)),),
    )


def policy(role: str = f"acs:ram::{OTHER}:role/understudy") -> Policy:
    return replace(a_policy(APPLICATIONS, a_neighbour()), accounts=(OtherAccount(name=BRANCH, role=role),))


class Accounts(Day):
    def apply(self, wanted: Policy) -> None:
        OtsTables(endpoint=self.local.url, instance=self.local.ots_instance, credentials=self._key).create_tables()
        ApplyPolicy(
            policies=Policies(self.store),
            controls=Controls(self.store),
            slots=Slots(self.store),
            decisions=Decisions(self.store),
            clock=self,
        ).run(wanted, by="test")

    def hour(self) -> None:
        self.wait(hours=1)
        self.call("schedule", "timer-schedule.json")
        self.wait(minutes=20)
        self.call("backup", "timer-backup.json")
        self.wait(minutes=20)

    def snapshots(self, account: str, region: str) -> int:
        def count() -> int:
            realm: Realm = self.local.cloud.realm(account, region)
            return len(realm.ecs.snapshots.shelf.by_id)

        return self.local.run(count)

    def used(self, account: str) -> set[str]:
        """What the functions were allowed to do there."""
        return {
            str(one["action"]) for one in self.exercised() if one["allowed"] and f":{account}:" in str(one["resource"])
        }


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    seed = tmp_path / "two-accounts.yaml"
    seed.write_text(SEED + NEIGHBOUR)
    environment = {
        "UNDERSTUDY_ENDPOINT": "{url}",
        "UNDERSTUDY_ENDPOINTS": f"{THERE}={{url:{THERE}}}",
        "UNDERSTUDY_OTS_ENDPOINT": "{url}",
        "UNDERSTUDY_CLOCK": "{url}/_emulator/clock",
    }
    with mock_aliyun(
        seed=seed, ram_roles=ROLES, ram_vars={"zone": "*"}, fc=ROOT / "s.yaml", fc_vars=QUIET, fc_env=environment,
        fc_code=(ROOT / "functions", ROOT), fc_workdir=tmp_path / "fc", fc_key_lifetime=timedelta(hours=400),
    ) as local:  # fmt: skip
        fc = local.cloud.fc
        assert fc is not None
        for watch in ("understudy-watch-hz-h", "understudy-watch-hz-i"):  # they loop in real time
            local.run(lambda name=watch: fc.enable(name, "every-minute", False))  # type: ignore[misc]
        yield Accounts(local)


def test_a_role_that_does_not_let_us_in_is_told_and_the_home_account_goes_on(accounts: Accounts) -> None:
    accounts.apply(policy(f"acs:ram::{OTHER}:role/understudy-gone"))
    accounts.hour()

    assert accounts.snapshots(HOME, HERE) == 4
    assert accounts.snapshots(OTHER, HERE) == 0
    [skipped] = [slot.because for slot in Slots(accounts.store).all() if slot.state is SlotState.SKIPPED]
    assert "account branch: role" in skipped
    assert "role/understudy-gone does not exist there; make it as docs/accounts.md says" in skipped


def test_a_neighbours_instances_are_backed_up_copied_and_pruned(accounts: Accounts) -> None:
    accounts.apply(policy())
    for _ in range(4):
        accounts.hour()
    assert accounts.snapshots(OTHER, HERE) == 8
    assert accounts.snapshots(OTHER, THERE) == 8
    points = Counter((point.place, point.subject) for point in Points(accounts.store).all())
    assert points[Place(HERE, BRANCH), THEIRS] == points[Place(THERE, BRANCH), THEIRS] == 4
    assert points[Place(HERE), A] == 4

    accounts.call("prune", (EVENTS / "timer-prune.json").name)
    accounts.wait(minutes=5)

    assert accounts.snapshots(OTHER, HERE) == 4
    assert accounts.snapshots(OTHER, THERE) == 2
    assert accounts.snapshots(HOME, HERE) == 16, "the home account keeps four hourly points of two instances"
    assert {"ecs:CreateSnapshotGroup", "ecs:CopySnapshot", "ecs:DescribeInstances"} <= accounts.used(OTHER)
