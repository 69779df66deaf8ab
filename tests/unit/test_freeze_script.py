"""The scripts that freeze and thaw a guest, run by real shells. Time is the test's: the timer fires when it says so."""

import os
import shutil
import signal
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain import freeze_script
from shared.domain.freeze_script import Exit
from shared.domain.policy import Freeze
from tests.guest_shell import GuestShell

ID = "understudy-0123456789abcdef"
SHELLS = [shell for shell in ("/bin/dash", "/bin/bash") if shutil.which(shell)]


def how(before: str = "echo frozen >> log", after: str = "echo thawed >> log", seconds: int = 30) -> Freeze:
    return Freeze(before=before, after=after, within=timedelta(seconds=seconds))


@pytest.fixture(params=SHELLS)
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[GuestShell]:
    shell = GuestShell(tmp_path, shell=request.param)
    yield shell
    shell.close()


def freeze(guest: GuestShell, given: Freeze) -> tuple[int, str]:
    ran = guest.run(freeze_script.freeze(ID, given))
    return ran.returncode, ran.stdout


def thaw(guest: GuestShell, given: Freeze) -> tuple[int, str]:
    ran = guest.run(freeze_script.thaw(ID, given))
    return ran.returncode, ran.stdout


# What goes wrong ----------------------------------------------------------------------------------------------------


def test_the_timer_thaws_when_nobody_comes_back_and_the_thaw_then_runs_nothing_again(guest: GuestShell) -> None:
    assert freeze(guest, how())[0] == Exit.WELL
    guest.fire_timer()

    assert thaw(guest, how()) == (Exit.TIMER_FIRED, "")
    assert guest.log == ["frozen", "thawed"]


def test_a_before_that_fails_is_taken_back_at_once_and_says_why(guest: GuestShell) -> None:
    given = how(before="echo no such database; exit 3")

    assert freeze(guest, given) == (Exit.REFUSED, "no such database\nbefore ended with exit code 3\n")
    assert guest.log == ["thawed"]
    assert guest.timer_ends()
    assert thaw(guest, given) == (Exit.NEVER_FROZEN, "")
    assert guest.log == ["thawed"]


def test_a_before_and_an_after_that_fail_are_both_told(guest: GuestShell) -> None:
    code, output = freeze(guest, how(before="exit 3", after="exit 4"))

    assert code == Exit.REFUSED_STUCK
    assert output.splitlines() == ["before ended with exit code 3", "after ended with exit code 4"]


def test_an_after_that_fails_is_told_and_not_run_again(guest: GuestShell) -> None:
    given = how(after="echo tried >> log; exit 5")
    freeze(guest, given)

    assert thaw(guest, given) == (Exit.STUCK, "after ended with exit code 5\n")
    assert thaw(guest, given)[0] == Exit.STUCK
    assert guest.log == ["frozen", "tried"]


def test_an_after_that_fails_when_the_timer_runs_it_is_told_by_the_thaw(guest: GuestShell) -> None:
    given = how(after="exit 5")
    freeze(guest, given)
    guest.fire_timer()

    assert thaw(guest, given) == (Exit.TIMER_STUCK, "after ended with exit code 5\n")


def test_a_before_that_hangs_is_ended_by_the_timer_before_it_thaws(guest: GuestShell) -> None:
    """Otherwise it would freeze the guest after its thaw, with no timer any more."""
    started = guest.home / "started"
    os.mkfifo(started)
    hanging = guest.begin(freeze_script.freeze(ID, how(before="echo x > started; cat started; echo frozen >> log")))
    started.read_text()
    guest.fire_timer()

    assert hanging.wait(30) == Exit.TOO_SLOW
    assert thaw(guest, how())[0] == Exit.TIMER_FIRED
    assert guest.log == ["thawed"]


def test_a_freeze_that_the_platform_killed_is_thawed_by_its_timer(guest: GuestShell) -> None:
    started = guest.home / "started"
    os.mkfifo(started)
    killed = guest.begin(freeze_script.freeze(ID, how(before="echo frozen >> log; echo x > started; cat started")))
    started.read_text()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(30)
    guest.fire_timer()

    assert thaw(guest, how())[0] == Exit.TIMER_FIRED
    assert guest.log == ["frozen", "thawed"]


