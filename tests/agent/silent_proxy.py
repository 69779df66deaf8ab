"""A TCP forwarder that can fall silent: connections stay, nothing comes through any more."""

import contextlib
import selectors
import socket
import threading


class SilentProxy:
    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._peers: dict[socket.socket, socket.socket] = {}
        self._ended = threading.Event()
        self.silent = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        host, port = self._listener.getsockname()[:2]
        return f"http://{host}:{port}"

    def close(self) -> None:
        self._ended.set()
        self._thread.join(5)
        for one in (*self._peers, self._listener):
            one.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._ended.is_set():
            for key, _ in self._selector.select(0.02):
                if self.silent:
                    self._ended.wait(0.02)
                    continue
                one = key.fileobj
                assert isinstance(one, socket.socket)
                if one is self._listener:
                    self._accept()
                elif one in self._peers:  # else its other side has just closed both
                    self._forward(one)

    def _accept(self) -> None:
        inner, _ = self._listener.accept()
        outer = socket.create_connection(self._target)
        for a, b in ((inner, outer), (outer, inner)):
            self._peers[a] = b
            self._selector.register(a, selectors.EVENT_READ)

    def _forward(self, one: socket.socket) -> None:
        try:
            data = one.recv(65536)
        except OSError:
            data = b""
        other = self._peers[one]
        if data:
            with contextlib.suppress(OSError):
                other.sendall(data)
            return
        for side in (one, other):
            self._selector.unregister(side)
            side.close()
            self._peers.pop(side, None)
