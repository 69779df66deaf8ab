"""Alidns: public domains and their records, as the authoritative name servers of the cloud answer them.

Source: Alidns API 2015-01-09 (SDK 4.6.1; error table: documentation 2017). There is no version, no compare-and-set and
no ClientToken: the last writer wins, and an update that changes nothing is an error. Every refusal is HTTP 400.

Assumptions: a record that is unknown, or another account's, is DomainRecordNotBelongToUser; an update that omits TTL
or line sets the default again; a TTL below the edition's floor is QuotaExceeded.TTL; a name without records cannot get
weights (InvalidRR.NoExist), and a weight needs open weights (DisableDNSSLB); records stand in each other's way whether
enabled or not; CNAMEs stand beside CNAMEs (they can be weighted) but beside no other type.
Not modelled: lines, groups, URL forwarding, DNSSEC, secondary DNS, sub-domains as domains, registration.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from emulator.alidns.editions import FREE, Edition
from emulator.alidns.records import DEFAULT_LINE, DEFAULT_TTL, DISABLE, ENABLE, WEIGHTED, Record, check, is_host
from emulator.pvtz.propagation import Lagging, Published, lag, seen
from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.realm import Account

SERVERS: Final = ("dns1.hichina.com", "dns2.hichina.com")
FIRST_RECORD: Final = 700_000_000_000_000_001


@dataclass(slots=True, kw_only=True)
class Domain:
    id: str
    name: str
    edition: Edition
    created: datetime
    records: dict[str, Record] = field(default_factory=dict)  # in order of addition
    weights: dict[tuple[str, str], bool] = field(default_factory=dict)  # (host in lower case, type) -> open
    forbidden: bool = False  # banned by the authorities
    black_hole: bool = False  # under attack
    records_at_most: int = 100_000  # assumption: QuotaExceeded.Record is documented without a number
    behind: list[Lagging] = field(default_factory=list)
    updated: datetime

    def is_weighted(self, rr: str, type: str) -> bool:
        return self.weights.get((rr.lower(), type), False)

    def named(self, rr: str, type: str | None = None) -> list[Record]:
        return [r for r in self.records.values() if r.rr.lower() == rr.lower() and type in (None, r.type)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    at: datetime
    domain: str
    action: str  # ADD | UPDATE | DELETE | SET_STATUS | ... (assumption: the real words are not documented)
    message: str
    client_ip: str


class Alidns:
    """One account's domains. Every method is synchronous, so that one call is atomic on the server's loop."""

    def __init__(self, owner: "Account") -> None:
        self._owner = owner
        self.domains: dict[str, Domain] = {}
        self.changes: list[Change] = []
        self.propagation = timedelta(0)
        """For so long name servers still answer what was before a change (undocumented: "seconds"); tests choose."""
        self._domain_of: dict[str, str] = {}
        self._next_record = FIRST_RECORD

    # -- domains

    def add_domain(self, name: str, *, edition: Edition = FREE) -> Domain:
        """A new domain is of the free edition: better ones are bought elsewhere."""
        name = name.rstrip(".").lower()
        if "." not in name or not is_host(name) or "*" in name:
            raise ApiError("InvalidDomainName.Format", f"The domain name {name!r} is invalid.")
        if name in self.domains:
            raise ApiError("InvalidDomainName.Duplicate", f"The domain {name} is there already.")
        if self._elsewhere(name):
            raise ApiError("DomainAddedByOthers", f"The domain {name} belongs to another account.")
        now = self._owner.clock.now()
        domain = Domain(
            id=self._owner.chance.id("dns")[4:], name=name, edition=edition, created=now, updated=now
        )  # fmt: skip
        self.domains[name] = domain
        return domain

    def delete_domain(self, name: str) -> Domain:
        """With all its records."""
        domain = self._writable(name)
        for record in domain.records.values():
            del self._domain_of[record.id]
        del self.domains[domain.name]
        return domain

    def domain(self, name: str) -> Domain:
        domain = self.domains.get(name.rstrip(".").lower())
        if domain is not None:
            return domain
        if self._elsewhere(name.rstrip(".").lower()):
            raise ApiError("IncorrectDomainUser", f"The domain {name} belongs to another account.")
        raise ApiError("InvalidDomainName.NoExist", f"The domain {name} does not exist.")

    def _elsewhere(self, name: str) -> bool:
        return any(other is not self and name in other.domains for other in accounts_of(self._owner))

    def split(self, full: str, domain: str | None = None) -> tuple[Domain, str]:
        """A full name (`www.example.com`, `@.example.com`) as domain and host record. The domain may be given, else it
        is the longest one that the name ends with."""
        full = full.rstrip(".").lower()
        if domain is not None:
            found = self.domain(domain)
        else:
            labels = full.split(".")
            ends = (".".join(labels[cut:]) for cut in range(len(labels)))
            known = next((end for end in ends if end in self.domains), None)
            found = self.domain(known or ".".join(labels[-2:]))
        if full in (found.name, f"@.{found.name}"):
            return found, "@"
        if not full.endswith("." + found.name):
            raise ApiError("InvalidDomainName.NoExist", f"{full} is no name of the domain {found.name}.")
        return found, full.removesuffix("." + found.name)

    # -- records

    def add_record(
        self, domain: str, *, rr: str, type: str, value: str, ttl: int | None = None, priority: int | None = None,
        line: str | None = None, client_ip: str = "",
    ) -> Record:  # fmt: skip
        owner = self._writable(domain)
        now = self._owner.clock.now()
        record = Record(
            id=str(self._next_record), domain=owner.name, rr=rr, type=type.upper(), value=value,
            ttl=DEFAULT_TTL if ttl is None else ttl, priority=priority or 0, line=line or DEFAULT_LINE,
            created=now, updated=now,
        )  # fmt: skip
        self._check(owner, record)
        if len(owner.records) >= owner.records_at_most:
            raise ApiError("QuotaExceeded.Record", f"{owner.name} has {len(owner.records)} records, the most it may.")
        self._next_record += 1
        self._domain_of[record.id] = owner.name
        self._store(owner, record, "ADD", _say(record), client_ip)
        return record

    def update_record(
        self, id: str, *, rr: str, type: str, value: str, ttl: int | None = None, priority: int | None = None,
        line: str | None = None, client_ip: str = "",
    ) -> Record:  # fmt: skip
        """A full overwrite of all but status, remark and weight. What changes nothing is DomainRecordDuplicate."""
        old, owner = self._open(id)
        new = replace(
            old, rr=rr, type=type.upper(), value=value, ttl=DEFAULT_TTL if ttl is None else ttl,
            priority=priority or 0, line=line or DEFAULT_LINE, updated=self._owner.clock.now(),
        )  # fmt: skip
        if new.content == old.content:
            raise ApiError("DomainRecordDuplicate", f"The record {id} says so already.")
        self._check(owner, new)
        self._store(owner, new, "UPDATE", f"{_say(old)} -> {_say(new)}", client_ip)
        return new

    def delete_record(self, id: str, *, client_ip: str = "") -> Record:
        record, owner = self._open(id)
        self._remove(owner, [record], client_ip)
        return record

    def delete_named(self, domain: str, rr: str, type: str | None, *, client_ip: str = "") -> int:
        """All records of a name (of one type, if that is given): how many there were. One that is locked keeps all."""
        owner = self._writable(domain)
        gone = owner.named(rr, None if type is None else type.upper())
        for record in gone:
            _refuse_locked(record)
        self._remove(owner, gone, client_ip)
        return len(gone)

    def set_status(self, id: str, status: str, *, client_ip: str = "") -> Record:
        """`Enable` or `Disable`, in any case; the record says ENABLE or DISABLE. Setting what is set is fine."""
        if status.upper() not in (ENABLE, DISABLE):
            raise ApiError("InvalidParameter", f"Status {status!r} is not Enable or Disable.")
        old, owner = self._open(id)
        new = replace(old, status=status.upper(), updated=self._owner.clock.now())
        self._store(owner, new, "SET_STATUS", f"{_say(new)} {new.status}", client_ip)
        return new

    def set_remark(self, id: str, remark: str) -> Record:
        old, owner = self._open(id)
        new = replace(old, remark=remark, updated=self._owner.clock.now())
        self._store(owner, new, "UPDATE_REMARK", f"{_say(new)} {remark}", "")
        return new

    def record(self, id: str) -> Record:
        name = self._domain_of.get(id)
        if name is None:
            raise ApiError("DomainRecordNotBelongToUser", f"The record {id} is none of this account's.")
        return self.domains[name].records[id]

    # -- weights

    def open_weights(self, domain: Domain, rr: str, type: str, on: bool) -> int:
        """Weighted answers of one name and type on or off: how many records take part."""
        if type not in WEIGHTED:
            raise ApiError("InvalidParameter", f"Records of type {type} have no weights, only {', '.join(WEIGHTED)}.")
        self._refuse_banned(domain)
        found = domain.named(rr, type)
        if not found:
            raise ApiError("InvalidRR.NoExist", f"{rr}.{domain.name} has no record of type {type}.")
        self._change(domain)
        domain.weights[rr.lower(), type] = on
        self._log(domain, "SET_SLB", f"{rr} {type} {'open' if on else 'closed'}", "")
        return len(found)

    def set_weight(self, id: str, weight: int) -> Record:
        """1-100; only while the name's weights are open."""
        old, owner = self._open(id)
        if not owner.is_weighted(old.rr, old.type):
            raise ApiError("DisableDNSSLB", f"Weights of {old.name} are not open: SetDNSSLBStatus comes first.")
        new = replace(old, weight=weight, updated=self._owner.clock.now())
        self._store(owner, new, "UPDATE_WEIGHT", f"{_say(new)} weight {weight}", "")
        return new

    # -- switches

    def lock(self, id: str, locked: bool) -> None:
        """A locked record refuses every change (DomainRecordLocked)."""
        record = self.record(id)
        self.domains[record.domain].records[id] = replace(record, locked=locked)

    # -- what the name servers answer

    def published(self, domain: Domain) -> Published:
        return seen(domain.behind, self._owner.clock.now()) or _now_published(domain)

    # -- inside

    def _writable(self, name: str) -> Domain:
        domain = self.domain(name)
        self._refuse_banned(domain)
        return domain

    def _refuse_banned(self, domain: Domain) -> None:
        if domain.forbidden:
            raise ApiError("DomainForbidden", f"The domain {domain.name} is banned.")
        if domain.black_hole:
            raise ApiError("RecordForbidden.BlackHole", f"The domain {domain.name} is in the black hole.")

    def _open(self, id: str) -> tuple[Record, Domain]:
        """A record that may be changed, and its domain."""
        record = self.record(id)
        domain = self._writable(record.domain)
        _refuse_locked(record)
        return record, domain

    def _check(self, domain: Domain, record: Record) -> None:
        check(record)
        if record.ttl < domain.edition.min_ttl:
            raise ApiError(
                "QuotaExceeded.TTL", f"The {domain.edition.name} edition allows no TTL below {domain.edition.min_ttl}."
            )
        others = [r for r in domain.named(record.rr) if r.id != record.id and r.line == record.line]
        if any(other.identity == record.identity for other in others):
            raise ApiError("DomainRecordDuplicate", f"The record {_say(record)} is there already.")
        if any((other.type == "CNAME") != (record.type == "CNAME") for other in others):
            raise ApiError("DomainRecordConflict", f"{record.name}: a CNAME stands beside no other type.")
        same = sum(other.type == record.type for other in others)
        if record.type in ("A", "AAAA") and same >= domain.edition.addresses_per_name:
            raise ApiError("QuotaExceeded.ARecord", f"{record.name} has {same} addresses, the most its edition allows.")

    def _store(self, domain: Domain, record: Record, action: str, message: str, client_ip: str) -> None:
        self._change(domain)
        domain.records[record.id] = record
        self._log(domain, action, message, client_ip)

    def _remove(self, domain: Domain, gone: Iterable[Record], client_ip: str) -> None:
        self._change(domain)
        for record in gone:
            del domain.records[record.id], self._domain_of[record.id]
            self._log(domain, "DELETE", _say(record), client_ip)

    def _change(self, domain: Domain) -> None:
        now = self._owner.clock.now()
        if self.propagation or domain.behind:
            lag(domain.behind, now, self.propagation, _now_published(domain))
        domain.updated = now

    def _log(self, domain: Domain, action: str, message: str, client_ip: str) -> None:
        at = self._owner.clock.now()
        self.changes.append(
            Change(at=at, domain=domain.name, action=action, message=message, client_ip=client_ip)
        )  # fmt: skip


def accounts_of(owner: "Account") -> Iterable[Alidns]:
    """Alidns of every account that uses it: public names are public."""
    owners = {id(realm.owner): realm.owner for realm in owner.cloud.realms}
    return [account.alidns for account in owners.values() if "alidns" in vars(account)]


def _now_published(domain: Domain) -> Published:
    return Published(
        records=tuple(r for r in domain.records.values() if r.status == ENABLE),
        weighted=frozenset(name for name, on in domain.weights.items() if on),
    )


def _refuse_locked(record: Record) -> None:
    if record.locked:
        raise ApiError("DomainRecordLocked", f"The record {record.id} is locked.")


def _say(record: Record) -> str:
    return f"{record.rr} {record.ttl} {record.type} {record.value}"
