"""Which instances a selection means."""

import pytest

from shared.domain.ids import ImageId, InstanceId
from shared.domain.inventory import Instance, InstanceState
from shared.domain.policy import Selection
from shared.domain.selection import matches
from tests.unit.points import utc


def instance(id: str, **tags: str) -> Instance:
    return Instance(
        id=InstanceId(id),
        name=id,
        state=InstanceState.RUNNING,
        zone="cn-hangzhou-h",
        image=ImageId("m-1"),
        instance_type="ecs.g7.large",
        private_address="127.77.1.11",
        vswitch="vsw-h",
        vpc="vpc-1",
        security_groups=("sg-1",),
        created=utc("2026-01-01"),
        tags=tags,
    )


FLEET = (
    instance("i-b", role="app", tier="web"),
    instance("i-a", role="app"),
    instance("i-m", role="master"),
    instance("i-x"),
)


@pytest.mark.parametrize(
    ("selection", "ids"),
    [
        pytest.param(Selection(), [], id="nothing asked, nothing selected"),
        pytest.param(Selection(tags={"role": "app"}), ["i-a", "i-b"], id="one tag"),
        pytest.param(Selection(tags={"role": "app", "tier": "web"}), ["i-b"], id="all tags are needed"),
        pytest.param(Selection(tags={"role": "App"}), [], id="values are exact"),
        pytest.param(Selection(ids=(InstanceId("i-x"),)), ["i-x"], id="by id"),
        pytest.param(
            Selection(tags={"role": "app"}, ids=(InstanceId("i-x"), InstanceId("i-a"))),
            ["i-a", "i-b", "i-x"],
            id="either",
        ),
        pytest.param(Selection(tags={"role": "app"}, exclude=(InstanceId("i-a"),)), ["i-b"], id="never the excluded"),
        pytest.param(Selection(ids=(InstanceId("i-gone"),)), [], id="an id that does not exist"),
    ],
)
def test_a_selection_means(selection: Selection, ids: list[str]) -> None:
    assert [one.id for one in matches(selection, FLEET)] == ids


def test_an_instance_that_a_listing_shows_twice_is_one() -> None:
    assert len(matches(Selection(tags={"role": "app"}), FLEET + FLEET)) == 2
