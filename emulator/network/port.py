"""One TCP port of the emulated network: a listener that carries connections on to where the work is done.

It has three moods. *Audible*: connections are carried. *Silent*: nothing is answered and nothing is refused, as
behind a cut cable: new connections hang (Linux drops SYNs for a listener whose accept queue is full, so the queue is
made one long and filled by ourselves), established ones stall in both directions and stay open. *Closed*: the kernel
refuses, as when the host is there and the process is not.

When sound returns, stalled connections go on where they stopped, as TCP does after a healed cut: bytes that were under
way are delivered late. That is a trap on purpose: a command sent before the silence may reach its master after it.
"""

import asyncio
import contextlib
import errno
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address
from typing import Final

log = logging.getLogger(__name__)

CHUNK: Final = 65536
BACKLOG: Final = 128
FILLERS: Final = 4  # one fills the accept queue of listen(0); the rest prove it and stand in for a lost handshake
RESET: Final = struct.pack("ii", 1, 0)  # SO_LINGER of no time: close sends RST instead of FIN


class AddressMissing(OSError):
    """This machine cannot bind a loopback address that the emulated network needs."""


Dial = Callable[[], Awaitable[socket.socket]]
"""Reaches whoever does the work: a connected, non-blocking socket, or OSError when nobody is there."""


def dial(target: tuple[str, int], *, source: str | None = None) -> Dial:
    """Always the same target; `source` is the local address to dial from, so that the target can tell who asks."""

    async def reach() -> socket.socket:
        end = socket.socket()
        end.setblocking(False)
        try:
            if source is not None:
                end.bind((source, 0))
            await asyncio.get_running_loop().sock_connect(end, target)
        except BaseException:
            end.close()
            raise
        return end

    return reach


@dataclass(slots=True)
class _Way:
    """A connection's way to this port; closed while its client cannot be heard from where it stands."""

    source: str
    is_open: asyncio.Event


