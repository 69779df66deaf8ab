"""What the demo's evening does not call for: an operator's commands, images, retention, and every failure destination;
through Function Compute, so that each function has the keys of its own role and nothing else."""

import json
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from deploy.bootstrap import POLICIES, entries
from emulator.tablestore.errors import OtsError
from emulator.testing import Local, mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.functions import FcFunctions
from shared.adapters.ots import OtsStore, OtsTables
from shared.adapters.sdk import Endpoint
from shared.config import policy_file
from shared.domain.ids import PairName, SiteName
from shared.domain.place import Place
from shared.domain.policy import CopyRule, ImageDisks, ImageRule, Lock, Policy, Retention, Selection
from shared.ports.store import Anything
from shared.state.controls import Controls
from shared.state.decisions import Decisions
from shared.state.failovers import SwitchOrders
from shared.state.images import Images
from shared.state.journal import Journal
from shared.state.leases import TABLE as LEASES
from shared.state.leases import Leases
from shared.state.points import Points
from shared.state.policies import Policies
from shared.state.retired import Retired
from shared.state.slots import Slots
from shared.usecases.apply_policy import ApplyPolicy
from tests.usecases.backup_world import APPLICATIONS, MASTERS, SEED, A, M, a_policy

ROOT = Path(__file__).resolve().parents[2]
EVENTS = ROOT / "events"
ELSEWHERE = "cn-shanghai"
PAIR = PairName("control")
QUIET = {  # no timers: what runs is what the day calls for
    "UNDERSTUDY_SCHEDULE_TICK": "0 0 0 1 1 *",
    "UNDERSTUDY_BACKUP_TICK": "@every 10000m",
    "UNDERSTUDY_RECOVER_TICK": "@every 10000m",
    "UNDERSTUDY_PRUNE_TICK": "0 0 0 1 1 *",
}

ROLES = tuple((f"understudy-{entry}", (POLICIES / f"{entry}.json",)) for entry in entries())
CALLED_ASYNCHRONOUSLY = {
    "schedule": "timer-schedule.json",
    "backup": "timer-backup.json",
    "prune": "timer-prune.json",
    "recover": "timer-recover.json",
    "alarm": "eventbridge-disk-stalled.json",
    "watch-hz-h": "timer-watch.json",
    "command": "invoke-command-pause.json",
}


def _policy() -> Policy:
    copies = CopyRule(region=ELSEWHERE, keep=Retention(last=1), within=timedelta(hours=6), lock=Lock(days=1))
    role = ImageRule(
        name="masters",
        family="role-master",
        of=Selection(tags={"role": "master"}),
        disks=ImageDisks.SYSTEM,
        keep=1,
        publish_to=("asg-masters",),
    )
    return replace(a_policy(replace(APPLICATIONS, copies=(copies,)), MASTERS), images=(role,))


GROUP = """
scaling_groups:
  - id: asg-masters
    min: 0
    max: 1
    vswitches: [vsw-h]
    configuration: {id: asc-masters, image: m-base, type: ecs.g7.large, security_groups: [sg-test]}
"""


