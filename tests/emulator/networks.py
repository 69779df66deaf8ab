"""A free 127.x network per test, so that tests running side by side never share an address."""

import os
import random
import socket

import pytest


def free_network() -> int:
    """N such that 127.N.0.0/16 and 127.(N+1).0.0/16 are bound by nobody (as far as one probe address can tell).

    The probe stays bound on 127.N.255.254 for the life of this process: a claim that other tests see.
    """
    chance = random.Random(os.urandom(8))
    for _ in range(100):
        net = 10 + 2 * chance.randrange(110)
        claim = socket.socket()
        try:
            claim.bind((f"127.{net}.255.254", 9))
        except PermissionError:
            claim.bind((f"127.{net}.255.254", 40009))
        except OSError as error:
            claim.close()
            if error.errno == 99:
                pytest.skip("this machine cannot bind 127.x addresses: Linux only")
            continue
        _claims.append(claim)
        return net
    raise AssertionError("no free loopback network")


_claims: list[socket.socket] = []
