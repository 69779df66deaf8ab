"""Another account is entered by its role: what refuses us is named, with what to do; keys are fetched seldom."""

import json
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from emulator.faults.fault import Fault
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.adapters.sdk import Endpoint
from shared.adapters.sts import AssumedRole
from shared.domain.errors import BadInput, CredentialsRejected, Forbidden, Retryable
from shared.domain.ids import AccountName, DiskId, InstanceId, SnapshotId
from tests.contract.conftest import PROXIES

HOME, OTHER = "1000000000000001", "2000000000000002"
ROLE = f"acs:ram::{OTHER}:role/understudy"
MAY_ASSUME = '{Version: "1", Statement: [{Effect: Allow, Action: "sts:AssumeRole", Resource: "*"}]}'
ALL_OF_ECS = '{Version: "1", Statement: [{Effect: Allow, Action: "ecs:*", Resource: "*"}]}'
SEED = f"""
region: cn-hangzhou
zones: [cn-hangzhou-h]
ram:
  users:
    - {{name: understudy, access_keys: [{{id: OURS, secret: s}}], policies: [{MAY_ASSUME}]}}
    - {{name: unprepared, access_keys: [{{id: WITHOUT, secret: s}}]}}
elsewhere:
  - account: "{OTHER}"
    zones: [cn-hangzhou-h]
    vpc: {{id: vpc-n, cidr: 10.9.0.0/16}}
    vswitches: [{{id: vsw-n, zone: cn-hangzhou-h, cidr: 10.9.1.0/24}}]
    security_groups: [{{id: sg-n}}]
    images: [{{id: m-n, name: n, system_disk_gib: 20}}]
    instances:
      - {{id: i-theirs, image: m-n, vswitch: vsw-n, address: 10.9.1.11, state: Running,
         system_disk: {{id: d-theirs, size_gib: 20, category: cloud_essd}}}}
    ram:
      roles:
        - {{name: understudy, policies: [{ALL_OF_ECS}], trust: {{Version: "1", Statement: [{{Effect: Allow,
           Action: "sts:AssumeRole", Principal: {{RAM: ["acs:ram::{HOME}:user/understudy",
           "acs:ram::{HOME}:user/unprepared"]}}}}]}}}}
        - {{name: wary, policies: [{ALL_OF_ECS}], trust: {{accounts: ["3000000000000003"]}}}}
"""


class Stage:
    def __init__(self, local: Local) -> None:
        self.local = local
        self.where = Endpoint("cn-hangzhou", local.url)
        self.role = ROLE

    def now(self) -> datetime:
        return self.local.run(self.local.cloud.clock.now)

    def monotonic(self) -> float:
        raise AssertionError("the end of keys is a wall clock time")

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("nothing here sleeps")

    def entered(self, key: str = "OURS", *, may_delete: bool = False) -> AssumedRole:
        return AssumedRole(
            AccountName("branch"),
            lambda: self.role,
            endpoint=self.where,
            credentials=lambda: Credentials(key, "s"),
            clock=self,
            may_delete=may_delete,
        )


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    seed = tmp_path_factory.mktemp("accounts") / "seed.yaml"
    seed.write_text(SEED)
    with pytest.MonkeyPatch.context() as patch:
        for name in PROXIES:
            patch.delenv(name, raising=False)
        with mock_aliyun(seed=seed) as cloud:
            yield cloud


@pytest.fixture
def stage(local: Local) -> Stage:
    return Stage(local)


# What refuses us ----------------------------------------------------------------------------------------------------


def test_a_role_that_does_not_exist_is_named_with_the_remedy(stage: Stage) -> None:
    stage.role = f"acs:ram::{OTHER}:role/nobody"
    with pytest.raises(BadInput, match=r"account branch: role .*role/nobody does not exist there; make it") as told:
        stage.entered()()
    assert "docs/accounts.md" in str(told.value)


def test_a_role_that_does_not_trust_us_is_named_with_the_remedy(stage: Stage) -> None:
    stage.role = f"acs:ram::{OTHER}:role/wary"
    with pytest.raises(Forbidden, match=r"role/wary does not trust us: name our roles in its trust policy"):
        stage.entered()()


def test_a_permission_that_we_lack_is_named_with_the_remedy(stage: Stage) -> None:
    with pytest.raises(
        Forbidden, match=r"our role may not call sts:AssumeRole on .*: deploy/ram permits names"
    ) as told:
        stage.entered("WITHOUT")()
    assert "does not trust us" not in str(told.value)


def test_a_role_that_is_written_wrongly_is_bad_input(stage: Stage) -> None:
    stage.role = "understudy"
    with pytest.raises(BadInput, match="account branch: role understudy cannot be assumed"):
        stage.entered()()


def test_our_own_keys_that_are_refused_end_the_process_and_blame_no_role(stage: Stage) -> None:
    with pytest.raises(CredentialsRejected):
        stage.entered("UNKNOWN")()


@pytest.mark.parametrize("kind", ["timeout_before", "throttle", "error", "html", "empty_body"])
def test_an_unanswered_call_is_tried_again_later(stage: Stage, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.adapters.sdk.READ_TIMEOUT_MS", 300)
    entered = stage.entered()
    [fault] = stage.local.run(lambda: stage.local.cloud.faults.add_all([Fault(kind=kind, action="AssumeRole")]))
    try:
        with pytest.raises(Retryable):
            entered()
    finally:
        stage.local.run(lambda: stage.local.cloud.faults.remove(fault))
    assert entered().security_token


# What it gives ------------------------------------------------------------------------------------------------------


def test_keys_are_fetched_once_an_hour_and_before_they_run_out(stage: Stage) -> None:
    entered = stage.entered()
    first = entered()
    stage.local.advance(49 * 60)
    assert entered() == first
    stage.local.advance(2 * 60)
    second = entered()
    assert second != first
    assert entered() == second


def test_another_role_in_the_policy_is_taken_on_at_once(stage: Stage) -> None:
    entered = stage.entered()
    entered()
    stage.role = f"acs:ram::{OTHER}:role/nobody"
    with pytest.raises(BadInput):
        entered()


def test_what_is_seen_is_the_other_account(stage: Stage) -> None:
    inventory = EcsInventory(endpoint=stage.where, credentials=stage.entered())

    assert [found.id for found in inventory.instances()] == [InstanceId("i-theirs")]


def test_a_session_that_creates_cannot_delete_and_one_that_deletes_cannot_create(stage: Stage) -> None:
    """Though the role allows both."""
    creator = EcsSnapshots(endpoint=stage.where, credentials=stage.entered())
    deleter = EcsSnapshots(endpoint=stage.where, credentials=stage.entered(may_delete=True))
    made = creator.create(DiskId("d-theirs"), name="understudy-x", tags={}, token="t")
    with pytest.raises(Forbidden):
        deleter.create(DiskId("d-theirs"), name="understudy-y", tags={}, token="u")
    stage.local.advance(120)

    with pytest.raises(Forbidden):
        creator.delete(made)
    deleter.delete(made)
    assert list(creator.list(ids=[SnapshotId(made)])) == []


def test_no_secret_shows_in_a_text_of_the_credentials(stage: Stage) -> None:
    credentials = stage.entered()()
    assert credentials.access_key_secret not in repr(credentials)
    assert str(credentials.security_token) not in json.dumps(repr(credentials))
