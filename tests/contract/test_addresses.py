"""The contract of public addresses, on both doors: the official SDK over HTTP, and straight onto the models."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest

from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from emulator.seed import load_text
from emulator.testing import mock_aliyun
from shared.adapters.credentials import Credentials
from shared.adapters.eip import EipAddresses
from shared.adapters.sdk import Endpoint
from shared.domain.errors import Conflict, Forbidden, NotFound, Permanent, QuotaReached, Retryable
from shared.domain.ids import InstanceId
from shared.ports.addresses import PublicAddress, PublicAddresses
from tests.contract.conftest import PROXIES, WORLD
from tests.contract.faults import RPC, Mishap, Read, Write, hold_read, hold_write, with_faults
from understudy.simulation.addresses import InProcessAddresses

APP, OLD, NOBODY = InstanceId("i-app"), InstanceId("i-old"), InstanceId("i-nobody")
ENOUGH = 20
"""Seconds in which an address gets where it goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Door:
    addresses: PublicAddresses
    cloud: Cloud
    run: Callable[[Callable[[], Any]], Any]
    advance: Callable[[float], None]

    def allocate(self) -> str:
        def make() -> str:
            made = self.cloud.vpc.allocate(
                bandwidth=5, charge_type="PayByTraffic", name="", isp="BGP", tags={}, token=None
            )
            return made.id

        return str(self.run(make))

    def one(self, allocation: str) -> PublicAddress:
        (found,) = self.addresses.find([allocation])
        return found

    def bound(self, instance: InstanceId) -> str:
        """A new address that `instance` has."""
        made = self.allocate()
        self.addresses.associate(made, instance, token=f"bind-{made}")
        self.advance(ENOUGH)
        return made


