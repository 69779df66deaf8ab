"""The coverage page says what is true: every call declares itself, and the page is what the code says today."""

import json
from http.client import HTTPConnection
from pathlib import Path

import pytest

from emulator import coverage
from emulator.cloud import Cloud
from emulator.testing import mock_aliyun
from emulator.wire import catalogue
from emulator.wire.services import VERSIONS
from tests.emulator import official

PAGE = Path(__file__).parents[2] / "docs" / "emulator-coverage.md"
OPERATIONS = Cloud().home.operations
EVERY = [pytest.param(*key, id=f"{VERSIONS[key[0]]}-{key[1]}") for key in sorted(OPERATIONS)]


@pytest.mark.parametrize(("version", "action"), EVERY)
def test_every_operation_declares_what_it_reads_and_how_it_can_fail(version: str, action: str) -> None:
    operation = OPERATIONS[version, action]

    assert hasattr(operation, "reads"), "no @reads(...): an unmodelled parameter would be ignored silently"
    assert hasattr(operation, "raises"), "no @raises(...): the coverage page would not know its errors"
    assert (operation.__doc__ or "").strip(), "no docstring: the coverage page would not say what it does"


@pytest.mark.parametrize(("version", "action"), EVERY)
def test_every_operation_is_one_that_the_official_sdk_has(version: str, action: str) -> None:
    service = VERSIONS[version]
    described = catalogue.known(service, action)
    assert described is not None, f"{service} has no {action}; or run `make coverage-page`"
    invented = {name for name in OPERATIONS[version, action].reads if name not in described["parameters"]}  # type: ignore[attr-defined]

    assert not invented - OLD_PARAMETERS.get((service, action), set()), "no SDK can send these"


OLD_PARAMETERS: dict[tuple[str, str], set[str]] = {}
"""Parameters that documentation and older SDKs know and the pinned SDK has dropped."""


def test_the_catalogue_is_what_the_installed_sdks_say() -> None:
    assert official.text(official.catalogue()) == official.CATALOGUE.read_text(), "run `make coverage-page`"


def test_the_page_is_up_to_date() -> None:
    assert coverage.as_markdown(coverage.rows(Cloud().home)) == PAGE.read_text(), "run `make coverage-page`"


def test_the_page_is_served_for_people_and_for_programs() -> None:
    with mock_aliyun() as local:
        door = HTTPConnection(local.host, timeout=10)
        door.request("GET", "/_emulator/coverage")
        html = door.getresponse().read().decode()
        door.request("GET", "/_emulator/coverage?as=json")
        data = json.loads(door.getresponse().read())
        door.close()

    assert "<td>CreateSnapshot</td>" in html
    by_call = {(row["service"], row["call"]): row for row in data["calls"]}
    assert "StorageLocationArn" in by_call["ecs", "CreateSnapshot"]["missing"]
    assert "QuotaExceed.Snapshot" in by_call["ecs", "CreateSnapshot"]["errors"]
    assert ("tablestore", "PutRow") in by_call
    assert ("fc", "InvokeFunction") in by_call
    assert "CreateLaunchTemplate" in data["not_modelled"]["ecs"]
