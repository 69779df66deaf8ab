"""Which records a listing finds: four search modes that do not mean what their names suggest.

Source: SDK 4.6.1, DescribeDomainRecords. LIKE and EXACT look at KeyWord and at nothing else, so EXACT with RRKeyWord
finds records that nobody asked for; ADVANCED (and no mode at all) takes host and value in part; COMBINATION takes all
fields as they are. Letters' case never matters. Assumptions: KeyWord is held against host record and value; an
unknown mode is an invalid parameter.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final

from emulator.alidns.records import Record

MODES: Final = ("LIKE", "EXACT", "ADVANCED", "COMBINATION")
DEFAULT_GROUP: Final = -1  # domains that no group was chosen for: here all of them
ALL_GROUPS: Final = -2


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Empty texts were not asked for."""

    mode: str = ""
    keyword: str = ""
    rr: str = ""
    value: str = ""
    type_keyword: str = ""
    type: str = ""
    line: str = ""
    status: str = ""
    group: int | None = None

    def find(self, records: Iterable[Record]) -> list[Record]:
        if self.group not in (None, DEFAULT_GROUP, ALL_GROUPS):
            return []  # 0 is no group at all, and groups are not modelled
        mode = self.mode or ("LIKE" if self.keyword else "ADVANCED")
        matches = self._by_keyword(mode) if mode in ("LIKE", "EXACT") else self._by_fields(mode)
        return [record for record in records if matches(record)]

    def _by_keyword(self, mode: str) -> Callable[[Record], bool]:
        same = _same if mode == "EXACT" else _part

        def matches(record: Record) -> bool:
            return same(self.keyword, record.rr) or same(self.keyword, record.value)

        return matches

    def _by_fields(self, mode: str) -> Callable[[Record], bool]:
        text = _same if mode == "COMBINATION" else _part

        def matches(record: Record) -> bool:
            return (
                text(self.rr, record.rr)
                and text(self.value, record.value)
                and _same(self.type_keyword, record.type)
                and _same(self.type, record.type)
                and _same(self.line, record.line)
                and _same(self.status, record.status)
            )

        return matches


def _same(wanted: str, text: str) -> bool:
    return not wanted or wanted.lower() == text.lower()


def _part(wanted: str, text: str) -> bool:
    return wanted.lower() in text.lower()
