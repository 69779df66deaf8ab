"""Opening a world: begun as its directory says, or as the options say where the directory is new."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from emulator import seed
from emulator.cloud import REGIONS, Cloud
from emulator.persistence.file import DataError, WorldFile, unwritable
from emulator.persistence.journal import Journal, build
from emulator.persistence.rows import keep_rows

ORIGIN: Final = "origin"
LIVES: Final = "lives"
START: Final = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """All that a world grows from. The seed is kept as its text: the file may change or go."""

    seed: str | None = None
    seed_name: str = ""
    settings: Mapping[str, str]
    start: str
    random_seed: int
    regions: tuple[str, ...]

    def pack(self) -> dict[str, Any]:
        return asdict(self)


def unpack(plain: Mapping[str, Any]) -> Origin:
    return Origin(**{**plain, "regions": tuple(plain["regions"])})


def open_world(directory: Path, given: Origin, *, furnish: Callable[[Cloud], None], fsync: bool = False) -> Cloud:
    """The cloud with its journal, as it was when the last process ended. Raises DataError, SeedError.

    `furnish` gives a new cloud what belongs to this process and not to the world, such as the operator's keys."""
    file = WorldFile(directory, fsync=fsync)
    try:
        return _opened(file, given, furnish)
    except sqlite3.OperationalError as error:
        file.close()
        raise unwritable(directory, str(error)) from error
    except BaseException:
        file.close()
        raise


def _opened(file: WorldFile, given: Origin, furnish: Callable[[Cloud], None]) -> Cloud:
    recorded = file.about(ORIGIN)
    origin = given
    if recorded is not None:
        origin = unpack(recorded)
        _compare(file, origin, given)
    cloud = Cloud(seed=origin.random_seed, start=datetime.fromisoformat(origin.start), regions=origin.regions)
    furnish(cloud)
    cloud.journal = journal = Journal(cloud, file)
    with journal.course.step("seed", cloud.clock.now()):
        build(cloud, account=cloud.account)
        if origin.seed is not None:
            seed.load_text(origin.seed, cloud, where=origin.seed_name, settings=origin.settings)
    journal.replay()
    keep_rows(cloud.tablestore, journal)
    life = (file.about(LIVES) or 0) + 1
    if life > 1:
        cloud.chance.begin_anew(f"life {life}")
    else:
        file.tell(ORIGIN, origin.pack())
    file.tell(LIVES, life)
    file.commit()
    return cloud


def _compare(file: WorldFile, origin: Origin, given: Origin) -> None:
    """What is not given is as recorded; what is given must be what the world grew from."""
    unset = Origin(settings={}, start=START.isoformat(), random_seed=1, regions=REGIONS)
    for name, option in (
        ("seed", "--seed"),
        ("settings", "--set"),
        ("start", "--start"),
        ("random_seed", "--random-seed"),
        ("regions", "--region"),
    ):
        asked, had = getattr(given, name), getattr(origin, name)
        if asked not in (getattr(unset, name), had):
            raise DataError(
                f"{file.directory} was begun with another {option}; leave {option} out to go on with that world, or "
                "give --data a new directory to begin another"
            )
