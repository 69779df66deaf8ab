"""Seeded randomness: ids, jitter and durations. One seed gives one world."""

import random
import string


class Chance:
    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self._random = random.Random(seed)

    def id(self, prefix: str) -> str:
        """A resource id of the cloud's form, e.g. `s-bp1` and 17 letters or digits."""
        return f"{prefix}-bp1" + "".join(self._random.choices(string.ascii_lowercase + string.digits, k=17))

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def request_id(self) -> str:
        h = f"{self._random.getrandbits(128):032X}"
        return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"
