"""Randomness that must not repeat between processes: claim owners, run ids, jitter."""

import secrets


def token(bytes_: int = 8) -> str:
    """Hexadecimal text, unguessable and unique for practical purposes."""
    return secrets.token_hex(bytes_)


def jitter(low: float, high: float) -> float:
    """Uniform in [low, high): spreads retries so that waiters do not return in step."""
    return low + (high - low) * secrets.randbelow(1 << 32) / (1 << 32)
