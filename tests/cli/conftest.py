"""The operator's terminal: `run("check", ...)` gives exit code, stdout and stderr of one command, in this process."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from emulator.testing import Local, mock_aliyun
from shared.wiring import foundation
from shared.wiring import prune as wired_prune
from shared.wiring import status as wired_status
from tests.wirings import forget
from understudy.cli.main import main

CACHED = (
    foundation.clouds,
    foundation.clouds_of_operator,
    foundation.pacing,
    foundation.entered,
    foundation.configuration,
    foundation.clock,
    foundation.store,
    foundation.functions,
    wired_prune.prune,
    wired_status.status,
)
PROXIES = ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")
OURS = (
    "UNDERSTUDY_REGION",
    "UNDERSTUDY_OTS_INSTANCE",
    "UNDERSTUDY_OTS_ENDPOINT",
    "UNDERSTUDY_ENDPOINT",
    "UNDERSTUDY_CLOCK",
    "UNDERSTUDY_FC_SERVICE",
    "ALIBABA_CLOUD_ACCESS_KEY_ID",
    "ALIBABA_CLOUD_ACCESS_KEY_SECRET",
    "ALIBABA_CLOUD_SECURITY_TOKEN",
)


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str


Run = Callable[..., Ended]


@pytest.fixture(autouse=True)
def a_bare_environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*PROXIES, *OURS):
        monkeypatch.delenv(name, raising=False)
    forget()  # what a test of another folder has left
    yield
    for one in CACHED:  # also where a test has put something else in its place
        one.cache_clear()
    forget()


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["understudy", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main()
        shown = capsys.readouterr()
        return Ended(int(ended.value.code or 0), shown.out, shown.err)

    return call


FLEET = """
region: cn-hangzhou
zones: [cn-hangzhou-h, cn-hangzhou-i]
vpc: {id: vpc-1, cidr: 10.0.0.0/16}
vswitches:
  - {id: vsw-h, zone: cn-hangzhou-h, cidr: 10.0.1.0/24}
  - {id: vsw-i, zone: cn-hangzhou-i, cidr: 10.0.2.0/24}
security_groups: [{id: sg-1}]
images: [{id: m-1, name: base, family: app, system_disk_gib: 20}]
instances:
  - {id: i-app-h1, name: app-h1, image: m-1, vswitch: vsw-h, address: 10.0.1.11, type: ecs.g7.large, state: Running,
     tags: {role: app}, system_disk: {id: d-app-h1, size_gib: 20, category: cloud_essd}}
  - {id: i-master-h, name: master-h, image: m-1, vswitch: vsw-h, address: 10.0.1.21, type: ecs.g7.large, state: Running,
     tags: {role: master}, system_disk: {id: d-master-h, size_gib: 20, category: cloud_essd}}
  - {id: i-master-i, name: master-i, image: m-1, vswitch: vsw-i, address: 10.0.2.21, type: ecs.g7.large, state: Running,
     tags: {role: master}, system_disk: {id: d-master-i, size_gib: 20, category: cloud_essd}}
"""


@pytest.fixture
def local(tmp_path: Path) -> Iterator[Local]:
    """The example's instances, without guests."""
    seed = tmp_path / "fleet.yaml"
    seed.write_text(FLEET)
    with mock_aliyun(seed=seed) as cloud:
        yield cloud


@pytest.fixture
def connected(local: Local, monkeypatch: pytest.MonkeyPatch) -> Local:
    """The environment of an operator whose cloud is the local one."""
    key, secret = local.access_key
    for name, value in {
        "UNDERSTUDY_REGION": "cn-hangzhou",
        "UNDERSTUDY_OTS_INSTANCE": local.ots_instance,
        "UNDERSTUDY_ENDPOINT": local.url,
        "UNDERSTUDY_CLOCK": f"{local.url}/_emulator/clock",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": key,
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": secret,
    }.items():
        monkeypatch.setenv(name, value)
    return local
