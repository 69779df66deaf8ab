"""Randomness that must not repeat between processes: claim owners, run ids, jitter."""

import random
import secrets


def token(bytes_: int = 8) -> str:
    """Hexadecimal text, unguessable and unique for practical purposes."""
    return secrets.token_hex(bytes_)


def jitter(low: float, high: float) -> float:
    """Uniform in [low, high): spreads retries so that waiters do not return in step."""
    return low + (high - low) * secrets.randbelow(1 << 32) / (1 << 32)


class Seeded:
    """Repeatable randomness for rehearsals: one seed, one course. Nothing that must not be guessed comes from here."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - repeatable on purpose

    def happens(self, probability: float) -> bool:
        return self._random.random() < probability

    def below(self, n: int) -> int:
        return self._random.randrange(n)

    def uniform(self, low: float, high: float) -> float:
        return self._random.uniform(low, high)