class Day:
    """One local cloud with all functions of `s.yaml` on it, called as triggers and operators call them."""

    def __init__(self, local: Local) -> None:
        self.local = local
        self._endpoint = Endpoint("cn-hangzhou", local.url)
        self.functions = FcFunctions(endpoint=self._endpoint, credentials=self._key)
        self.store = OtsStore(endpoint=local.url, instance=local.ots_instance, credentials=self._key)

    def _key(self) -> Credentials:
        return Credentials(*self.local.access_key)

    def now(self) -> datetime:
        return self.local.run(self.local.cloud.clock.now)

    def monotonic(self) -> float:
        raise AssertionError("nothing here measures real time")

    def sleep(self, duration: timedelta) -> None:
        raise AssertionError("nothing here sleeps")

    def prepare(self) -> None:
        OtsTables(endpoint=self.local.url, instance=self.local.ots_instance, credentials=self._key).create_tables()
        fc = self.local.cloud.fc
        assert fc is not None
        for watch in ("understudy-watch-hz-h", "understudy-watch-hz-i"):  # they loop in real time
            self.local.run(partial(fc.enable, watch, "every-minute", False))
        ApplyPolicy(
            policies=Policies(self.store),
            controls=Controls(self.store),
            slots=Slots(self.store),
            decisions=Decisions(self.store),
            clock=self,
        ).run(replace(_policy(), pairs=policy_file.load(ROOT / "understudy.yaml").pairs), by="test")

    def call(self, function: str, event: str | dict[str, Any]) -> Any:
        """And wait for the answer; what it queued for later runs when time goes on."""
        payload = (EVENTS / event).read_bytes() if isinstance(event, str) else json.dumps(event).encode()
        return json.loads(self.functions.invoke(function, payload) or b"null")

    def command(self, name: str, **arguments: Any) -> Any:
        answer = self.call("command", {"command": name, "by": "an operator", **arguments})
        assert "refused" not in answer, answer
        return answer

    def wait(self, **duration: float) -> None:
        self.local.advance(timedelta(**duration).total_seconds())

    def exercised(self) -> list[dict[str, Any]]:
        def told() -> list[dict[str, Any]]:
            return [
                {"principal": who, "action": action, "resource": what, "allowed": n.allowed, "denied": n.denied}
                for (who, action, what), n in self.local.cloud.ram.exercised.items()
            ]

        return self.local.run(told)


def play(workdir: Path) -> list[dict[str, Any]]:
    """What each role was allowed and denied in the course of the day."""
    seed = workdir / "small.yaml"
    seed.write_text(SEED + GROUP)
    environment = {
        "UNDERSTUDY_ENDPOINT": "{url}",
        "UNDERSTUDY_RESOLVERS": "{dns}",
        "UNDERSTUDY_ENDPOINTS": f"{ELSEWHERE}={{url:{ELSEWHERE}}}",
        "UNDERSTUDY_OTS_ENDPOINT": "{url}",
        "UNDERSTUDY_CLOCK": "{url}/_emulator/clock",
    }
    with mock_aliyun(
        seed=seed, ram_roles=ROLES, ram_vars={"zone": "*"}, fc=ROOT / "s.yaml", fc_vars=QUIET, fc_env=environment,
        fc_code=(ROOT / "functions", ROOT), fc_workdir=workdir / "fc", fc_key_lifetime=timedelta(hours=400),
    ) as local:  # fmt: skip
        day = Day(local)
        day.prepare()
        _backups_images_and_retention(day)
        _copies(day)
        _launches(day)
        _commands(day)
        _pairs(day)
        _events(day)
        _roles(day)
        _every_failure_destination(day)
        _a_master_fails(day)
        return day.exercised()


def _backups_images_and_retention(day: Day) -> None:
    for _ in range(7):
        day.wait(hours=1)
        day.call("schedule", "timer-schedule.json")
        day.wait(minutes=5)
    day.command("image", instance=M, family="app")
    day.command("back_up", protection="applications")
    day.wait(minutes=20)
    day.command("prune")
    day.command("prune", apply=True)
    day.wait(minutes=1)
    day.command("prune", apply=True, drift=True)
    day.wait(minutes=1)
    day.call("backup", "timer-backup.json")


def _copies(day: Day) -> None:
    """Of a point that waits for its copy, as the sweep finds it, and of an image."""
    point = next(one for one in Points(day.store).all() if one.subject == A and one.complete and not one.copy_of)
    Points(day.store).put([replace(point, copy_to=(ELSEWHERE,))])
    day.command("image", instance=M, family="app", copy_to=[ELSEWHERE])
    day.wait(hours=7)
    day.call("backup", "timer-backup.json")
    day.wait(minutes=30)
    assert any(one.copy_of and one.locked_until for one in Points(day.store).all())


