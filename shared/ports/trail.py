"""The cloud's own record of who changed a name: a witness that none of our code writes."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True, kw_only=True)
class NameChange:
    at: datetime  # UTC, on the cloud's clock
    action: str  # in the cloud's words, in lower case: add, update, delete, set_status, update_remark, ...
    name: str  # host.zone, in lower case
    value: str  # what the record answers with from then on; empty: the trail does not say
    before: str  # what it answered with until then; empty: likewise
    text: str  # as the cloud has it
    by: str = ""  # who or from where; empty: the trail does not say


class Trail(Protocol):
    def changes(self, *, zone: str, host: str, since: datetime | None, until: datetime) -> Iterator[NameChange]:
        """Every change of that host's records between the two moments, newest first. `since` None: all that is kept.

        Raises NotFound when the service keeps trails by zone and has no such zone, Retryable when the listing does not
        come to its end: a change that is left out would look like one that never was.
        """
        ...
