"""Until when this site is active, as its master is told, and taking that back.

A grant is set before it is published and taken away after that was published, so that it never ends earlier than what
the board may say: whoever asks this agent whether it is active must not hear no while its master goes on.
"""

from threading import Lock
from typing import Protocol

from shared.domain.errors import Permanent
from shared.domain.ids import Epoch
from shared.domain.lease import Grant
from shared.ports.clock import Clock

NOBODY = Epoch(0)


class Board(Protocol):
    """Where the master reads its deadline."""

    def publish(self, grant: Grant) -> None:
        """Raises OSError: then the old deadline may stand there, or the new one."""
        ...


class Deadline:
    def __init__(self, *, clock: Clock, board: Board) -> None:
        self._clock, self._board = clock, board
        # Guards the grant, what was given up and what was promised; never held during a call to anywhere, nor while
        # the clock is read: in the simulation time passes in both.
        self._gate = Lock()
        self._grant = Grant(NOBODY, 0.0)  # never ends earlier than what the board may say
        self._given_up = NOBODY
        self._now = 0.0  # the stepping thread's last reading of the clock

    @property
    def grant(self) -> Grant:
        return self._grant

    def active(self) -> bool:
        return self._grant.active_at(self._clock.monotonic())

    # --- all with the gate held ---

    def _revoke(self) -> None:
        revoked = Grant(self._given_up, 0.0)
        self._board.publish(revoked)
        self._grant = revoked

    def _revoke_what_was_given_up(self) -> None:
        """Raises Permanent while a deadline that was given up may still be read by the master: no round is safe."""
        if self._grant.until == 0 or self._grant.epoch > self._given_up:
            return
        try:
            self._revoke()
        except OSError as error:
            if self._grant.active_at(self._now):
                raise Permanent(
                    f"epoch {self._grant.epoch} is given up, but the role file cannot be written ({error}): the lease "
                    "is not given back before its deadline has passed; free space or mend rights where the file is"
                ) from error
