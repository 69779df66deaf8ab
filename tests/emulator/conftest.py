"""What most tests of the emulator begin with: a whole local cloud per module, and a Tablestore instance per test."""

from collections.abc import Iterator
from itertools import count

import pytest

from emulator.testing import Local, mock_aliyun

_numbers = count()


@pytest.fixture(scope="module")
def local() -> Iterator[Local]:
    """Modules that need another world define their own."""
    with mock_aliyun() as running:
        yield running


@pytest.fixture
def instance(local: Local) -> str:
    """A Tablestore instance that nobody else uses."""
    name = f"i{next(_numbers)}"
    local.run(lambda: local.cloud.ots_instances.add(name))
    return name
