"""Names of instances that are bought together.

`prefix[begin,bits]suffix` counts: `web-[8,3]` gives web-008, web-009... UniqueSuffix appends 001, 002... to names that
do not count already. A host name may hold `${instance_id}`.
Source: ECS API RunInstances (HostName, InstanceName, UniqueSuffix), SDK 7.11.8, and its guide to sequential names.
"""

import re

from emulator.wire.call import ApiError

COUNTING = re.compile(r"(?P<prefix>[^\[\]]*)\[(?P<begin>\d{0,6}),(?P<bits>[1-6]?)\](?P<suffix>[^\[\]]*)")
BITS = 6
HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*(?:\.?[A-Za-z0-9-]+)*)?")
HOST_LENGTH = (2, 64)


def numbered(wanted: str, amount: int, *, unique_suffix: bool) -> list[str]:
    """One name for each of `amount`. `wanted` may be empty: then all are."""
    counting = COUNTING.fullmatch(wanted)
    if counting is not None:
        begin, bits = int(counting["begin"] or 0), int(counting["bits"] or BITS)
        names = [f"{counting['prefix']}{begin + n:0{bits}d}{counting['suffix']}" for n in range(amount)]
        # Without a suffix of its own the sequence is enough, and UniqueSuffix does nothing.
        unique_suffix = unique_suffix and bool(counting["suffix"])
    else:
        names = [wanted] * amount
    if unique_suffix and amount > 1 and wanted:
        names = [f"{name}{n:03d}" for n, name in enumerate(names, start=1)]
    return names


def check_host(name: str) -> None:
    """Linux rules. Source: the comment on HostName."""
    plain = name.replace("${instance_id}", "i-0")
    low, high = HOST_LENGTH
    if not low <= len(plain) <= high or not HOST.fullmatch(plain) or "--" in plain or plain.endswith("-"):
        raise ApiError("InvalidHostName.Malformed", f"The host name {name!r} is not valid.")


def host(name: str, instance_id: str) -> str:
    """What DescribeInstances shows: the wish, or a name made of the id."""
    if not name:
        return "iZ" + instance_id.removeprefix("i-") + "Z"
    return name.replace("${instance_id}", instance_id)
