"""The price of one conditional put: our adapter, the official SDK and the emulator's Tablestore, against a bare
HTTP POST of as many bytes to an empty handler of the same HTTP server library. Servers are processes of their own."""

import http.client
from contextlib import closing

from bench.measure import Measure, side_by_side
from bench.processes import server
from shared.adapters.credentials import Credentials
from shared.adapters.ots import OtsStore, OtsTables
from shared.ports.store import Absent, Matches, Row

_BODY = b"x" * 250  # about what a conditional put of the row below weighs
_BARE = """
import asyncio, sys
from aiohttp import web
async def answer(request):
    await request.read()
    return web.Response(body=b"ok")
app = web.Application()
app.router.add_post("/", answer)
async def main():
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    sys.stdout.write('{"url": "http://127.0.0.1:%d"}\\n' % runner.addresses[0][1])
    sys.stdout.flush()
    await asyncio.Event().wait()
asyncio.run(main())
"""
_SCHEMA = {"leases": ("pair",)}


def run() -> list[Measure]:
    emulator = (
        "-m",
        "emulator",
        "serve",
        "--port",
        "0",
        "--access-key",
        "testid:testsecret",
        "--ots-instance",
        "bench",
    )
    with server(*emulator) as url, server("-c", _BARE) as bare_url:
        key = Credentials("testid", "testsecret")
        tables = OtsTables(endpoint=url, instance="bench", credentials=lambda: key)
        tables.create_tables(_SCHEMA)
        tables.close()
        store = OtsStore(endpoint=url, instance="bench", credentials=lambda: key, schema=_SCHEMA)
        host = bare_url.removeprefix("http://")
        with closing(store), closing(http.client.HTTPConnection(host)) as bare:

            def post(_: int) -> None:
                bare.request("POST", "/", _BODY)
                bare.getresponse().read()

            def put(number: int) -> None:
                row = Row(key=(f"p{number}",), columns={"version": 1, "owner": "site-h", "epoch": 7})
                store.put("leases", row, condition=Absent())

            store.put("leases", Row(key=("pair",), columns={"version": 0}), condition=Absent())
            version = 0

            def renew(_: int) -> None:
                nonlocal version
                row = Row(key=("pair",), columns={"version": version + 1, "owner": "site-h"})
                store.update("leases", row, condition=Matches({"version": version}))
                version += 1

            def get(_: int) -> None:
                store.get("leases", ("pair",))

            measures = []
            for name, ours in (("put if absent", put), ("compare and set", renew), ("get", get)):
                ours_ms, bare_ms = side_by_side(ours, post)
                measures.append(
                    Measure(name=f"store: {name}", ours_ms=ours_ms, baseline="bare POST", baseline_ms=bare_ms)
                )
            return measures
