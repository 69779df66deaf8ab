"""`python -m understudy.demo`: three acts, a report, an exit code (see `programme`; 130 when it was interrupted).

Interruptions are settled here, before anything heavy is imported: Ctrl-C and SIGTERM end the demo once, without a
traceback, at whatever moment they come, and a second one does not disturb the clearing away.
"""

import signal
import sys
from types import FrameType

INTERRUPTED = 130


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    try:
        from understudy.demo import programme

        return programme.run(sys.argv[1:])
    except KeyboardInterrupt:
        return INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
