"""A world that is opened again is the same world: after any commands, jumps, failures, and questions between them."""

import os
import random
import re
import subprocess
import sys
from datetime import timedelta
from pathlib import Path
from typing import Final

import pytest

from emulator.cloud import Cloud
from emulator.persistence.commands import READING, is_read
from emulator.realm import Realm
from emulator.wire.call import ApiError, Call, Caller
from tests.emulator.wanderer import WORLD, Wanderer
from tests.emulator.world_dump import closed, dump, opened

ROOT: Final = Path(__file__).resolve().parents[2]
STEPS: Final = 1500


def wandered(directory: Path, seed: int) -> Wanderer:
    wanderer = Wanderer(opened(directory, WORLD), random.Random(seed))
    for _ in range(STEPS):
        wanderer.step()
    return wanderer


def first_difference(before: list[str], after: list[str]) -> str:
    for number, (old, new) in enumerate(zip(before, after, strict=False)):
        if old != new:
            return f"line {number}:\n  was {old}\n  is  {new}"
    return f"{len(before)} lines were, {len(after)} are"


@pytest.mark.parametrize("seed", range(4))
def test_a_world_that_is_opened_again_is_the_same_world(tmp_path: Path, seed: int) -> None:
    wanderer = wandered(tmp_path / "world", seed)
    before = dump(wanderer.cloud)
    closed(wanderer.cloud)
    assert wanderer.done > 60, "hardly anything happened"

    again = opened(tmp_path / "world")
    after = dump(again)
    assert before == after, first_difference(before, after)

    again.clock.advance(timedelta(days=2))  # and it goes on as the same world, which can be opened once more
    later = dump(again)
    closed(again)
    once_more = opened(tmp_path / "world")
    assert dump(once_more) == later
    closed(once_more)


def test_no_outcome_depends_on_the_order_of_a_set(tmp_path: Path) -> None:
    """Each process orders sets of texts in its own way."""
    wanderer = wandered(tmp_path / "world", 99)
    before = dump(wanderer.cloud)
    closed(wanderer.cloud)
    for order in ("1", "2"):
        after = subprocess.run(
            [sys.executable, "-m", "tests.emulator.world_dump", str(tmp_path / "world")],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": order},
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        ).stdout.split("\n")
        assert before == after, first_difference(before, after)


def test_every_action_is_told_by_its_name_to_read_or_to_change() -> None:
    """The journal keeps what may change the world; an action that only reads by its name is never kept. That no such
    action changes anything is the next test's business; here: no other word happens to begin like a reading verb."""
    actions = {action for _, action in Cloud().home.operations}
    reading = {action for action in actions if is_read(action)}
    assert all(re.match(rf"({'|'.join(READING)})[A-Z]", action) for action in reading)
    assert {"DescribeInstances", "GetCallerIdentity", "ListTagResources"} <= reading
    assert {"CreateSnapshot", "TagResources", "AssumeRole", "PutCustomMetric", "UpdateZoneRecord"} <= actions - reading


def test_no_action_that_reads_by_its_name_changes_anything(tmp_path: Path) -> None:
    wanderer = wandered(tmp_path / "world", 5)
    before = dump(wanderer.cloud)
    asked = 0
    for realm in wanderer.cloud.realms:
        asked += ask_everything(realm, wanderer)
    assert asked > 100
    after = dump(wanderer.cloud)
    assert before == after, first_difference(before, after)


def ask_everything(realm: Realm, wanderer: Wanderer) -> int:
    asked = 0
    for (version, action), operation in sorted(realm.operations.items()):
        if not is_read(action):
            continue
        for _ in range(10):
            params = wanderer.some_parameters(operation)
            caller = Caller(account=realm.account, access_key="testid", role=None)
            try:
                operation(Call(version=version, action=action, region=realm.region, params=params, caller=caller))
            except ApiError:
                continue
            asked += 1
    return asked
