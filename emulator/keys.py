"""Access keys: long-lived ones of an account or of a RAM user, and temporary ones of an assumed role."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from emulator.cloud import Cloud


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    id: str
    secret: str = field(repr=False)  # nor in any text that shows this value
    account: str
    role: str | None = None
    token: str | None = field(default=None, repr=False)  # STS security token; None for long-lived keys
    expires: datetime | None = None  # on the emulated clock
    user: str | None = None  # of a RAM user; None with a role None: the account's own
    session: str = ""  # the role session's name
    policy: str | None = None  # of the session: what it leaves of the role's permissions
    enabled: bool = True


class Keys:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._keys: dict[str, Key] = {}

    def add(self, id: str, secret: str, *, account: str | None = None, user: str | None = None) -> Key:
        """A long-lived key of the account, or of its RAM user `user`."""
        key = Key(id=id, secret=secret, account=account or self._cloud.account, user=user)
        self._keys[id] = key
        return key

    def issue(
        self,
        role: str,
        *,
        lifetime: timedelta = timedelta(hours=36),
        account: str | None = None,
        session: str = "",
        policy: str | None = None,
    ) -> Key:
        """Temporary credentials of a role; 36 h as Function Compute injects them (about: FC 2.0 documentation)."""
        chance = self._cloud.chance
        key = Key(
            id="STS." + chance.id("k")[2:],
            secret=chance.id("s")[2:],
            account=account or self._cloud.account,
            role=role,
            token=chance.id("t")[2:],
            expires=self._cloud.clock.now() + lifetime,
            session=session,
            policy=policy,
        )
        self._keys[key.id] = key
        return key

    def find(self, id: str) -> Key | None:
        """The key, expired, disabled or neither: the caller judges."""
        return self._keys.get(id)

    def enable(self, id: str, enabled: bool) -> None:
        """Switch a key off, or on again. Raises KeyError for an unknown one."""
        self._keys[id] = replace(self._keys[id], enabled=enabled)

    # For whoever keeps the world ------------------------------------------------------------------------------

    def dump(self) -> list[dict[str, Any]]:
        """All keys as JSON can hold them."""
        told = (asdict(key) for key in self._keys.values())
        return [{**key, "expires": key["expires"] and key["expires"].isoformat()} for key in told]

    def restore(self, dumped: Iterable[Mapping[str, Any]]) -> None:
        """Put back what `dump` told; a key that is there already is replaced."""
        for told in dumped:
            expires = told.get("expires")
            key = Key(**{**told, "expires": datetime.fromisoformat(expires) if expires else None})
            self._keys[key.id] = key
