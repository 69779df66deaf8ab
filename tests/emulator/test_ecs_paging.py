"""Pages of a list that changes between them, and what a page costs."""

from collections.abc import Callable

import pytest

from emulator.ecs.shelf import Shelf
from tests.emulator.ecs_stage import Stage


@pytest.fixture
def stage() -> Stage:
    return Stage()


def _ids_by_pages(
    stage: Stage, action: str, path: tuple[str, str, str], then: Callable[[str], object], **asked: object
) -> list[str]:
    seen: list[str] = []
    token = ""
    while True:
        answer = stage.ask(action, asked, **({"NextToken": token} if token else {}))
        page = [item[path[2]] for item in answer[path[0]][path[1]]]
        seen += page
        for one in page:
            then(one)
        token = answer["NextToken"]
        if not token:
            return seen


def test_who_deletes_a_disks_snapshots_page_by_page_misses_none(stage: Stage) -> None:
    for _ in range(35):
        stage.snapshot()
        stage.advance(30)
    path = ("Snapshots", "Snapshot", "SnapshotId")
    seen = _ids_by_pages(
        stage, "DescribeSnapshots", path, lambda one: stage.ask("DeleteSnapshot", SnapshotId=one), DiskId="d-data"
    )
    assert len(seen) == 35
    assert not stage.ecs.snapshots.shelf


def test_who_deletes_tagged_disks_page_by_page_misses_none(stage: Stage) -> None:
    for number in range(130):
        stage.ecs.disks.add(
            kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", id=f"d-{number}",
            tags={"of": "test", "n": str(number)},
        )  # fmt: skip
    seen: list[str] = []

    def delete(one: str) -> None:
        if one not in seen:
            seen.append(one)
            stage.ask("DeleteDisk", DiskId=one)

    asked = {"ResourceType": "disk", "Tag.1.Key": "of"}
    _ids_by_pages(stage, "ListTagResources", ("TagResources", "TagResource", "ResourceId"), delete, **asked)
    assert len(seen) == 130


def test_tags_are_listed_once_each_at_every_boundary_of_a_page(stage: Stage) -> None:
    for number in range(60):
        tags = {"of": "test", **{f"k{key}": "v" for key in range(number % 7)}}
        stage.ecs.disks.add(
            kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", id=f"d-{number}", tags=tags
        )
    asked = {"ResourceType": "disk", "Tag.1.Key": "of"}
    listed: list[tuple[str, str]] = []
    token = ""
    while True:
        answer = stage.ask("ListTagResources", asked, **({"NextToken": token} if token else {}))
        lines = answer["TagResources"]["TagResource"]
        assert len(lines) <= 50
        listed += [(line["ResourceId"], line["TagKey"]) for line in lines]
        token = answer["NextToken"]
        if not token:
            break
        assert len(lines) == 50
    there = [(disk.id, key) for disk in stage.ecs.disks.shelf if "of" in disk.tags for key in disk.tags]
    assert sorted(listed) == sorted(there)


def test_a_page_of_named_resources_costs_what_is_named(stage: Stage) -> None:
    """Polling ten of a large fleet looks at ten."""
    for number in range(3_000):
        stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h", id=f"d-{number}")
    looked: list[str] = []

    def look(disk: object) -> bool:
        looked.append(disk.id)  # type: ignore[attr-defined]
        return True

    shelf: Shelf[object] = stage.ecs.disks.shelf  # type: ignore[assignment,type-var]
    ids = [f"d-{number}" for number in range(10)]
    items, total = shelf.numbered(look, number=1, size=50, ids=ids)
    assert total == len(items) == 10
    assert len(shelf.page(look, size=5, token=None, ids=ids).items) == 5
    assert set(looked) == set(ids)


@pytest.mark.parametrize("action", ["DescribeInstances", "DescribeDisks", "DescribeInstanceHistoryEvents"])
def test_counts_hold_for_who_does_not_page_by_tokens_and_mean_nothing_for_who_does(stage: Stage, action: str) -> None:
    plain = stage.ask(action)
    paged = stage.ask(action, MaxResults=10)

    everything = {"DescribeInstances": 2, "DescribeDisks": 3, "DescribeInstanceHistoryEvents": 0}[action]
    assert (plain["TotalCount"], plain["PageNumber"], plain["PageSize"]) == (everything, 1, 10)
    assert (paged["TotalCount"], paged["PageNumber"], paged["PageSize"]) == (0, 0, 0)


def test_an_unpaged_list_counts_also_what_its_page_does_not_hold(stage: Stage) -> None:
    for _ in range(12):
        stage.ecs.disks.add(kind="data", category="cloud_essd", size_gib=20, zone="cn-hangzhou-h")

    answer = stage.ask("DescribeDisks")

    assert (len(answer["Disks"]["Disk"]), answer["TotalCount"]) == (10, 15)
