"""The application-consistent recipe: freeze, snapshot the group, thaw; and what happens when a step is lost.

A small ledger lives in a guest: it writes one page to each of two disks per second, first the log, then the data. A
snapshot between the two writes would be torn. It stands still while it is frozen, and thaws by itself.
"""

from datetime import timedelta
from typing import Any

import pytest

from emulator.ecs.assistant import Answer, Errand
from emulator.ecs.blocks import GIB, Volume
from tests.emulator.ecs_stage import Stage

PAGE = 4096
SELF_THAW = timedelta(seconds=30)
FREEZE = "freeze-ledger --thaw-after 30"
THAW = "thaw-ledger"


class Ledger:
    def __init__(self, stage: Stage) -> None:
        self.stage = stage
        self.frozen = False
        self.entries = 0
        self.thawed_itself = 0
        stage.ecs.assistant.behave("^freeze-ledger", self.freeze)
        stage.ecs.assistant.behave("^thaw-ledger", self.thaw)
        self._log()

    def freeze(self, errand: Errand) -> Answer:
        self.frozen = True
        self.stage.cloud.clock.call_at(errand.at + SELF_THAW, self._give_up, "self-thaw")
        return Answer(output="frozen", seconds=0.5)

    def _give_up(self) -> None:
        if self.frozen:
            self.frozen, self.thawed_itself = False, self.thawed_itself + 1

    def thaw(self, _: Errand) -> Answer:
        was, self.frozen = self.frozen, False
        return Answer() if was else Answer(exit_code=1, output="was not frozen")

    def _log(self) -> None:
        if not self.frozen:
            self.entries += 1
            self._write("d-sys")
            self.stage.cloud.clock.call_later(timedelta(milliseconds=500), self._apply, "ledger")
        else:
            self.stage.cloud.clock.call_later(timedelta(milliseconds=500), self._log, "ledger")

    def _apply(self) -> None:
        """The second write of an entry; a freeze waits for it (nothing is begun while frozen)."""
        self._write("d-data")
        self.stage.cloud.clock.call_later(timedelta(milliseconds=500), self._log, "ledger")

    def _write(self, disk: str) -> None:
        self.stage.ecs.disks.find(disk).volume.write(PAGE, self.entries.to_bytes(8, "big"))


class Recipe(Stage):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(self)

    def send(self, text: str, **more: object) -> str:
        given = {"Type": "RunShellScript", "CommandContent": text, "InstanceId.1": "i-app", **more}
        return str(self.ask("RunCommand", given)["InvokeId"])

    def outcome(self, invocation: str) -> dict[str, Any]:
        found = self.ask("DescribeInvocationResults", InvokeId=invocation, ContentEncoding="PlainText")
        return dict(found["Invocation"]["InvocationResults"]["InvocationResult"][0])

    def until_ended(self, invocation: str) -> dict[str, Any]:
        while (outcome := self.outcome(invocation))["InvocationStatus"] in ("Pending", "Running"):
            self.advance(1)
        return outcome

    def group(self) -> str:
        made = self.ask("CreateSnapshotGroup", {"InstanceId": "i-app", "Name": "consistent"})
        return str(made["SnapshotGroupId"])

    def entries_in(self, group: str) -> set[int]:
        """What each member snapshot holds."""
        [shown] = self.ask("DescribeSnapshotGroups", {"SnapshotGroupId.1": group})["SnapshotGroups"]["SnapshotGroup"]
        held = set()
        for member in shown["Snapshots"]["Snapshot"]:
            snapshot = self.ecs.snapshots.find(member["SnapshotId"])
            held.add(int.from_bytes(Volume.of(snapshot.layer, snapshot.size_gib * GIB).read(PAGE, 8), "big"))
        return held


@pytest.fixture
def stage() -> Recipe:
    return Recipe()


def test_without_a_freeze_a_group_can_be_torn(stage: Recipe) -> None:
    """All members share one instant, and that instant may lie between two writes."""
    stage.advance(10)
    held = stage.entries_in(stage.group())
    assert len(held) == 2


def test_freeze_group_thaw_gives_a_consistent_group(stage: Recipe) -> None:
    stage.advance(10)
    assert stage.until_ended(stage.send(FREEZE))["InvocationStatus"] == "Success"
    stage.advance(1)  # the entry under way is finished
    entries, group = stage.ledger.entries, stage.group()
    thawed = stage.until_ended(stage.send(THAW))

    assert (thawed["InvocationStatus"], thawed["ExitCode"]) == ("Success", 0)
    assert stage.entries_in(group) == {entries}
    stage.advance(10)
    assert stage.ledger.entries > entries
    assert stage.ledger.thawed_itself == 0


def test_a_guest_whose_thaw_never_comes_thaws_itself(stage: Recipe) -> None:
    """The one who froze it died: the application goes on after its own limit."""
    stage.until_ended(stage.send(FREEZE))
    at_freeze = stage.ledger.entries
    stage.advance(60)

    assert stage.ledger.thawed_itself == 1
    assert stage.ledger.entries > at_freeze


def test_a_group_taken_after_the_self_thaw_is_found_out_by_the_thaw(stage: Recipe) -> None:
    """The freeze ran out before the snapshot: only the thaw's exit code tells."""
    stage.until_ended(stage.send(FREEZE))
    stage.advance(45)  # somebody was slow
    stage.group()
    thawed = stage.until_ended(stage.send(THAW))

    assert (thawed["InvocationStatus"], thawed["ExitCode"]) == ("Failed", 1)
    assert thawed["InvokeRecordStatus"] == "Finished"


def test_a_freeze_that_times_out_may_have_frozen_all_the_same(stage: Recipe) -> None:
    def hang(errand: Errand) -> Answer:
        stage.ledger.freeze(errand)
        return Answer(seconds=3600)

    stage.ecs.assistant.behave("^freeze-ledger", hang)
    assert stage.until_ended(stage.send(FREEZE, Timeout=20))["InvocationStatus"] == "Timeout"
    assert stage.ledger.frozen  # so the thaw is always sent, also after an error
    stage.until_ended(stage.send(THAW))
    assert not stage.ledger.frozen


def test_a_machine_in_the_dark_is_never_frozen(stage: Recipe) -> None:
    stage.cloud.zones.set_dark("cn-hangzhou-h", True)
    outcome = stage.until_ended(stage.send(FREEZE))
    assert (outcome["InvocationStatus"], outcome["ErrorCode"]) == ("Aborted", "DeliveryTimeout")
    assert not stage.ledger.frozen


def test_nobody_but_the_guest_says_that_a_group_is_consistent(stage: Recipe) -> None:
    """The tag APPConsistent is the guest plugin's own; the platform writes none."""
    stage.until_ended(stage.send(FREEZE))
    stage.group()
    [shown] = stage.ask("DescribeSnapshotGroups")["SnapshotGroups"]["SnapshotGroup"]
    assert shown["Tags"]["Tag"] == []
