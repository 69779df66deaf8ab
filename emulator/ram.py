"""What roles may not do. Allowed unless denied: policies of real roles are not evaluated here (not modelled)."""

from fnmatch import fnmatchcase

from emulator.wire.call import ApiError


class Ram:
    def __init__(self) -> None:
        self._denied: dict[str | None, set[str]] = {}

    def deny(self, role: str | None, *actions: str) -> None:
        """`actions` as in a RAM policy: `ecs:DeleteSnapshot`, `ecs:*`. Role None is the account's own key."""
        self._denied.setdefault(role, set()).update(actions)

    def allow_again(self, role: str | None) -> None:
        self._denied.pop(role, None)

    def denies(self, role: str | None, action: str) -> bool:
        patterns = self._denied.get(role)
        return bool(patterns) and any(fnmatchcase(action, pattern) for pattern in patterns or ())

    def check(self, role: str | None, action: str) -> None:
        if self.denies(role, action) and action != "ecs:DescribeInstances":
            raise ApiError("Forbidden.RAM", f"User not authorized to operate on the specified resource: {action}.", 403)
