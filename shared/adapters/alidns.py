"""Public names on Alibaba Cloud DNS (`alibabacloud_alidns20150109`).

As with private names the last writer wins, and an update overwrites every field. Three things differ. No call takes a
token. An update that changes nothing is refused (`DomainRecordDuplicate`), so what stands is read before that counts
as a failure. And an exact search by host is the mode COMBINATION: EXACT ignores the host and finds records that nobody
asked for.

Source: Alidns API 2015-01-09, SDK 4.6.1; error table of 2017. Answers are Chinese unless `Lang` says otherwise.
Assumption: an update that omits line or TTL sets the defaults again, so all fields are always sent.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from alibabacloud_alidns20150109 import models
from alibabacloud_alidns20150109.client import Client

from shared.adapters.credentials import Credentials
from shared.adapters.numbered_pages import all_pages
from shared.adapters.sdk import Clients, Endpoint, body_of, call
from shared.domain.dns_plan import same_value
from shared.domain.errors import Permanent
from shared.ports.names import ANSWERING, NameRecord

RAM_ACTIONS: Final = (
    "alidns:DescribeDomainRecords",
    "alidns:DescribeDomainRecordInfo",
    "alidns:DescribeDomainInfo",
    "alidns:UpdateDomainRecord",
    "alidns:UpdateDomainRecordRemark",
)
"""The RAM actions that this adapter needs."""

PAGE: Final = 500  # the most that a page may hold
LANGUAGE: Final = "en"


class AlidnsNames:
    """Names port. A zone is a domain of the account; a record's id is a text."""

    def __init__(self, *, endpoint: Endpoint, credentials: Callable[[], Credentials]) -> None:
        self._clients = Clients(Client, endpoint=endpoint, credentials=credentials)
        self._seen: dict[str, Any] = {}  # record id -> the cloud's row, for the fields that NameRecord leaves out

    def records(self, *, zone: str, host: str, type: str | None = None) -> tuple[NameRecord, ...]:
        wanted = ANSWERING if type is None else (type,)
        # Asked for exactly, and compared again: what one mode of search looks at, another ignores.
        found = [row for row in self._rows(zone, host) if str(row.rr).lower() == host.lower() and row.type in wanted]
        for row in found:
            self._seen[str(row.record_id)] = row
        return tuple(_record(row, zone) for row in found)

    def rebind(self, record: NameRecord, *, value: str) -> None:
        self._update(record, value=value, ttl_seconds=record.ttl_seconds)

    def retime(self, record: NameRecord, *, ttl_seconds: int) -> None:
        self._update(record, value=record.value, ttl_seconds=ttl_seconds)

    def remark(self, record: NameRecord, *, text: str) -> None:
        request = models.UpdateDomainRecordRemarkRequest(record_id=record.record_id, remark=text, lang=LANGUAGE)
        what = f"alidns UpdateDomainRecordRemark({record.host}.{record.zone})"
        call(what, lambda: self._clients.current().update_domain_record_remark(request), changes=True)

    def least_ttl(self, *, zone: str) -> int:
        what = f"alidns DescribeDomainInfo({zone})"
        request = models.DescribeDomainInfoRequest(domain_name=zone, lang=LANGUAGE)
        body = body_of(call(what, lambda: self._clients.current().describe_domain_info(request), changes=False), what)
        if not isinstance(body.min_ttl, int):
            raise Permanent(f"{what}: the answer names no MinTtl: {body.to_map()}")
        return body.min_ttl

    def _update(self, record: NameRecord, *, value: str, ttl_seconds: int) -> None:
        what = f"alidns UpdateDomainRecord({record.host}.{record.zone} -> {value})"
        row = self._seen.get(record.record_id) or self._read(record.record_id)
        request = models.UpdateDomainRecordRequest(
            record_id=record.record_id,
            rr=record.host,
            type=record.type,
            value=value,
            ttl=ttl_seconds,
            priority=row.priority or None,  # of mail exchangers alone
            line=row.line,
            lang=LANGUAGE,
        )
        try:
            call(what, lambda: self._clients.current().update_domain_record(request), changes=True)
        except Permanent as refusal:
            if type(refusal) is not Permanent:
                raise
            # Refused perhaps because it says so already; perhaps because another record does.
            stands = self._read(record.record_id)
            if not same_value(record.type, stands.value, value) or stands.ttl != ttl_seconds:
                raise
        finally:
            self._seen.pop(record.record_id, None)

    def _read(self, record_id: str) -> Any:
        what = f"alidns DescribeDomainRecordInfo({record_id})"
        request = models.DescribeDomainRecordInfoRequest(record_id=record_id, lang=LANGUAGE)
        answer = call(what, lambda: self._clients.current().describe_domain_record_info(request), changes=False)
        return body_of(answer, what)

    def _rows(self, zone: str, host: str) -> Iterator[Any]:
        what = f"alidns DescribeDomainRecords({host}.{zone})"

        def page(number: int) -> Any:
            request = models.DescribeDomainRecordsRequest(
                domain_name=zone,
                search_mode="COMBINATION",
                rrkey_word=host,
                page_number=number,
                page_size=PAGE,
                lang=LANGUAGE,
            )
            answer = call(what, lambda: self._clients.current().describe_domain_records(request), changes=False)
            body = body_of(answer, what)
            return body.domain_records.record if body.domain_records is not None else [], body.total_count

        yield from all_pages(page, what)


def _record(row: Any, zone: str) -> NameRecord:
    if not row.record_id or not isinstance(row.value, str) or not isinstance(row.ttl, int):
        raise Permanent(f"DescribeDomainRecords({zone}): a record without id, value or TTL: {row.to_map()}")
    return NameRecord(
        record_id=str(row.record_id),
        zone=zone,
        host=row.rr,
        type=row.type,
        value=row.value,
        ttl_seconds=row.ttl,
        enabled=str(row.status).upper() == "ENABLE",  # asked for as Enable, answered as ENABLE
        remark=row.remark or "",
    )