@pytest.fixture(params=["sdk", "in process"])
def door(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    if request.param == "in process":
        cloud = Cloud()
        load_text(WORLD, cloud, where="test", settings={})
        yield Door(
            addresses=InProcessAddresses(cloud),
            cloud=cloud,
            run=lambda fn: fn(),
            advance=lambda seconds: cloud.clock.advance(timedelta(seconds=seconds)),
        )
        return
    for name in PROXIES:
        monkeypatch.delenv(name, raising=False)
    with mock_aliyun() as local:
        local.run(lambda: load_text(WORLD, local.cloud, where="test", settings={}))
        key = Credentials(*local.access_key)
        addresses = EipAddresses(endpoint=Endpoint("cn-hangzhou", local.url), credentials=lambda: key)
        yield Door(addresses=addresses, cloud=local.cloud, run=local.run, advance=local.advance)


# Refused ------------------------------------------------------------------------------------------------------------


def test_what_does_not_exist_is_missing_from_listings_and_not_found_by_changes(door: Door) -> None:
    made = door.allocate()

    assert door.addresses.find(["eip-none", made]) == (door.one(made),)
    assert door.addresses.of(NOBODY) == ()
    with pytest.raises(NotFound):
        door.addresses.associate("eip-none", APP, token="a")
    with pytest.raises(NotFound):
        door.addresses.associate(made, NOBODY, token="b")
    with pytest.raises(NotFound):
        door.addresses.unassociate("eip-none", APP, token="c")


def test_nothing_asked_for_is_nothing_found(door: Door) -> None:
    """An empty filter means everything on the wire, and must not here."""
    door.bound(APP)

    assert door.addresses.find([]) == ()


def test_an_instance_takes_one_address(door: Door) -> None:
    door.bound(APP)

    with pytest.raises(Permanent, match="Unassociate the EIP"):
        door.addresses.associate(door.allocate(), APP, token="second")


def test_an_instance_with_a_public_address_of_its_own_takes_none_and_says_what_to_do(door: Door) -> None:
    made = door.allocate()
    door.run(lambda: setattr(door.cloud.ecs.find_instance(APP), "public_ip", "192.0.2.200"))

    with pytest.raises(Permanent, match="static public address") as refused:
        door.addresses.associate(made, APP, token="bind")
    assert not isinstance(refused.value, Forbidden)
    assert door.one(made).state == "available"


def test_an_address_that_serves_somebody_waits_until_it_is_let_go(door: Door) -> None:
    made = door.bound(APP)

    with pytest.raises(Retryable):
        door.addresses.associate(made, OLD, token="steal")
    with pytest.raises(Retryable):
        door.addresses.unassociate(made, OLD, token="let go of what it is not")
    assert door.one(made).instance == APP


def test_an_address_on_its_way_waits(door: Door) -> None:
    made = door.allocate()
    door.addresses.associate(made, APP, token="bind")

    with pytest.raises(Retryable):
        door.addresses.unassociate(made, APP, token="loose")
    with pytest.raises(Retryable):
        door.addresses.associate(door.allocate(), APP, token="another")


def test_an_instance_on_its_way_waits(door: Door) -> None:
    made = door.allocate()
    door.run(lambda: door.cloud.ecs.lifecycle.stop(door.cloud.ecs.find_instance(APP)))

    with pytest.raises(Retryable):
        door.addresses.associate(made, APP, token="bind")


def test_arrears_are_no_missing_permission(door: Door) -> None:
    made = door.allocate()
    door.run(lambda: setattr(door.cloud.vpc.find(made), "financial_lock", True))

    with pytest.raises(QuotaReached, match="arrears"):
        door.addresses.associate(made, APP, token="bind")


def test_a_token_with_another_question_is_somebody_elses(door: Door) -> None:
    made = door.allocate()
    door.addresses.associate(made, APP, token="t")

    with pytest.raises(Conflict):
        door.addresses.associate(made, OLD, token="t")


# Moved --------------------------------------------------------------------------------------------------------------


def test_an_address_moves_with_a_gap_in_which_nobody_has_it(door: Door) -> None:
    made = door.bound(APP)
    public = door.one(made).address

    door.addresses.unassociate(made, APP, token="loose")
    leaving = door.one(made)
    door.advance(ENOUGH)
    gap = door.one(made)
    door.addresses.associate(made, OLD, token="bind")
    coming = door.one(made)
    door.advance(ENOUGH)

    assert (leaving.state, leaving.instance) == ("unassociating", APP)
    assert gap == PublicAddress(allocation=made, address=public, state="available", instance=None)
    assert (coming.state, coming.instance) == ("associating", OLD)
    assert door.one(made) == PublicAddress(allocation=made, address=public, state="inuse", instance=OLD)
    assert door.addresses.of(APP) == ()
    assert door.addresses.of(OLD) == (door.one(made),)


def test_the_same_token_again_binds_nobody_twice(door: Door) -> None:
    made = door.bound(APP)
    door.addresses.unassociate(made, APP, token="loose")
    door.advance(ENOUGH)

    door.addresses.associate(made, APP, token=f"bind-{made}")

    assert door.one(made).state == "available", "an old token answers what it answered then"


def test_an_address_survives_its_instance(door: Door) -> None:
    made = door.bound(OLD)
    door.run(lambda: door.cloud.ecs.lifecycle.release(door.cloud.ecs.find_instance(OLD)))
    door.advance(ENOUGH)

    assert door.one(made).instance is None
    assert door.addresses.of(OLD) == ()


def test_one_that_serves_a_load_balancer_is_at_no_instance(door: Door) -> None:
    made = door.allocate()

    def to_a_balancer() -> None:
        eip = door.cloud.vpc.find(made)
        eip.status, eip.instance_id, eip.instance_type = "InUse", "lb-a", "SlbInstance"

    door.run(to_a_balancer)

    assert door.one(made).instance is None
    assert door.addresses.of(InstanceId("lb-a")) == ()


def test_more_addresses_than_a_page_holds_are_all_told(door: Door) -> None:
    door.run(lambda: setattr(door.cloud.vpc, "quota", 200))
    made = [door.allocate() for _ in range(130)]

    assert {one.allocation for one in door.addresses.find([*made, made[0]])} == set(made)


# With faults on -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mishap", RPC, ids=str)
def test_a_move_that_goes_wrong_is_cleared_up_by_reading_the_address(door: Door, mishap: Mishap) -> None:
    made = door.allocate()
    for write in (
        Write(
            action="AssociateEipAddress",
            send=lambda: door.addresses.associate(made, APP, token="bind"),
            done=lambda: door.one(made).instance == APP,
        ),
        Write(
            action="UnassociateEipAddress",
            send=lambda: door.addresses.unassociate(made, APP, token="loose"),
            done=lambda: door.one(made).state in ("unassociating", "available"),
        ),
    ):
        hold_write(door.cloud, door.run, "vpc", write, mishap)
        door.advance(ENOUGH)
    assert door.one(made).state == "available"


@pytest.mark.parametrize("mishap", [m for m in RPC if not m.applied], ids=str)
def test_a_listing_that_cannot_be_read_is_not_an_empty_one(door: Door, mishap: Mishap) -> None:
    made = door.bound(APP)
    for read in (
        Read(action="DescribeEipAddresses", ask=lambda: door.addresses.of(APP)),
        Read(action="DescribeEipAddresses", ask=lambda: door.addresses.find([made])),
    ):
        hold_read(door.cloud, door.run, "vpc", read, mishap)


@pytest.mark.parametrize(
    "code", ["TaskConflict", "OperationFailed.SystemBusy", "OperationFailed.EcsMigrating", "IncorrectStatus.Eip"]
)
def test_a_busy_address_is_asked_again_later(door: Door, code: str) -> None:
    made = door.allocate()
    refuse = Fault(kind="error", action="AssociateEipAddress", code=code, status=400)
    with with_faults(door.cloud, door.run, refuse), pytest.raises(Retryable):
        door.addresses.associate(made, APP, token="bind")
    assert door.one(made).state == "available"
