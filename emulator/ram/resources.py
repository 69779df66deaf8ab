"""Which resources an action touches: the table that turns a call into the names that policies speak of.

A row lists the resources of one action; all of them must be allowed. `kind/Param` is one resource for each value of
the parameter (`Param.N` takes them all, a JSON list counts as a list), `kind/*` without it; with a `?` behind, nothing
without it. `kind/*` stands for what is created or listed: only a pattern as wide lets it pass, which is why a policy on
one instance does not let its owner list instances. `service:kind/...` is another service's resource, `@lookup` a
parameter that names the resource only by way of another one.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from emulator.ram import rows
from emulator.wire import strict_json

if TYPE_CHECKING:
    from emulator.realm import Realm


def _table(text: str) -> Mapping[str, tuple[str, ...]]:
    """An indented line goes on with the row above."""
    lines = (line.split() for line in re.sub(r"\n +", " ", text.strip()).splitlines())
    return {row[0]: tuple(row[1:]) for row in lines}


ROWS: Final[Mapping[str, Mapping[str, tuple[str, ...]]]] = {
    "ecs": _table(rows.ECS),
    "slb": _table(rows.SLB),
    "pvtz": _table(rows.PVTZ),
    "alidns": _table(rows.ALIDNS),
    "vpc": _table(rows.VPC),
    "ess": _table(rows.ESS),
    "sts": _table(rows.STS),
    "cms": {},
}
UNSCOPED: Final = frozenset(["cms"])
"""CloudMonitor knows no resources: every action is about `*` (its authorization page)."""

ANYWHERE: Final = frozenset(["pvtz", "alidns"])
"""Services without a region: `*` stands in its place (`acs:pvtz:*:ACCOUNT:zone/ID`)."""


def has_row(service: str, action: str) -> bool:
    return service in UNSCOPED or action in ROWS.get(service, {})


def resources(realm: "Realm", service: str, action: str, params: Mapping[str, str]) -> tuple[str, ...]:
    """The names of what the call touches; empty: nothing that needs permission. An action without a row is about
    everything there is, so only a policy on `*` lets it pass."""
    if service in UNSCOPED:
        return ("*",)
    row = ROWS.get(service, {}).get(action, ("*",))
    found = [name for part in row for name in _names(realm, service, part, params)]
    if row and not found:  # all that it could touch was left out: that must not be less than naming it
        found = list(_names(realm, service, row[0].rstrip("?"), {}))
    return tuple(dict.fromkeys(found))


def arn(service: str, region: str, account: str, resource: str) -> str:
    return f"acs:{service}:{'*' if service in ANYWHERE else region}:{account}:{resource}"


def _names(realm: "Realm", service: str, part: str, params: Mapping[str, str]) -> Iterator[str]:
    if part == "*":
        yield "*"
        return
    if part.startswith("@"):
        yield from _LOOKUPS[part](realm, params)
        return
    owner, _, rest = part.rpartition(":")
    kind, _, parameter = rest.partition("/")
    optional = parameter.endswith("?")
    ids = ["*"] if parameter == "*" else _values(params, parameter.rstrip("?"))
    for name in ids or ([] if optional else ["*"]):
        yield arn(owner or service, realm.region, realm.account, f"{kind}/{name}")


def _values(params: Mapping[str, str], name: str) -> list[str]:
    """All values, whatever their numbers: an operation reads `Id.1` and `Id.3` even where there is no `Id.2`."""
    if ".N" not in name:
        text = params.get(name, "")
        if not text.lstrip().startswith("["):
            return [text] if text else []
        try:
            listed = strict_json.parse(text)
        except ValueError:
            return [text]
        return [str(item) for item in listed]
    wanted = _numbered(name)
    return [value for key, value in params.items() if value and wanted.fullmatch(key)]


@lru_cache(maxsize=256)
def _numbered(name: str) -> re.Pattern[str]:
    return re.compile(re.escape(name).replace(r"\.N", r"\.[0-9]+"))


# Resources that a parameter names only by way of another ----------------------------------------------------------


def _tagged(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    kind = params.get("ResourceType", "*").lower()
    for name in _values(params, "ResourceId.N") or ["*"]:
        yield arn("ecs", realm.region, realm.account, f"{kind}/{name}")


def _zone(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """A record's zone. A record that does not exist belongs to no zone: the call then answers so itself (assumption:
    permission on any zone is enough to learn that)."""
    text = params.get("RecordId", "")
    record = int(text) if text.isdigit() else -1
    zone = next((zone.id for zone in realm.pvtz.zones.values() if record in zone.records), "*")
    yield arn("pvtz", realm.region, realm.account, f"zone/{zone}")


def _domain(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """A public record's domain. Of a record that does not exist: any (as for private ones)."""
    record = params.get("RecordId", "")
    owner = next((domain.name for domain in realm.alidns.domains.values() if record in domain.records), "*")
    yield arn("alidns", realm.region, realm.account, f"domain/{params.get('DomainName') or owner}")


