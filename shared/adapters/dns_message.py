"""One question to a DNS server and its answer, as octets (RFC 1035): enough to read an address or an alias back.

An answer is believed only if it is to this very question: same id, same name, same type. One that was cut short is
not: what is missing may be the second address that clients would go to.
"""

import ipaddress
import struct
from dataclasses import dataclass
from typing import Final

A, CNAME, INTERNET = 1, 5, 1
ANSWER, CUT_SHORT, RECURSION_WANTED = 0x8000, 0x0200, 0x0100
NO_SUCH_NAME: Final = 3
CODES: Final = {1: "FORMERR", 2: "SERVFAIL", 4: "NOTIMP", 5: "REFUSED"}
LONGEST_NAME: Final = 255
MOST_ALIASES: Final = 16


class NotToUs(ValueError):
    """No answer to this question. A later datagram may be one."""


class Unusable(ValueError):
    """The answer to this question, and nothing to rely on."""


@dataclass(frozen=True, slots=True)
class Told:
    addresses: tuple[str, ...]
    aliases: tuple[str, ...]
    ttl_seconds: int | None


def question(id: int, name: str) -> bytes:
    """Ask for the addresses of `name` (without the dot at its end). Raises ValueError when it cannot be a name."""
    try:
        octets = [label.encode("ascii") for label in name.split(".")]
    except UnicodeEncodeError:
        octets = [b""]
    if not all(0 < len(one) < 64 for one in octets) or sum(map(len, octets)) + len(octets) + 1 > LONGEST_NAME:
        raise ValueError(f"{name!r} is no name of a record")
    encoded = b"".join(bytes([len(one)]) + one for one in octets) + b"\0"
    return struct.pack("!HHHHHH", id, RECURSION_WANTED, 1, 0, 0, 0) + encoded + struct.pack("!HH", A, INTERNET)


def answer(wire: bytes, *, id: int, name: str) -> Told:
    """Raises NotToUs, or Unusable with the reason."""
    if len(wire) < 12:
        raise NotToUs(f"{len(wire)} octets are no DNS message")
    its_id, flags, questions, answers, _, _ = struct.unpack_from("!HHHHHH", wire)
    if its_id != id or not flags & ANSWER:
        raise NotToUs("the answer is to another question (its id differs)")
    code = flags & 0xF
    if questions == 0 and code in CODES:
        raise Unusable(f"it answers {CODES[code]}")
    try:
        at = 12
        if questions != 1:
            raise NotToUs("the answer repeats no question")
        asked, at = _name(wire, at)
        kind, space = struct.unpack_from("!HH", wire, at)
        at += 4
        if asked != name.lower() or (kind, space) != (A, INTERNET):
            raise NotToUs(f"the answer is to another question ({asked})")
        if flags & CUT_SHORT:
            raise Unusable("the answer was cut short")
        if code not in (0, NO_SUCH_NAME):  # of the alias's target: the answer holds the alias all the same
            raise Unusable(f"it answers {CODES.get(code, f'code {code}')}")
        return _follow(asked, _records(wire, at, answers))
    except struct.error as error:
        raise Unusable("the answer is damaged: it ends early") from error


@dataclass(frozen=True, slots=True)
class _Record:
    name: str
    kind: int
    ttl: int
    value: str


def _records(wire: bytes, at: int, count: int) -> list[_Record]:
    found = []
    for _ in range(count):
        name, at = _name(wire, at)
        kind, space, ttl, length = struct.unpack_from("!HHIH", wire, at)
        at += 10
        if at + length > len(wire):
            raise Unusable("the answer is damaged: it ends early")
        if space == INTERNET and kind == A:
            if length != 4:
                raise Unusable("the answer is damaged: an address of another length")
            found.append(_Record(name, A, ttl, str(ipaddress.IPv4Address(wire[at : at + 4]))))
        elif space == INTERNET and kind == CNAME:
            found.append(_Record(name, CNAME, ttl, _name(wire, at)[0]))
        at += length
    return found


def _follow(name: str, records: list[_Record]) -> Told:
    """From the name along its aliases to addresses. Records of other names prove nothing about this one."""
    aliases: list[str] = []
    ttl: int | None = None
    here = name
    while len(aliases) <= MOST_ALIASES:
        addresses = [one for one in records if one.name == here and one.kind == A]
        onward = [one for one in records if one.name == here and one.kind == CNAME]
        for one in (*addresses, *onward):
            ttl = one.ttl if ttl is None else min(ttl, one.ttl)
        if addresses or not onward:
            return Told(tuple(one.value for one in addresses), tuple(aliases), ttl)
        here = onward[0].value
        aliases.append(here)
    raise Unusable("the answer's aliases lead in a circle")


def _name(wire: bytes, at: int) -> tuple[str, int]:
    """The name that begins there, in lower case, and where what follows it begins."""
    labels: list[str] = []
    after: int | None = None
    for _ in range(LONGEST_NAME):
        if at >= len(wire):
            raise Unusable("the answer is damaged: it ends early")
        length = wire[at]
        if length == 0:
            return ".".join(labels), at + 1 if after is None else after
        if length & 0xC0 == 0xC0:
            if at + 1 >= len(wire):
                raise Unusable("the answer is damaged: it ends early")
            after = at + 2 if after is None else after
            onward = (length & 0x3F) << 8 | wire[at + 1]
            if onward >= at:  # a name may be continued by an earlier one only: so no circle
                raise Unusable("the answer is damaged: a name goes on after itself")
            at = onward
        elif length & 0xC0 or at + 1 + length > len(wire):
            raise Unusable("the answer is damaged: a label of no length")
        else:
            labels.append(wire[at + 1 : at + 1 + length].decode("ascii", errors="replace").lower())
            at += 1 + length
    raise Unusable("the answer is damaged: a name without end")
