"""Who may do what: the users and roles of all accounts, and the question every door asks before it acts.

An account's own key may do everything. A user's or role's key may do what its policies allow, less what its session's
policy leaves out. As long as an account has declared no user and no role, nothing is enforced in it, and the log says
so once: most tests are not about permissions. With the first one declared, whoever is not known is denied.

Not modelled: control policies of a resource directory, resource groups, user groups, resource policies of Tablestore
instances, the service-linked roles by which timers, EventBridge and FC itself call a function.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final

from emulator.keys import Key
from emulator.ram import resources
from emulator.ram.denial import denied, detail, pass_role_denied
from emulator.ram.policy import Decision, Statement, evaluate, parse
from emulator.ram.principals import SESSION_AT_MOST, Role, User
from emulator.wire.call import Call, Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

log: Final = logging.getLogger(__name__)
DECISIONS_KEPT: Final = 50_000
QUESTIONS_KEPT: Final = 100_000
Document = str | Mapping[str, Any]
_EMPTY_INSTEAD: Final = frozenset(["ecs:DescribeInstances"])
"""Answered by an empty list where permission is missing (ECS documentation, DescribeInstances)."""
_ALLOWED: Final = Decision(allowed=True, because="the account's own key")


@dataclass(slots=True)
class Asked:
    """How often one question was answered."""

    allowed: int = 0
    denied: int = 0


class Ram:
    def __init__(self, cloud: "Cloud") -> None:
        self._cloud = cloud
        self._roles: dict[tuple[str, str], Role] = {}
        self._users: dict[tuple[str, str], User] = {}
        self._denied: dict[str | None, set[str]] = {}
        self._decisions: dict[tuple[str, str, str], Decision] = {}
        self._sessions: dict[str, tuple[Statement, ...]] = {}
        self._enforced: set[str] = set()
        self._told: set[str] = set()
        self.exercised: dict[tuple[str, str, str], Asked] = {}
        """Each question under enforcement: (principal, action, resource)."""

    # What is declared -----------------------------------------------------------------------------------------

    def role(
        self,
        name: str,
        *policies: Document,
        trust: Document | None = None,
        account: str | None = None,
        max_session: timedelta = SESSION_AT_MOST,
    ) -> Role:
        """Declare a role, or replace it. Raises PolicyError."""
        owner = account or self._cloud.account
        role = Role(
            name=name,
            account=owner,
            id=self._id_of(self._roles.get((owner, name))),
            statements=_statements(name, policies),
            trust=None if trust is None else parse(trust, f"trust policy of {name}", trust=True),
            max_session=max_session,
        )
        self._roles[owner, name] = role
        self._changed(owner)
        return role

    def user(self, name: str, *policies: Document, account: str | None = None) -> User:
        """Declare a RAM user, or replace it; its keys are added with `cloud.keys.add(..., user=name)`."""
        owner = account or self._cloud.account
        number = self._id_of(self._users.get((owner, name)))
        user = User(name=name, account=owner, id=number, statements=_statements(name, policies))
        self._users[owner, name] = user
        self._changed(owner)
        return user

    def find_role(self, account: str, name: str) -> Role | None:
        return self._roles.get((account, name))

    def find_user(self, account: str, name: str) -> User | None:
        return self._users.get((account, name))

    @property
    def roles(self) -> tuple[Role, ...]:
        return tuple(self._roles.values())

    def enforced(self, account: str) -> bool:
        return account in self._enforced

    def _id_of(self, before: User | Role | None) -> str:
        """Numbers like the cloud's, 18 digits."""
        return before.id if before else f"3{len(self._roles) + len(self._users) + 1:017d}"

    def _changed(self, account: str) -> None:
        self._enforced.add(account)
        self._decisions.clear()

    # Denials by hand, on top of all policies: for tests ---------------------------------------------------------

    def deny(self, role: str | None, *actions: str) -> None:
        """`actions` as in a RAM policy: `ecs:DeleteSnapshot`, `ecs:*`. Role None is the account's own key."""
        self._denied.setdefault(role, set()).update(actions)

    def allow_again(self, role: str | None) -> None:
        self._denied.pop(role, None)

    def allow(self, role: str | None, *actions: str) -> None:
        """Take back these patterns of `deny`, and no others."""
        self._denied.get(role, set()).difference_update(actions)

    def denies(self, role: str | None, action: str) -> bool:
        patterns = self._denied.get(role)
        return bool(patterns) and any(fnmatchcase(action, pattern) for pattern in patterns or ())

    # The question ---------------------------------------------------------------------------------------------

    def authorize(self, call: Call, service: str) -> None:
        """Raises ApiError: Forbidden.RAM, or what the service says instead."""
        decision, resource = self._decide_call(call, service)
        if not decision.allowed and f"{service}:{call.action}" not in _EMPTY_INSTEAD:
            raise denied(service, call.action, resource, call.caller, self._named(call.caller), decision)
        self._authorize_pass_role(call)

    def permits(self, call: Call, service: str) -> bool:
        """The same question as an answer, for calls that leave out what they may not show."""
        return self._decide_call(call, service)[0].allowed

    def _decide_call(self, call: Call, service: str) -> tuple[Decision, str]:
        def touched() -> tuple[str, ...]:
            # Snapshot policies' own spelling of where they are to act, whatever endpoint was called.
            elsewhere = call.params.get("regionId", "")
            region = elsewhere if elsewhere in self._cloud.regions else call.region
            realm = self._cloud.realm(call.caller.account, region)
            return resources.resources(realm, service, call.action, call.params)

        return self.decide(call.caller, f"{service}:{call.action}", touched)

    def decide(
        self,
        caller: Caller | Key,
        action: str,
        touched: Callable[[], tuple[str, ...]],
        context: Mapping[str, str] | None = None,
    ) -> tuple[Decision, str]:
        """The first resource that is denied, with the decision; else an allowing one. `touched` is asked only when
        policies have a say."""
        if self.denies(caller.role, action):
            return Decision(allowed=False, because=f"{action} was denied by hand", explicit=True), "*"
        key = caller if isinstance(caller, Key) else self._cloud.keys.find(caller.access_key)
        if key is None or (key.role is None and key.user is None):
            return _ALLOWED, "*"
        if key.account not in self._enforced:
            self._tell(key.account)
            return _ALLOWED, "*"
        found = (_ALLOWED, "*")
        for resource in touched():
            decision = self._decided(key, caller, action, resource, context or {})
            if not decision.allowed:
                return decision, resource
            found = (decision, resource)
        return found

    def _decided(
        self, key: Key, caller: Caller | Key, action: str, resource: str, given: Mapping[str, str]
    ) -> Decision:
        who = key.id if key.policy else f"{key.account}/{key.user or ''}/{key.role or ''}"
        asked = (who, action, resource)
        decision = self._decisions.get(asked)
        if decision is None:
            context = _Circumstances(self._cloud, caller, resource, given)
            decision = self._evaluated(key, action, resource, context)
            if not decision.conditional:
                if len(self._decisions) >= DECISIONS_KEPT:
                    self._decisions.clear()
                self._decisions[asked] = decision
        self._count((key.role or key.user or "", action, resource), decision.allowed)
        return decision

    def _count(self, question: tuple[str, str, str], allowed: bool) -> None:
        asked = self.exercised.get(question)
        if asked is None:
            if len(self.exercised) >= QUESTIONS_KEPT:
                return
            asked = self.exercised[question] = Asked()
        if allowed:
            asked.allowed += 1
        else:
            asked.denied += 1

    def _evaluated(self, key: Key, action: str, resource: str, context: Mapping[str, str]) -> Decision:
        if key.role is not None:
            principal: Role | User | None = self._roles.get((key.account, key.role))
        else:
            principal = self._users.get((key.account, key.user or ""))
        if principal is None:
            because = f"RAM of account {key.account} knows no {'role' if key.role else 'user'} {key.role or key.user}"
            return Decision(allowed=False, because=because)
        decision = evaluate(principal.statements, action, resource, context)
        if decision.allowed and key.policy:  # the session can only take away
            session = evaluate(self._session(key), action, resource, context)
            conditional = decision.conditional or session.conditional
            return replace(session, policy_type="SessionPolicy", conditional=conditional)
        return decision

    def _session(self, key: Key) -> tuple[Statement, ...]:
        if key.id not in self._sessions:
            self._sessions[key.id] = parse(key.policy or "", "session policy")
        return self._sessions[key.id]

    def _tell(self, account: str) -> None:
        if account not in self._told:
            self._told.add(account)
            log.info("no role or user is declared in account %s: permissions are not enforced there", account)

    def explain(
        self, service: str, action: str, resource: str, caller: Caller, decision: Decision
    ) -> Mapping[str, Any]:
        """AccessDeniedDetail of a refusal."""
        return detail(service, action, resource, caller, self._named(caller), decision)

    def _named(self, caller: Caller) -> tuple[str, str]:
        """(display name, type) of the caller, as a refusal tells them."""
        key = self._cloud.keys.find(caller.access_key)
        if caller.role is not None:
            session = key.session if key else ""
            role = self._roles.get((caller.account, caller.role))
            return f"{role.id if role else caller.role}:{session}", "AssumedRoleUser"
        user = self._users.get((caller.account, key.user or "")) if key else None
        return (user.id, "SubUser") if user else (caller.account, "Account")

    # Roles that are handed on ---------------------------------------------------------------------------------

    def _authorize_pass_role(self, call: Call) -> None:
        """Whoever gives a machine a role needs `ram:PassRole` on it: else it could give itself any right.

        Source: ECS documentation (RunInstances answers InvalidUser.PassRoleForbidden)."""
        name = call.params.get("RamRoleName")
        if not name or call.action not in ("RunInstances", "CreateInstance", "AttachInstanceRamRole"):
            return
        passed = f"acs:ram:*:{call.caller.account}:role/{name}"
        decision, _ = self.decide(call.caller, "ram:PassRole", lambda: (passed,))
        if not decision.allowed:
            raise pass_role_denied(name)

    def may_invoke(self, role: str | None, function_arn: str) -> bool:
        """Whether a function that runs as `role` may call a destination: FC calls it in the role of its source.

        A function without a role calls nothing where policies are enforced."""
        account = self._cloud.account
        if account not in self._enforced or function_arn.count(":") < 4:
            return not self.denies(role, "fc:InvokeFunction")
        if role is None:
            return False
        key = Key(id=f"fc/{role}", secret="", account=account, role=role)
        target = function_arn.rstrip("/")
        return self.decide(key, "fc:InvokeFunction", lambda: (target,))[0].allowed


