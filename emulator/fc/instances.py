"""Function instances: real child processes, one request at a time, kept warm and suspended between requests."""

import asyncio
import json
import os
import signal
import socket
import struct
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.fc.project import Function

RUNTIME = Path(__file__).with_name("runtime.py")
LENGTHS = struct.Struct(">II")


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """`error` is None on success, else what `x-fc-error-type` says; `body` is then the error document."""

    body: bytes
    error: str | None = None


def error_body(message: str) -> bytes:
    """After a process exit or a kill only the message is known (FC documentation)."""
    return json.dumps({"errorMessage": message}).encode()


class Instance:
    """One process. Dead after an exit, a time-out or a kill: never used again."""

    def __init__(
        self,
        *,
        id: str,
        function: Function,
        process: asyncio.subprocess.Process,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.id = id
        self.function = function
        self._process = process
        self._reader = reader
        self._writer = writer
        self._suspended = False
        self.access_key = ""  # whose temporary credentials it has, "" without a role

    @classmethod
    async def start(
        cls,
        *,
        id: str,
        function: Function,
        about: Mapping[str, Any],
        code: Sequence[Path],
        environment: Mapping[str, str],
        scratch: Path,
        log: Path,
    ) -> "Instance":
        """Start the process; the handler is loaded by the first request, as a cold start."""
        scratch.mkdir(parents=True, exist_ok=True)
        ours, theirs = socket.socketpair()
        try:
            with log.open("ab") as output:
                process = await asyncio.create_subprocess_exec(
                    sys.executable,
                    "-P",
                    str(RUNTIME),
                    str(os.getpid()),
                    str(theirs.fileno()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    env=dict(environment),
                    cwd=scratch,  # not the code root: that is unverified for FC, so nothing may rest on it
                    pass_fds=(theirs.fileno(),),
                    start_new_session=True,  # a Ctrl-C at the terminal reaches the emulator, which then ends them
                )
        finally:
            theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        instance = cls(id=id, function=function, process=process, reader=reader, writer=writer)
        initializer = function.initializer.handler if function.initializer else None
        instance._send(
            {
                **about,
                "code": [str(path) for path in code],
                "handler": function.handler,
                "runtime": function.runtime,
                "initializer": initializer,
                "function": {
                    "name": function.name,
                    "handler": function.handler,
                    "memory": function.memory_mb,
                    "timeout": int(function.timeout.total_seconds()),
                    "version_id": "LATEST",
                    "qualifier": "LATEST",
                },
            }
        )
        return instance

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.returncode is None and not self._reader.at_eof()

    async def initialize(self, request_id: str) -> Reply:
        reply = await self._ask({"op": "initialize", "request_id": request_id}, b"")
        return reply if reply.error is None else Reply(body=reply.body, error="InitializationError")

    async def invoke(self, request_id: str, event: bytes) -> Reply:
        return await self._ask({"op": "invoke", "request_id": request_id}, event)

    def suspend(self) -> None:
        self._suspended = True
        self._signal(signal.SIGSTOP)

    def resume(self) -> None:
        self._suspended = False
        self._signal(signal.SIGCONT)

    def kill(self) -> None:
        self._signal(signal.SIGKILL)
        self._writer.close()

    async def gone(self) -> None:
        """Wait until a killed process is reaped."""
        await self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        """Straight to the process: `Process.send_signal` polls first, and would reap the exit status that asyncio's
        own watcher is about to read."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, number)

    async def _ask(self, head: dict[str, Any], body: bytes) -> Reply:
        try:
            self._send(head, body)
            await self._writer.drain()
            sizes = LENGTHS.unpack(await self._reader.readexactly(LENGTHS.size))
            told = json.loads(await self._reader.readexactly(sizes[0]))
            answer = await self._reader.readexactly(sizes[1])
        except (asyncio.IncompleteReadError, ConnectionError):
            self.kill()
            await self._process.wait()
            code = self._process.returncode
            return Reply(
                body=error_body(f"Process exited unexpectedly before completing request (exit status {code})"),
                error="UnhandledInvocationError",
            )
        return Reply(body=answer, error=None if told["ok"] else "UnhandledInvocationError")

    def _send(self, head: Mapping[str, Any], body: bytes = b"") -> None:
        packed = json.dumps(head).encode()
        self._writer.write(LENGTHS.pack(len(packed), len(body)) + packed + body)
