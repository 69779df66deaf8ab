"""Each part of the ECS port names the permissions of just the calls that it sends, and the emulator can judge them."""

import inspect
import re
from typing import Any, Final

import pytest

from emulator.ram.resources import has_row
from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_disks import EcsDisks
from shared.adapters.ecs_guests import EcsGuests
from shared.adapters.ecs_images import EcsImages
from shared.adapters.ecs_instances import EcsInstances
from shared.adapters.ecs_market import EcsMarket
from shared.adapters.ecs_native import EcsNativePolicies
from shared.adapters.ecs_snapshots import EcsSnapshots

PARTS: Final = (
    EcsDisks, EcsGuests, EcsImages, EcsInstances, EcsInventory, EcsMarket, EcsNativePolicies, EcsSnapshots,
)  # fmt: skip
SENT: Final = re.compile(r'self\._(?:ask|pages|numbered)\(\s*"(\w+)"')
TAGGING: Final = {"ecs:TagResources"}
"""Creating with tags may be judged as tagging as well (not verified)."""


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_a_part_names_what_it_sends(part: Any) -> None:
    sent = {f"ecs:{action}" for action in SENT.findall(inspect.getsource(part))}

    assert sent
    assert sent <= set(part.RAM_ACTIONS) <= sent | TAGGING


@pytest.mark.parametrize("part", PARTS, ids=lambda part: part.__name__)
def test_the_emulator_knows_what_each_call_touches(part: Any) -> None:
    unknown = [action for action in part.RAM_ACTIONS if not has_row("ecs", action.removeprefix("ecs:"))]

    assert unknown == []
