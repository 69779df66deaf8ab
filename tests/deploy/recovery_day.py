"""Every way back on one day, through Function Compute, each function with the keys of its own role and nothing else.

What comes back, byte by byte, is told by tests/functions/test_{restore,launch,rebuild}_over_the_wire.py; here it only
has to happen.
"""

from pathlib import Path
from typing import Any

import pytest

from tests.functions.deployed import ELSEWHERE, POLICY, Site, deployed, first_writes

COPIED = f"copies: [{{region: {ELSEWHERE}, keep: {{last: 3}}, within: 12h}}]"
DAY = POLICY.replace("    rpo_target: 75m\n", f"    rpo_target: 75m\n    {COPIED}\n").replace(
    "    patience: 6m\n", "    patience: 6m\n    platform_restart: disarm\n"
)


def play(workdir: Path) -> list[dict[str, Any]]:
    """What each role was allowed and denied in the course of the day."""
    with pytest.MonkeyPatch.context() as patch, deployed(workdir, patch, policy=DAY) as site:
        site.tick("recover")  # which tells the platform to leave a lost one alone
        site.wait(minutes=1)
        public = site.give_public_address("i-app-1")
        for instance in ("i-app-1", "i-app-2", "i-db"):
            site.write(instance, "vdb", *first_writes(instance))
        points = site.back_up()
        _restores(site, points["i-app-1"].id)
        _rebuilds(site)
        assert site.local.cloud.vpc.find(public).status == "InUse"
        _plan(site)
        return site.exercised()


def _restores(site: Site, point: str) -> None:
    site.confirmed("rollback", "i-app-2", "--disk", "d-2-data")
    site.confirmed("rollback", "i-app-1", "--point", site.copied(point), "--disk", "d-1-data")
    site.confirmed("reinitialise", "i-db", "--disk", "d-db-data")
    site.confirmed("replace-system-disk", "i-db", "--image", "m-app-2")


def _rebuilds(site: Site) -> None:
    site.ended(site.fail("i-app-1"))
    replaced = site.confirmed("rebuild", "i-app-2").result["replacement"]
    assert site.members() == {replaced: "InService"}
    site.confirmed("launch", "more", "--image", "m-app", "--like", "i-db", "--tag", "role=more", "--port", "8080")


def _plan(site: Site) -> None:
    token = site.cli("plan", "show", "site", "--json").json()["token"]
    run = site.cli("plan", "run", "site", "--confirm", token, "--json").json()["run"]
    site.wait(minutes=10)
    site.cli("plan", "approve", run)
    site.ended(run)
