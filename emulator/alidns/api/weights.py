"""Weighted answers on the wire. Pages: api.aliyun.com, Alidns 2015-01-09."""

from typing import Any

from emulator.alidns.api.answers import COMMON, page
from emulator.alidns.api.domains import BANNED, DOMAIN_ERRORS
from emulator.alidns.api.records import LOCKED, NOT_YOURS
from emulator.alidns.model import Alidns
from emulator.wire import params as wire
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads


class Weights:
    def __init__(self, alidns: Alidns) -> None:
        self._alidns = alidns

    @reads("SubDomain", "Open", "DomainName", "Type", "Line", *COMMON)
    @raises(*DOMAIN_ERRORS, *BANNED, "InvalidRR.NoExist")
    def SetDNSSLBStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Weighted answers of one name and type on (the default) or off. The domain itself is `@.example.com` here.

        A, AAAA or CNAME; Type's default is A. Not modelled: lines but `default`, quotas of the editions.
        """
        full = wire.required(call.params, "SubDomain")
        if wire.text(call.params, "Line", "default") not in ("", "default"):
            raise ApiError("UnsupportedParameter", "The emulator does not model lines but default.")
        domain, rr = self._alidns.split(full, wire.text(call.params, "DomainName") or None)
        if full.rstrip(".").lower() == domain.name:
            raise wire.invalid("SubDomain", f"the domain itself is spelled @.{domain.name} here")
        opened = wire.boolean(call.params, "Open", True)
        kind = wire.text(call.params, "Type", "").upper() or "A"
        count = self._alidns.open_weights(domain, rr, kind, opened)
        return {"Open": opened, "RecordCount": count}

    @reads("RecordId", "Weight", *COMMON)
    @raises(NOT_YOURS, LOCKED, *BANNED, "DisableDNSSLB")
    def UpdateDNSSLBWeight(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """1-100, only after SetDNSSLBStatus."""
        record = self._alidns.set_weight(
            wire.required(call.params, "RecordId"), wire.required_integer(call.params, "Weight", low=1, high=100)
        )
        return {"RecordId": record.id, "Weight": record.weight}

    @reads("DomainName", "Rr", "PageNumber", "PageSize", *COMMON)
    @raises(*DOMAIN_ERRORS)
    def DescribeDNSSLBSubDomains(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """The names that weights were ever opened for (assumption), and whether they are open; 100 a page at most."""
        domain = self._alidns.domain(wire.required(call.params, "DomainName"))
        wanted = wire.text(call.params, "Rr", "").lower()
        found = [
            {
                "SubDomain": f"{rr}.{domain.name}",
                "Type": kind,
                "Open": is_open,
                "RecordCount": len(domain.named(rr, kind)),
                "LineAlgorithms": {"LineAlgorithm": [{"Line": "default", "Open": is_open}]},
            }
            for (rr, kind), is_open in domain.weights.items()
            if not wanted or rr == wanted
        ]
        shown, numbers = page(call.params, found, most=100)
        return {"SlbSubDomains": {"SlbSubDomain": list(shown)}, **numbers}
