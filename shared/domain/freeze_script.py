"""The shell scripts that freeze and thaw a guest, and what their exit codes mean.

Freeze arms a timer in the guest before it runs `before`: when `within` is over the timer runs `after`, even if nobody
ever comes back. Thaw runs `after` and stops the timer. Whoever runs `after` claims that first by one atomic link, so it
runs once; when its runner was killed in the midst, the timer takes over, because a frozen guest is worse than an
`after` that ran twice. A thaw that overtakes its freeze voids it.

The records stand in /run, which is memory: nothing here writes to a file system that `before` may have frozen. A
`before` must not freeze the file system that Cloud Assistant itself writes to (mostly /): the thaw would not be heard,
the timer fires, and the restore point is only crash-consistent. A reboot forgets the records, and the freeze with them.
Needs sh, setsid and coreutils or busybox. Each of the user's scripts runs in a shell of its own, so that neither
`exit` nor a syntax error in it harms ours, and writes into a file of its own, so that nobody waits for what it leaves
running.
"""

from base64 import b64encode
from datetime import timedelta
from enum import IntEnum
from math import ceil
from shlex import quote
from typing import Final

from shared.domain.policy import Freeze

BYTES_AT_MOST: Final = 24 * 1024
"""Of one script in Base64. Source: ECS API, RunCommand, SDK 7.11.8."""
SHORTEST: Final = timedelta(seconds=10)
"""Handing a command over takes seconds, there and back; Cloud Assistant takes less than this for this (assumption)."""
LONGEST: Final = timedelta(minutes=4)
"""Freeze and thaw are waited for within one invocation (600 s at most), beside the snapshot's own calls."""


class Exit(IntEnum):
    """How a script ended. 0: frozen, or thawed before the guest's timer fired."""

    WELL = 0
    TIMER_FIRED = 70  # thaw: the guest had thawed itself before
    STUCK = 71  # thaw: `after` failed, the guest may still be frozen
    TIMER_STUCK = 72  # thaw: the timer's `after` failed
    NEVER_FROZEN = 73  # thaw: no freeze had begun (none will now), or it had failed and was taken back
    VOID = 74  # freeze: its thaw came first
    REFUSED = 75  # freeze: `before` failed; `after` was run
    UNARMED = 76  # freeze: no timer could be set, so nothing was begun
    TOO_SLOW = 77  # freeze: the timer fired before `before` had ended
    REFUSED_STUCK = 78  # freeze: `before` failed, and `after` as well
    UNKNOWN = 79  # thaw: `after` was cut short


NOT_FROZEN: Final = frozenset({Exit.VOID, Exit.REFUSED, Exit.UNARMED, Exit.TOO_SLOW, Exit.REFUSED_STUCK})
"""Of a freeze: nothing is left to be thawed by us."""

_PLACE: Final = """\
umask 077
for base in /run /dev/shm /tmp; do
  # Guests that share one machine, as an emulator's do, are told apart by GUEST_INSTANCE.
  top=$base/understudy/${GUEST_INSTANCE:-here}
  mkdir -p "$top" 2>/dev/null && [ -w "$top" ] && break
done
"""

# $1 records, $2 who runs it, $3 seconds to wait, $4 `after`
_RUN: Final = """\
d=$1 who=$2
if [ "$3" -gt 0 ]; then echo $$ > "$d/timer"; sleep "$3"; fi
[ -e "$d/ended" ] && exit 0
echo "$$ $who" > "$d/claim.$$"
if ! ln "$d/claim.$$" "$d/over" 2>/dev/null; then
  while [ ! -e "$d/ended" ] && read -r pid other < "$d/over" && kill -0 "$pid" 2>/dev/null; do sleep 1; done
  [ -e "$d/ended" ] && exit 0
  mv -f "$d/claim.$$" "$d/over"
fi
[ -s "$d/before" ] && kill -9 -"$(cat "$d/before")" 2>/dev/null
/bin/sh -c "$4" </dev/null >"$d/after.log" 2>&1
echo "$? $who" > "$d/ended.$$"
mv "$d/ended.$$" "$d/ended"
"""

# $1 records, $2 `before`. Its number is written before it looks, and the timer claims before it reads the number: one
# of the two sees the other.
_BEFORE: Final = """\
echo $$ > "$1/before"
[ -e "$1/over" ] && exit 1
exec /bin/sh -c "$2"
"""

