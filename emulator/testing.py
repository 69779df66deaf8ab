"""`mock_aliyun`: a whole local cloud inside a test, for any SDK.

    with mock_aliyun(seed="two-zones.yaml", settings={"net": "77"}) as local:
        client = Client(Config(endpoint=local.host, protocol="http", access_key_id=..., access_key_secret=...))
        local.advance(3600)

The server runs on a thread of its own; models belong to that thread, so reach them through `local.run`.
"""

import asyncio
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from emulator.cloud import Cloud
from emulator.pvtz.resolver import CachingResolver
from emulator.server import Options, Server

T = TypeVar("T")
PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Local:
    url: str
    host: str  # 127.0.0.1:PORT
    dns: str | None  # 127.0.0.1:PORT
    endpoints: Mapping[str, str]  # 127.0.0.1:PORT by region; home's is `host`
    cloud: Cloud
    access_key: tuple[str, ...]
    ots_instance: str
    _loop: asyncio.AbstractEventLoop

    def run(self, fn: Callable[[], T]) -> T:
        """Run `fn()` on the server's thread and return its result."""

        async def call() -> T:
            return fn()

        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(PATIENCE_SECONDS)

    def resolver(self, *, forever: bool = False) -> CachingResolver:
        """A client that remembers names for their TTL, or for ever."""
        if self.dns is None:
            raise RuntimeError("this cloud answers no DNS")
        return CachingResolver(self.dns, now=self.cloud.clock.now, forever=forever)

    def advance(self, seconds: float) -> None:
        """Jump the emulated clock; returns when everything due has run and all is quiet."""
        clock = self.cloud.clock

        async def jump() -> None:
            await clock.jump(clock.now() + timedelta(seconds=seconds))

        asyncio.run_coroutine_threadsafe(jump(), self._loop).result(PATIENCE_SECONDS)


@contextmanager
def mock_aliyun(**options: Any) -> Iterator[Local]:
    """`options` as in `emulator.server.Options`. Everything ends with the block."""
    settings = Options(**options)
    ready = threading.Event()
    started: list[tuple[Server, asyncio.AbstractEventLoop, asyncio.Event]] = []

    async def serve() -> None:
        server = Server(settings)
        stop = asyncio.Event()
        try:
            await server.start()
            started.append((server, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()
        finally:
            await server.stop()

    with ThreadPoolExecutor(1, thread_name_prefix="mock_aliyun") as pool:
        end = pool.submit(lambda: asyncio.run(serve()))
        end.add_done_callback(lambda _: ready.set())
        if not ready.wait(PATIENCE_SECONDS):
            raise TimeoutError("the local cloud did not start within a minute")
        if not started:
            end.result()  # raises what kept it from starting
        server, loop, stop = started[0]
        try:
            yield Local(
                url=server.url,
                host=server.url.removeprefix("http://"),
                dns=server.dns,
                endpoints=server.endpoints,
                cloud=server.cloud,
                access_key=settings.access_keys[0],
                ots_instance=settings.ots_instance,
                _loop=loop,
            )
        finally:
            if not end.done():
                loop.call_soon_threadsafe(stop.set)
            end.result(PATIENCE_SECONDS)
