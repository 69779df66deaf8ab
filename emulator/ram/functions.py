"""Function Compute's resources, and its refusal.

Sources: Function Compute documentation, RAM authorization (`acs:fc:REGION:ACCOUNT:functions/NAME`); the sentence of a
refusal is published by users of the older API (assumption: the newer one says the same).
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from emulator.wire.call import ApiError, Caller

if TYPE_CHECKING:
    from emulator.cloud import Cloud

_NAMED: Final = "functions/{name}"
_TRIGGER: Final = "functions/{name}/triggers/{trigger}"
ROWS: Final[Mapping[str, str]] = {
    "InvokeFunction": _NAMED,
    "GetFunction": _NAMED,
    "ListFunctions": "functions/*",
    "ListTriggers": "functions/{name}/triggers/*",
    "GetTrigger": _TRIGGER,
    "UpdateTrigger": _TRIGGER,
    "CreateTrigger": "functions/{name}/triggers/*",
    "DeleteTrigger": _TRIGGER,
    "ListAsyncTasks": _NAMED,
    "GetAsyncTask": _NAMED,
    "StopAsyncTask": _NAMED,
    "GetAsyncInvokeConfig": _NAMED,
    "PutAsyncInvokeConfig": _NAMED,
    "DeleteAsyncInvokeConfig": _NAMED,
    "GetConcurrencyConfig": _NAMED,
    "PutConcurrencyConfig": _NAMED,
    "DeleteConcurrencyConfig": _NAMED,
    "DisableFunctionInvocation": _NAMED,
    "EnableFunctionInvocation": _NAMED,
    "ListAsyncInvokeConfigs": "*",
    "ListConcurrencyConfigs": "*",
}
"""Synchronous and asynchronous invocations are one action. `Unknown`, what is not modelled, is about everything."""


def authorize(cloud: "Cloud", caller: Caller, action: str, names: Mapping[str, str]) -> None:
    """`names` are those of the path: service (older API only), name, trigger. Raises ApiError AccessDenied."""
    region = cloud.fc.project.region if cloud.fc is not None else cloud.region
    row = ROWS.get(action, "*")
    if "service" in names:
        row = "services/{service}/functions/{name}"
    touched = f"acs:fc:{region}:{cloud.account}:{row.format_map(names)}"
    foreign = caller.account != cloud.account
    decision, resource = cloud.ram.decide(caller, f"fc:{action}", lambda: (touched,))
    if decision.allowed and not foreign:
        return
    message = f"the caller is not authorized to perform 'fc:{action}' on resource '{touched}'"
    more = {} if foreign else {"AccessDeniedDetail": cloud.ram.explain("fc", action, resource, caller, decision)}
    raise ApiError("AccessDenied", message, 403, more=more)
