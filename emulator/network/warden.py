"""Outlives the emulator by one moment, to take its guests with it: no guest survives a `kill -9` of the emulator.

A script of its own process: it reads `+GROUP` and `-GROUP` lines from its standard input and, when that ends (the
emulator is gone, in whatever way), kills every process group still on its list, stopped ones included.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    # Ctrl-C at a terminal and a polite end of the session are for the emulator, which then closes our input.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line[0] == "+":
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
