"""The journal: every command in its place, so that the world can be made again by taking the same steps.

A command stands in the file before its answer leaves (the server commits in front of every answer). A journal that
cannot be written ends the server: a world that nobody could make again must not go on answering.
"""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from emulator.persistence.commands import Command, deed_of, is_read, outcome, pack, perform, unpack
from emulator.persistence.course import Course
from emulator.persistence.file import DataError, WorldFile, Written
from emulator.wire.call import Call, Operation

if TYPE_CHECKING:
    from emulator.cloud import Cloud

logger = logging.getLogger(__name__)

CLOCK: Final = "clock"
HEARTBEAT_SECONDS: Final = 1.0


class Journal:
    def __init__(self, cloud: "Cloud", file: WorldFile) -> None:
        self.file = file
        self.course = cloud.clock.course = Course(cloud.clock, cloud.chance)
        self.failure: Exception | None = None
        """Why the file cannot be written any more. From then on nothing is answered."""
        self.on_failure: Callable[[], None] = lambda: None
        self._cloud = cloud
        self._count = 0
        self._told = (cloud.clock.now(), 0, 0)  # what stands in the file: the time, entries run, commands
        self._heart: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()

    # -- recording

    def call(self, call: Call, operation: Operation) -> dict[str, Any]:
        """The operation's answer. Raises what it raises."""
        if is_read(call.action):
            return operation(call)
        answer: dict[str, Any] = self._take(Command(what=call), lambda: operation(call))
        return answer

    def deed(self, function: Callable[..., Any], **arguments: Any) -> Any:
        """Call `function(cloud, **arguments)` as one step of the world; inside one already, it is part of that."""
        if self.course.inside:
            return function(self._cloud, **arguments)
        return self._take(deed_of(function, arguments), lambda: function(self._cloud, **arguments))

    def account_founded(self, account: str) -> None:
        """An account was named for the first time. Building its models is a step, or part of the one under way: else a
        mere question could put something on the calendar of which the journal knows nothing."""
        if not self.course.inside:
            self.deed(build, account=account)

    def _take(self, command: Command, act: Callable[[], Any]) -> Any:
        if self.failure is not None:
            raise self.failure
        what = pack(command)  # first: the act may change its own arguments, and what cannot be kept must not be done
        number, at, ran = self._count + 1, self.course.moment(), self.course.ran
        self._count = number  # a listener outside may take a step of its own in the middle of this one: the next
        with self.course.step(f"command {number}", at):
            result, error, digest = outcome(act)
        self.guarded(
            lambda: self.file.append(
                Written(
                    number=number,
                    at=at.isoformat(),
                    ran=ran,
                    what=what,
                    body=command.body,
                    outcome=digest,
                )
            )
        )
        if error is not None:
            raise error
        return result

    def keep(self, shelf: str, key: str, value: bytes | None) -> None:
        """Something that is kept as it stands, not as it came to be; None: it is gone. Kept with the next commit, which
        comes by itself when no answer is waiting for it."""
        self.guarded(lambda: self.file.drop(shelf, key) if value is None else self.file.keep(shelf, key, value))
        self._changed.set()

    def commit(self) -> None:
        """Everything up to now survives this process from here on. Costs nothing when nothing has changed. Raises what
        keeps the file from being written, from then on always: nobody may be told of what will not have been."""
        if self.failure is not None or self.file.uncommitted or self._cloud.clock.rate == 0:
            self.keep_time()

    def keep_time(self) -> None:
        """Note what time it is (versions of rows must never see an earlier one), and commit."""
        now, ran, count = stand = self.course.moment(), self.course.ran, self._count
        if stand != self._told:
            self._told = stand
            self.guarded(lambda: self.file.tell(CLOCK, [now.isoformat(), ran, count]))
        self.guarded(self.file.commit)

    def guarded(self, write: Callable[[], None]) -> None:
        """Raises sqlite3.Error, after having seen to it that the server ends."""
        if self.failure is not None:
            raise self.failure
        try:
            write()
        except sqlite3.Error as error:
            logger.critical("%s cannot be written: this world ends here", self.file.directory, exc_info=True)
            self.failure = error
            self.on_failure()
            raise

    # -- beside the server

    async def start(self) -> None:
        """Note the time now and then while it flows: a restart goes on there, though nobody has written since."""
        self._heart = asyncio.create_task(self._beat(), name="journal")

    async def _beat(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), HEARTBEAT_SECONDS)
            self._changed.clear()
            self.keep_time()

    async def stop(self) -> None:
        if self._heart is not None:
            self._heart.cancel()
            await asyncio.gather(self._heart, return_exceptions=True)
        try:
            if self.failure is None:
                self.keep_time()
        finally:
            self.file.close()

    # -- doing it again

    def replay(self) -> int:
        """Take every recorded step again, and go on at the recorded time. Returns how many commands there were.

        Raises DataError when one of them ends otherwise than it did."""
        self.course.replaying = True
        try:
            for written in self.file.commands():
                self._again(written)
            self._go_on()
        finally:
            self.course.replaying = False
        return self._count

    def _go_on(self) -> None:
        """At the time, and with the calendar, at which the last process ended."""
        told = self.file.about(CLOCK)
        if told is None:
            return
        at, ran, count = datetime.fromisoformat(told[0]), told[1], told[2]
        if count != self._count:
            raise DataError(
                f"{self.file.directory}: {count} commands were recorded, {self._count} are there; restore it"
            )
        if not self.course.run_until(ran, before=at):
            raise self._otherwise(f"the calendar up to {at.isoformat()}", f"{ran} entries", str(self.course.ran))
        self._cloud.clock.forget(lambda due: not due.inside and due.at <= at)
        self._cloud.clock.put(at)
        self._told = (at, ran, count)

    def _again(self, written: Written) -> None:
        at = datetime.fromisoformat(written.at)
        try:
            command = unpack(written.what, written.body)
        except ValueError as error:
            raise DataError(
                f"{self.file.directory}: command {written.number} cannot be read back ({error}); restore the directory"
            ) from error
        name = f"command {written.number} ({command}, at {written.at})"
        if not self.course.run_until(written.ran, before=at):
            raise self._otherwise(f"the calendar before {name}", f"{written.ran} entries", str(self.course.ran))
        if written.number != self._count + 1:
            raise DataError(f"{self.file.directory}: the journal has a hole before {name}; restore the directory")
        with self.course.step(f"command {written.number}", at):
            _, failure, digest = outcome(lambda: perform(command, self._cloud))
        self._count = written.number
        if digest != written.outcome:
            raise self._otherwise(name, written.outcome, digest if failure is None else f"{digest} ({failure})")

    def _otherwise(self, what: str, then: str, now: str) -> DataError:
        return DataError(
            f"{self.file.directory}: {what} came to {then} when it was recorded and comes to {now} now, so this "
            "emulator behaves otherwise than the one that wrote it; start that one, with the --ram-role options it "
            "had, or give --data another directory"
        )


def build(cloud: "Cloud", *, account: str) -> None:
    """Every model that the account has, in every region."""
    for region in cloud.regions:
        cloud.realm(account, region).build()
