"""The deployed handlers of this process, pointed at a local cloud: environment set, nothing kept from another test."""

import os
from collections.abc import Mapping
from types import SimpleNamespace

import pytest

from emulator.testing import Local
from shared.wiring import foundation
from tests import wirings

CONTEXT = SimpleNamespace(request_id="1-66000000-0000000000aa")
PROXIES = ("http_proxy", "https_proxy", "all_proxy")


def environment_of(local: Local) -> dict[str, str]:
    """What a deployed function finds in its environment, with the local cloud's addresses."""
    return {
        "UNDERSTUDY_REGION": "cn-hangzhou",
        "UNDERSTUDY_OTS_INSTANCE": local.ots_instance,
        "UNDERSTUDY_ENDPOINT": local.url,
        "UNDERSTUDY_CLOCK": f"{local.url}/_emulator/clock",
        "FC_ACCOUNT_ID": "1000000000000001",
        "ALIBABA_CLOUD_ACCESS_KEY_ID": local.access_key[0],
        "ALIBABA_CLOUD_ACCESS_KEY_SECRET": local.access_key[1],
    }


def use(monkeypatch: pytest.MonkeyPatch, environment: Mapping[str, str]) -> None:
    for name in list(os.environ):
        if name.startswith(("UNDERSTUDY_", "ALIBABA_CLOUD_", "FC_")) or name.lower() in PROXIES:
            monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    forget()


def forget() -> None:
    """As a fresh instance of each function would begin."""
    for build in (
        foundation.configuration,
        foundation.clock,
        foundation.store,
        foundation.functions,
        foundation.clouds,
        foundation.clouds_of_operator,
        foundation.pacing,
        foundation.entered,
    ):
        build.cache_clear()
    wirings.forget()
