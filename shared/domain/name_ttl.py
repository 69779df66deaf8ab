"""How long clients may keep a name's old answer: what a record's time to live must be for a pair to move in seconds.

A name service takes only some values. PrivateZone has an enumeration; Alibaba Cloud DNS takes any number of seconds
from a floor that depends on the edition of the domain. Source: PrivateZone API, 2026; Alidns documentation, 2017-2021
(floors 600, 60 and 1 s; others stand on another page, so the cloud is asked: DescribeDomainInfo, MinTtl).
"""

from collections.abc import Sequence
from typing import Final

from shared.domain.dns_plan import NameRecord
from shared.domain.pair import NameRule

PRIVATE_TTLS: Final = (5, 30, 60, 3600, 43200, 86400)  # seconds; 10 or 600 is refused
PUBLIC_TTLS: Final = range(1, 86401)  # seconds; the domain's edition sets the floor


def floor_finding(rule: NameRule, least: int) -> str:
    """`least`: seconds, what the zone of the name allows."""
    if rule.ttl_seconds >= least:
        return ""
    return (
        f"{rule}: the domain's edition allows no time to live below {least} s, the policy says {rule.ttl_seconds} s: "
        "buy an edition that does, or write into the policy what clients will see"
    )


def ttl_finding(name: str, rule: NameRule, records: Sequence[NameRecord], *, pair: str) -> str:
    """What a switch would cost because the record's time to live is not the policy's; empty when it is, or when there
    is not the one record (which is another finding)."""
    if len(records) != 1 or records[0].ttl_seconds == rule.ttl_seconds:
        return ""
    stands = records[0].ttl_seconds
    effect = (
        f"after a move clients may go to the old site for up to {stands} s"
        if stands > rule.ttl_seconds
        else f"clients ask more often than the policy wants, every {stands} s"
    )
    return (
        f"{name} has a time to live of {stands} s, the policy says {rule.ttl_seconds} s: {effect}. To set it in calm: "
        f"`understudy name prepare {pair}`"
    )
