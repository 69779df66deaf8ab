"""Ending this process, so that the platform starts a fresh one with fresh credentials."""

import logging
import os
import sys


def end(status: int) -> None:
    """At once, without unwinding: what holds on to old credentials must not run again. Logs are written out first."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
