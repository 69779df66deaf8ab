"""Silence is not refusal: what clients of a dark zone feel, with real sockets."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from emulator.network.port import AddressMissing, Port, dial
from tests.emulator.networks import free_network

SOON = 0.3


class Echo:
    """A guest that answers every line with itself."""

    def __init__(self) -> None:
        self.heard: list[bytes] = []
        self.served = 0

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.served += 1
        with contextlib.suppress(ConnectionError):
            while line := await reader.readline():
                self.heard.append(line)
                writer.write(line)
                await writer.drain()
        writer.close()


@contextlib.asynccontextmanager
async def wired() -> AsyncIterator[tuple[Port, Echo]]:
    net, echo = free_network(), Echo()
    guest = await asyncio.start_server(echo, f"127.{net + 1}.1.11", 0)
    target = guest.sockets[0].getsockname()
    port = Port((f"127.{net}.1.11", 0), dial(target))
    port.open()
    try:
        yield port, echo
    finally:
        port.sound()
        await port.close()
        guest.close()
        await asyncio.sleep(0.02)


def told(story: Callable[[Port, Echo], Coroutine[Any, Any, None]]) -> None:
    async def run() -> None:
        async with wired() as (port, echo):
            await story(port, echo)

    asyncio.run(run())


async def call(port: Port) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.wait_for(asyncio.open_connection(*port.listen), SOON)


async def say(line: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bytes:
    writer.write(line)
    return await asyncio.wait_for(reader.readline(), SOON)


def test_in_the_dark_a_connect_hangs_and_is_not_refused() -> None:
    async def story(port: Port, echo: Echo) -> None:
        port.silence()
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await call(port)
        assert echo.served == 0

    told(story)


def test_when_light_returns_connects_succeed_and_the_guest_met_no_ghost() -> None:
    async def story(port: Port, echo: Echo) -> None:
        port.silence()
        with pytest.raises(TimeoutError):
            await call(port)
        port.sound()
        reader, writer = await call(port)
        assert await say(b"light\n", reader, writer) == b"light\n"
        assert echo.served == 1
        writer.close()

    told(story)


def test_an_established_connection_stalls_both_ways_and_goes_on_afterwards() -> None:
    async def story(port: Port, echo: Echo) -> None:
        reader, writer = await call(port)
        assert await say(b"before\n", reader, writer) == b"before\n"
        port.silence()
        with pytest.raises(TimeoutError):
            await say(b"during\n", reader, writer)
        assert b"during\n" not in echo.heard
        port.sound()
        assert await asyncio.wait_for(reader.readline(), SOON) == b"during\n"
        writer.close()

    told(story)


def test_a_guest_that_dies_in_the_dark_is_not_heard_dying() -> None:
    async def story(port: Port, echo: Echo) -> None:
        reader, writer = await call(port)
        assert await say(b"1\n", reader, writer) == b"1\n"
        port.silence()
        for task in asyncio.all_tasks():
            if "Echo" in repr(task.get_coro()):
                task.cancel()
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(reader.read(1), SOON)
        writer.close()

    told(story)


def test_darkness_twice_is_darkness_once() -> None:
    async def story(port: Port, echo: Echo) -> None:
        port.silence()
        port.silence()
        port.sound()
        port.sound()
        reader, writer = await call(port)
        assert await say(b"x\n", reader, writer) == b"x\n"
        writer.close()

    told(story)


def test_a_closed_port_refuses_and_resets_what_was_established() -> None:
    async def story(port: Port, echo: Echo) -> None:
        reader, writer = await call(port)
        assert await say(b"x\n", reader, writer) == b"x\n"
        await port.close()
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(1), SOON)
        with pytest.raises(ConnectionRefusedError):
            await call(port)
        writer.close()

    told(story)


def test_a_port_opened_in_the_dark_is_silent_from_its_first_moment() -> None:
    async def story(port: Port, echo: Echo) -> None:
        await port.close()
        port.silence()
        port.open()
        with pytest.raises(TimeoutError):
            await call(port)

    told(story)


def test_a_half_closed_connection_still_carries_the_answer() -> None:
    async def story(port: Port, echo: Echo) -> None:
        reader, writer = await call(port)
        writer.write(b"last\n")
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), SOON) == b"last\n"
        writer.close()

    told(story)


def test_an_address_that_is_not_ours_says_what_is_missing() -> None:
    async def run() -> None:
        with pytest.raises(AddressMissing, match=r"needs Linux"):
            Port(("203.0.113.7", 80), dial(("127.0.0.1", 1))).open()

    asyncio.run(run())


def test_a_taken_port_names_the_remedy() -> None:
    async def run() -> None:
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(AddressMissing, match=r"--set net="):
                Port(other.getsockname(), dial(("127.0.0.1", 1))).open()

    asyncio.run(run())
