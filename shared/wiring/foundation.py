"""What every function stands on: settings, clock, store, its own functions. Built once per instance, on first use.

Credentials are not built once: adapters read them through the provider at every call, because they expire while a warm
instance lives on. Heavy SDKs are imported inside the builders, so that a function loads only those it uses.
"""

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from shared.adapters import environment
from shared.adapters.clock import RemoteClock, SystemClock
from shared.adapters.credentials import Credentials
from shared.adapters.credentials import from_environment as credentials
from shared.config.settings import Settings, settings
from shared.domain.errors import BadInput
from shared.domain.ids import AccountName
from shared.domain.place import HOME
from shared.ports.compute import Clouds
from shared.ports.functions import Functions
from shared.ports.store import Store

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
def clouds() -> Clouds:
    """The ECS of every place that the policy names."""
    from shared.adapters.ecs_clouds import EcsClouds

    return EcsClouds(endpoint_of=endpoint, keys_of=keys_of)


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


def keys_of(account: AccountName) -> Callable[[], Credentials]:
    if account != HOME:
        raise BadInput(f"account {account} of the policy cannot be entered yet")
    return credentials


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