class _Circumstances(Mapping[str, str]):
    """What conditions can ask of one request; looked up only when one does.

    Keys (`conditions.KEYS`): acs:CurrentTime, acs:SourceIp, acs:SecureTransport (always false: the emulator speaks
    HTTP), acs:MFAPresent (always false), and the tags of an ECS resource as ecs:tag/KEY and acs:ResourceTag/KEY. Not
    modelled, and refused when a policy is read: all others, such as acs:RequestTag, acs:SourceVpc, acs:PrincipalARN.
    """

    def __init__(self, cloud: "Cloud", caller: Caller | Key, resource: str, given: Mapping[str, str]) -> None:
        self._cloud = cloud
        self._caller = caller
        self._resource = resource
        self._given = given

    def __getitem__(self, key: str) -> str:
        if key in self._given:
            return self._given[key]
        match key:
            case "acs:CurrentTime":
                return self._cloud.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")
            case "acs:SourceIp" if isinstance(self._caller, Caller) and self._caller.source:
                return self._caller.source
            case "acs:SecureTransport" | "acs:MFAPresent":
                return "false"
        scheme, _, tag = key.partition("/")
        if scheme in ("ecs:tag", "acs:ResourceTag") and tag:
            return self._tags()[tag]
        raise KeyError(key)

    def _tags(self) -> Mapping[str, str]:
        parts = self._resource.split(":", 4)
        if len(parts) != 5 or parts[1] != "ecs" or parts[2] not in self._cloud.regions:
            return {}
        kind, _, name = parts[4].partition("/")
        ecs = self._cloud.realm(parts[3], parts[2]).ecs
        shelves: Mapping[str, Any] = {
            "instance": ecs.shelf,
            "disk": ecs.disks.shelf,
            "snapshot": ecs.snapshots.shelf,
            "image": ecs.images.shelf,
            "snapshotgroup": ecs.groups.shelf,
        }
        found = shelves[kind].get(name) if kind in shelves else None
        tags: Mapping[str, str] = found.tags if found is not None else {}
        return tags

    def __iter__(self) -> Iterator[str]:
        return iter(self._given)

    def __len__(self) -> int:
        return len(self._given)


def _statements(name: str, policies: tuple[Document, ...]) -> tuple[Statement, ...]:
    found: list[Statement] = []
    for number, document in enumerate(policies):
        found.extend(parse(document, f"policy {number} of {name}"))
    return tuple(found)
