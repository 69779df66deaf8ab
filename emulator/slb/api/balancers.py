"""Load balancers on the wire. Pages: api.aliyun.com, Slb 2014-05-15."""

from typing import TYPE_CHECKING, Any

from emulator.slb.api.servers import BALANCER, TRANSIENT, rows
from emulator.slb.model import Balancer
from emulator.wire import params as wire
from emulator.wire.call import ApiError, Call
from emulator.wire.declare import raises, reads

if TYPE_CHECKING:
    from emulator.realm import Realm

FILTERS = ("LoadBalancerId", "LoadBalancerName", "LoadBalancerStatus", "Address", "AddressType", "VpcId", "VSwitchId",
           "MasterZoneId", "SlaveZoneId")  # fmt: skip


class Balancers:
    def __init__(self, realm: "Realm") -> None:
        self._realm = realm
        self._slb = realm.slb

    @reads(
        "LoadBalancerName", "VSwitchId", "VpcId", "AddressType", "Address", "MasterZoneId", "SlaveZoneId",
        "LoadBalancerSpec", "PayType", "InstanceChargeType", "DeleteProtection", "ClientToken",
    )  # fmt: skip
    @raises(
        "InvalidVSwitchId.NotFound", "IncorrectVSwitchStatus", "InvalidPrivateIpAddress.Malformed",
        "InvalidPrivateIpAddress", "InvalidPrivateIpAddress.Duplicated", "QuotaExceeded.PrivateIpAddress", "OverQuota",
        *TRANSIENT, "IdempotentParameterMismatch", "InvalidClientToken.Malformed", "IdempotentProcessing",
    )  # fmt: skip
    def CreateLoadBalancer(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One inside a VPC, with an address of its vSwitch, active at once. Its primary zone is the vSwitch's unless
        MasterZoneId says otherwise (assumption); without SlaveZoneId nothing takes over when that zone is dark.

        Not modelled: internet addresses, IPv6, subscriptions, bandwidth, tags, resource groups, modification
        protection; specifications are kept and not enforced. Whether a zone has the specification left.
        """

        def create() -> dict[str, Any]:
            vswitch_id = wire.text(call.params, "VSwitchId", "")
            if wire.text(call.params, "AddressType", "intranet" if vswitch_id else "internet") != "intranet":
                raise ApiError("UnsupportedParameter", "The emulator models load balancers of AddressType=intranet.")
            paid = wire.text(call.params, "PayType") or wire.text(call.params, "InstanceChargeType", "")
            if paid.lower() in ("prepay", "prepaid"):
                raise ApiError("UnsupportedParameter", "The emulator does not model subscriptions.")
            network = self._realm.ecs.network
            vswitch = network.ready(wire.required(call.params, "VSwitchId"))
            if wire.text(call.params, "VpcId", vswitch.vpc) not in ("", vswitch.vpc):
                raise wire.invalid("VpcId", f"the vSwitch is in {vswitch.vpc}")
            made = self._realm.chance.id("lb")
            master = self._zone(call, "MasterZoneId") or vswitch.zone
            balancer = Balancer(
                id=made,
                name=wire.text(call.params, "LoadBalancerName", "") or made,
                address=network.take(vswitch, made, wire.text(call.params, "Address") or None),
                created=self._realm.clock.now(),
                vpc=vswitch.vpc,
                vswitch=vswitch.id,
                master_zone=master,
                slave_zone=self._zone(call, "SlaveZoneId"),
                spec=wire.text(call.params, "LoadBalancerSpec", ""),
                protected=wire.text(call.params, "DeleteProtection", "off") == "on",
            )
            try:
                self._slb.create(balancer)
            except ApiError:
                network.release(vswitch.id, balancer.address)
                raise
            return {
                "LoadBalancerId": balancer.id,
                "LoadBalancerName": balancer.name,
                "Address": balancer.address,
                "NetworkType": "vpc",
                "VpcId": balancer.vpc,
                "VSwitchId": balancer.vswitch,
            }

        asked = tuple(sorted((name, value) for name, value in call.params.items() if name != "ClientToken"))
        done: dict[str, Any] = self._slb.tokens.once(call.action, wire.text(call.params, "ClientToken"), asked, create)
        return done

    def _zone(self, call: Call, name: str) -> str:
        zone = wire.text(call.params, name, "")
        if zone and zone not in self._realm.ecs.zones:
            raise wire.invalid(name, f"the region has no zone {zone}")
        return zone

    @reads("LoadBalancerId")
    @raises(BALANCER, "OperationDenied.DeleteProtectionIsOn", *TRANSIENT)
    def DeleteLoadBalancer(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """With listeners and vServer groups, whoever is served by them; its address is free again."""
        balancer = self._slb.delete(wire.required(call.params, "LoadBalancerId"))
        network = self._realm.ecs.network
        vswitch = network.vswitches.get(balancer.vswitch)
        if vswitch is not None and vswitch.used.get(balancer.address) == balancer.id:
            network.release(vswitch.id, balancer.address)
        return {}

    @reads("LoadBalancerId", "LoadBalancerStatus")
    @raises(BALANCER, *TRANSIENT)
    def SetLoadBalancerStatus(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """`active` or `inactive`; what is inactive refuses connections (assumption). `locked` is for arrears, which are
        not modelled."""
        self._slb.set_status(
            wire.required(call.params, "LoadBalancerId"), wire.required(call.params, "LoadBalancerStatus")
        )
        return {}

    @reads("LoadBalancerId", "LoadBalancerName")
    @raises(BALANCER, *TRANSIENT)
    def SetLoadBalancerName(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """Names need not be unique."""
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        balancer.name = wire.required(call.params, "LoadBalancerName")
        return {}

    @reads("LoadBalancerId", "DeleteProtection")
    @raises(BALANCER, *TRANSIENT)
    def SetLoadBalancerDeleteProtection(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """`on` or `off`."""
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        switch = wire.required(call.params, "DeleteProtection")
        if switch not in ("on", "off"):
            raise wire.invalid("DeleteProtection", f"{switch!r} is not on or off")
        balancer.protected = switch == "on"
        return {}

    @reads("LoadBalancerId")
    @raises(BALANCER)
    def DescribeLoadBalancerAttribute(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """One balancer with its listeners and its default pool; servers of vServer groups are not among them."""
        balancer = self._slb.get(wire.required(call.params, "LoadBalancerId"))
        pool = rows(balancer.backends.values())
        for row in pool["BackendServer"]:
            row["ServerIp"] = self._slb.address_of(row["ServerId"]) or ""
        spoken = [
            {"ListenerPort": one.port, "ListenerProtocol": one.protocol, "Description": one.description}
            for one in balancer.listeners.values()
        ]
        return {
            **self._summary(balancer),
            "BackendServers": pool,
            "ListenerPorts": {"ListenerPort": list(balancer.listeners)},
            "ListenerPortsAndProtocol": {"ListenerPortAndProtocol": spoken},
        }

    @reads(*FILTERS, "ServerId", "PageNumber", "PageSize")
    @raises()
    def DescribeLoadBalancers(self, call: Call) -> dict[str, Any]:  # noqa: N802  the action's name
        """By exact fields; 100 a page at most, 50 unless asked otherwise (assumption). LoadBalancerId takes several,
        comma-separated.

        Not modelled: tags, resource groups, internet addresses.
        """
        wire.required(call.params, "RegionId")
        asked = {name: value for name in FILTERS if (value := wire.text(call.params, name))}
        server = wire.text(call.params, "ServerId") or None
        members = [b for b in self._slb.balancers.values() if server is None or server in b.backends]
        found = [
            summary
            for summary in map(self._summary, members)
            if all(summary[name] in value.split(",") for name, value in asked.items())
        ]
        number = wire.integer(call.params, "PageNumber", 1, low=1)
        size = wire.integer(call.params, "PageSize", 50, low=1, high=100)
        page = found[(number - 1) * size : number * size]
        return {
            "LoadBalancers": {"LoadBalancer": page},
            "TotalCount": len(found),
            "PageNumber": number,
            "PageSize": size,
        }

    @reads()
    @raises()
    def DescribeZones(self, call: Call) -> dict[str, Any]:  # noqa: N802, ARG002  the action's name; all zones
        """Each zone as the primary one, with those that can be its secondary: all others (assumption)."""
        zones = self._realm.ecs.zones
        found = [
            {
                "ZoneId": zone,
                "LocalName": zone,
                "SlaveZones": {"SlaveZone": [{"ZoneId": one, "LocalName": one} for one in zones if one != zone]},
            }
            for zone in zones
        ]
        return {"Zones": {"Zone": found}}

    def _summary(self, balancer: Balancer) -> dict[str, Any]:
        return {
            "LoadBalancerId": balancer.id,
            "LoadBalancerName": balancer.name,
            "LoadBalancerStatus": balancer.status,
            "LoadBalancerSpec": balancer.spec,
            "Address": balancer.address,
            "AddressType": "intranet",
            "AddressIPVersion": "ipv4",
            "NetworkType": "vpc",
            "RegionId": self._realm.region,
            "MasterZoneId": balancer.master_zone,
            "SlaveZoneId": balancer.slave_zone,
            "VpcId": balancer.vpc,
            "VSwitchId": balancer.vswitch,
            "PayType": "PayOnDemand",
            "CreateTime": balancer.created.strftime("%Y-%m-%dT%H:%MZ"),
            "DeleteProtection": "on" if balancer.protected else "off",
        }
