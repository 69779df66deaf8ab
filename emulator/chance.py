"""Seeded randomness: ids, jitter and durations. One seed gives one world."""

import random
import string
from collections.abc import Iterator
from contextlib import contextmanager


class Chance:
    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self._random = self._common = random.Random(seed)

    @contextmanager
    def stream(self, key: str | None) -> Iterator[None]:
        """Within the block draws depend on the seed and on `key` alone, not on what was drawn before; None: on what
        all others draw as well."""
        outer = self._random
        self._random = self._common if key is None else random.Random(f"{self.seed}/{key}")
        try:
            yield
        finally:
            self._random = outer

    def begin_anew(self, key: str) -> None:
        """What all draw on begins anew, otherwise than it began for any other `key`: a world that is opened again must
        not give out the same request ids as in its life before."""
        self._random = self._common = random.Random(f"{self.seed}/{key}")

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
