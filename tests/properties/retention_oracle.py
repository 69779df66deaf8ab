"""Which restore points stay, worked out from the written rules alone: each point by itself, by calendar arithmetic, in
quadratic time. It shares no code with `shared.domain.retention` and never sorts."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.domain.ids import DiskId
from shared.domain.policy import Retention
from shared.domain.retention import RestorePoint

Bucket = tuple[int, ...]


def stays(points: Sequence[RestorePoint], keep: Retention, zone: str, now: datetime) -> set[str]:
    """Ids, of the points of one instance in one place of one protection."""
    return {one.id for one in points if _stays(one, points, keep, ZoneInfo(zone), now)}


def _stays(one: RestorePoint, points: Sequence[RestorePoint], keep: Retention, zone: ZoneInfo, now: datetime) -> bool:
    asked = keep.hourly + keep.daily + keep.weekly + keep.monthly + keep.yearly + keep.last
    if keep.forever or (asked == 0 and keep.days is None):
        return True
    if one.pinned or one.uncopied or one.taken > now:
        return True
    if one.locked_until is not None and now < one.locked_until:
        return True
    if one.failed:
        # Until each of its disks has something better.
        return any(not _others(disk, points, now) for disk, _ in one.disks)
    if not one.usable:
        return True
    if not one.disks:
        return False
    if not one.complete:
        return True
    if keep.days is not None and one.taken + timedelta(days=keep.days) >= now:
        return True
    return any(_saved_for(disk, one, points, keep, zone, now) for disk, _ in one.disks)


def _saved_for(
    disk: DiskId, one: RestorePoint, points: Sequence[RestorePoint], keep: Retention, zone: ZoneInfo, now: datetime
) -> bool:
    newer = [other for other in _others(disk, points, now) if _rank(other) > _rank(one)]
    if not newer or not any(other.complete for other in newer) or len(newer) < keep.last:
        return True
    for count, bucket in (
        (keep.hourly, _hour),
        (keep.daily, _day),
        (keep.weekly, _week),
        (keep.monthly, _month),
        (keep.yearly, _year),
    ):
        if count:
            own = bucket(*_local(one.taken, zone))
            later = {bucket(*_local(other.taken, zone)) for other in newer}
            if own not in later and len(later) < count:
                return True
    return False


def _others(disk: DiskId, points: Sequence[RestorePoint], now: datetime) -> list[RestorePoint]:
    """Those with this disk that are worth something."""
    return [one for one in points if one.usable and not one.failed and one.taken <= now and disk in dict(one.disks)]


def _rank(point: RestorePoint) -> tuple[datetime, str]:
    return (point.taken, point.id)


@lru_cache(maxsize=4096)
def _local(taken: datetime, zone: ZoneInfo) -> tuple[datetime, int]:
    """The wall time, and by how many seconds it is ahead of UTC."""
    offset = zone.utcoffset(zone.fromutc(taken.astimezone(UTC).replace(tzinfo=zone)))
    assert offset is not None
    return taken.astimezone(UTC).replace(tzinfo=None) + offset, round(offset.total_seconds())


def _hour(wall: datetime, ahead: int) -> Bucket:
    return (wall.year, wall.month, wall.day, wall.hour, ahead)


def _day(wall: datetime, _: int) -> Bucket:
    return (wall.year, wall.month, wall.day)


def _week(wall: datetime, _: int) -> Bucket:
    """ISO 8601: a week belongs to the year of its Thursday, and the first one has the first Thursday."""
    thursday = wall.date() + timedelta(days=4 - wall.isoweekday())
    return (thursday.year, (thursday - date(thursday.year, 1, 1)).days // 7 + 1)


def _month(wall: datetime, _: int) -> Bucket:
    return (wall.year, wall.month)


def _year(wall: datetime, _: int) -> Bucket:
    return (wall.year,)
