"""Moving an instance into other security groups: what both doors promise."""

import pytest

from shared.domain.errors import NotFound, Permanent
from shared.domain.ids import InstanceId
from tests.contract.conftest import Door

APP = InstanceId("i-app")


def groups_of(door: Door) -> tuple[str, ...]:
    [app] = door.inventory.instances(ids=[APP])
    return app.security_groups


def shut_group(door: Door, vpc: str = "vpc-a") -> str:
    def make() -> str:
        groups = door.cloud.ecs.security_groups
        return groups.create(vpc=vpc, name="", description=None, kind="normal", tags={}, token=None).id

    return str(door.run(make))


def test_a_group_that_is_not_there_changes_nothing(door: Door) -> None:
    with pytest.raises((NotFound, Permanent), match="sg-nobody"):
        door.instances.set_groups(APP, ("sg-nobody",))

    assert groups_of(door) == ("sg-a",)


def test_of_an_instance_that_is_gone_it_is_refused(door: Door) -> None:
    with pytest.raises(NotFound):
        door.instances.set_groups(InstanceId("i-nobody"), ("sg-a",))


def test_it_belongs_to_exactly_the_groups_that_it_was_given(door: Door) -> None:
    shut = shut_group(door)

    door.instances.set_groups(APP, (shut,))
    assert groups_of(door) == (shut,)
    door.instances.set_groups(APP, (shut,))  # twice is once
    assert groups_of(door) == (shut,)

    door.instances.set_groups(APP, ("sg-a", shut))
    assert set(groups_of(door)) == {"sg-a", shut}
