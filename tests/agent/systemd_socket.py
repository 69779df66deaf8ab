"""A stand-in for the socket on which systemd listens to a service."""

import socket
from pathlib import Path


class Systemd:
    """The socket that systemd gives a service."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._socket.setblocking(False)

    def heard(self) -> list[str]:
        heard = []
        try:
            while True:
                heard.append(self._socket.recv(256).decode())
        except BlockingIOError:
            return heard

    def close(self) -> None:
        self._socket.close()
