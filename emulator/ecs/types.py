"""Instance types: what a name says of virtual CPUs and memory.

Names are read, not looked up, so that a test may use any well-formed one: `ecs.FAMILY.SIZE`, where SIZE gives the
cores (large 2, xlarge 4, Nxlarge 4N) and FAMILY the memory of each (c 2 GiB, g 4, r 8, or said as `c1m2`). That is how
the cloud names most of its types; the exact figures of odd families are an assumption.
"""

import re
from dataclasses import dataclass
from typing import Final

FORM = re.compile(r"ecs\.(?P<family>[a-z][a-z0-9-]*)\.(?P<size>nano|small|medium|large|\d*xlarge)")
RATIO = re.compile(r"c(\d+)m(\d+)")
CORES: Final = {"nano": 1, "small": 1, "medium": 2, "large": 2, "xlarge": 4}
GIB_PER_CORE: Final = {"c": 2.0, "g": 4.0, "r": 8.0}
FAMILIES: Final = ("g7", "c7", "r7", "g8i", "c8i", "r8i")
SIZES: Final = ("large", "xlarge", "2xlarge", "4xlarge", "8xlarge")


@dataclass(frozen=True, slots=True, kw_only=True)
class InstanceType:
    id: str
    family: str
    cores: int
    memory_gib: float

    @property
    def memory_mib(self) -> int:
        return int(self.memory_gib * 1024)


def named(name: str) -> InstanceType | None:
    """None: no instance type is called so."""
    form = FORM.fullmatch(name)
    if form is None:
        return None
    family, size = form["family"], form["size"]
    times = size.removesuffix("xlarge")
    cores = 4 * int(times) if times.isdigit() and times != size else CORES[size]
    ratio = RATIO.search(family)
    letter = family.removeprefix("hf").removeprefix("ebm")[:1]
    gib = int(ratio[2]) / int(ratio[1]) if ratio else GIB_PER_CORE.get(letter, 4.0)
    return InstanceType(id=name, family=f"ecs.{family}", cores=cores, memory_gib=cores * gib)


CATALOGUE: Final[tuple[InstanceType, ...]] = tuple(
    found for family in FAMILIES for size in SIZES if (found := named(f"ecs.{family}.{size}")) is not None
)
"""What lists show when nobody asks for a type by name."""
