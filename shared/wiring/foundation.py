"""What every function stands on: settings, clock, store, its own functions. Built once per instance, on first use.

Credentials are not built once: adapters read them through the provider at every call, because they expire while a warm
instance lives on. Heavy SDKs are imported inside the builders, so that a function loads only those it uses.
"""

from functools import cache

from shared.adapters import environment
from shared.adapters.clock import RemoteClock, SystemClock
from shared.adapters.credentials import from_environment as credentials
from shared.config.settings import Settings, settings
from shared.ports.functions import Functions
from shared.ports.store import Store

__all__ = ["clock", "configuration", "credentials", "functions", "store"]


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
