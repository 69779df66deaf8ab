"""What Alibaba Cloud DNS recorded of a public name (`DescribeRecordLogs`).

Source: Alidns API 2015-01-09, SDK 4.6.1. It takes days, not moments, so more is read than was asked for. Assumptions:
a message begins with the record's host; days are cut in UTC+8, so one more is asked for on each side.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from alibabacloud_alidns20150109 import models
from alibabacloud_alidns20150109.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.adapters.trail_words import values
from shared.domain.errors import Permanent
from shared.ports.trail import NameChange

RAM_ACTIONS: Final = ("alidns:DescribeRecordLogs",)
"""The RAM actions that this adapter needs."""

PAGE: Final = 100  # the most that a page may hold
A_DAY: Final = timedelta(days=1)


class AlidnsTrail:
    """Trail port."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients(Client, endpoint=endpoint, credentials=credentials)

    def changes(self, *, zone: str, host: str, since: datetime | None, until: datetime) -> Iterator[NameChange]:
        name = f"{host}.{zone}".lower()
        what = f"alidns DescribeRecordLogs({name})"

        def page(number: int) -> Any:
            request = models.DescribeRecordLogsRequest(
                domain_name=zone,
                key_word=host,
                start_date=None if since is None else (since - A_DAY).date().isoformat(),
                end_date=(until + A_DAY).date().isoformat(),
                page_number=number,
                page_size=PAGE,
                lang="en",
            )
            answer = call(what, lambda: self._clients.current().describe_record_logs(request), changes=False)
            body = body_of(answer, what)
            return body.record_logs.record_log if body.record_logs is not None else [], body.total_count

        for row in all_pages(page, what):
            change = _change(row, name, what)
            if change.text.split(" ")[0].lower() != host.lower() or change.at > until:
                continue
            if since is None or change.at >= since:
                yield change


def _change(row: Any, name: str, what: str) -> NameChange:
    if not isinstance(row.action_timestamp, int) or not row.action:
        raise Permanent(f"{what}: a change without a moment or an action: {row.to_map()}")
    text = str(row.message or "")
    before, after = values(text, name=name)
    return NameChange(
        at=datetime.fromtimestamp(row.action_timestamp / 1000, UTC),
        action=str(row.action).lower(),
        name=name,
        value=after,
        before=before,
        text=text,
        by=str(row.client_ip or ""),
    )
