"""`restore` of `understudy.yaml`: what goes for every rollback."""

from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator

from shared.config.policy_section import Section, key
from shared.config.policy_values import DURATION, duration, in_words

_DAY = timedelta(days=1)
_LONGEST = 365 * _DAY


def _days(value: object) -> timedelta:
    length = duration(_DAY, _LONGEST)(value)
    if length % _DAY:
        whole = max(_DAY, length // _DAY * _DAY)
        raise ValueError(f"{in_words(length)} is not a number of whole days. Write {in_words(whole)}")
    return length


_Days = Annotated[timedelta, BeforeValidator(_days), DURATION]


class RestoreSection(Section):
    """What goes for every rollback."""

    keep_safety: _Days = key(
        "7d", default=timedelta(days=7), says="How long the safety snapshots of a rollback stay, by which it is undone."
    )

    def days(self) -> int:
        return self.keep_safety // _DAY
