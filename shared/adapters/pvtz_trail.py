"""What PrivateZone recorded of a name (`DescribeChangeLogs`).

Source: PrivateZone API 2018-01-01, SDK 1.5.0. Assumptions: `EntityName` of a record is its full name, which the keyword
finds; changes stay listed when their zone is gone. How long they are kept is not documented.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any, Final

from alibabacloud_pvtz20180101 import models
from alibabacloud_pvtz20180101.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.adapters.trail_words import values
from shared.domain.errors import Permanent
from shared.ports.trail import NameChange

RAM_ACTIONS: Final = ("pvtz:DescribeChangeLogs",)
"""The RAM actions that this adapter needs."""

PAGE: Final = 100  # the most that a page may hold


class PvtzTrail:
    """Trail port. By name and not by zone: a zone that was deleted and made anew has another id."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients(Client, endpoint=endpoint, credentials=credentials)

    def changes(self, *, zone: str, host: str, since: datetime | None, until: datetime) -> Iterator[NameChange]:
        name = f"{host}.{zone}".lower()
        what = f"DescribeChangeLogs({name})"

        def page(number: int) -> Any:
            request = models.DescribeChangeLogsRequest(
                entity_type="PV_RECORD",
                keyword=name,
                start_timestamp=None if since is None else _millis(since),
                end_timestamp=_millis(until),
                page_number=number,
                page_size=PAGE,
                lang="en",
            )
            answer = call(what, lambda: self._clients.current().describe_change_logs(request), changes=False)
            body = body_of(answer, what)
            return body.change_logs.change_log if body.change_logs is not None else [], body.total_items

        for row in all_pages(page, what):
            if str(row.entity_name).lower() == name:
                yield _change(row, name, what)


def _change(row: Any, name: str, what: str) -> NameChange:
    if not isinstance(row.oper_timestamp, int) or not row.oper_action:
        raise Permanent(f"{what}: a change without a moment or an action: {row.to_map()}")
    text = str(row.content or "")
    before, after = values(text, name=name)
    return NameChange(
        at=datetime.fromtimestamp(row.oper_timestamp / 1000, UTC),
        action=str(row.oper_action).lower(),
        name=name,
        value=after,
        before=before,
        text=text,
        by=" ".join(str(one) for one in (row.creator_user_id or row.creator_id, row.oper_ip) if one),
    )


def _millis(at: datetime) -> int:
    return int(at.timestamp() * 1000)
