"""The demo's application server: a guest process that keeps records on its instance's data disk.

    GET  /health            200 when it serves
    GET  /records/KEY       the record's bytes
    PUT  /records/KEY       store one record
    POST /fill?prefix=P&count=N&size=B   store N records of B bytes each, derived from their keys
    GET  /                  instance, number of records, digest over all of them

It stands for a real service, so it knows nothing of the emulator but the environment of a guest.
"""

import hashlib
import http.client
import json
from http import HTTPStatus
from threading import Lock
from urllib.parse import parse_qs, unquote, urlsplit

from shared.adapters.environment import require
from understudy.agent.serving import Handler, Server
from understudy.demo.disk_log import DiskLog

PORT = 8080
_CHUNK = 1 << 20


class RemoteDisk:
    """One attached disk, reached through the hypervisor's door."""

    def __init__(self, url: str, device: str, size: int) -> None:
        parts = urlsplit(url)
        self._host, self._path = parts.netloc, f"{parts.path}/{device}"
        self.size = size

    def read(self, offset: int, length: int) -> bytes:
        out = []
        while length > 0:
            part = min(length, _CHUNK)
            out.append(self._call("GET", f"{self._path}?offset={offset}&length={part}"))
            offset, length = offset + part, length - part
        return b"".join(out)

    def write(self, offset: int, data: bytes) -> None:
        for start in range(0, len(data), _CHUNK):
            self._call("PUT", f"{self._path}?offset={offset + start}", data[start : start + _CHUNK])

    def _call(self, method: str, path: str, body: bytes | None = None) -> bytes:
        connection = http.client.HTTPConnection(self._host, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= HTTPStatus.BAD_REQUEST:
            raise OSError(f"disk I/O failed: {method} {path}: {answer.status} {content[:200]!r}")
        return content


def attached_data_disk(url: str) -> RemoteDisk:
    """The first data disk of this instance. Raises OSError when none is attached."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.netloc, timeout=10)
    connection.request("GET", parts.path)
    disks = json.loads(connection.getresponse().read())
    connection.close()
    for disk in disks:
        if disk["kind"] == "data":
            return RemoteDisk(url, disk["device"].removeprefix("/dev/"), int(disk["size"]))
    raise OSError("no data disk is attached to this instance")


def filling(key: str, size: int) -> bytes:
    """Deterministic bytes that do not compress: so that anyone can tell what a record must hold."""
    return hashlib.shake_128(key.encode()).digest(size)


def digest(log: DiskLog) -> str:
    whole = hashlib.sha256()
    for key in log.names():
        whole.update(key.encode() + b"\0" + (log.get(key) or b"") + b"\n")
    return whole.hexdigest()


def serve(log: DiskLog, instance: str, host: str) -> Server:
    lock = Lock()

    class Records(Handler):
        def _answer(self, status: HTTPStatus, body: bytes, kind: str = "application/json") -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("X-Served-By", instance)
            self.end_headers()
            self.wfile.write(body)

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length") or 0))

        def do_GET(self) -> None:
            path = urlsplit(self.path).path
            if path == "/health":
                self._answer(HTTPStatus.OK, b'{"ok": true}')
            elif path.startswith("/records/"):
                value = log.get(unquote(path.removeprefix("/records/")))
                if value is None:
                    self._answer(HTTPStatus.NOT_FOUND, b'{"error": "no such record"}')
                else:
                    self._answer(HTTPStatus.OK, value, "application/octet-stream")
            elif path == "/":
                with lock:
                    summary = {"instance": instance, "records": len(log.names()), "digest": digest(log)}
                self._answer(HTTPStatus.OK, json.dumps(summary).encode())
            else:
                self._answer(HTTPStatus.NOT_FOUND, b'{"error": "no such page"}')

        def do_PUT(self) -> None:
            key = unquote(urlsplit(self.path).path.removeprefix("/records/"))
            value = self._body()
            with lock:
                log.append([(key, value)])
            self._answer(HTTPStatus.OK, b'{"stored": 1}')

        def do_POST(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            self._body()
            prefix, count, size = query["prefix"][0], int(query["count"][0]), int(query["size"][0])
            keys = [f"{prefix}-{number}" for number in range(count)]
            with lock:
                log.append([(key, filling(key, size)) for key in keys])
            self._answer(HTTPStatus.OK, json.dumps({"stored": count}).encode())

    return Server((host, PORT), Records)


def main() -> None:
    given = "the emulator's hypervisor sets it for a guest; this program runs as one"
    disk = attached_data_disk(require("GUEST_DISK_URL", given))
    server = serve(DiskLog(disk), require("GUEST_INSTANCE", given), require("GUEST_BIND", given))
    server.serve_forever()


if __name__ == "__main__":
    main()
