"""What nobody protects, with the reason; and who else takes snapshots of the same disks."""

from dataclasses import replace
from typing import Any

import pytest

from emulator import seed
from emulator.cloud import Cloud
from emulator.ecs.policies import Settings
from shared.domain.errors import Forbidden, Retryable
from shared.domain.ids import AccountName, DiskId, InstanceId
from shared.domain.inventory import DiskKind
from shared.domain.place import Place
from shared.domain.policy import Account, DiskSelection, Policy, Protection, Selection
from shared.domain.rebuild import ISOLATED, REPLACES
from shared.usecases.backup.coverage import Coverage, DiskSeen, InstanceSeen, NativeSeen, Seen, Unread, findings
from tests.usecases.backup_world import APPLICATIONS, MASTERS, PLACE, SEED, START, a_policy
from understudy.simulation.compute import InProcessClouds

OTHER = AccountName("other")
DAYS = [str(day) for day in range(1, 8)]


class Stage:
    """The cloud and the policy, without anything of ours in it."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.cloud = Cloud(start=START)
        seed.load_text(SEED, self.cloud, where="test", settings={})
        self.policy = policy or a_policy()
        self.clouds: Any = InProcessClouds(self.cloud, {OTHER: "1987654321098765"})

    @property
    def here(self) -> Any:
        return self.clouds.at(PLACE)

    def native(self, *disks: str, hours: tuple[str, ...] = ("2", "14"), days: int = 7) -> str:
        policies = self.cloud.ecs.snapshots.policies
        made = policies.create(Settings(name="nightly", hours=hours, weekdays=DAYS, retention_days=days), tags={})
        if disks:
            policies.apply(made.id, disks)
        return made.id

    def snapshot(self, disk: str, tags: dict[str, str] | None = None) -> str:
        made: str = self.here.snapshots.create(DiskId(disk), name="by-hand", tags=tags or {}, token="")
        return made

    def report(self) -> list[Seen]:
        return list(Coverage(self.policy, self.clouds))

    def instances(self) -> dict[str, str]:
        return {one.instance: one.because for one in self.report() if isinstance(one, InstanceSeen)}

    def disks(self) -> dict[str, DiskSeen]:
        return {one.disk: one for one in self.report() if isinstance(one, DiskSeen)}

    def unread(self) -> list[tuple[Place, str]]:
        return [(one.place, one.because) for one in self.report() if isinstance(one, Unread)]

    def told(self) -> list[str]:
        return list(findings(self.policy, self.clouds))


class Failing:
    """One part of a place, one of whose calls is refused."""

    def __init__(self, real: Any, call: str, error: Exception) -> None:
        self._real, self._call, self._error = real, call, error

    def __getattr__(self, name: str) -> Any:
        if name == self._call:
            return self._refuse
        return getattr(self._real, name)

    def _refuse(self, *_: object, **__: object) -> Any:
        raise self._error


class Replaced:
    def __init__(self, clouds: Any, place: Place, **parts: object) -> None:
        self._clouds, self._place, self._parts = clouds, place, parts

    def at(self, place: Place) -> Any:
        real = self._clouds.at(place)
        return _Parts(real, self._parts) if place == self._place else real


class _Parts:
    def __init__(self, real: Any, parts: dict[str, object]) -> None:
        self._real, self._parts = real, parts

    def __getattr__(self, name: str) -> Any:
        return self._parts.get(name) or getattr(self._real, name)


def selecting(selection: Selection, protection: Protection = APPLICATIONS) -> Policy:
    return a_policy(replace(protection, select=selection))


# What cannot be seen ----------------------------------------------------------------------------------------------


def test_an_account_that_cannot_be_read_is_named_and_the_others_are_told() -> None:
    stage = Stage(replace(a_policy(APPLICATIONS), accounts=(Account(name=OTHER, role="acs:ram::1:role/r"),)))
    there = Place("cn-hangzhou", OTHER)
    refusing = Failing(stage.clouds.at(there).inventory, "instances", Forbidden("sts AssumeRole: NoPermission"))
    stage.clouds = Replaced(stage.clouds, there, inventory=refusing)

    assert stage.unread() == [(there, "sts AssumeRole: NoPermission")]
    assert set(stage.instances()) == {"i-master"}


def test_an_account_that_shows_no_instance_may_lack_the_permission() -> None:
    stage = Stage(replace(a_policy(), accounts=(Account(name=OTHER, role="acs:ram::1:role/r"),)))

    [(place, because)] = stage.unread()

    assert place == Place("cn-hangzhou", OTHER)
    assert "ecs:DescribeInstances" in because


def test_native_policies_that_cannot_be_read_keep_nothing_else_from_being_told() -> None:
    stage = Stage(a_policy(APPLICATIONS))
    silent = Failing(stage.here.native, "list", Retryable("ecs DescribeAutoSnapshotPolicyEx: Throttling"))
    stage.clouds = Replaced(stage.clouds, PLACE, native=silent)

    assert stage.unread() == [
        (PLACE, "its native policies could not be read: ecs DescribeAutoSnapshotPolicyEx: Throttling")
    ]
    assert set(stage.instances()) == {"i-master"}


# What nobody protects ---------------------------------------------------------------------------------------------


def test_where_all_is_protected_there_is_nothing_to_tell() -> None:
    stage = Stage()

    report = Coverage(stage.policy, stage.clouds)

    assert list(report) == []
    assert (report.totals.instances, report.totals.instances_uncovered) == (3, 0)
    assert (report.totals.disks, report.totals.disks_uncovered) == (5, 0)
    assert stage.told() == []


@pytest.mark.parametrize(
    ("selection", "reasons"),
    [
        pytest.param(
            Selection(tags={"role": "app"}, exclude=(InstanceId("i-app-b"),)),
            {"i-app-b": "excluded by applications", "i-master": "no protection selects it: its tags are role=master"},
            id="excluded",
        ),
        pytest.param(
            Selection(ids=(InstanceId("i-app-a"), InstanceId("i-master"))),
            {"i-app-b": "no protection selects it: its tags are role=app"},
            id="not named",
        ),
    ],
)
def test_an_instance_without_protection_says_why(selection: Selection, reasons: dict[str, str]) -> None:
    stage = Stage(selecting(selection))

    assert stage.instances() == reasons
    assert {disk for disk, seen in stage.disks().items() if seen.because == "its instance is not covered"} == {
        *(["d-b-sys", "d-b-data"] if "i-app-b" in reasons else []),
        *(["d-m-sys"] if "i-master" in reasons else []),
    }


def test_an_instance_without_tags_says_so() -> None:
    stage = Stage()
    stage.cloud.ecs.instances["i-master"].tags.clear()

    assert stage.instances() == {"i-master": "no protection selects it: it has no tags"}


def test_what_was_replaced_needs_no_protection_and_what_replaced_it_has_it() -> None:
    stage = Stage(selecting(Selection(ids=(InstanceId("i-app-a"), InstanceId("i-master")))))
    instances = stage.cloud.ecs.instances
    instances["i-app-a"].tags[ISOLATED] = "yes"
    instances["i-app-b"].tags.clear()
    instances["i-app-b"].tags[REPLACES] = "i-app-a"

    assert list(stage.instances()) == ["i-app-a"]
    assert "isolated" in stage.instances()["i-app-a"]


@pytest.mark.parametrize(
    ("disks", "because"),
    [
        (DiskSelection(kinds=(DiskKind.DATA,)), {"d-a-sys": "applications leaves system disks out"}),
        (DiskSelection(exclude=(DiskId("d-a-data"),)), {"d-a-data": "excluded by applications"}),
    ],
)
def test_a_disk_that_a_selection_leaves_out_says_why(disks: DiskSelection, because: dict[str, str]) -> None:
    stage = Stage(a_policy(replace(APPLICATIONS, select=Selection(tags={"role": "app"}, disks=disks)), MASTERS))

    seen = {disk: one.because for disk, one in stage.disks().items() if one.instance == "i-app-a"}

    assert seen == because


def test_a_disk_that_two_protections_share_out_between_them_is_covered() -> None:
    halves = [
        replace(APPLICATIONS, name=kind, select=Selection(tags={"role": "app"}, disks=DiskSelection(kinds=(kind,))))
        for kind in DiskKind
    ]

    assert Stage(a_policy(*halves, MASTERS)).report() == []


def test_a_disk_that_is_attached_to_nothing_is_covered_by_nothing() -> None:
    stage = Stage()
    loose = stage.cloud.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h")

    assert stage.disks()[loose.id].because == "it is attached to no instance"


# Who else takes snapshots -----------------------------------------------------------------------------------------


def test_foreign_snapshots_are_counted_with_ours_against_one_quota() -> None:
    stage = Stage()
    for _ in range(2):
        stage.snapshot("d-a-sys")
    stage.snapshot("d-a-sys", tags={"understudy:operation": "op-1"})

    seen = stage.disks()["d-a-sys"]

    assert (seen.protections, seen.because) == (("applications",), "")
    assert (seen.foreign.count, seen.foreign.ours, seen.foreign.used) == (2, 1, 3)
    assert seen.foreign.newest == START


def test_a_native_policy_is_told_with_its_hours_and_retention_and_the_disks_it_shares_with_us() -> None:
    stage = Stage(a_policy(APPLICATIONS))
    made = stage.native("d-a-data", "d-m-sys")
    stage.cloud.clock.advance(START.replace(day=3) - START)

    [policy] = [one for one in stage.report() if isinstance(one, NativeSeen)]
    seen = stage.disks()["d-a-data"]

    assert (policy.policy.id, policy.policy.hours, policy.policy.days) == (made, (2, 14), 7)
    assert (policy.disks, policy.covered) == (2, 1)
    assert (seen.native, seen.foreign.automatic, seen.foreign.count) == ((made,), 2, 0)


def test_a_native_policy_without_disks_is_listed_and_found_fault_with_by_nobody() -> None:
    stage = Stage()
    stage.native()

    assert [type(one) for one in stage.report()] == [NativeSeen]
    assert stage.told() == []


def test_findings_say_it_in_a_few_lines_with_numbers_and_the_first_few_names() -> None:
    excluding = Selection(tags={"role": "app"}, disks=DiskSelection(exclude=(DiskId("d-b-data"),)))
    stage = Stage(selecting(excluding))
    made = stage.native("d-a-data")
    stage.snapshot("d-a-sys")

    assert stage.told() == [
        "cn-hangzhou: 1 instances are protected by nothing: i-master (no protection selects it: its tags are "
        "role=master)",
        "cn-hangzhou: 1 disks of protected instances are left out: d-b-data of i-app-b (excluded by applications)",
        "cn-hangzhou: 1 snapshots that Understudy did not make stand on 1 covered disks and count against the same 256 "
        "a disk; the most on d-a-sys: 1, the newest of 2026-03-02. `understudy adopt` takes named ones over",
        f"cn-hangzhou: native policy {made} (nightly), at 02 14 (UTC+8), kept 7 days, takes snapshots of 1 disks that "
        "this policy covers too. Understudy neither counts nor deletes them",
    ]
