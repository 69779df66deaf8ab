"""Scaling rules: by how much a group's size changes. Pure arithmetic.

Source: ESS API CreateScalingRule, ExecuteScalingRule, ScaleWithAdjustment (SDK 1.13.3).
Not modelled: target tracking and predictive rules.
"""

import math
from dataclasses import dataclass
from typing import Final

from emulator.wire.call import ApiError

QUANTITY: Final = "QuantityChangeInCapacity"
PERCENT: Final = "PercentChangeInCapacity"
TOTAL: Final = "TotalCapacity"
BOUNDS: Final = {QUANTITY: (-1000, 1000), PERCENT: (-100, 10_000), TOTAL: (0, 2000)}
MOST_AT_ONCE: Final = 1000

SIMPLE: Final = "SimpleScalingRule"
STEP: Final = "StepScalingRule"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`lower` <= metric - threshold < `upper`; None is unbounded."""

    lower: float | None
    upper: float | None
    adjustment: int


@dataclass(slots=True, kw_only=True, eq=False)
class ScalingRule:
    id: str
    name: str
    group_id: str
    ari: str
    kind: str = SIMPLE
    adjustment_type: str = QUANTITY
    adjustment_value: int = 0
    min_magnitude: int | None = None
    cooldown: int | None = None  # seconds; None: the group's
    steps: tuple[Step, ...] = ()

    def value(self, *, metric: float | None, threshold: float | None) -> int:
        """The adjustment that applies. Raises ApiError when a step rule is not told the metric."""
        if self.kind == SIMPLE:
            return self.adjustment_value
        if metric is None or threshold is None:
            raise ApiError("MissingParameter", "A step rule needs BreachThreshold and MetricValue.")
        over = metric - threshold
        for step in self.steps:
            if (step.lower is None or over >= step.lower) and (step.upper is None or over < step.upper):
                return step.adjustment
        return 0


def check(kind: str, value: int) -> None:
    if kind not in BOUNDS:
        raise ApiError("InvalidParameter", f"AdjustmentType {kind!r} is not one of {', '.join(BOUNDS)}.")
    low, high = BOUNDS[kind]
    if not low <= value <= high:
        raise ApiError("InvalidParameter", f"AdjustmentValue of {kind} is {low}..{high}, got {value}.")


def wanted(kind: str, value: int, now: int, *, least: int | None = None) -> int:
    """The size that an adjustment asks for, before Min and Max clip it. `least`: MinAdjustmentMagnitude of a
    percentage. A fraction is rounded away from zero below one, else to the nearest (assumption)."""
    if kind == TOTAL:
        size = value
    elif kind == QUANTITY:
        size = now + value
    else:
        exact = now * value / 100
        change = (round(exact) if abs(exact) >= 1 else math.ceil(abs(exact)) * (1 if exact > 0 else -1)) if exact else 0
        if least is not None and change and abs(change) < least:
            change = least if change > 0 else -least
        size = now + change
    return max(now - MOST_AT_ONCE, min(now + MOST_AT_ONCE, size), 0)
