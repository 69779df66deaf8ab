"""Numbered, immutable policy versions, and which of them is active.

Crash order of `append`: the version, then the head. A version that no head ever named was never active; its number is
not used again.
"""

from typing import Final

from shared.domain.errors import BadInput, Conflict
from shared.domain.ids import PolicyVersion
from shared.domain.policy import Policy
from shared.ports.store import Absent, Condition, Matches, Row, Store
from shared.state import codec, settle
from shared.state.controls import POLICY as HEAD
from shared.state.controls import TABLE as HEADS

TABLE: Final = "policies"
NAME: Final = "understudy"


class Policies:
    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[PolicyVersion, Policy] = {}  # versions are immutable, so an instance reads each once

    def active(self) -> tuple[PolicyVersion, Policy]:
        """Raises BadInput with its remedy when no policy was ever applied."""
        version = self.active_version()
        if version is None:
            raise BadInput("no policy is active in the state store: run `understudy apply` against this region")
        return version, self.at(version)

    def active_version(self) -> PolicyVersion | None:
        head = self._store.get(HEADS, (HEAD,))
        return None if head is None else PolicyVersion(int(head.columns["version"]))

    def at(self, version: PolicyVersion) -> Policy:
        """The content of one version. Raises BadInput when there is none."""
        if version not in self._known:
            row = self._store.get(TABLE, _key(version))
            if row is None:
                raise BadInput(f"policy version {version} is not in the state store: run `understudy apply` again")
            self._known[version] = codec.load(Policy, str(row.columns["body"]))
        return self._known[version]

    def append(self, policy: Policy) -> PolicyVersion:
        """Write a new version and make it active; an unchanged policy keeps its number.

        Raises Conflict when another apply ran at the same time (run it again).
        """
        active = self.active_version()
        if active is not None and self.at(active) == policy:
            return active
        version = PolicyVersion(self._newest() + 1)
        row = Row(key=_key(version), columns={"body": codec.dump(policy)})
        self._put_first(TABLE, row, Absent())
        before: Condition = Absent() if active is None else Matches({"version": active})
        self._put_first(HEADS, Row(key=(HEAD,), columns={"version": version}), before)
        return version

    def _newest(self) -> int:
        for row in self._store.scan(TABLE, (NAME,), backward=True, limit=1):
            return int(row.key[1])
        return 0

    def _put_first(self, table: str, row: Row, condition: Condition) -> None:
        try:
            settle.put(self._store, table, row, condition=condition)
        except Conflict as error:
            raise Conflict(
                "another `understudy apply` ran at the same time: look at what it did, then retry"
            ) from error


def _key(version: PolicyVersion) -> tuple[str, str]:
    return (NAME, f"{version:08d}")
