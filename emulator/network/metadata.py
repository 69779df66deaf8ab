"""The instance metadata service: who a machine is, and the keys of the role it was given.

In the cloud it answers at 100.100.100.200; here each guest has one of its own below `$GUEST_METADATA`, because guests
share this machine's loopback and an address says nothing of who asks. Below that the paths are the cloud's:

GET  latest/meta-data/{instance-id,region-id,zone-id,private-ipv4,owner-account-id}
GET  latest/meta-data/ram/security-credentials/          the role's name
GET  latest/meta-data/ram/security-credentials/ROLE      its keys, as JSON
PUT  latest/api/token                                    a token for the hardened mode, which is accepted, not demanded

Source: ECS documentation, instance metadata and instance RAM roles. Assumptions: keys live six hours and are replaced
half an hour before they end; a role that does not trust ecs.aliyuncs.com answers as if there were none.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from aiohttp import web

from emulator.wire.call import ApiError

if TYPE_CHECKING:
    from emulator.cloud import Cloud
    from emulator.keys import Key
    from emulator.network.guest import Guest

LIFETIME: Final = timedelta(hours=6)
REPLACED_BEFORE: Final = timedelta(minutes=30)
SERVICE: Final = "ecs.aliyuncs.com"
_ROOT: Final = "/_guest/{token}/latest"


def routes(cloud: "Cloud") -> list[web.RouteDef]:
    door = _Metadata(cloud)
    return [
        web.put(f"{_ROOT}/api/token", door.token),
        web.get(f"{_ROOT}/meta-data/ram/security-credentials/", door.role, allow_head=False),
        web.get(f"{_ROOT}/meta-data/ram/security-credentials/{{role}}", door.credentials, allow_head=False),
        web.get(f"{_ROOT}/meta-data/{{item}}", door.item, allow_head=False),
    ]


class _Metadata:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._keys: dict[tuple[str, str], Key] = {}  # by instance and role

    def _guest(self, request: web.Request) -> "Guest":
        if self._cloud.hypervisor is None:
            raise web.HTTPNotFound
        try:
            return self._cloud.hypervisor.by_token(request.match_info["token"])
        except ApiError as error:
            raise web.HTTPNotFound from error

    def _role(self, guest: "Guest") -> str:
        """Raises HTTPNotFound where there is none that may be taken on."""
        name, account = guest.instance.ram_role, guest.ecs.account
        known = self._cloud.ram.find_role(account, name) if name else None
        refused = known is None if self._cloud.ram.enforced(account) else False
        if not name or refused or (known is not None and not known.trusts("Service", (SERVICE,), {})):
            raise web.HTTPNotFound
        return name

    async def token(self, request: web.Request) -> web.Response:
        return web.Response(text=self._guest(request).token)

    async def role(self, request: web.Request) -> web.Response:
        return web.Response(text=self._role(self._guest(request)))

    async def credentials(self, request: web.Request) -> web.Response:
        guest = self._guest(request)
        if self._role(guest) != request.match_info["role"]:
            raise web.HTTPNotFound
        key = self._key(guest)
        assert key.expires is not None
        return web.json_response(
            {
                "AccessKeyId": key.id,
                "AccessKeySecret": key.secret,
                "Expiration": f"{key.expires:%Y-%m-%dT%H:%M:%SZ}",
                "SecurityToken": key.token,
                "LastUpdated": f"{key.expires - LIFETIME:%Y-%m-%dT%H:%M:%SZ}",
                "Code": "Success",
            }
        )

    def _key(self, guest: "Guest") -> "Key":
        instance, role = guest.instance.id, guest.instance.ram_role
        key = self._keys.get((instance, role))
        if key is None or key.expires is None or key.expires - self._cloud.clock.now() < REPLACED_BEFORE:
            key = self._cloud.do(issue, role=role, account=guest.ecs.account, instance=instance)
            self._keys[instance, role] = key
        return key

    async def item(self, request: web.Request) -> web.Response:
        guest = self._guest(request)
        instance = guest.instance
        known: dict[str, Callable[[], str]] = {
            "instance-id": lambda: instance.id,
            "region-id": lambda: guest.ecs.region,
            "zone-id": lambda: instance.zone,
            "private-ipv4": lambda: instance.private_ip,
            "owner-account-id": lambda: guest.ecs.account,
        }
        found = known.get(request.match_info["item"])
        if found is None:
            raise web.HTTPNotFound
        return web.Response(text=found())


def issue(cloud: "Cloud", role: str, account: str, instance: str) -> "Key":
    return cloud.keys.issue(role, lifetime=LIFETIME, account=account, session=instance)