def _subdomain(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """The domain that a full name ends with, unless it is given."""
    labels = params.get("SubDomain", "").rstrip(".").lower().split(".")
    ends = [".".join(labels[cut:]) for cut in range(len(labels))]
    owner = next((end for end in ends if end in realm.alidns.domains), "*")
    yield arn("alidns", realm.region, realm.account, f"domain/{params.get('DomainName') or owner}")


def _vservergroup(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """Assumption: a server group is judged by its load balancer, of which the call need not know the id."""
    named = params.get("VServerGroupId", "")
    owner = next((one.id for one in realm.slb.balancers.values() if named in realm.slb.groups.ids(one.id)), "*")
    yield arn("slb", realm.region, realm.account, f"loadbalancer/{params.get('LoadBalancerId') or owner}")


def _servers(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """Adding, removing and weighing backend servers is checked on the servers as well, so that permission on a load
    balancer does not reach every machine. Source: CLB documentation, manage permissions of RAM users."""
    for name in ("BackendServers", "OldBackendServers", "NewBackendServers"):
        try:
            listed = strict_json.parse(params.get(name) or "[]")
        except ValueError:
            continue  # the operation refuses it in its own words
        for server in listed if isinstance(listed, list) else ():
            named = server.get("ServerId") if isinstance(server, dict) else server  # removing takes bare ids as well
            if named:
                yield arn("ecs", realm.region, realm.account, f"instance/{named}")


def _bound(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """What an EIP is bound to or freed from."""
    bound = params.get("InstanceId") or "*"
    match params.get("InstanceType", "EcsInstance"):
        case "NetworkInterface":
            yield arn("ecs", realm.region, realm.account, f"eni/{bound}")
        case "SlbInstance":
            yield arn("slb", realm.region, realm.account, f"loadbalancer/{bound}")
        case "EcsInstance":
            yield arn("ecs", realm.region, realm.account, f"instance/{bound}")


def _assumed(realm: "Realm", params: Mapping[str, str]) -> Iterator[str]:
    """`acs:ram::ACCOUNT:role/NAME` of the request, as policies spell it: `acs:ram:*:ACCOUNT:role/NAME`."""
    named = params.get("RoleArn", f"acs:ram::{realm.account}:role/*")
    account, _, role = named.removeprefix("acs:ram::").partition(":")
    yield f"acs:ram:*:{account or '*'}:{role or 'role/*'}"


_LOOKUPS: Final[Mapping[str, Callable[["Realm", Mapping[str, str]], Iterator[str]]]] = {
    "@tagged": _tagged,
    "@zone": _zone,
    "@domain": _domain,
    "@subdomain": _subdomain,
    "@vservergroup": _vservergroup,
    "@servers": _servers,
    "@bound": _bound,
    "@assumed": _assumed,
}
