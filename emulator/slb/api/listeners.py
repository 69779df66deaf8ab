"""TCP listeners on the wire. Pages: api.aliyun.com, Slb 2014-05-15."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

from emulator.slb.api.servers import BALANCER, TRANSIENT
from emulator.slb.model import Check, Listener, LoadBalancers
from emulator.wire import params as wire
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

CHECK = (
    "HealthCheckSwitch", "HealthCheckType", "HealthCheckURI", "HealthCheckConnectPort", "HealthCheckConnectTimeout",
    "HealthyThreshold", "UnhealthyThreshold",
)  # fmt: skip
SETTINGS = ("LoadBalancerId", "ListenerPort", "Bandwidth", "Scheduler", "Description", "VServerGroupId", *CHECK)


class Listeners:
    def __init__(self, slb: LoadBalancers) -> None:
        self._slb = slb

    @reads(*SETTINGS, "BackendServerPort", "healthCheckInterval")
    @raises(BALANCER, "ListenerAlreadyExists", "OverQuota", *TRANSIENT)
    def CreateLoadBalancerTCPListener(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """A listener that is stopped until StartLoadBalancerListener. With a VServerGroupId it leaves the default pool
        aside, and members' own ports count; else BackendServerPort is needed.

        Not modelled: access control, session persistence, hashing schedulers, draining, master/slave groups, tags; the
        bandwidth is kept and not enforced; HTTP checks take 2xx and 3xx.
        """
        port = _port(call.params, "ListenerPort")
        group = wire.text(call.params, "VServerGroupId", "")
        backend_port = 0 if group else _port(call.params, "BackendServerPort")
        wire.required(call.params, "Bandwidth")
        listener = Listener(port=port, backend_port=backend_port, running=False)
        self._slb.add_listener(
            wire.required(call.params, "LoadBalancerId"),
            replace(_settled(listener, call.params, interval="healthCheckInterval"), group=group),
        )
        return {}

    @reads(*SETTINGS, "VServerGroup", "HealthCheckInterval")
    @raises(BALANCER, *TRANSIENT)
    def SetLoadBalancerTCPListenerAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """What is named is changed, the rest stays. VServerGroup=on with a group, or off for the default pool; a
        listener that was made for a group has no backend port to go back to, and is then refused (assumption).

        Not modelled: as for CreateLoadBalancerTCPListener.
        """
        balancer = wire.required(call.params, "LoadBalancerId")
        old = self._slb.listener(balancer, _port(call.params, "ListenerPort"))
        new = _settled(old, call.params, interval="HealthCheckInterval")
        match _switch(call.params, "VServerGroup"):
            case True:
                new = replace(new, group=wire.required(call.params, "VServerGroupId"))
            case False if not old.backend_port:
                raise wire.invalid("VServerGroup", "the listener has no backend port for the default pool")
            case False:
                new = replace(new, group="")
        self._slb.change_listener(balancer, new)
        return {}

    @reads("LoadBalancerId", "ListenerPort", "ListenerProtocol")
    @raises(BALANCER, *TRANSIENT)
    def StartLoadBalancerListener(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Traffic flows from now on; health is unknown until the checks have looked."""
        self._slb.run_listener(*self._named(call), running=True)
        return {}

    @reads("LoadBalancerId", "ListenerPort", "ListenerProtocol")
    @raises(BALANCER, *TRANSIENT)
    def StopLoadBalancerListener(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """New connections are refused, and standing ones end (assumption)."""
        self._slb.run_listener(*self._named(call), running=False)
        return {}

    @reads("LoadBalancerId", "ListenerPort", "ListenerProtocol")
    @raises(BALANCER, *TRANSIENT)
    def DeleteLoadBalancerListener(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Also one that runs (assumption)."""
        self._slb.delete_listener(*self._named(call))
        return {}

    @reads("LoadBalancerId", "ListenerPort")
    @raises(BALANCER)
    def DescribeLoadBalancerTCPListenerAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One listener: `running` or `stopped`, whom it serves, how it checks health."""
        balancer, port = self._named(call)
        listener = self._slb.listener(balancer, port)
        check = listener.check
        return {
            "LoadBalancerId": balancer,
            "ListenerPort": listener.port,
            "BackendServerPort": listener.backend_port,
            "Bandwidth": listener.bandwidth,
            "Description": listener.description,
            "Status": "running" if listener.running else "stopped",
            "Scheduler": listener.scheduler,
            "VServerGroupId": listener.group,
            "HealthCheck": "on" if check.enabled else "off",
            "HealthCheckType": "http" if check.path else "tcp",
            "HealthCheckURI": check.path,
            "HealthCheckConnectPort": check.port or listener.backend_port,
            "HealthCheckConnectTimeout": int(check.timeout.total_seconds()),
            "HealthCheckInterval": int(check.interval.total_seconds()),
            "HealthyThreshold": check.healthy,
            "UnhealthyThreshold": check.unhealthy,
            "PersistenceTimeout": 0,
            "AclStatus": "off",
        }

    def _named(self, call: Call) -> tuple[str, int]:
        balancer, port = wire.required(call.params, "LoadBalancerId"), _port(call.params, "ListenerPort")
        if wire.text(call.params, "ListenerProtocol", "tcp") not in ("", self._slb.listener(balancer, port).protocol):
            raise ApiError("InvalidParameter", "The specified resource does not exist: no listener of that protocol.")
        return balancer, port


def _settled(listener: Listener, params: Mapping[str, str], *, interval: str) -> Listener:
    """What both creation and change may say. `interval`: as that action spells it."""
    old = listener.check
    kind = wire.text(params, "HealthCheckType", "http" if old.path else "tcp")
    if kind not in ("tcp", "http"):
        raise wire.invalid("HealthCheckType", f"{kind!r} is not tcp or http")
    path = wire.text(params, "HealthCheckURI", old.path or "/") if kind == "http" else ""
    switch = _switch(params, "HealthCheckSwitch")
    scheduler = wire.text(params, "Scheduler", listener.scheduler)
    if scheduler in ("sch", "tch", "wlc"):
        raise ApiError("UnsupportedParameter", f"The emulator does not model the scheduler {scheduler}.")
    if scheduler not in ("wrr", "rr"):
        raise wire.invalid("Scheduler", f"{scheduler!r} is not wrr or rr")
    check = Check(
        enabled=old.enabled if switch is None else switch,
        path=path,
        port=wire.integer(params, "HealthCheckConnectPort", low=1, high=65535) or old.port,
        interval=_seconds(params, interval, old.interval, most=50),
        timeout=_seconds(params, "HealthCheckConnectTimeout", old.timeout, most=300),
        healthy=wire.integer(params, "HealthyThreshold", old.healthy, low=2, high=10),
        unhealthy=wire.integer(params, "UnhealthyThreshold", old.unhealthy, low=2, high=10),
    )
    return replace(
        listener,
        check=check,
        scheduler=scheduler,
        bandwidth=wire.integer(params, "Bandwidth", listener.bandwidth, low=-1, high=5120),
        description=wire.text(params, "Description", listener.description),
    )


def _seconds(params: Mapping[str, str], name: str, default: timedelta, *, most: int) -> timedelta:
    given = wire.integer(params, name, low=1, high=most)
    return default if given is None else timedelta(seconds=given)


def _switch(params: Mapping[str, str], name: str) -> bool | None:
    match wire.text(params, name, ""):
        case "":
            return None
        case "on":
            return True
        case "off":
            return False
    raise wire.invalid(name, "it is not on or off")


def _port(params: Mapping[str, str], name: str) -> int:
    return wire.required_integer(params, name, low=1, high=65535)
