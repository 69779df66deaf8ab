"""Access keys: long-lived ones of an account, and temporary ones of an assumed role."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.cloud import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    id: str
    secret: str
    account: str
    role: str | None = None
    token: str | None = None  # STS security token; None for long-lived keys
    expires: datetime | None = None  # on the emulated clock


class Keys:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._keys: dict[str, Key] = {}

    def add(self, id: str, secret: str, *, account: str | None = None) -> Key:
        key = Key(id=id, secret=secret, account=account or self._cloud.account)
        self._keys[id] = key
        return key

    def issue(self, role: str, *, lifetime: timedelta = timedelta(hours=36)) -> Key:
        """Temporary credentials of a role, as Function Compute injects them (about 36 h: FC 2.0 documentation)."""
        chance = self._cloud.chance
        key = Key(
            id="STS." + chance.id("k")[2:],
            secret=chance.id("s")[2:],
            account=self._cloud.account,
            role=role,
            token=chance.id("t")[2:],
            expires=self._cloud.clock.now() + lifetime,
        )
        self._keys[key.id] = key
        return key

    def find(self, id: str) -> Key | None:
        """The key, expired or not: the caller judges `expires` against the emulated clock."""
        return self._keys.get(id)
