"""What systemd wants to hear of a service with Type=notify: datagrams to $NOTIFY_SOCKET.

Source: sd_notify(3) of systemd, read 2026-11. No dependency: it is one `sendto`.
"""

import contextlib
import socket


class Notify:
    """`address` None: nobody listens, and nothing is sent."""

    def __init__(self, address: str | None) -> None:
        self._address = "\0" + address[1:] if address and address.startswith("@") else address

    def ready(self) -> None:
        self._send("READY=1")

    def beat(self) -> None:
        """After a completed step of the renewing thread and from nowhere else: this is what the watchdog watches."""
        self._send("WATCHDOG=1")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if not self._address:
            return
        # systemd not listening is no reason to stop renewing: its own watchdog decides what follows from silence.
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
            out.setblocking(False)
            out.sendto(text.encode(), self._address)
