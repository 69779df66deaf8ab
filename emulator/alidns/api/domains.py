"""Domains on the wire. Pages: api.aliyun.com, Alidns 2015-01-09."""

from typing import Any

from emulator.alidns.api.answers import COMMON, millis, page
from emulator.alidns.model import SERVERS, Alidns, Domain
from emulator.wire import params as wire
from emulator.wire.call import Call
from emulator.wire.declare import raises, reads

DOMAIN_ERRORS = ("InvalidDomainName.NoExist", "IncorrectDomainUser")
BANNED = ("DomainForbidden", "RecordForbidden.BlackHole", "LastOperationNotFinished", "RecordForbidden.DNSChange",
          "UnKnownError", "Throttling.User")  # fmt: skip
"""Of every call that changes something; all but the first two come from the menu of faults alone."""


class Domains:
    def __init__(self, alidns: Alidns) -> None:
        self._alidns = alidns

    @reads("DomainName", "Lang")
    @raises("InvalidDomainName.Format", "InvalidDomainName.Duplicate", "DomainAddedByOthers")
    def AddDomain(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A domain of the free edition, whose TTLs begin at 600 seconds.

        Not modelled: whether it is registered, groups, resource groups.
        """
        domain = self._alidns.add_domain(wire.required(call.params, "DomainName"))
        return {
            "DomainId": domain.id,
            "DomainName": domain.name,
            "PunyCode": domain.name,
            "DnsServers": {"DnsServer": list(SERVERS)},
        }

    @reads("DomainName", "Lang")
    @raises(*DOMAIN_ERRORS, *BANNED)
    def DeleteDomain(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The domain with all its records, also locked ones (assumption)."""
        return {"DomainName": self._alidns.delete_domain(wire.required(call.params, "DomainName")).name}

    @reads("KeyWord", "SearchMode", "GroupId", "PageNumber", "PageSize", "Lang")
    @raises()
    def DescribeDomains(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By name, in part unless SearchMode is EXACT; 100 a page at most.

        Not modelled: groups (all domains are in `defaultGroup`), stars, tags, resource groups.
        """
        keyword = wire.text(call.params, "KeyWord", "").lower()
        exact = wire.text(call.params, "SearchMode", "LIKE").upper() == "EXACT"
        grouped = wire.text(call.params, "GroupId", "") in ("", "defaultGroup")
        found = [
            domain
            for domain in self._alidns.domains.values()
            if grouped and (not keyword or (keyword == domain.name if exact else keyword in domain.name))
        ]
        shown, numbers = page(call.params, found, most=100)
        return {"Domains": {"Domain": [_summary(domain) for domain in shown]}, **numbers}

    @reads("DomainName", "NeedDetailAttributes", "Lang")
    @raises(*DOMAIN_ERRORS)
    def DescribeDomainInfo(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What the edition allows: MinTtl, the TTLs (texts), the edition's code; and whether the domain is banned.

        The detailed attributes come only with NeedDetailAttributes (assumption: MinTtl and AvailableTtls always).
        Not modelled: the tree of lines, groups.
        """
        domain = self._alidns.domain(wire.required(call.params, "DomainName"))
        detailed = wire.boolean(call.params, "NeedDetailAttributes", False)
        return {
            "DomainId": domain.id,
            "DomainName": domain.name,
            "PunyCode": domain.name,
            "AliDomain": True,
            "CreateTime": domain.created.strftime("%Y-%m-%dT%H:%MZ"),
            "DnsServers": {"DnsServer": list(SERVERS)},
            "VersionCode": domain.edition.code,
            "VersionName": domain.edition.name,
            "MinTtl": domain.edition.min_ttl,
            "AvailableTtls": {"AvailableTtl": [str(ttl) for ttl in domain.edition.ttls]},
            "InBlackHole": domain.black_hole,
            "InClean": False,
            **({"RecordLines": {"RecordLine": [_LINE]}, "RegionLines": False} if detailed else {}),
        }

    @reads("DomainName", "KeyWord", "StartDate", "endDate", "PageNumber", "PageSize", *COMMON)
    @raises(*DOMAIN_ERRORS)
    def DescribeRecordLogs(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What was done to a domain's records, newest first (assumption); days are the cloud's, in UTC+8 (assumption:
        here in UTC). 100 a page at most."""
        domain = self._alidns.domain(wire.required(call.params, "DomainName"))
        keyword = wire.text(call.params, "KeyWord", "").lower()
        first, last = wire.text(call.params, "StartDate", ""), wire.text(call.params, "endDate", "")
        found = [
            change
            for change in reversed(self._alidns.changes)
            if change.domain == domain.name
            and keyword in change.message.lower()
            and (not first or change.at.date().isoformat() >= first)
            and (not last or change.at.date().isoformat() <= last)
        ]
        shown, numbers = page(call.params, found, most=100)
        rows = [
            {
                "Action": change.action,
                "ActionTime": change.at.strftime("%Y-%m-%dT%H:%MZ"),
                "ActionTimestamp": millis(change.at),
                "ClientIp": change.client_ip,
                "Message": change.message,
            }
            for change in shown
        ]
        return {"RecordLogs": {"RecordLog": rows}, **numbers}


_LINE = {"LineCode": "default", "LineName": "default", "LineDisplayName": "Default", "FatherCode": ""}


def _summary(domain: Domain) -> dict[str, Any]:
    return {
        "DomainId": domain.id,
        "DomainName": domain.name,
        "PunyCode": domain.name,
        "AliDomain": True,
        "RecordCount": len(domain.records),
        "VersionCode": domain.edition.code,
        "VersionName": domain.edition.name,
        "DnsServers": {"DnsServer": list(SERVERS)},
        "CreateTime": domain.created.strftime("%Y-%m-%dT%H:%MZ"),
        "CreateTimestamp": millis(domain.created),
    }
