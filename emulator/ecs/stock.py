"""Stock: how many machines of a type a zone still has, and how a shortage shows.

Sources: ECS API RunInstances, DescribeAvailableResource. A shortage may arrive as a refusal (403
OperationDenied.NoStock), or as a success whose instance is gone a moment later with a `SystemFailure.Delete` event.
The second form is not announced by any list: that is the trap.
"""

from emulator.wire.call import ApiError

LOW = 10  # fewer than this read as ClosedWithStock (assumption)

Pool = tuple[str, str]
"""(zone, instance type)."""


def no_stock(zone: str, instance_type: str, left: int) -> ApiError:
    return ApiError("OperationDenied.NoStock", f"{instance_type} is out of stock in {zone}: {left} left.", 403)


class Stock:
    def __init__(self) -> None:
        self.left: dict[Pool, int] = {}
        """What is not here is plentiful."""
        self.vanishing: set[Pool] = set()
        """Orders are accepted and then disappear."""
        self.discontinued: set[str] = set()
        """Types that are no longer sold anywhere."""

    def set(self, zone: str, instance_type: str, count: int | None) -> None:
        """How many more can be had; None: no limit."""
        if count is None:
            self.left.pop((zone, instance_type), None)
        else:
            self.left[zone, instance_type] = count

    def vanish(self, zone: str, instance_type: str, on: bool = True) -> None:
        """From now on, orders there succeed and come to nothing."""
        (self.vanishing.add if on else self.vanishing.discard)((zone, instance_type))

    def reserve(self, zone: str, instance_type: str, *, least: int, most: int) -> int:
        """Take as many as there are, at most `most`; fewer than `least` refuse."""
        available = self.left.get((zone, instance_type), most)
        if available < least:
            raise no_stock(zone, instance_type, available)
        taken = min(available, most)
        if (zone, instance_type) in self.left:
            self.left[zone, instance_type] -= taken
        return taken

    def give_back(self, zone: str, instance_type: str) -> None:
        if (zone, instance_type) in self.left:
            self.left[zone, instance_type] += 1

    def category(self, zone: str, instance_type: str) -> tuple[str, str]:
        """(Status, StatusCategory) of DescribeAvailableResource."""
        if instance_type in self.discontinued:
            return "SoldOut", "ClosedWithoutStock"
        left = self.left.get((zone, instance_type))
        if left is None or left >= LOW:
            return "Available", "WithStock"
        return ("Available", "ClosedWithStock") if left else ("SoldOut", "WithoutStock")
