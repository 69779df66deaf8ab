"""Becomes a guest, bound to the life of the process that starts it: `launch.py PARENT_PID COMMAND...`.

Run as a script with `-I -S`, so it costs a few milliseconds. PR_SET_PDEATHSIG survives execve and makes the kernel
kill the guest when its parent dies, however it dies; a guest's own children are the warden's business.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    parent, command = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        sys.exit(1)  # it died before we were bound to it
    os.execvp(command[0], command)  # noqa: S606 - a fixed argument list, no shell wanted


if __name__ == "__main__":
    main()
