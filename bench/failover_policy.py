"""The demo's policy with other times, or with masters that have no agent."""

from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import yaml

from understudy.demo.stage import POLICY


class Terms(StrEnum):
    FAST = "fast"  # those of understudy.yaml
    CAUTIOUS = "cautious"  # the defaults of a policy that names none


TIMES: Final[dict[Terms, dict[str, float]]] = {
    Terms.FAST: {"lease": 5, "margin": 1, "renew_every": 1, "watch_every": 1},
    Terms.CAUTIOUS: {"lease": 15, "margin": 3, "renew_every": 3, "watch_every": 2},
}
"""Seconds."""


def written(folder: Path, terms: Terms, *, agentless: bool = False) -> Path:
    """The file that `understudy apply` is given."""
    body: dict[str, Any] = yaml.safe_load(POLICY.read_text())
    pair = body["pairs"][0]
    pair.update({name: f"{seconds:g}s" for name, seconds in TIMES[terms].items()})
    if agentless:
        pair.update(WITHOUT_AGENTS)
    path = folder / "understudy.yaml"
    path.write_text(yaml.safe_dump(body, sort_keys=False))
    return path


WITHOUT_AGENTS: Final[dict[str, Any]] = {"agents": False, "probe": "/health", "fence": {"by": "stop"}}
