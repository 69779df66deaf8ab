"""Records on the wire. Pages: api.aliyun.com, Alidns 2015-01-09."""

from collections.abc import Mapping
from typing import Any

from emulator.alidns.api.answers import COMMON, listed_row, page, record_row
from emulator.alidns.api.domains import BANNED, DOMAIN_ERRORS
from emulator.alidns.editions import MAX_TTL
from emulator.alidns.model import Alidns
from emulator.alidns.records import MALFORMED
from emulator.alidns.search import MODES, Search
from emulator.wire import params as wire
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads

CONTENT = ("RR", "Type", "Value", "TTL", "Priority", "Line")
NOT_YOURS = "DomainRecordNotBelongToUser"
LOCKED = "DomainRecordLocked"
CONTENT_ERRORS = (
    *MALFORMED, "DomainRecordDuplicate", "DomainRecordConflict", "QuotaExceeded.ARecord", "QuotaExceeded.TTL",
)  # fmt: skip


class Records:
    def __init__(self, alidns: Alidns) -> None:
        self._alidns = alidns

    @reads("DomainName", *CONTENT, *COMMON)
    @raises(*DOMAIN_ERRORS, *BANNED, *CONTENT_ERRORS, "QuotaExceeded.Record")
    def AddDomainRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A record that is answered at once. There is no ClientToken: sent twice, it is DomainRecordDuplicate.

        Not modelled: lines but `default`, URL forwarding.
        """
        record = self._alidns.add_record(wire.required(call.params, "DomainName"), **_content(call.params))
        return {"RecordId": record.id}

    @reads("RecordId", *CONTENT, *COMMON)
    @raises(NOT_YOURS, LOCKED, *BANNED, *CONTENT_ERRORS)
    def UpdateDomainRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A full overwrite: an omitted TTL is 600 again (assumption). Saying what the record says already is
        DomainRecordDuplicate, so a repeated call fails. The last writer wins.

        Not modelled: lines but `default`, URL forwarding.
        """
        record = self._alidns.update_record(wire.required(call.params, "RecordId"), **_content(call.params))
        return {"RecordId": record.id}

    @reads("RecordId", "Remark", *COMMON)
    @raises(NOT_YOURS, LOCKED, *BANNED)
    def UpdateDomainRecordRemark(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """An empty remark takes the old one away. The answer says nothing at all."""
        remark = wire.text(call.params, "Remark", "")
        if len(remark) > 50:
            raise wire.invalid("Remark", "it is longer than 50 characters")
        self._alidns.set_remark(wire.required(call.params, "RecordId"), remark)
        return {}

    @reads("RecordId", *COMMON)
    @raises(NOT_YOURS, LOCKED, *BANNED)
    def DeleteDomainRecord(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A record that is gone already is DomainRecordNotBelongToUser."""
        client_ip = wire.text(call.params, "UserClientIp", "")
        return {"RecordId": self._alidns.delete_record(wire.required(call.params, "RecordId"), client_ip=client_ip).id}

    @reads("DomainName", "RR", "Type", *COMMON)
    @raises(*DOMAIN_ERRORS, *BANNED, LOCKED)
    def DeleteSubDomainRecords(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Every record of a name, or those of one type. TotalCount is a text; none is no error (assumption)."""
        rr = wire.required(call.params, "RR")
        gone = self._alidns.delete_named(
            wire.required(call.params, "DomainName"),
            rr,
            wire.text(call.params, "Type") or None,
            client_ip=wire.text(call.params, "UserClientIp", ""),
        )
        return {"RR": rr, "TotalCount": str(gone)}

    @reads("RecordId", "Status", *COMMON)
    @raises(NOT_YOURS, LOCKED, *BANNED)
    def SetDomainRecordStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Asked for as `Enable` or `Disable`, answered as `ENABLE` or `DISABLE`."""
        record = self._alidns.set_status(
            wire.required(call.params, "RecordId"),
            wire.required(call.params, "Status"),
            client_ip=wire.text(call.params, "UserClientIp", ""),
        )
        return {"RecordId": record.id, "Status": record.status}

    @reads(
        "DomainName", "RRKeyWord", "TypeKeyWord", "ValueKeyWord", "KeyWord", "Type", "Line", "Status", "SearchMode",
        "GroupId", "Direction", "PageNumber", "PageSize", "Lang",
    )  # fmt: skip
    @raises(*DOMAIN_ERRORS)
    def DescribeDomainRecords(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The newest first unless Direction is ASC; 500 a page at most. SearchMode decides which filters count at all:
        see `emulator.alidns.search`.

        Not modelled: OrderBy, groups (every domain is in the default one).
        """
        domain = self._alidns.domain(wire.required(call.params, "DomainName"))
        mode = wire.text(call.params, "SearchMode", "").upper()
        if mode not in ("", *MODES):
            raise wire.invalid("SearchMode", f"{mode!r} is not one of {', '.join(MODES)}")
        search = Search(
            mode=mode,
            keyword=wire.text(call.params, "KeyWord", ""),
            rr=wire.text(call.params, "RRKeyWord", ""),
            value=wire.text(call.params, "ValueKeyWord", ""),
            type_keyword=wire.text(call.params, "TypeKeyWord", ""),
            type=wire.text(call.params, "Type", ""),
            line=wire.text(call.params, "Line", ""),
            status=wire.text(call.params, "Status", ""),
            group=wire.integer(call.params, "GroupId"),
        )
        found = search.find(domain.records.values())
        if wire.text(call.params, "Direction", "DESC").upper() != "ASC":
            found.reverse()
        shown, numbers = page(call.params, found, most=500)
        return {"DomainRecords": {"Record": [listed_row(domain, record) for record in shown]}, **numbers}

    @reads("SubDomain", "DomainName", "Type", "Line", "PageNumber", "PageSize", *COMMON)
    @raises(*DOMAIN_ERRORS)
    def DescribeSubDomainRecords(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The records of one full name, newest first (assumption); 100 a page at most."""
        domain, rr = self._alidns.split(
            wire.required(call.params, "SubDomain"), wire.text(call.params, "DomainName") or None
        )
        line = wire.text(call.params, "Line", "")
        wanted = domain.named(rr, wire.text(call.params, "Type", "").upper() or None)
        found = [record for record in reversed(wanted) if not line or record.line == line]
        shown, numbers = page(call.params, found, most=100)
        rows = [{**record_row(record), "Weight": record.weight} for record in shown]
        return {"DomainRecords": {"Record": rows}, **numbers}

    @reads("RecordId", *COMMON)
    @raises(NOT_YOURS)
    def DescribeDomainRecordInfo(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One record, flat."""
        record = self._alidns.record(wire.required(call.params, "RecordId"))
        domain = self._alidns.domain(record.domain)
        return {**record_row(record), "DomainId": domain.id, "PunyCode": domain.name}


def _content(params: Mapping[str, str]) -> dict[str, Any]:
    return {
        "rr": wire.required(params, "RR"),
        "type": wire.required(params, "Type"),
        "value": wire.required(params, "Value"),
        "ttl": wire.integer(params, "TTL", low=1, high=MAX_TTL),
        "priority": wire.integer(params, "Priority"),
        "line": wire.text(params, "Line"),
        "client_ip": wire.text(params, "UserClientIp", ""),
    }
