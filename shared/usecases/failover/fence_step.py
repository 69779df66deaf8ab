"""What one attempt to switch an old master off came to."""

from collections.abc import Mapping
from dataclasses import dataclass

from shared.domain.errors import Permanent
from shared.domain.inventory import Instance
from shared.domain.pair import Member
from shared.ports.compute import Inventory


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """How far it is. `row`: to be written before anything else happens."""

    off: bool = False
    alive: bool = False  # it was heard, or others may hear it
    why: str = ""
    row: Mapping[str, str] | None = None


def instance_of(inventory: Inventory, member: Member) -> Instance:
    """Raises Permanent when it is not listed: that may be a missing permission as well as a missing machine."""
    found = next(iter(inventory.instances(ids=(member.instance,))), None)
    if found is None:
        raise Permanent(f"{member.instance} of {member.site} is not listed: gone, or not ours to see")
    return found
