"""Images that go stand in the run's certificate, which a checker accepts that shares no code with its maker."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any

import pytest

from tests.usecases.certified import documents
from tests.usecases.image_world import DB, WEB, ImageWorld, image_policy
from understudy.certificate_checker import _digest, verify

BY_HAND = replace(WEB, schedules=(), keep=2, publish_to=())
Document = dict[str, Any]


def a_world(versions: int = 4) -> ImageWorld:
    world = ImageWorld(image_policy(BY_HAND, replace(DB, schedules=())))
    for _ in range(versions):
        world.image_now()
    return world


@pytest.fixture(scope="module")
def retired() -> Document:
    """Two of four left their family."""
    world = a_world()
    world.prune()
    return documents(world)[0]


@pytest.fixture(scope="module")
def deleted() -> Document:
    world = a_world()
    world.prune()
    world.advance(days=8)
    world.prune()
    return documents(world)[0]


def fates(document: Document) -> list[tuple[int, str]]:
    return [(one["version"], one["fate"]) for part in document["parts"] for one in part.get("images", ())]


def sealed_again(document: Document) -> Document:
    """As a forger would who knows the digests."""
    link = _digest(document["head"]["terms"])
    for part in document["parts"]:
        part["previous"] = link
        part["digest"] = ""
        link = part["digest"] = _digest(part)
    counts: dict[str, int] = {}
    for _, fate in fates(document):
        counts[fate] = counts.get(fate, 0) + 1
    document["head"] |= {"last": link, "outcomes": counts, "digest": ""}
    document["head"]["digest"] = _digest(document["head"])
    return document


def test_what_left_its_family_and_what_stayed_is_in_it(retired: Document) -> None:
    assert fates(retired) == [(1, "retired"), (2, "retired"), (3, "kept"), (4, "kept")]
    verdict = verify(retired)
    assert verdict.accepted
    assert "2 kept, 2 retired" in verdict.summary


def test_what_was_deleted_is_in_it(deleted: Document) -> None:
    assert fates(deleted) == [(1, "gone"), (2, "gone"), (3, "kept"), (4, "kept")]
    assert verify(deleted).accepted


def test_a_run_in_which_nothing_changes_leaves_none() -> None:
    world = a_world(2)
    world.prune()
    assert documents(world) == []


Forge = Callable[[dict[str, Any], dict[str, Any]], object]
FORGERIES: dict[str, tuple[Forge, str]] = {
    "newest": (lambda part, one: one.update(version=9, startable=True), "among the newest usable versions"),
    "used": (lambda part, one: one.update(used=True), "though instances made of it stood"),
    "pinned": (lambda part, one: one.update(pinned=True), "though it was pinned"),
    "held": (lambda part, one: one.update(held=["rebuild/x is under way with it"]), "though something held it"),
    "not ours": (lambda part, one: one.update(operation=""), "no operation of ours made it"),
    "too early": (lambda part, one: one.update(retired=part["looked"]), "for good, though it was not out of its"),
    "still shown": (lambda part, one: part["images_after"].update({one["image"]: "deprecated"}), "was shown after"),
    "left out": (lambda part, one: part["images"].remove(part["images"][3]), "is not listed: an image is left out"),
    "survivor gone": (lambda part, one: part["images_after"].popitem(), "was not shown as usable afterwards"),
    "no end": (lambda part, one: one.update(fate="intended"), "has no end (intended)"),
    "another family": (lambda part, one: part.update(family="role-x"), "no rule of the policy is about it"),
    "kept in words": (lambda part, one: one.update(fate="kept"), "was to delete, and is kept"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_one_is_rejected(deleted: Document, name: str) -> None:
    forge, told = FORGERIES[name]
    document = deepcopy(deleted)
    part = document["parts"][0]
    forge(part, part["images"][0])
    reasons = verify(sealed_again(document)).reasons

    assert any(told in one for one in reasons), reasons


def test_more_than_the_cap_is_rejected(deleted: Document) -> None:
    document = deepcopy(deleted)
    document["head"]["terms"]["max_items"] = 1
    assert any("more than max_items 1" in one for one in verify(sealed_again(document)).reasons)
