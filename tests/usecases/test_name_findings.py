"""What `check` says of a pair's names before anything moves."""

from dataclasses import replace

import pytest

from emulator.alidns.editions import EDITIONS
from emulator.cloud import Cloud
from emulator.faults.fault import Fault
from shared.domain.pair import NameService, Pair
from shared.ports.names import Names
from shared.usecases.failover.name_findings import name_findings
from tests.simulation.failover_world import MORE_NAMES, pair_policy
from understudy.simulation.names import InProcessNames
from understudy.simulation.public_names import InProcessPublicNames

PAIR = pair_policy(more_names=MORE_NAMES[:1])


def found(cloud: Cloud, pair: Pair = PAIR) -> list[str]:
    def service_of(service: NameService) -> Names:
        return InProcessPublicNames(cloud) if service is NameService.PUBLIC else InProcessNames(cloud)

    return list(name_findings(pair, service_of))


@pytest.fixture
def cloud() -> Cloud:
    made = Cloud()
    made.pvtz.add_zone("corp.example", id="z-corp")
    made.pvtz.add_record("z-corp", rr="master", type="A", value="10.0.1.21", ttl=5, remark="epoch=9")
    made.alidns.add_domain("public.example", edition=EDITIONS["version_enterprise_advanced"])
    made.alidns.add_record("public.example", rr="master", type="A", value="203.0.113.1", ttl=5)
    return made


def test_a_zone_that_is_not_there_is_told_and_the_others_are_looked_at(cloud: Cloud) -> None:
    cloud.pvtz.delete_zone("z-corp")
    cloud.alidns.add_record("public.example", rr="master", type="A", value="203.0.113.2", ttl=5)
    first, second = found(cloud)
    assert "master.corp.example has no zone corp.example" in first
    assert "master.public.example (public) has 2 records" in second


def test_what_cannot_be_looked_at_is_told(cloud: Cloud) -> None:
    cloud.faults.add_all([Fault(kind="error", service="alidns", action="*", code="Forbidden.RAM", status=403)])
    [one] = found(cloud)
    assert "master.public.example (public) could not be looked at" in one


def test_a_record_that_stays_longer_with_clients_than_the_policy_says_is_told(cloud: Cloud) -> None:
    [record] = InProcessNames(cloud).records(zone="corp.example", host="master")
    InProcessNames(cloud).retime(record, ttl_seconds=3600)
    [one] = found(cloud)
    assert "up to 3600 s" in one


def test_an_edition_that_does_not_allow_the_time_to_live_is_told_rather_than_how_to_set_it(cloud: Cloud) -> None:
    cloud.alidns.domain("public.example").edition = EDITIONS["mianfei"]
    rule = replace(MORE_NAMES[0], ttl_seconds=60)
    [one] = found(cloud, replace(PAIR, more_names=(rule,)))
    assert "no time to live below 600 s" in one
    assert "prepare" not in one


def test_names_that_stand_as_the_policy_says_are_not_spoken_of(cloud: Cloud) -> None:
    assert found(cloud) == []
