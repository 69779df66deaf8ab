"""Lengths and counts in the sentences that a check speaks."""

from datetime import timedelta


def length(of: timedelta) -> str:
    """45 s, 12 min, 1 h 05 min, 60 h, 12 d: as an operator would say it."""
    seconds = round(of.total_seconds())
    if seconds < 60:
        return f"{seconds} s"
    hours, rest = divmod(-(-seconds // 60), 60)
    if not hours:
        return f"{rest} min"
    if hours >= 240 and not rest:
        return f"{hours / 24:g} d"
    return f"{hours} h {rest:02} min" if rest else f"{hours} h"


def notation(of: timedelta) -> str:
    """As the policy file writes it: 72m, 2h, 61h12m."""
    minutes = -(-round(of.total_seconds()) // 60)
    hours, rest = divmod(minutes, 60)
    if not rest:
        return f"{hours}h"
    return f"{minutes}m" if hours < 3 else f"{hours}h{rest:02}m"


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def days(count: float) -> str:
    return f"{count:.1f}"
