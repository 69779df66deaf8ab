"""Whether what an attempt saw bears out what it came to."""

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.domain.detection import Sight
from shared.domain.failover_attempt import Attempt, unsupported
from shared.domain.failover_fsm import On
from shared.domain.failover_situation import LeaseFacts
from shared.domain.ids import Epoch, SiteName
from shared.domain.lease import LeaseState

H, STANDBY = SiteName("hz-h"), SiteName("hz-i")
SECOND = timedelta(seconds=1)
LEASE = LeaseFacts(
    owner=H, epoch=Epoch(3), version=40, state=LeaseState.HELD, claimed=True, unchanged=timedelta(seconds=5)
)
TOOK = Attempt(lease=LEASE, length=timedelta(seconds=5), taken=Epoch(4), target=STANDBY, epoch=Epoch(3))
RAN_ON = replace(LEASE, unchanged=timedelta(seconds=4.9))
ACTIVE = Attempt(sight=Sight.ANSWERED, active=True, says=Epoch(4), epoch=Epoch(4))
TRIED = Attempt(tried=31 * SECOND, stood=40 * SECOND, patience=30 * SECOND)


@pytest.mark.parametrize(
    ("on", "attempt"),
    [
        (On.FENCED, TOOK),
        (On.FENCED, replace(TOOK, lease=replace(RAN_ON, state=LeaseState.FREE))),
        (On.FENCED, replace(TOOK, lease=replace(LEASE, owner=STANDBY, epoch=Epoch(4)))),
        (On.FENCED, replace(TOOK, lease=RAN_ON, agents=False, off="reads Stopped")),
        (On.PROMOTED, ACTIVE),
        (On.OVERDUE, TRIED),
        (On.REBOUND, Attempt()),
    ],
)
def test_it_does(on: On, attempt: Attempt) -> None:
    assert list(unsupported(on, attempt)) == []


@pytest.mark.parametrize(
    ("on", "attempt", "why"),
    [
        (On.FENCED, Attempt(), "the lease that was taken is not recorded"),
        (On.FENCED, replace(TOOK, lease=RAN_ON), "unchanged for 4.9 s only"),
        (On.FENCED, replace(TOOK, length=timedelta(seconds=15)), "unchanged for 5 s only"),
        (On.FENCED, replace(TOOK, length=None), "unchanged for 5 s only"),
        (On.FENCED, replace(TOOK, taken=Epoch(5)), "epoch 5 does not follow 3"),
        (On.FENCED, replace(TOOK, lease=replace(LEASE, epoch=Epoch(4))), "no take-over for hz-i"),
        (On.FENCED, replace(TOOK, agents=False), "nothing showed that the old side was off"),
        (On.PROMOTED, replace(ACTIVE, active=False), "did not say that it is active under epoch 4"),
        (On.PROMOTED, replace(ACTIVE, says=Epoch(3)), "did not say that it is active under epoch 4"),
        (On.PROMOTED, replace(ACTIVE, sight=Sight.SILENT), "did not say that it is active under epoch 4"),
        (On.OVERDUE, replace(TRIED, tried=30 * SECOND), "not tried for longer than 30 s"),
        (On.OVERDUE, replace(TRIED, stood=2 * SECOND), "not tried for longer than 30 s"),
        (On.OVERDUE, replace(TRIED, stood=None), "how long it took is not recorded"),
    ],
)
def test_it_does_not(on: On, attempt: Attempt, why: str) -> None:
    assert why in "; ".join(unsupported(on, attempt))
