"""What an emulated cloud was asked, and how long each of its changes took by its own calendar: nothing here comes from
the code under measurement."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from emulator.clock import Due
from emulator.cloud import Cloud

CLOUD: Final = frozenset(["ecs", "vpc", "slb", "ess"])
"""Services whose calls count. The state store and Function Compute are ours: they are told apart, not hidden."""
NOTHING: Final = timedelta(0)


@dataclass(slots=True, kw_only=True)
class Call:
    at: datetime
    service: str
    action: str
    changes: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One entry of the cloud's calendar: what is decided at `begun` shows at `over`."""

    label: str
    begun: datetime
    over: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    at: datetime
    instance: str
    state: str


class Watch:
    """From when it is made until the end of the world."""

    def __init__(self, cloud: Cloud) -> None:
        self.calls: list[Call] = []
        self.changes: list[Change] = []
        self.moves: list[Move] = []
        self._cloud = cloud
        self._put = cloud.clock.call_at
        cloud.clock.call_at = self._noted  # type: ignore[method-assign]  # stands in, to note each change
        cloud.faults = _Counting(cloud, self.calls)  # type: ignore[assignment]  # stands in, to count each call
        cloud.ecs.on_instance(self._moved)

    # what was asked

    def changed(self, since: datetime, until: datetime) -> Counter[str]:
        return Counter(one.action for one in self._between(since, until) if one.changes)

    def read(self, since: datetime, until: datetime) -> Counter[str]:
        return Counter(one.action for one in self._between(since, until) if not one.changes)

    def _between(self, since: datetime, until: datetime) -> Iterator[Call]:
        return (one for one in self.calls if one.service in CLOUD and since <= one.at <= until)

    # how long it took

    def stopping(self, instance: str) -> timedelta:
        """From the last time that it was told to stop."""
        return self._from_to(instance, "Stopping", "Stopped")

    def booting(self, instance: str) -> timedelta:
        """From the order, or from the start of one that was stopped, until it runs."""
        new = any(one.state == "Pending" for one in self.moves if one.instance == instance)
        return self._from_to(instance, "Pending" if new else "Starting", "Running")

    def took(self, label: str, *, nth: int = 0) -> timedelta:
        """The nth change of that name; nothing when there was none."""
        found = [one for one in self.changes if one.label == label]
        return found[nth].over - found[nth].begun if nth < len(found) else NOTHING

    def longest(self, label: str) -> timedelta:
        return max((one.over - one.begun for one in self.changes if one.label == label), default=NOTHING)

    def labels(self, beginning: str) -> list[str]:
        """Of the changes whose name begins so, each once, in the order in which they began."""
        return list(dict.fromkeys(one.label for one in self.changes if one.label.startswith(beginning)))

    def _from_to(self, instance: str, first: str, last: str) -> timedelta:
        """Nothing, when it was there already."""
        mine = [one for one in self.moves if one.instance == instance]
        over = next((one.at for one in mine if one.state == last), None)
        begun = [one.at for one in mine if one.state == first and (over is None or one.at <= over)]
        return over - begun[-1] if over is not None and begun else NOTHING

    # as it happens

    def _noted(self, at: datetime, callback: Callable[[], None], label: str = "") -> Due:
        self.changes.append(Change(label=label, begun=self._cloud.clock.now(), over=at))
        return self._put(at, callback, label)

    def _moved(self, instance: Any, _: str, state: str) -> None:
        self.moves.append(Move(at=self._cloud.clock.now(), instance=instance.id, state=state))


class _Counting:
    """Stands before the cloud's menu of faults, past which every call goes."""

    on_calls = True  # else reads would not come this way

    def __init__(self, cloud: Cloud, calls: list[Call]) -> None:
        self._cloud, self._real, self._calls = cloud, cloud.faults, calls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)

    @contextmanager
    def gate(self, asked: Any) -> Iterator[Any]:
        self._calls.append(Call(at=self._cloud.clock.now(), service=asked.service, action=asked.action))
        with self._real.gate(asked) as blow:
            yield blow

    def read(self, blow: Any, asked: Any, answer: Callable[[], Any]) -> Any:
        self._calls[-1].changes = False
        return self._real.read(blow, asked, answer)
