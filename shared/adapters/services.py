"""Trying a service port by connecting to it, with this machine's own eyes."""

import errno
import socket
from datetime import timedelta

from shared.ports.probes import Sight

_REFUSALS = {errno.ECONNREFUSED, errno.ECONNRESET}


class TcpServices:
    """Plain TCP: the one thing that every service behind a TCP listener has in common."""

    def answers(self, address: str, port: int, *, timeout: timedelta) -> Sight:
        try:
            with socket.create_connection((address, port), timeout=max(timeout.total_seconds(), 0.001)):
                return Sight.ANSWERED
        except TimeoutError:
            return Sight.SILENT
        except OSError as error:
            # No route and host unreachable are silence too: nobody there said no.
            return Sight.REFUSED if error.errno in _REFUSALS else Sight.SILENT
