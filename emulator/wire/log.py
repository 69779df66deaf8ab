"""What was asked of the emulator: one line per call, bounded, for tests and the admin door."""

from collections import Counter, deque
from dataclasses import dataclass
from datetime import datetime

KEPT = 20_000
COUNTED = 5_000  # different actions; there are fewer, but anybody can make names up


@dataclass(frozen=True, slots=True)
class Entry:
    at: datetime  # emulated
    service: str
    action: str
    caller: str  # role, or access key id
    status: int
    code: str = ""  # error code, empty on success


class RequestLog:
    def __init__(self) -> None:
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.totals: Counter[str] = Counter()  # since the start, by `service.action`

    def add(self, entry: Entry) -> None:
        self.entries.append(entry)
        name = f"{entry.service}.{entry.action}"
        self.totals[name if name in self.totals or len(self.totals) < COUNTED else "others"] += 1

    def count(self, action: str) -> int:
        return sum(1 for entry in self.entries if entry.action == action)
