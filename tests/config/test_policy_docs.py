"""docs/policy.md against the sections: it names every key, and its examples hold."""

import re
from pathlib import Path
from typing import Any

import pytest

from shared.config import policy_file
from shared.config.policy_document import check
from shared.config.policy_protection import RESERVED, ProtectionSection
from shared.config.policy_section import keys_of
from shared.domain.feasibility import QUOTA, doubts
from shared.domain.policy import Policy
from shared.usecases.backup import points_seen, schedule_backups, slot_ends
from tests.config.policies import parsed, policy, sections

PAGE = (Path(__file__).parents[2] / "docs" / "policy.md").read_text()
BLOCKS = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def block_at(number: int) -> Any:
    line = PAGE[: PAGE.index(BLOCKS[number])].count("\n") + 1
    return pytest.param(BLOCKS[number], id=f"line {line}")


def whole(block: str) -> Policy:
    """The block as a file, or what it says of the top level or of one protection put into one."""
    if block.startswith("version:"):
        return parsed(block)
    tree: Any = policy_file.read_tree(policy(), "policy")[0]
    part: Any = policy_file.read_tree(block, "docs/policy.md")[0]
    of_protection = set(part) <= set(keys_of(ProtectionSection))
    (tree["protections"][0] if of_protection else tree).update(part)
    found, problems = check(tree)
    assert found is not None, problems
    return found


def test_every_key_of_the_file_is_described() -> None:
    keys = {key for section in sections() for key in keys_of(section)}

    assert {key for key in keys if f"`{key}`" not in PAGE} == set()


@pytest.mark.parametrize("block", [block_at(number) for number in range(len(BLOCKS))])
def test_every_example_passes_check_without_a_doubt(block: str) -> None:
    assert doubts(whole(block)) == ()


def test_every_section_of_the_page_is_where_its_links_say() -> None:
    headings = re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    anchors = {re.sub(r"[^a-z0-9 -]", "", one.lower()).replace(" ", "-") for one in headings}

    assert set(re.findall(r"\]\(#([^)]*)\)", PAGE)) <= anchors


def test_the_figures_of_the_page_are_those_of_the_code() -> None:
    assert f"A disk takes {QUOTA} snapshots" in PAGE
    assert f"more than {schedule_backups.PUNCTUAL.seconds // 60} minutes after it was due" in PAGE
    assert schedule_backups.EACH_WITHIN.days == 3
    assert "Slots of the last three days" in PAGE
    assert points_seen.COMPLETE_WITHIN < schedule_backups.EACH_WITHIN
    assert slot_ends.CREATE_WITHIN.total_seconds() == 3_600
    assert "waits for up to one hour" in PAGE
    assert all(f"`{name}`" in PAGE for name in RESERVED)
