"""The SDK's models come one by one, and are what they would be otherwise."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = (
    "alibabacloud_ecs20140526",
    "alibabacloud_pvtz20180101",
    "alibabacloud_slb20140515",
    "alibabacloud_fc20230330",
)


def in_a_fresh_process(text: str) -> Any:
    done = subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_class_is_there_and_is_the_one_that_the_package_exports(package: str) -> None:
    listed = f"""
import json, sys
import {package}.models as models
names = sorted(one for one in dir(models) if not one.startswith("_") and isinstance(getattr(models, one), type))
print(json.dumps([[one, getattr(models, one).__module__] for one in names]))
"""
    assert in_a_fresh_process("import shared.adapters\n" + listed) == in_a_fresh_process(listed)


def test_an_unused_model_is_not_imported() -> None:
    loaded = in_a_fresh_process(
        """
import json, sys
from shared.adapters.ecs_snapshots import EcsSnapshots
print(json.dumps([one for one in sys.modules if one.startswith("alibabacloud_ecs20140526.models.")]))
"""
    )
    assert len(loaded) < 20, loaded


def test_a_name_that_no_model_has_is_an_attribute_error_as_ever() -> None:
    told = in_a_fresh_process(
        """
import json, shared.adapters
from alibabacloud_ecs20140526 import models
try:
    models.NoSuchThing
except AttributeError as error:
    print(json.dumps(str(error)))
"""
    )
    assert told == "module 'alibabacloud_ecs20140526.models' has no attribute 'NoSuchThing'"
