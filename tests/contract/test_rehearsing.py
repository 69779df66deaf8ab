"""A rehearsed order is refused as a real one would be, and buys nothing."""

import pytest

from shared.domain.errors import AddressTaken, NotFound
from tests.contract.conftest import Door
from tests.contract.test_launching import bought, order


def test_what_is_gone_is_missed_before_anything_is_bought(door: Door) -> None:
    door.run(lambda: door.cloud.ecs.buying.key_pairs.add("ops"))

    with pytest.raises(NotFound, match="gone"):
        door.instances.rehearse(order(key_pair="gone"))
    with pytest.raises(NotFound, match="vsw-nobody"):
        door.instances.rehearse(order(vswitch="vsw-nobody"))
    assert bought(door) == []


def test_an_address_that_somebody_holds_is_seen(door: Door) -> None:
    held = next(one for one in door.inventory.instances() if one.vswitch == "vsw-h").private_address

    with pytest.raises(AddressTaken):
        door.instances.rehearse(order(private_address=held))


def test_nothing_against_it_is_no_error_and_buys_nothing(door: Door) -> None:
    door.instances.rehearse(order())

    assert bought(door) == []
