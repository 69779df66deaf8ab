"""What one certificate holds must be what one row of the store holds."""

from dataclasses import replace

from shared.domain.ids import InstanceId, PolicyVersion
from shared.state import codec
from shared.state.certificates import (
    BECAUSE,
    FINDINGS,
    HOLDS,
    Certificate,
    CertificateState,
    Deletion,
    fitting,
)
from tests.unit.points import utc

ROW = 2 * 1024 * 1024


def deletion(number: int, disks: int) -> Deletion:
    at = utc("2026-03-01")
    instance = InstanceId(f"i-bp1{number:018}")
    return Deletion(
        point=f"applications/hourly/2026-03-01T00:00:00Z/{instance}",
        subject=instance,
        slot=at,
        taken=at,
        snapshots=tuple(f"s-bp1{number * disks + disk:018}" for disk in range(disks)),
        rule="not among 30 days, 24 last, 24 hourly, 7 daily, 4 weekly, 12 monthly, 10 yearly",
        outcome="still there",
    )


def test_the_fullest_certificate_fits_into_its_row() -> None:
    for disks in (1, 2, 17):
        wanted = [deletion(number, disks) for number in range(7_000)]
        room = fitting(wanted)
        volumes = [f"d-bp1{number:018}" for number in range(room * disks)]
        finding = "x" * 100
        full = Certificate(
            run="r" * 64,
            at=utc("2026-03-01"),
            policy=PolicyVersion(1),
            state=CertificateState.ENDED,
            deletions=tuple(replace(one, because="b" * BECAUSE) for one in wanted[:room]),
            remaining=dict.fromkeys(volumes, 1_000),
            newest={volume: f"s-bp1{at:018}" for at, volume in enumerate(volumes)},
            orphans=(finding,) * FINDINGS,
            missing=(finding,) * FINDINGS,
            ended=utc("2026-03-01"),
        )

        assert 0 < room < 7_000
        assert len(codec.dump(full).encode()) < ROW


def test_a_few_deletions_always_fit() -> None:
    wanted = [deletion(number, 2) for number in range(200)]

    assert fitting(wanted) == 200
    assert HOLDS < ROW
