"""Static public addresses: of no use to anybody here, but they come, change and go as documented.

Source: ECS API RunInstances (InternetMaxBandwidthOut > 0 gives one), AllocatePublicIpAddress, StopInstance (an
economical stop gives it back; the restart may get another).
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from emulator.chance import Chance


class PublicAddresses:
    def __init__(self, chance: "Chance") -> None:
        self._chance = chance
        self.taken: set[str] = set()

    def take(self) -> str:
        """From 203.0.113.0/24 (kept for examples), then from 198.18.0.0/15 (kept for tests)."""
        for _ in range(64):
            address = f"203.0.113.{1 + self._chance.below(254)}"
            if address not in self.taken:
                break
        else:
            while (
                address := f"198.{18 + self._chance.below(2)}.{self._chance.below(256)}.{self._chance.below(256)}"
            ) in self.taken:
                pass
        self.taken.add(address)
        return address

    def release(self, address: str) -> None:
        self.taken.discard(address)
