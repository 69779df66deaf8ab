"""A 127.x network of one's own per test process, so that tests running side by side never share an address."""

import errno
import os
import random
import socket
from functools import cache

import pytest

CANDIDATES: list[int] = [*range(10, 32, 2), *range(194, 250, 2)]  # the demo takes its own from the range between


@cache
def free_network() -> int:
    """N such that 127.N.0.0/16 and 127.(N+1).0.0/16 are this process's.

    The claim is a bound address that other test processes see; it stays as long as this process does.
    """
    chance = random.Random(os.urandom(8))
    for net in chance.sample(CANDIDATES, len(CANDIDATES)):
        claim = socket.socket()
        try:
            claim.bind((f"127.{net}.255.254", 40009))
        except OSError as error:
            claim.close()
            if error.errno == errno.EADDRNOTAVAIL:
                pytest.skip("this machine cannot bind 127.x addresses: Linux only")
            continue
        _claims.append(claim)
        return net
    raise AssertionError("no free loopback network: end the test processes that hold them")


_claims: list[socket.socket] = []
