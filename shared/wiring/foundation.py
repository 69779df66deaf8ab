"""What every function stands on: settings, clock, store, its own functions. Built once per instance, on first use.

Credentials are not built once: adapters read them through the provider at every call, because they expire while a warm
instance lives on. Heavy SDKs are imported inside the builders, so that a function loads only those it uses.
"""

from collections.abc import Callable
from datetime import timedelta
from functools import cache
from typing import TYPE_CHECKING, Final

from shared.adapters import chance, environment
from shared.adapters.clock import RemoteClock, SystemClock
from shared.adapters.credentials import Credentials
from shared.adapters.credentials import from_environment as credentials
from shared.config.settings import Settings, settings
from shared.domain.budget import Caller
from shared.domain.errors import BadInput
from shared.domain.ids import AccountName
from shared.domain.place import HOME, Place
from shared.domain.policy import Policy
from shared.ports.clock import Clock
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.pace import Pace
from shared.ports.store import Store
from shared.state.budgets import Budgets
from shared.state.policies import Policies

if TYPE_CHECKING:
    from shared.adapters.sdk import Endpoint

__all__ = ["clock", "clouds", "configuration", "credentials", "endpoint", "functions", "store"]


@cache
def configuration() -> Settings:
    """Raises BadInput naming the variable and its remedy."""
    return settings(environment.variable, environment.require)


@cache
def clock() -> SystemClock | RemoteClock:
    """The machine's clock, or a local emulator's. `guarded` synchronises it once per invocation."""
    url = configuration().clock_url
    return SystemClock() if url is None else RemoteClock(url)


@cache
def store() -> Store:
    from shared.adapters.ots import OtsStore

    configured = configuration()
    return OtsStore(
        endpoint=configured.ots_endpoint,
        instance=configured.ots_instance,
        credentials=credentials,
        region=configured.region,
    )


@cache
def clouds(*, may_delete: bool = False, wait_until: timedelta | None = None) -> Clouds:
    """The ECS of every place that the policy names, paced for back-ups and prune. In other accounts our session cannot
    delete unless `may_delete`, whatever their role allows. `wait_until`: as in `pacing`."""
    from shared.adapters.ecs_clouds import EcsClouds

    return EcsClouds(
        endpoint_of=endpoint,
        keys_of=lambda account: keys_of(account, may_delete=may_delete),
        pace_of=pacing(Caller.ORDINARY, wait_until=wait_until),
    )


@cache
def clouds_of_operator() -> Clouds:
    """The same for somebody at a terminal: a few calls, which keep no budget and need no right to the store."""
    from shared.adapters.ecs_clouds import EcsClouds

    return EcsClouds(endpoint_of=endpoint, keys_of=keys_of)


def clouds_of(policy: Policy) -> Clouds:
    """The same for a policy that is not active yet: its own accounts count, as nobody can apply what needs itself."""
    from shared.adapters.ecs_clouds import EcsClouds

    def keys(account: AccountName) -> Callable[[], Credentials]:
        return (
            credentials if account == HOME else _session(account, lambda: policy, f"policy names no account {account}")
        )

    return EcsClouds(endpoint_of=endpoint, keys_of=keys)


@cache
def pacing(caller: Caller, *, wait_until: timedelta | None = None) -> Callable[[Place], Pace]:
    """What asks for the budget of each place, by the limits of the active policy. `wait_until`: how long after its
    beginning an invocation may still wait in a listing; by default as fits the caller's functions."""
    from shared.adapters.pacing import RECOVERY_WAITS_UNTIL, WAIT_UNTIL, Pacing, Patience

    budgets = Budgets(store(), owner=chance.token())
    usual = RECOVERY_WAITS_UNTIL if caller is Caller.RECOVERY else WAIT_UNTIL
    patience = Patience(clock(), wait_until or usual)
    policies = Policies(store())
    lately = _Lately(lambda: policies.active()[1], clock())
    return lambda place: Pacing(
        place,
        budgets=budgets,
        limits=lambda: lately.read().limits,
        caller=caller,
        clock=clock(),
        patience=patience,
        jitter=chance.jitter,
    )


def endpoint(region: str) -> "Endpoint":
    """Where a region's services answer: the official hosts, or a local cloud's door for it."""
    from shared.adapters.sdk import Endpoint

    configured = configuration()
    at_home = configured.endpoint if region == configured.region else None
    if configured.endpoint is not None and at_home is None and region not in configured.endpoints:
        raise BadInput(
            f"region {region} has no endpoint here: name it in UNDERSTUDY_ENDPOINTS ({region}=http://HOST:PORT), as "
            "UNDERSTUDY_ENDPOINT says that this is a local cloud"
        )
    return Endpoint(region, at_home or configured.endpoints.get(region))


def keys_of(account: AccountName, *, may_delete: bool = False) -> Callable[[], Credentials]:
    """How an account of the active policy is entered. Raises BadInput for one that it does not name."""
    if account == HOME:
        return credentials
    return entered(account, may_delete)


@cache
def entered(account: AccountName, may_delete: bool) -> Callable[[], Credentials]:
    policies = Policies(store())
    lately = _Lately(lambda: policies.active()[1], clock())
    missing = f"the active policy names no account {account}: add it under `accounts` and apply it"
    return _session(account, lately.read, missing, may_delete=may_delete)


def _session(
    account: AccountName, policy: Callable[[], Policy], missing: str, *, may_delete: bool = False
) -> Callable[[], Credentials]:
    from shared.adapters.sts import AssumedRole

    def role() -> str:
        found = next((one for one in policy().accounts if one.name == account), None)
        if found is None:
            raise BadInput(missing)
        return found.role

    role()
    return AssumedRole(
        account,
        role,
        may_delete=may_delete,
        endpoint=endpoint(configuration().region),
        credentials=credentials,
        clock=clock(),
    )


class _Lately:
    """The active policy, as it stood a few minutes ago at most."""

    FOR: Final = timedelta(minutes=5)

    def __init__(self, read: Callable[[], Policy], clock: Clock) -> None:
        self._read, self._clock = read, clock
        self._known: tuple[float, Policy] | None = None

    def read(self) -> Policy:
        now = self._clock.monotonic()
        if self._known is None or now - self._known[0] > self.FOR.total_seconds():
            self._known = (now, self._read())
        return self._known[1]


@cache
def functions() -> Functions:
    from shared.adapters.functions import Fc2Functions, FcFunctions
    from shared.adapters.sdk import Endpoint

    configured = configuration()
    where = Endpoint(configured.region, configured.endpoint)
    if configured.fc_service is not None:
        return Fc2Functions(
            endpoint=where,
            credentials=credentials,
            service=configured.fc_service,
            account=configured.account,
            prefix=configured.function_prefix,
        )
    return FcFunctions(
        endpoint=where, credentials=credentials, account=configured.account, prefix=configured.function_prefix
    )
