"""What writers may claim after a sudden death: what was acknowledged to them, or what they had under way."""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final

from tests.emulator.killable import Server

GONE: Final = None


@dataclass(slots=True)
class Claims:
    """What a row may hold: what was last acknowledged, or something sent since of which nobody heard."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    may_be: dict[Any, set[Any]] = field(default_factory=dict)

    def sending(self, key: Any, value: Any) -> None:
        with self.lock:
            self.may_be.setdefault(key, {GONE}).add(value)

    def acknowledged(self, key: Any, value: Any) -> None:
        with self.lock:
            self.may_be[key] = {value}

    def refused(self, key: Any, value: Any) -> None:
        with self.lock:
            self.may_be[key].discard(value)

    def hold(self, found: Mapping[Any, Any], life: int) -> None:
        """Against what is there after a restart; from then on that is what is known."""
        for key, allowed in self.may_be.items():
            assert found.get(key) in allowed, f"life {life}: {key} is {found.get(key)}, which is none of {allowed}"
            self.may_be[key] = {found.get(key)}
        assert found.keys() <= self.may_be.keys(), f"life {life}: nobody asked for {found.keys() - self.may_be.keys()}"


def life(server: Server, storms: Sequence[Callable[[], None]], seconds: float) -> None:
    """Run the storms, and kill the server under them."""
    with ThreadPoolExecutor(len(storms)) as pool:
        running = [pool.submit(storm) for storm in storms]
        time.sleep(seconds)
        server.kill()
        for one in running:
            one.result(30)