class Port:
    def __init__(
        self,
        listen: tuple[str, int],
        reach: Dial,
        *,
        admits: Callable[[str], bool] = lambda _: True,
        heard: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """`admits(address)` says whether a client is let through. One that is not gets no answer: it is connected,
        since a listener cannot know who asks before it accepts, and then hears nothing. `heard(address)` says whether
        the network carries anything from and to that client now; while it does not, its connections stall, and go on
        afterwards (see `listen_again`)."""
        self.listen = listen
        self._reach = reach
        self._admits, self._heard = admits, heard
        self._ways: dict[asyncio.Task[None], _Way] = {}
        self._socket: socket.socket | None = None
        self._fillers: list[socket.socket] = []
        self._audible = asyncio.Event()
        self._audible.set()
        self._shut_off = False  # new connections hang, those that are established go on
        self._carried: set[asyncio.Task[None]] = set()

    @property
    def is_open(self) -> bool:
        return self._socket is not None

    @property
    def is_silent(self) -> bool:
        return not self._audible.is_set()

    @property
    def _hangs(self) -> bool:
        return self.is_silent or self._shut_off

    def open(self) -> None:
        if self._socket is not None:
            return
        self._socket = bind(*self.listen)
        self._socket.listen(0 if self._hangs else BACKLOG)
        self.listen = self._socket.getsockname()
        if self._hangs:
            self._fill()
        else:
            self._accept_from_now()

    def silence(self, *, established: bool = True) -> None:
        """Stop answering without refusing. Idempotent; a port that is closed will be silent when it opens.
        `established` False: to new connections only."""
        hung = self._hangs
        self._shut_off = not established
        (self._audible.clear if established else self._audible.set)()
        if self._socket is not None and not hung:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket.listen(0)
            self._fill()

    def sound(self) -> None:
        """Answer again. Connections that hung in the silence are accepted at their next SYN (after 1 s, 3 s, ...)."""
        if not self._hangs:
            return
        self._audible.set()
        self._shut_off = False
        if self._socket is not None:
            self._socket.listen(BACKLOG)
            self._drop_fillers()
            self._accept_from_now()

    def listen_again(self) -> None:
        """Who is heard may have changed."""
        for way in self._ways.values():
            (way.is_open.set if self._heard(way.source) else way.is_open.clear)()

    def shut(self) -> None:
        """Refuse from now on, and reset what is established: the host no longer knows it. The port may open again."""
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._drop_fillers()
            self._socket.close()
            self._socket = None
        for task in self._carried:
            task.cancel()

    async def close(self) -> None:
        """`shut`, and wait until the last connection is gone."""
        self.shut()
        await asyncio.gather(*self._carried, return_exceptions=True)

    # -- silence

    def _fill(self) -> None:
        for _ in range(FILLERS):
            filler = socket.socket()
            filler.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                filler.connect(self.listen)
            self._fillers.append(filler)

    def _drop_fillers(self) -> None:
        """Also takes the filler that sits in the queue out of it, so that no guest ever meets one."""
        assert self._socket is not None
        own = {filler.getsockname() for filler in self._fillers}
        real: list[socket.socket] = []
        with contextlib.suppress(BlockingIOError):
            while True:
                client, peer = self._socket.accept()
                if peer in own:
                    client.close()
                else:
                    real.append(client)
        for filler in self._fillers:
            filler.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            filler.close()
        self._fillers.clear()
        for client in real:
            self._start_carrying(client)

    # -- carrying

    def _accept_from_now(self) -> None:
        assert self._socket is not None
        asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        if self._socket is None:
            return
        try:
            client, _ = self._socket.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("network.accept_failed", extra={"port": str(self.listen), "error": str(error)})
            return
        self._start_carrying(client)

    def _start_carrying(self, client: socket.socket) -> None:
        client.setblocking(False)
        way = _Way(_source(client), asyncio.Event())
        task = asyncio.get_running_loop().create_task(
            self._carry(client, way) if self._lets_in(client) else self._ignore(client)
        )
        self._carried.add(task)
        self._ways[task] = way
        if self._heard(way.source):
            way.is_open.set()

        def end(done: asyncio.Task[None]) -> None:
            self._carried.discard(done)
            del self._ways[done]
            client.close()  # a task that was cancelled before its first step has closed nothing

        task.add_done_callback(end)

    def _lets_in(self, client: socket.socket) -> bool:
        source = _source(client)
        return not source or self._admits(source)

    async def _sound_on(self, way: _Way) -> None:
        """Wait until both ends are heard."""
        while not (self._audible.is_set() and way.is_open.is_set()):
            await self._audible.wait()
            await way.is_open.wait()

    async def _ignore(self, client: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while await asyncio.get_running_loop().sock_recv(client, CHUNK):
                pass

    async def _carry(self, client: socket.socket, way: _Way) -> None:
        ends = [client]
        orderly = False
        try:
            await self._sound_on(way)
            guest = await self._reach()
            ends.append(guest)
            for end in ends:
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(client, guest, way))
                both.create_task(self._pump(guest, client, way))
            orderly = True
        except* OSError as error:
            # One end vanished or never was there. In silence nobody may learn of it.
            log.debug("network.connection_broke", extra={"port": str(self.listen), "error": repr(error)})
            await self._sound_on(way)
        finally:
            for end in ends:
                if not orderly:
                    with contextlib.suppress(OSError):
                        end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                end.close()

    async def _pump(self, source: socket.socket, sink: socket.socket, way: _Way) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._sound_on(way)
            try:
                data = await loop.sock_recv(source, CHUNK)
            except ConnectionError:
                await self._sound_on(way)
                raise
            await self._sound_on(way)
            if not data:
                with contextlib.suppress(OSError):
                    sink.shutdown(socket.SHUT_WR)
                return
            await loop.sock_sendall(sink, data)


def _source(client: socket.socket) -> str:
    """The address that a client dials from; "" when it has gone already."""
    try:
        return str(client.getpeername()[0])
    except OSError:
        return ""


def is_here(address: str) -> bool:
    """Whether traffic of this emulated address may be real. Others are somebody's, or nobody's, in the network that
    this machine stands in: networks made through the API have such addresses, and nothing may ever be sent there."""
    return IPv4Address(address).is_loopback


def bind(address: str, port: int) -> socket.socket:
    """A bound, non-blocking TCP socket; raises AddressMissing with the remedy when the address is not ours to bind."""
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.setblocking(False)
    try:
        listener.bind((address, port))
    except OSError as error:
        listener.close()
        if error.errno == errno.EADDRNOTAVAIL:
            raise AddressMissing(
                f"the loopback address {address} cannot be bound: the emulated network needs Linux, where all of "
                f"127.0.0.0/8 is local (elsewhere add each address to the loopback interface by hand)"
            ) from error
        if error.errno == errno.EADDRINUSE:
            raise AddressMissing(
                f"{address}:{port} is taken: another emulator uses the same network; choose another with --set net=N"
            ) from error
        raise
    return listener
