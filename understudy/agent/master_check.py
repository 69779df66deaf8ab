"""Whether the master beside this agent is well. A lease held for a dead master would keep everybody off for ever."""

import http.client
import threading
from datetime import timedelta
from http import HTTPStatus
from typing import Final

EVERY: Final = timedelta(milliseconds=500)
PATIENCE: Final = timedelta(seconds=1)  # for one answer
MISSES: Final = 3  # in a row before the master counts as not well


class MasterCheck:
    """Asks in a thread of its own, so that a slow master cannot delay a renewal."""

    def __init__(self, address: str) -> None:
        self._host, _, port = address.rpartition(":")
        self._port = int(port)
        self._well = False  # until it has answered once
        self._misses = 0
        self._ended = threading.Event()

    def __call__(self) -> bool:
        return self._well

    def run(self) -> None:
        while not self._ended.is_set():
            self.look()
            self._ended.wait(EVERY.total_seconds())

    def stop(self) -> None:
        self._ended.set()

    def look(self) -> None:
        if self._answers():
            self._well, self._misses = True, 0
            return
        self._misses += 1
        if self._misses >= MISSES:
            self._well = False

    def _answers(self) -> bool:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE.total_seconds())
        try:
            connection.request("GET", "/health")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()
