"""Copies into another region, through both doors: refusals first."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.server import Options, build_cloud
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.ecs_clouds import EcsClouds
from shared.adapters.sdk import Endpoint
from shared.domain.errors import BadInput, Conflict, NotFound, QuotaReached, Retryable
from shared.domain.ids import DiskId, ImageId, InstanceId, SnapshotId
from shared.domain.inventory import ImageState, SnapshotState
from shared.domain.place import Place
from shared.ports.compute import Clouds, Compute
from tests.contract.conftest import PROXIES
from understudy.simulation.compute import InProcessClouds

HOME, THERE = "cn-hangzhou", "cn-shanghai"
DATA = DiskId("d-app-data")


@dataclass(frozen=True, slots=True)
class Doors:
    cloud: Cloud
    clouds: Clouds
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None]

    @property
    def here(self) -> Compute:
        return self.clouds.at(Place(HOME))

    @property
    def there(self) -> Compute:
        return self.clouds.at(Place(THERE))

    def keys_there(self, keys: dict[str, str]) -> None:
        def tell() -> None:
            self.cloud.realm(self.cloud.account, THERE).ecs.snapshots.standing.kms_keys = keys

        self.run(tell)

    def snapshot(self, token: str = "one", disk: DiskId = DATA, *, wait: bool = True) -> SnapshotId:
        made = self.here.snapshots.create(disk, name="understudy-x", tags={}, token=token)
        if wait:
            self.advance(120)
        return made

    def copy(self, snapshot: SnapshotId, *, to: str = THERE, token: str = "copy", **how: Any) -> SnapshotId:
        tags = {"understudy:operation": "copy/x"}
        return self.here.snapshots.copy(snapshot, to=to, name="understudy-copy", tags=tags, token=token, **how)


@pytest.fixture(params=["http", "in_process"])
def doors(request: pytest.FixtureRequest, world_file: Any, monkeypatch: pytest.MonkeyPatch) -> Iterator[Doors]:
    if request.param == "in_process":
        cloud = build_cloud(Options(seed=world_file))

        def advance(seconds: float) -> None:
            cloud.clock.advance(timedelta(seconds=seconds))

        yield Doors(cloud, InProcessClouds(cloud), lambda fn: fn(), advance)
        return
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with mock_aliyun(seed=world_file, regions=(HOME, THERE)) as local:
        clouds = EcsClouds(
            endpoint_of=lambda region: Endpoint(region, f"http://{local.endpoints[region]}"),
            keys_of=lambda _: lambda: Credentials(*local.access_key),
        )
        yield Doors(local.cloud, clouds, local.run, local.advance)


def test_a_copy_of_nothing_is_not_found(doors: Doors) -> None:
    with pytest.raises(NotFound):
        doors.copy(SnapshotId("s-none"))


@pytest.mark.parametrize("to", [HOME, "cn-nowhere"])
def test_a_region_that_takes_no_copies_is_named_with_what_helps(doors: Doors, to: str) -> None:
    with pytest.raises(BadInput, match="Name another region in the copy rule"):
        doors.copy(doors.snapshot(), to=to)


@pytest.mark.parametrize("keys", [{}, {"k": "Disabled"}, {"k": "Unauthorized"}])
def test_a_key_that_cannot_be_used_is_named_with_what_helps(doors: Doors, keys: dict[str, str]) -> None:
    """Not as "not found": that would be taken for the source's end."""
    doors.keys_there(keys)
    with pytest.raises(BadInput, match="kms_key of the copy rule"):
        doors.copy(doors.snapshot(), kms_key="k")


def test_a_second_copy_of_the_same_disk_waits(doors: Doors) -> None:
    first, second = doors.snapshot("one"), doors.snapshot("two")
    doors.copy(first, token="one")
    with pytest.raises(Retryable):
        doors.copy(second, token="two")
    doors.advance(120)
    assert doors.copy(second, token="two")


def test_a_full_disk_there_is_a_quota(doors: Doors, monkeypatch: pytest.MonkeyPatch) -> None:
    source = doors.snapshot()
    monkeypatch.setattr("emulator.ecs.copies.MANUAL_QUOTA", 0)
    with pytest.raises(QuotaReached):
        doors.copy(source)