_FREEZE: Final = """\
find "$top" -mindepth 1 -maxdepth 1 -mtime +1 -exec rm -rf {{}} + 2>/dev/null
d=$top/{id}
mkdir "$d" 2>/dev/null || {{ echo "its thaw came first, or it ran before"; exit {VOID}; }}
command -v setsid >/dev/null || {{ echo "setsid is missing: install util-linux"; exit {UNARMED}; }}
setsid /bin/sh -c "$run" understudy "$d" timer {within} "$after" </dev/null >/dev/null 2>&1 &
tries=0
until [ -s "$d/timer" ]; do
  tries=$((tries + 1))
  if [ $tries -gt 50 ]; then echo "no timer could be started"; : > "$d/ended"; exit {UNARMED}; fi
  sleep 0.1 2>/dev/null || sleep 1
done
setsid /bin/sh -c "$begin" understudy "$d" "$before" </dev/null >"$d/before.log" 2>&1 &
wait $!
code=$?
tail -c 1000 "$d/before.log"
rm -f "$d/before"
if [ -e "$d/over" ]; then echo "took longer than {within} s"; exit {TOO_SLOW}; fi
[ $code -eq 0 ] && exit {WELL}
echo "before ended with exit code $code"
setsid /bin/sh -c "$run" understudy "$d" freeze 0 "$after" </dev/null >/dev/null 2>&1 &
wait $!
tail -c 1000 "$d/after.log" 2>/dev/null
exec 2>/dev/null  # some shells tell of every job that is killed
kill -9 -"$(cat "$d/timer")"
read -r code who < "$d/ended" && [ "$code" = 0 ] && exit {REFUSED}
echo "after ended with exit code $code"
exit {REFUSED_STUCK}
"""

_THAW: Final = """\
d=$top/{id}
if mkdir "$d" 2>/dev/null; then echo "no freeze had begun"; exit {NEVER_FROZEN}; fi
setsid /bin/sh -c "$run" understudy "$d" thaw 0 "$after" </dev/null >/dev/null 2>&1 &
wait $!
tail -c 1000 "$d/after.log" 2>/dev/null
read -r code who < "$d/ended" || {{ echo "after was cut short"; exit {UNKNOWN}; }}
[ "$who" != timer ] && [ -s "$d/timer" ] && kill -9 -"$(cat "$d/timer")" 2>/dev/null
case $who in
  freeze) exit {NEVER_FROZEN} ;;
  timer) [ "$code" = 0 ] && exit {TIMER_FIRED}; echo "after ended with exit code $code"; exit {TIMER_STUCK} ;;
esac
[ "$code" = 0 ] && exit {WELL}
echo "after ended with exit code $code"
exit {STUCK}
"""


def freeze(id: str, how: Freeze) -> str:
    """`id` tells this freeze from every other: letters, digits and hyphens."""
    given = f"run={quote(_RUN)}\nbegin={quote(_BEFORE)}\nbefore={quote(how.before)}\nafter={quote(how.after)}\n"
    return _PLACE + given + _FREEZE.format(id=id, within=seconds(how), **_CODES)


def thaw(id: str, how: Freeze) -> str:
    """Of the same `id`. May run any number of times."""
    return _PLACE + f"run={quote(_RUN)}\nafter={quote(how.after)}\n" + _THAW.format(id=id, **_CODES)


def seconds(how: Freeze) -> int:
    return max(1, ceil(how.within.total_seconds()))


def trouble(how: Freeze) -> str | None:
    """What is wrong with it, and how to mend that. None: it can be sent."""
    if not SHORTEST <= how.within <= LONGEST:
        return f"within is {how.within}; give {SHORTEST.seconds} s to {LONGEST.seconds} s"
    if "\0" in how.before + how.after:
        return "a script holds a NUL character, which no shell takes"
    size = len(b64encode(freeze("0" * 32, how).encode()))
    if size > BYTES_AT_MOST:
        return (
            f"with what Understudy adds, before and after are {size} bytes in Base64, and Cloud Assistant takes "
            f"{BYTES_AT_MOST}: put them into files on the instance and call those"
        )
    return None


_CODES: Final = {code.name: int(code) for code in Exit}
