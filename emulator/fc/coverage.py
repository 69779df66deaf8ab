"""What of Function Compute is here: for every call what it does, what it does not, and which errors it answers.

The coverage page is made of this. A parameter of a query that is not named here is refused; an error that is answered
without standing here is kept in `emulator.wire.declare.UNDECLARED`, where the tests look.
Source of the codes: Function Compute documentation, error codes (2.0 and API 2023-03-30), 2025.
"""

import logging
from collections.abc import Mapping
from typing import Final

from emulator.wire.declare import GATEWAY_CODES, UNDECLARED, OperationInfo

log: Final = logging.getLogger(__name__)

COMMON_ERRORS: Final = frozenset(
    [
        *GATEWAY_CODES,  # of the newer signature (assumption: as at the RPC services)
        "AccessDenied",
        "EntityTooLarge",
        "FunctionNotFound",
        "InvalidAccessKeyID",
        "InvalidArgument",
        "InvalidSecurityToken",
        "MethodNotAllowed",
        "PathNotSupported",
        "RequestTimeTooSkewed",
        "SignatureNotMatch",
        "Unauthorized",
        "VersionNotFound",
    ]
)
_PAGE: Final = ("limit", "nextToken")
_VERSIONS: Final = ("versions and aliases: LATEST alone is known",)
_TIMES: Final = ("times of creation and change",)

OPERATIONS: Final[Mapping[str, OperationInfo]] = {
    "InvokeFunction": OperationInfo(
        implemented="Runs a function in a process of its own, synchronously or through the asynchronous queue; also by "
        "the older API 2016-08-15 (`/services/S/functions/F/invocations`) and by HTTP triggers. x-fc-log-type Tail "
        "answers the last 4 KB of the log.",
        not_modelled=(*_VERSIONS, "log lines of other instances at work at the same moment are not told apart"),
        errors=("ResourceExhausted", "AsyncTaskAlreadyExists", "TriggerNotFound"),
        reads=("qualifier",),
    ),
    "ListFunctions": OperationInfo(
        implemented="The functions of the s.yaml, by prefix, in pages.",
        not_modelled=("the other filters", *_TIMES),
        reads=("prefix", *_PAGE),
    ),
    "GetFunction": OperationInfo(
        implemented="What the s.yaml says of a function, and whether it may be called.",
        not_modelled=(*_VERSIONS, *_TIMES, "code, layers, logs, NAS and VPC settings in the answer"),
        reads=("qualifier",),
    ),
    "ListTriggers": OperationInfo(implemented="A function's triggers.", not_modelled=_TIMES, reads=("prefix", *_PAGE)),
    "GetTrigger": OperationInfo(
        implemented="One trigger, its configuration as a JSON string.",
        not_modelled=(*_TIMES, "ids and public addresses of HTTP triggers: see `/_fc/http`"),
        errors=("TriggerNotFound",),
    ),
    "CreateTrigger": OperationInfo(
        implemented="Timers, HTTP triggers and EventBridge rules on the default bus; a timer counts from now on.",
        not_modelled=("other sources and triggers", "sourceArn, invocationRole", "event streaming"),
        errors=("TriggerAlreadyExists", "LimitExceeded"),
    ),
    "UpdateTrigger": OperationInfo(
        implemented="Switches a trigger, or changes its configuration.",
        not_modelled=("invocationRole",),
        errors=("TriggerNotFound",),
    ),
    "DeleteTrigger": OperationInfo(implemented="Takes a trigger away.", errors=("TriggerNotFound",)),
    "GetAsyncInvokeConfig": OperationInfo(
        implemented="Retries, age, task mode and destinations.",
        not_modelled=(*_VERSIONS, *_TIMES),
        errors=("AsyncConfigNotExists",),
        reads=("qualifier",),
    ),
    "PutAsyncInvokeConfig": OperationInfo(
        implemented="Sets them; what is queued keeps what it was accepted with.",
        not_modelled=(*_VERSIONS, "whether a destination exists: it is only logged when there is nothing there"),
        reads=("qualifier",),
    ),
    "DeleteAsyncInvokeConfig": OperationInfo(
        implemented="Back to the defaults.", errors=("AsyncConfigNotExists",), reads=("qualifier",)
    ),
    "ListAsyncInvokeConfigs": OperationInfo(
        implemented="Those of all functions or of one.", reads=("functionName", *_PAGE)
    ),
    "ListAsyncTasks": OperationInfo(
        implemented="The tasks of a function by status, prefix and time, in pages.",
        not_modelled=("how long finished tasks are kept: until the emulator ends",),
        reads=(
            "includePayload",
            "prefix",
            "qualifier",
            "sortOrderByTime",
            "startedTimeBegin",
            "startedTimeEnd",
            "status",
            *_PAGE,
        ),
    ),
    "GetAsyncTask": OperationInfo(
        implemented="One task with its history, payload and answer.",
        not_modelled=("instanceId", "destinationStatus"),
        errors=("AsyncTaskNotFound",),
        reads=("qualifier",),
    ),
    "StopAsyncTask": OperationInfo(
        implemented="A task that waits is not run, one that runs is killed; neither is tried again.",
        errors=("AsyncTaskNotFound", "AsyncInvocationStopped"),
        reads=("qualifier",),
    ),
    "GetConcurrencyConfig": OperationInfo(implemented="The reserved concurrency."),
    "PutConcurrencyConfig": OperationInfo(implemented="Reserves concurrency: a guarantee and a limit, at once."),
    "DeleteConcurrencyConfig": OperationInfo(implemented="Frees it."),
    "ListConcurrencyConfigs": OperationInfo(
        implemented="Those of all functions or of one.", reads=("functionName", *_PAGE)
    ),
    "DisableFunctionInvocation": OperationInfo(
        implemented="Refuses calls from now on; on request what is running is killed. What is queued waits.",
        not_modelled=("provisioned instances",),
    ),
    "EnableFunctionInvocation": OperationInfo(implemented="Lets calls in again."),
}

OTHERS: Final = frozenset([
    "ChangeResourceGroup", "CreateAlias", "CreateCustomDomain", "CreateFunction", "CreateLayerVersion",
    "CreateSession", "CreateSnapshot", "CreateVpcBinding", "DeleteAlias", "DeleteCustomDomain", "DeleteFunction",
    "DeleteFunctionVersion", "DeleteLayerVersion", "DeleteProvisionConfig", "DeleteScalingConfig", "DeleteSession",
    "DeleteSnapshot", "DeleteVpcBinding", "DescribeRegions", "GetAlias", "GetCustomDomain", "GetFunctionCode",
    "GetLayerVersion", "GetLayerVersionByArn", "GetProvisionConfig", "GetScalingConfig", "GetSession",
    "GetSnapshot", "ListAliases", "ListCustomDomains", "ListFunctionVersions", "ListInstances", "ListLayerVersions",
    "ListLayers", "ListProvisionConfigs", "ListScalingConfigs", "ListSessions", "ListSnapshots", "ListTagResources",
    "ListVpcBindings", "PauseSession", "PublishFunctionVersion", "PutLayerACL", "PutProvisionConfig",
    "PutScalingConfig", "ResumeSession", "TagResources", "UntagResources", "UpdateAlias", "UpdateCustomDomain",
    "UpdateFunction", "UpdateSession",
])  # fmt: skip
"""Calls of API 2023-03-30 that are not here."""


def check_error(action: str, code: str) -> None:
    info = OPERATIONS.get(action)
    if code in COMMON_ERRORS or (info is not None and code in info.errors):
        return
    log.error("error not declared: fc %s answered %s", action, code)
    UNDECLARED.append((action, code))
