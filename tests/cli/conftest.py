"""The operator's terminal: `run("check", ...)` gives exit code, stdout and stderr of one command, in this process."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from emulator.testing import Local, mock_aliyun
from shared.wiring import foundation
from understudy.cli.main import main

CACHED = (foundation.configuration, foundation.clock, foundation.store, foundation.functions)
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
    yield
    for one in CACHED:
        one.cache_clear()


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


@pytest.fixture(scope="session")
def local() -> Iterator[Local]:
    with mock_aliyun() as cloud:
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