def test_a_token_makes_one_copy_and_is_bound_to_what_it_was_used_for(doors: Doors) -> None:
    source = doors.snapshot()
    assert doors.copy(source) == doors.copy(source)
    other = doors.snapshot("two", DiskId("d-app-sys"))
    with pytest.raises(Conflict):
        doors.copy(other)
    assert len(list(doors.there.snapshots.list())) == 1


def test_a_copy_is_a_snapshot_there_with_the_tags_it_was_given(doors: Doors) -> None:
    made = doors.copy(doors.snapshot())
    (begun,) = doors.there.snapshots.list(ids=[made])
    assert (begun.state, begun.disk) == (SnapshotState.PROGRESSING, DATA)
    doors.advance(600)
    (found,) = doors.there.snapshots.list(tags={"understudy:operation": "copy/x"})
    assert (found.id, found.state, found.usable) == (made, SnapshotState.ACCOMPLISHED, True)
    assert list(doors.here.snapshots.list(ids=[made])) == []


def test_a_source_under_way_to_another_region_is_not_deleted_meanwhile(doors: Doors) -> None:
    source = doors.snapshot()
    doors.copy(source)
    with pytest.raises(Retryable):
        doors.here.snapshots.delete(source)


def test_a_key_that_may_be_used_encrypts_the_copy(doors: Doors) -> None:
    doors.keys_there({"k": "Enabled"})
    made = doors.copy(doors.snapshot(), kms_key="k")
    (found,) = doors.there.snapshots.list(ids=[made])
    assert found.encrypted


# -- images --------------------------------------------------------------------------------------------------------


def an_image(doors: Doors) -> ImageId:
    made = doors.here.images.create_from_instance(
        InstanceId("i-app"), name="understudy-image", family="app", tags={}, token="image"
    )
    doors.advance(300)
    return made


def copied(doors: Doors, image: ImageId, *, to: str = THERE, **how: Any) -> ImageId:
    tags = {"understudy:operation": "copy_image/x"}
    return doors.here.images.copy(image, to=to, name="understudy-there", tags=tags, token="there", **how)


def test_an_image_that_is_not_there_is_not_found(doors: Doors) -> None:
    with pytest.raises(NotFound):
        copied(doors, ImageId("m-none"))


@pytest.mark.parametrize("to", [HOME, "cn-nowhere"])
def test_an_image_goes_only_to_a_region_that_takes_it(doors: Doors, to: str) -> None:
    with pytest.raises(BadInput, match="Name another region"):
        copied(doors, an_image(doors), to=to)


def test_an_image_s_key_must_be_there_too(doors: Doors) -> None:
    doors.keys_there({})
    with pytest.raises(BadInput, match="kms_key"):
        copied(doors, an_image(doors), kms_key="k")


def test_an_image_under_way_is_neither_copied_again_nor_deleted(doors: Doors) -> None:
    image = an_image(doors)
    copied(doors, image)
    with pytest.raises(Retryable):
        doors.here.images.copy(image, to=THERE, name="understudy-2", tags={}, token="other")
    with pytest.raises(Retryable):
        doors.here.images.delete(image)


def test_an_image_arrives_with_snapshots_of_its_own_which_outlive_it(doors: Doors) -> None:
    image = an_image(doors)
    made = copied(doors, image, kms_key="k")
    (begun,) = doors.there.images.list(ids=[made])
    assert begun.state is ImageState.CREATING
    doors.advance(900)
    (found,) = doors.there.images.list(tags={"understudy:operation": "copy_image/x"})
    assert (found.id, found.state) == (made, ImageState.AVAILABLE)
    assert len(found.snapshots) == 2
    doors.there.images.delete(made)
    left = list(doors.there.snapshots.list(ids=list(found.snapshots)))
    assert {one.id for one in left} == set(found.snapshots)
    assert all(one.encrypted for one in left)


def test_snapshots_of_an_image_can_be_marked_as_ours(doors: Doors) -> None:
    image = an_image(doors)
    (found,) = doors.here.images.list(ids=[image])
    doors.here.instances.tag(found.snapshots, resource_type="snapshot", tags={"understudy:operation": "image/x"})
    marked = doors.here.snapshots.list(tags={"understudy:operation": "image/x"})
    assert {one.id for one in marked} == set(found.snapshots)
