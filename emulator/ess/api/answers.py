"""What the ESS operations share: pages, times, tokens and who asked."""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from emulator.ess.activity import BY_API, Trigger
from emulator.wire import params
from emulator.wire.call import Call

if TYPE_CHECKING:
    from emulator.ess.model import AutoScaling

T = TypeVar("T")

VERSION: Final = "2022-02-22"
PAGING: Final = ("PageNumber", "PageSize")


def page(
    call: Call, items: Sequence[T], show: Callable[[T], dict[str, Any]], name: str, *, most: int
) -> dict[str, Any]:
    """`{name: [...], TotalCount, PageNumber, PageSize}`; ten at a time unless asked otherwise."""
    number = params.integer(call.params, "PageNumber", 1, low=1)
    size = params.integer(call.params, "PageSize", 10, low=1, high=most)
    shown = items[(number - 1) * size : number * size]
    return {
        name: [show(item) for item in shown],
        "TotalCount": len(items),
        "PageNumber": number,
        "PageSize": size,
    }


def trigger(call: Call) -> Trigger:
    return Trigger(kind=BY_API, id=call.caller.account)


def cause(call: Call) -> str:
    return f"{call.action} was called"


def weights(call: Call, count: int) -> list[int | None]:
    """`LoadBalancerWeights.N`: one for each of `count` instances, or none at all."""
    sent = params.integers(call.params, "LoadBalancerWeights")
    if sent and len(sent) != count:
        raise params.invalid("LoadBalancerWeights", "it needs one weight for each instance")
    if any(weight is not None and not 0 <= weight <= 100 for weight in sent):
        raise params.invalid("LoadBalancerWeights", "a weight is 0 to 100")
    return sent or [None] * count


def once(ess: "AutoScaling", call: Call, act: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The same ClientToken with the same parameters answers what it answered first."""
    fingerprint = tuple(sorted(item for item in call.params.items() if item[0] != "ClientToken"))
    answer: dict[str, Any] = ess.tokens.once(call.action, params.text(call.params, "ClientToken"), fingerprint, act)
    return answer


TOKEN_ERRORS: Final = ("IdempotentParameterMismatch", "InvalidClientToken.Malformed")
