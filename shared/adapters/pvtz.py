"""The middleware name on PrivateZone (`alibabacloud_pvtz20180101`).

There is no compare-and-set: the last writer wins, so who may write is decided before (by the newest epoch) and what
stands is read back after. An update overwrites every field, so the fields that our values do not carry (weight, line,
priority) are taken from the last listing, or read again.

Source: PrivateZone API 2018-01-01, SDK 1.5.0. `UpdateZoneRecord` has no remark; that is `UpdateRecordRemark`.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from alibabacloud_pvtz20180101 import models
from alibabacloud_pvtz20180101.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.domain.dns_plan import same_value
from shared.domain.errors import NotFound, Permanent
from shared.ports.names import ANSWERING, NameRecord

RAM_ACTIONS: Final = (
    "pvtz:DescribeZones",
    "pvtz:DescribeZoneRecords",
    "pvtz:DescribeZoneRecord",
    "pvtz:UpdateZoneRecord",
    "pvtz:UpdateRecordRemark",
)
"""The RAM actions that this adapter needs."""

PAGE: Final = 100  # the most that a page may hold
LEAST_TTL: Final = 5  # seconds: the lowest of the values that PrivateZone takes


class PvtzNames:
    """Names port. Keep the endpoint outside a region that may fail: the service is global."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients(Client, endpoint=endpoint, credentials=credentials)
        self._zone_ids: dict[str, str] = {}
        self._seen: dict[str, Any] = {}  # record id -> the cloud's row, for the fields that NameRecord leaves out

    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        wanted = ANSWERING if type is None else (type,)
        # The keyword finds host names without regard to case, of every type and line: compare again here.
        found = [row for row in self._rows(zone, host) if str(row.rr).lower() == host.lower() and row.type in wanted]
        for row in found:
            self._seen[str(row.record_id)] = row
        return tuple(_record(row, zone) for row in found)

    def rebind(self, record: NameRecord, *, value: str) -> None:
        self._update(record, value=value, ttl_seconds=record.ttl_seconds)

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        self._update(record, value=record.value, ttl_seconds=ttl_seconds)

    def least_ttl(self, *, zone: str) -> int:
        self._zone_id(zone)
        return LEAST_TTL

    def _update(self, record: NameRecord, *, value: str, ttl_seconds: int) -> None:
        what = f"UpdateZoneRecord({record.host}.{record.zone} -> {value})"
        row = self._seen.get(record.record_id) or self._read(record.record_id)
        request = models.UpdateZoneRecordRequest(
            record_id=int(record.record_id),
            rr=record.host,
            type=record.type,
            value=value,
            ttl=ttl_seconds,
            priority=row.priority or None,  # 0 where the type has none
            weight=row.weight,
            line=row.line,
        )
        try:
            call(what, lambda: self._clients.current().update_zone_record(request), changes=True)
        except Permanent as refusal:
            if type(refusal) is not Permanent:
                raise
            # An update that changes nothing may be refused as a duplicate: what counts is what stands.
            stands = self._read(record.record_id)
            if not same_value(record.type, stands.value, value) or stands.ttl != ttl_seconds:
                raise
        finally:
            self._seen.pop(record.record_id, None)

    def remark(self, record: NameRecord, *, text: str) -> None:
        request = models.UpdateRecordRemarkRequest(record_id=int(record.record_id), remark=text)
        what = f"UpdateRecordRemark({record.host}.{record.zone})"
        call(what, lambda: self._clients.current().update_record_remark(request), changes=True)

    def _read(self, record_id: str) -> Any:
        what = f"DescribeZoneRecord({record_id})"
        request = models.DescribeZoneRecordRequest(record_id=int(record_id))
        return body_of(call(what, lambda: self._clients.current().describe_zone_record(request), changes=False), what)

    def _rows(self, zone: str, host: str) -> Iterator[Any]:
        zone_id = self._zone_id(zone)
        what = f"DescribeZoneRecords({zone})"

        def page(number: int) -> Any:
            request = models.DescribeZoneRecordsRequest(
                zone_id=zone_id, keyword=host, search_mode="EXACT", page_number=number, page_size=PAGE
            )
            answer = call(what, lambda: self._clients.current().describe_zone_records(request), changes=False)
            body = body_of(answer, what)
            return body.records.record if body.records is not None else [], body.total_items

        try:
            yield from all_pages(page, what)
        except NotFound:
            self._zone_ids.pop(zone, None)  # the zone was deleted, perhaps made anew under another id
            raise

    def _zone_id(self, zone: str) -> str:
        if zone not in self._zone_ids:
            what = f"DescribeZones({zone})"

            def page(number: int) -> Any:
                request = models.DescribeZonesRequest(
                    keyword=zone, search_mode="EXACT", page_number=number, page_size=PAGE
                )
                answer = call(what, lambda: self._clients.current().describe_zones(request), changes=False)
                body = body_of(answer, what)
                return body.zones.zone if body.zones is not None else [], body.total_items

            named = [row for row in all_pages(page, what) if str(row.zone_name).lower() == zone.lower()]
            if not named:
                raise NotFound(f"{what}: this account has no private zone of that name")
            if len(named) > 1:
                ids = ", ".join(str(row.zone_id) for row in named)
                raise Permanent(f"{what}: {len(named)} private zones bear that name ({ids}); keep one for the failover")
            self._zone_ids[zone] = str(named[0].zone_id)
        return self._zone_ids[zone]


def _record(row: Any, zone: str) -> NameRecord:
    if row.record_id is None or not isinstance(row.value, str) or not isinstance(row.ttl, int):
        raise Permanent(f"DescribeZoneRecords({zone}): a record without id, value or TTL: {row.to_map()}")
    return NameRecord(
        record_id=str(row.record_id),
        zone=zone,
        host=row.rr,
        type=row.type,
        value=row.value,
        ttl_seconds=row.ttl,
        enabled=str(row.status).upper() == "ENABLE",  # compared without regard to case: the spelling varies
        remark=row.remark or "",
    )
