"""Imports are paid on every new instance, and a function that does not load an SDK cannot call its service.

Each handler is loaded and prepared in a fresh interpreter, as a function instance does it.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TABLESTORE = "tablestore"
ECS = "alibabacloud_ecs20140526"
FC = "alibabacloud_fc20230330"
FC2 = "fc2"
PVTZ = "alibabacloud_pvtz20180101"
SLB = "alibabacloud_slb20140515"
ESS = "alibabacloud_ess20220222"
VPC = "alibabacloud_vpc20160428"
ALIDNS = "alibabacloud_alidns20150109"  # of pairs with public names alone
HEAVY = (
    TABLESTORE,
    ECS,
    FC,
    FC2,
    PVTZ,
    SLB,
    ESS,
    VPC,
    ALIDNS,
    "pydantic",
    "yaml",
    "jinja2",
    "rich",
    "typer",
    "emulator",
    "understudy",
)

MAY_LOAD = {
    "schedule": {TABLESTORE, FC},
    "backup": {TABLESTORE, ECS, FC},
    "prune": {TABLESTORE, ECS},
    "command": {TABLESTORE, FC},
    "status": {TABLESTORE},
    "watch": {TABLESTORE, ECS, PVTZ, SLB},
}

PROBE = """
import importlib, json, os, sys
function = importlib.import_module(sys.argv[1])
function.initialize(None)
print(json.dumps([name for name in sys.argv[2].split(",") if name in sys.modules]))
"""

ENVIRONMENT = {
    "PATH": "/usr/bin:/bin",
    "UNDERSTUDY_REGION": "cn-hangzhou",
    "UNDERSTUDY_OTS_INSTANCE": "understudy",
    "UNDERSTUDY_SITE": "hz-h",
    "FC_ACCOUNT_ID": "1000000000000001",
    "ALIBABA_CLOUD_ACCESS_KEY_ID": "id",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET": "secret",
}


@pytest.mark.parametrize("function", sorted(MAY_LOAD))
def test_a_handler_loads_only_the_sdks_it_needs(function: str) -> None:
    path = f"{ROOT / 'functions'}:{ROOT}"
    done = subprocess.run(
        [sys.executable, "-c", PROBE, function, ",".join(HEAVY)],
        env={**ENVIRONMENT, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert "instance.unprepared" not in done.stderr
    loaded = set(json.loads(done.stdout.splitlines()[-1]))
    assert loaded <= MAY_LOAD[function]
    assert TABLESTORE in loaded


def test_no_handler_shadows_a_module_that_others_import() -> None:
    """Entry modules are flat at the code root: a name of the standard library there would break everything."""
    names = {path.stem for path in (ROOT / "functions").glob("*.py")}

    assert not names & set(sys.stdlib_module_names)
