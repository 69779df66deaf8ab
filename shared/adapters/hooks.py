"""Asking a pair's hooks: a URL inside the VPC, or a function of this account."""

import http.client
import json
import urllib.request
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from shared.domain.errors import DrError
from shared.domain.pair import Hook
from shared.ports.functions import Functions
from shared.ports.hooks import HookAnswer, Said

RAM_ACTIONS: Final = ("fc:InvokeFunction",)
LARGEST: Final = 16 * 1024

Ask = Callable[[str, bytes, timedelta], bytes]


class CloudHooks:
    """Hooks port. Safe to share between threads."""

    def __init__(self, *, functions: Callable[[timedelta], Functions]) -> None:
        """`functions`: those of the account, by their full names, each answering within so long. Built when a hook
        needs it: pairs without such hooks load no SDK for them."""
        self._functions = functions

    def ask(self, hook: Hook, question: bytes) -> HookAnswer:
        try:
            if hook.function:
                return answer_of(self._functions(hook.within).invoke(hook.function, question))
            return answer_of(_post(hook.url, question, hook.within))
        except (DrError, OSError, ValueError, http.client.HTTPException) as error:
            return HookAnswer(said=Said.SILENT, why=str(error) or type(error).__name__)


def answer_of(body: bytes) -> HookAnswer:
    """Raises ValueError when it is no answer: nothing is guessed from a page that says something else."""
    said: Any = json.loads(body)
    if not isinstance(said, dict) or not isinstance(said.get("veto"), bool):
        raise ValueError(f"not an answer of a hook, which has the key `veto`: {body[:80]!r}")
    because = said.get("because", "")
    return HookAnswer(
        said=Said.VETO if said["veto"] else Said.PROCEED, why=because if isinstance(because, str) else repr(because)
    )


def _post(url: str, question: bytes, within: timedelta) -> bytes:
    request = urllib.request.Request(  # noqa: S310  # the policy's section lets nothing but http and https through
        url, data=question, headers={"Content-Type": "application/json"}, method="POST"
    )
    with urllib.request.urlopen(request, timeout=within.total_seconds()) as answer:  # noqa: S310  # as above
        body: bytes = answer.read(LARGEST)
    return body