def _launches(day: Day) -> None:
    """Of a restore point, shown first; an image is made of it."""
    point = next(one for one in Points(day.store).all() if one.subject == A and one.complete and not one.copy_of)
    what = {"called": "shop", "point": point.id, "of": A, "amount": 2, "port": 8080}
    shown = day.command("launch", **what)["preview"]
    assert all(one["ok"] for one in shown["checks"]), shown
    operation = day.command("launch", **what, confirm=shown["token"])["operation"]
    day.wait(minutes=2)
    steps = {step.name for step in Journal(day.store, day).load(operation).steps}
    assert {"create:001", "boot"} <= steps, steps


def _commands(day: Day) -> None:
    point = next(one for one in Points(day.store).all() if one.subject == A)
    day.command("pin", instance=A, point=point.id, because="audit")
    day.command("unpin", instance=A, point=point.id)
    day.command("pause", scope="backups", because="maintenance")
    day.wait(hours=1)
    assert "paused" in day.call("schedule", "timer-schedule.json")
    day.command("resume", scope="backups")
    day.call("schedule", "timer-schedule.json")  # what fell due meanwhile is skipped
    asked = day.command("back_up", protection="masters")["operation"]
    day.command("acknowledge", subject=asked)
    _status(day)  # while something is under way
    day.wait(minutes=20)


def _pairs(day: Day) -> None:
    """A move that is only looked at; then the lease row is lost, and its restoration ordered and given up."""
    Leases(day.store, tokens=lambda: "day").create(PAIR, SiteName("hz-h"), length=timedelta(seconds=5))
    assert day.command("switchover", pair=PAIR)["preview"]["checks"]
    day.store.delete(LEASES, (PAIR,), condition=Anything())
    day.command("restore_lease", pair=PAIR, owner="hz-i", epoch=2, because="a slip of the hand")
    order = SwitchOrders(day.store).pending(PAIR)
    assert order is not None
    SwitchOrders(day.store).close(order)


def _roles(day: Day) -> None:
    """Two versions of a role, published; the older one leaves its family, and goes for good a week later."""
    for _ in range(2):
        day.command("image", rule="masters")
        day.wait(minutes=30)
    versions = sorted((one.version, one.image) for one in Images(day.store).all() if one.family == "role-master")
    assert [number for number, _ in versions] == [1, 2]
    day.command("publish_image", what="role-master")
    day.command("pin_image", family="role-master", image=versions[0][1], because="audit")
    day.command("unpin_image", family="role-master", image=versions[0][1])
    day.call("backup", "timer-backup.json")  # judges the roles
    day.call("recover", "timer-recover.json")
    day.command("prune", apply=True)
    day.wait(minutes=2)
    Retired(day.store).note(Place("cn-hangzhou"), versions[0][1], day.now() - timedelta(days=8))  # rather than wait
    day.command("prune", apply=True)
    day.wait(minutes=1)
    told = [one.event for one in Decisions(day.store).of("image family role-master")]
    assert {"image.deprecated", "image.deleted", "image.pinned"} <= set(told), told


def _events(day: Day) -> None:
    for event in ("eventbridge-disk-stalled.json", "eventbridge-snapshot-completed.json"):
        day.call("alarm", event)
    day.wait(minutes=1)


def _a_master_fails(day: Day) -> None:
    """Last of all: the watches that this calls loop in real time, and end with the cloud."""
    assert day.call("alarm", "eventbridge-master-failure.json")["acted"] == ["watch-hz-h", "watch-hz-i"]


def _status(day: Day) -> None:
    assert day.call("status", "http-status.json")["statusCode"] == 200


def _every_failure_destination(day: Day) -> None:
    """Reads of the state store time out until every retry is spent; what then comes after needs no reads."""

    def silent(operation: str, table: str, moment: str) -> None:
        if operation in ("GetRow", "GetRange"):
            raise OtsError(503, "OTSServerUnavailable", "Server is not available.")

    tablestore = day.local.cloud.tablestore
    day.local.run(lambda: tablestore.faults.append(silent))
    for function, event in CALLED_ASYNCHRONOUSLY.items():
        day.functions.invoke_async(function, (EVENTS / event).read_bytes())
    day.wait(minutes=30)
    day.local.run(lambda: tablestore.faults.remove(silent))
    day.wait(minutes=30)
