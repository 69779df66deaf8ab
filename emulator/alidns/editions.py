"""Editions of Alibaba Cloud DNS: what a domain may have, by what was paid for it.

Sources: TTL floors 600, 60 and 1 s (documentation 2017-2021; another page has 120 and 10 for editions between); codes
of the free, personal and ultimate edition (SDK 4.6.1, DescribeDomainInfo). Assumptions: the code of the standard
enterprise edition; how many records may share a name (`QuotaExceeded.ARecord` is documented, its numbers are not);
which TTLs are listed.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Edition:
    code: str
    name: str
    min_ttl: int  # seconds
    addresses_per_name: int  # A (and AAAA) records of one name and line

    @property
    def ttls(self) -> tuple[int, ...]:
        return tuple(ttl for ttl in LISTED_TTLS if ttl >= self.min_ttl)


LISTED_TTLS: Final = (1, 5, 10, 60, 120, 600, 1800, 3600, 43200, 86400)
MAX_TTL: Final = 86400

FREE: Final = Edition(code="mianfei", name="Free", min_ttl=600, addresses_per_name=10)
EDITIONS: Final = {
    edition.code: edition
    for edition in (
        FREE,
        Edition(code="version_personal", name="Personal", min_ttl=600, addresses_per_name=15),
        Edition(code="version_enterprise_basic", name="Enterprise Standard", min_ttl=60, addresses_per_name=60),
        Edition(code="version_enterprise_advanced", name="Enterprise Ultimate", min_ttl=1, addresses_per_name=100),
    )
}
