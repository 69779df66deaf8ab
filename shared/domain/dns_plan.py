"""What to do about the middleware name, from the records that stand there and the newest epoch's holder.

One record, one update. Never a second record beside the first (the name would answer with both sites), never a record
created or enabled here (somebody removed or disabled it, and may have had a reason).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from shared.domain.ids import Epoch

_REMARK = re.compile(r"(?:^|\s)epoch=(\d+)(?:\s|$)")
A_RECORD = "A"
RUNBOOK = "name-cannot-be-rebound"


@dataclass(frozen=True, slots=True, kw_only=True)
class NameRecord:
    record_id: str
    zone: str  # e.g. corp.example
    host: str  # e.g. master
    type: str  # A | CNAME
    value: str
    ttl_seconds: int
    enabled: bool
    remark: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Settled:
    """The name already points where it should. `remark` is None when the evidence is up to date too."""

    record: NameRecord
    remark: str | None
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebind:
    record: NameRecord
    value: str
    remark: str
    because: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefuseRebind:
    because: str
    runbook: str = RUNBOOK


NamePlan = Settled | Rebind | RefuseRebind


def remark_of(epoch: Epoch) -> str:
    return f"epoch={epoch}"


def epoch_of(remark: str) -> Epoch | None:
    """The epoch that a record's remark claims, or None when it claims none."""
    found = _REMARK.search(remark)
    return Epoch(int(found[1])) if found else None


def same_value(type: str, one: str, other: str) -> bool:
    """Names are compared without regard to case and to the dot that ends them; addresses as they are."""
    return _plain(type, one) == _plain(type, other)


def _plain(type: str, value: str) -> str:
    return value.rstrip(".").lower() if type == "CNAME" else value


def plan_name(records: Sequence[NameRecord], *, name: str, type: str, value: str, epoch: Epoch) -> NamePlan:
    """Decide for `name` (for people: host.zone) given every record of that host, of any type.

    `value` is the address of the holder of `epoch`. A remark with a higher epoch means that we are the stale one.
    """
    match list(records):
        case []:
            return RefuseRebind(because=f"{name} has no record: create it once, by hand, and enable it")
        case [record]:
            pass
        case several:
            return RefuseRebind(
                because=f"{name} has {len(several)} records ({', '.join(f'{r.type} {r.value}' for r in several)}): "
                "clients would reach both sites; delete all but one"
            )
    if record.type != type:
        return RefuseRebind(because=f"{name} is a {record.type} record, the policy needs {type}")
    if not record.enabled:
        return RefuseRebind(because=f"the only record of {name} is disabled: enable it, or pause this pair")
    claimed = epoch_of(record.remark)
    if claimed is not None and claimed > epoch:
        return RefuseRebind(
            because=f"{name} was bound under epoch {claimed}, newer than {epoch}: this decision is stale"
        )
    remark = remark_of(epoch)
    if same_value(type, record.value, value):
        return Settled(
            record=record,
            remark=None if claimed == epoch else remark,
            because=f"{name} already points to {value}",
        )
    return Rebind(
        record=record,
        value=value,
        remark=remark,
        because=f"{name} points to {record.value}, but {value} holds epoch {epoch}",
    )
