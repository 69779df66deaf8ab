"""A decision: what we do, or refuse to do, with the reasons and the facts it rests on.

Made by the core or a use case, logged as one JSON line and kept in the state store, so that it can be explained and
replayed. Decisions *not* to act are decisions too.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.domain.ids import Epoch, PolicyVersion


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    event: str  # e.g. slot.taken, prune.refused, failover.started: noun, dot, past participle
    at: datetime  # UTC
    subject: str  # what it is about: an instance, a disk, a protection, a pair
    because: tuple[str, ...]  # sentences for a human, strongest first
    inputs: Mapping[str, str] = field(default_factory=dict)  # what it was computed from, enough to replay it
    policy: PolicyVersion | None = None
    epoch: Epoch | None = None
    acted: bool = True  # False: we chose not to act
    run: str = ""  # the invocation that made it
