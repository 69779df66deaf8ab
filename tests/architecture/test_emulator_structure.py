"""The emulator's own structure, while it runs: imports that only types need do not count.

Models name each other in annotations (a disk knows its ECS), so a layer tool sees circles everywhere; what matters is
that no module needs, to work, something that needs it.
"""

from collections.abc import Iterator
from pathlib import Path

import grimp
import pytest

ROOT = "emulator"
DOORS = ("server", "testing", "__main__")
MODELS = frozenset(
    ["ecs", "slb", "pvtz", "alidns", "vpc", "ess", "cms", "sts", "tablestore", "ram", "faults", "events", "network"]
)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(ROOT, exclude_type_checking_imports=True, cache_dir=None)


def part(module: str) -> str:
    """`emulator.ecs.api.disks` belongs to `ecs`."""
    return module.split(".")[1] if "." in module else module


def arrows(graph: grimp.ImportGraph) -> Iterator[tuple[str, str]]:
    for module in sorted(graph.modules):
        for used in sorted(graph.find_modules_directly_imported_by(module)):
            yield module, used


def test_no_module_needs_one_that_needs_it(graph: grimp.ImportGraph) -> None:
    left = {module: set(graph.find_modules_directly_imported_by(module)) for module in graph.modules}
    while ready := [module for module, needs in left.items() if not needs]:
        for module in ready:
            del left[module]
        for needs in left.values():
            needs.difference_update(ready)

    assert not left, f"a circle lies within: {sorted(left)}"


def test_services_know_no_door(graph: grimp.ImportGraph) -> None:
    wrong = [f"{a} -> {b}" for a, b in arrows(graph) if part(a) in MODELS and part(b) in DOORS]
    assert not wrong


def test_the_wire_knows_no_service(graph: grimp.ImportGraph) -> None:
    """`wire.services` finds them by name, so that a service is added by being there."""
    services = MODELS - {"faults", "ram"}  # the gateway's own: what may strike a call, and who may make it
    wrong = [f"{a} -> {b}" for a, b in arrows(graph) if part(a) == "wire" and part(b) in services]
    assert not wrong


def test_only_the_api_of_a_service_reads_the_wire_format(graph: grimp.ImportGraph) -> None:
    """Models raise ApiError, which is a word of the cloud's; signatures and envelopes are the door's."""
    doors = ("api", "rpc", "http", "admin", "sign", "signature", "seed", "coverage")
    formats = ("emulator.wire.rpc", "emulator.wire.acs3", "emulator.wire.v1", "emulator.wire.xml_answer")
    wrong = [
        f"{a} -> {b}"
        for a, b in arrows(graph)
        if b in formats and part(a) in MODELS and not set(a.split(".")[2:]) & set(doors)
    ]
    assert not wrong


def test_the_emulator_uses_no_official_sdk() -> None:
    """It must serve them, so it may not be made of them; Tablestore's message definitions are the one exception."""
    for file in Path(ROOT).rglob("*.py"):
        text = file.read_text()
        assert "import alibabacloud" not in text, file
        assert "from alibabacloud" not in text, file