def test_a_thaw_that_the_platform_killed_goes_on_by_itself(guest: GuestShell) -> None:
    started = guest.home / "started"
    os.mkfifo(started)
    given = how(after="echo x > started; cat started > /dev/null; echo thawed >> log")
    freeze(guest, given)
    killed = guest.begin(freeze_script.thaw(ID, given))
    started.read_text()
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait(30)
    started.write_text("go on")

    assert thaw(guest, given)[0] == Exit.WELL  # it waits for the first one's end, and does not run it again
    assert guest.log == ["frozen", "thawed"]


def test_an_after_whose_runner_was_killed_is_run_again_by_the_timer(guest: GuestShell) -> None:
    given = how(after="kill -9 $PPID; echo thawed >> log")
    freeze(guest, given)
    assert thaw(guest, given)[0] == Exit.UNKNOWN
    guest.fire_timer()

    thaw(guest, given)
    assert guest.log.count("thawed") >= 2


def test_a_thaw_that_overtakes_its_freeze_voids_it(guest: GuestShell) -> None:
    assert thaw(guest, how())[0] == Exit.NEVER_FROZEN

    assert freeze(guest, how())[0] == Exit.VOID
    assert guest.log == []


def test_without_setsid_nothing_is_begun(guest: GuestShell, tmp_path: Path) -> None:
    for tool in ("mkdir", "find", "rm", "cat", "ln", "mv"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))

    ran = guest.run(freeze_script.freeze(ID, how()), PATH=str(tmp_path / "bin"))

    assert (ran.returncode, ran.stdout) == (Exit.UNARMED, "setsid is missing: install util-linux\n")
    assert guest.log == []


# What goes well -----------------------------------------------------------------------------------------------------


def test_a_freeze_holds_until_its_thaw_which_stops_the_timer(guest: GuestShell) -> None:
    assert freeze(guest, how()) == (Exit.WELL, "")
    assert guest.timer_lives()
    assert guest.log == ["frozen"]

    assert thaw(guest, how()) == (Exit.WELL, "")
    assert guest.timer_ends()
    assert guest.log == ["frozen", "thawed"]


def test_a_doubled_thaw_tells_the_same_and_runs_nothing(guest: GuestShell) -> None:
    freeze(guest, how())

    assert [thaw(guest, how())[0] for _ in range(3)] == [Exit.WELL] * 3
    assert guest.log == ["frozen", "thawed"]


def test_what_before_leaves_running_is_not_ended(guest: GuestShell) -> None:
    """A session that holds a lock, say; nor do we wait for it."""
    given = how(before="cat hold > /dev/null & echo $! > session", after="kill -0 $(cat session) && echo held >> log")
    os.mkfifo(guest.home / "hold")
    freeze(guest, given)

    thaw(guest, given)
    assert guest.log == ["held"]
    (guest.home / "hold").write_text("")


TEXTS = {
    "quotes": """it's "quoted" `x` $HOME \\n""",
    "newlines": "first\nsecond\n\n  third",
    "other letters": "Größe 快照 🧊",
    "braces": "{id} {{ACS::InstanceId}} %s",
    "options": "-n -e --",
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS.keys())
def test_a_script_arrives_as_it_was_written(guest: GuestShell, text: str) -> None:
    document = f"cat >> log <<'END OF TEXT'\n{text}\nEND OF TEXT\n"
    given = how(before=document, after=document)
    freeze(guest, given)
    thaw(guest, given)

    assert "\n".join(guest.log) == f"{text}\n{text}"


def test_neither_exit_nor_a_syntax_error_of_a_script_harms_the_other(guest: GuestShell) -> None:
    assert freeze(guest, how(before="exit 0"))[0] == Exit.WELL
    code, output = thaw(guest, how(after="if then fi ("))

    assert code == Exit.STUCK
    assert "yntax error" in output


# What is refused before it is sent ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "because"),
    [
        (how(seconds=9), "within is 0:00:09; give 10 s to 240 s"),
        (how(seconds=241), "within is 0:04:01; give 10 s to 240 s"),
        (how(before="echo \0"), "NUL"),
        (how(before="#" * 20_000), "Cloud Assistant takes 24576: put them into files on the instance and call those"),
    ],
    ids=["too short", "too long", "NUL", "too large"],
)
def test_what_cannot_be_sent_is_said_before(given: Freeze, because: str) -> None:
    assert because in str(freeze_script.trouble(given))


def test_what_can_be_sent_is_not_complained_about() -> None:
    assert freeze_script.trouble(how(before="#" * 8_000, after="#" * 4_000)) is None
