"""What one agent needs to know: arguments first, then the environment, then the active policy in the state store."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from shared.domain.errors import BadInput
from shared.domain.ids import InstanceId, PairName, Place, SiteName
from shared.domain.lease import Terms
from shared.domain.policy import Member, Pair, Policy

Read = Callable[[str], str | None]
LOOPBACK: Final = "127.0.0.1"
EVERYWHERE: Final = ("0.0.0.0", "::")


class Pledges(StrEnum):
    ON = "on"
    OFF = "off"
    UNAUTHENTICATED = "unauthenticated"  # whoever reaches the port may forge one: two sites active at once


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentConfig:
    store_endpoint: str
    store_instance: str
    bind: str
    port: int
    role_file: Path
    address: str  # where clients reach this master; written into heartbeats
    master: str | None  # host:port whose GET /health says that the master is well; None: taken on trust
    instance: InstanceId | None  # finds pair and site in the policy ...
    pair: PairName | None  # ... unless both are given, with the terms
    site: SiteName | None
    preferred: bool
    terms: Terms | None
    with_parent: bool  # end when the parent process ends
    secret: str | None = None  # what POST /promote and /demote must carry; None: whoever reaches the port may
    pledges: Pledges = Pledges.OFF
    peers: Mapping[SiteName, Place] = field(default_factory=dict)  # instead of what their heartbeats say
    lag_command: str | None = None
    lag_url: str | None = None
    promote_hook: str | None = None
    demote_hook: str | None = None
    hook_timeout: timedelta = timedelta(seconds=30)
    sidecar: tuple[str, int] | None = None  # where GET /active is served

    @property
    def source(self) -> str | None:
        """The local address to call peers from, so that security groups and logs there see who calls. None: as the
        system chooses; from plain loopback nobody else could be reached."""
        return None if self.bind in (*EVERYWHERE, LOOPBACK, "localhost") else self.bind


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    pair: PairName
    site: SiteName
    preferred: bool
    terms: Terms


def identity_in(policy: Policy, instance: InstanceId) -> Identity:
    """Raises BadInput when no pair of the policy has this instance."""
    found: list[tuple[Pair, Member]] = [
        (pair, member) for pair in policy.pairs for member in pair.members if member.instance == instance
    ]
    if not found:
        raise BadInput(
            f"instance {instance} is in no pair of the active policy: add it under `pairs:` in understudy.yaml and run "
            "`understudy apply`, or start the agent with --pair, --site, --lease, --margin and --renew-every"
        )
    pair, member = found[0]
    return Identity(pair=pair.name, site=member.site, preferred=member.site == pair.preferred, terms=Terms.of(pair))


def parse(arguments: Sequence[str], read: Read) -> AgentConfig:
    """`read` gives an environment variable's text or None. Raises BadInput; unknown options end the process with 2."""
    parser = argparse.ArgumentParser(prog="understudy agent", description=__doc__)
    add = parser.add_argument
    add("--instance", default=read("GUEST_INSTANCE"), help="this ECS instance; finds pair and site in the policy")
    add("--pair", help="with --site, --lease, --margin, --renew-every: instead of the policy")
    add("--site")
    add("--preferred", action="store_true", help="this site may create the pair's very first lease")
    add("--lease", type=float, metavar="SECONDS")
    add("--margin", type=float, metavar="SECONDS")
    add("--renew-every", type=float, metavar="SECONDS")
    add("--bind", default=read("GUEST_BIND") or "127.0.0.1", help="address to listen on")
    add("--port", type=int, default=7001)
    add("--address", default=read("GUEST_ADDRESS") or "", help="where this master is reached by clients")
    add("--master", metavar="HOST:PORT", help="GET /health there must answer 200, or the site gives up")
    add("--role-file", type=Path, default=Path(read("UNDERSTUDY_ROLE_FILE") or "/run/understudy/role.json"))
    add("--store-endpoint", default=read("UNDERSTUDY_OTS_ENDPOINT") or read("GUEST_GATEWAY"))
    add("--store-instance", default=read("UNDERSTUDY_OTS_INSTANCE"))
    add("--pledges", choices=[one.value for one in Pledges], help="on when UNDERSTUDY_AGENT_SECRET is set, else off")
    add("--peer", action="append", default=[], metavar="SITE=ADDRESS:PORT", help="instead of what its heartbeat says")
    add("--lag-command", help="prints how many seconds the data here is behind the active site's")
    add("--lag-url", help="or GET it there")
    add("--promote-hook", metavar="COMMAND", help="runs before the master becomes active")
    add("--demote-hook", metavar="COMMAND", help="runs after the master has stopped, before the lease is given back")
    add("--hook-timeout", type=float, default=30.0, metavar="SECONDS")
    add("--sidecar", metavar="[HOST:]PORT", help="serve GET /active there; on 127.0.0.1 unless a host is given")
    add("--with-parent", action="store_true", help="end when the process that started this one ends")
    given = parser.parse_args(arguments)
    if not given.store_endpoint:
        raise BadInput("no state store: set UNDERSTUDY_OTS_ENDPOINT (or --store-endpoint) to its URL")
    if not given.store_instance:
        raise BadInput("no state store: set UNDERSTUDY_OTS_INSTANCE (or --store-instance) to the instance's name")
    secret = read("UNDERSTUDY_AGENT_SECRET")
    pledges = _pledges(given.pledges, secret)
    if given.lag_command is not None and given.lag_url is not None:
        raise BadInput("give --lag-command or --lag-url, not both")
    if pledges is not Pledges.OFF and given.bind in EVERYWHERE and not given.address:
        raise BadInput(f"--bind {given.bind} with pledges needs --address: the one at which the peers reach this agent")
    if pledges is not Pledges.OFF and not _is_address(given.address or given.bind):
        raise BadInput(
            f"--address {given.address or given.bind}: with pledges it must be an IP address, one that never moves to "
            "another machine by itself: a name or a floating address may lead to another master tomorrow"
        )
    named = (given.pair, given.site, given.lease, given.margin, given.renew_every)
    terms = None
    if all(value is not None for value in named):
        terms = Terms(
            lease=timedelta(seconds=given.lease),
            margin=timedelta(seconds=given.margin),
            renew_every=timedelta(seconds=given.renew_every),
        )
    elif any(value is not None for value in named):
        raise BadInput("--pair, --site, --lease, --margin and --renew-every go together: give all five or none")
    elif not given.instance:
        raise BadInput("who am I? give --instance (it finds pair and site in the policy), or --pair and --site")
    return AgentConfig(
        store_endpoint=given.store_endpoint,
        store_instance=given.store_instance,
        bind=given.bind,
        port=given.port,
        role_file=given.role_file,
        address=given.address or given.bind,
        master=given.master,
        instance=InstanceId(given.instance) if given.instance else None,
        pair=PairName(given.pair) if given.pair else None,
        site=SiteName(given.site) if given.site else None,
        preferred=given.preferred,
        terms=terms,
        with_parent=given.with_parent,
        # Not an argument: those can be read by every process of the machine.
        secret=secret,
        pledges=pledges,
        peers=dict(_peer(text) for text in given.peer),
        lag_command=given.lag_command,
        lag_url=given.lag_url,
        promote_hook=given.promote_hook,
        demote_hook=given.demote_hook,
        hook_timeout=timedelta(seconds=given.hook_timeout),
        sidecar=None if given.sidecar is None else _sidecar(given.sidecar),
    )


def _pledges(chosen: str | None, secret: str | None) -> Pledges:
    if chosen is None:
        return Pledges.ON if secret else Pledges.OFF
    if chosen == Pledges.ON and not secret:
        raise BadInput(
            "--pledges on needs UNDERSTUDY_AGENT_SECRET, the same on all agents: a forged pledge makes two sites "
            "active. On a network where nobody else can reach the agents, choose --pledges unauthenticated"
        )
    return Pledges(chosen)


def _peer(text: str) -> tuple[SiteName, Place]:
    site, _, place = text.partition("=")
    host, _, port = place.rpartition(":")
    if not (site and port.isdigit() and _is_address(host)):
        raise BadInput(f"--peer {text!r}: write SITE=ADDRESS:PORT, such as hz-i=10.0.2.21:7001; no name, it may move")
    return SiteName(site), Place(place)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _sidecar(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not port.isdigit():
        raise BadInput(f"--sidecar {text!r}: write PORT, or HOST:PORT to serve others than this machine")
    return host or LOOPBACK, int(port)
