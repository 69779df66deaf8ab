"""Whoever is asked before a pair fails over: a function of the account, or a URL inside the VPC."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from shared.domain.pair import Hook


class Said(StrEnum):
    PROCEED = "proceed"
    VETO = "veto"
    SILENT = "silent"  # no answer in time, or none that can be read


@dataclass(frozen=True, slots=True, kw_only=True)
class HookAnswer:
    said: Said
    why: str = ""


class Hooks(Protocol):
    def ask(self, hook: Hook, question: bytes) -> HookAnswer:
        """`question`: JSON. Answers within `hook.within`, or is silent; never raises for a hook that does not answer.

        An answer is JSON with the key `veto`: true or false, and with `because`. Of a URL, status 200 to 299 is needed.
        It may be asked any number of times, and by the watches of both sites at once.
        """
        ...
