"""The operator's own commands: when they run, and what follows when they fail or hang."""

import shlex
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import BadInput
from shared.domain.ids import Epoch
from shared.domain.lease import LeaseState
from tests.agent.conftest import wait_for
from tests.agent.test_holder import Hands, Table
from understudy.agent.hooks import Hooks
from understudy.agent.lag import Lag, LagWatch, behind, by_command, by_url

ONE, TWO = Epoch(1), Epoch(2)
NAMES = {"UNDERSTUDY_PAIR": "control", "UNDERSTUDY_SITE": "hz-h"}


def command(tmp_path: Path, name: str, *, ends_with: int = 0) -> str:
    """Writes a line about itself, waits while a file named `<name>.wait` exists, and ends."""
    script = tmp_path / f"{name}.py"
    script.write_text(
        "import os, pathlib, sys, time\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        "with (here / 'ran').open('a') as ran:\n"
        f"    ran.write('{name} ' + os.environ['UNDERSTUDY_SITE'] + ' ' + os.environ['UNDERSTUDY_EPOCH'] + '\\n')\n"
        f"while (here / '{name}.wait').exists():\n"
        "    time.sleep(0.01)\n"
        f"sys.exit({ends_with})\n"
    )
    return shlex.join([sys.executable, str(script)])


def ran(tmp_path: Path) -> list[str]:
    file = tmp_path / "ran"
    return file.read_text().splitlines() if file.exists() else []


def hooks(tmp_path: Path, *, promote: int | None = 0, demote: int | None = None, timeout: float = 20) -> Hooks:
    def of(name: str, ends_with: int | None) -> str | None:
        return None if ends_with is None else command(tmp_path, name, ends_with=ends_with)

    return Hooks(
        promote=of("promote", promote),
        demote=of("demote", demote),
        timeout=timedelta(seconds=timeout),
        memory=tmp_path / "hooks",
        names=NAMES,
    )


def with_hooks(table: Table, made: Hooks, *, ready: Callable[[], bool] = lambda: True):  # type: ignore[no-untyped-def]  # a context of mixed things
    holder, board = table.agent("a", ready=ready)
    holder._prepared, holder._retired = made.prepared, made.retired
    made.on_failed_promotion = holder.give_up
    return holder, board


def test_the_master_is_active_only_after_the_promote_hook_while_the_lease_is_renewed(tmp_path: Path) -> None:
    table, made = Table(), hooks(tmp_path)
    (tmp_path / "promote.wait").touch()
    holder, board = with_hooks(table, made)
    holder.step()
    for _ in range(8):  # far longer than a lease
        table.clock.at += 1
        assert holder.step()
    assert table.row().version == 9
    assert board.said.until == 0
    assert "before the master is active under 1" in holder.waits
    (tmp_path / "promote.wait").unlink()
    wait_for("the hook's end", lambda: made.prepared(ONE))
    holder.step()

    assert holder.active()
    assert ran(tmp_path) == ["promote hz-h 1"]


def test_a_promote_hook_that_fails_gives_the_epoch_up_for_the_other_site(tmp_path: Path) -> None:
    table, made = Table(), hooks(tmp_path, promote=3)
    holder, board = with_hooks(table, made)
    holder.step()
    wait_for("the failure", lambda: made.trouble)
    holder.step()

    assert "the promote hook for epoch 1 failed" in made.trouble
    assert not holder.active()
    assert board.said.until == 0
    assert table.row().state is LeaseState.FREE


def test_a_promote_hook_that_hangs_is_ended_and_counts_as_failed(tmp_path: Path) -> None:
    made = hooks(tmp_path, timeout=0.2)
    (tmp_path / "promote.wait").touch()
    assert made.prepared(ONE) is False
    wait_for("the failure", lambda: made.trouble)

    assert "timed out" in made.trouble
    assert made.prepared(ONE) is False


def test_hooks_run_once_per_epoch_and_not_once_per_process(tmp_path: Path) -> None:
    before = hooks(tmp_path)
    wait_for("the hook's end", lambda: before.prepared(ONE))
    again = hooks(tmp_path)

    assert again.prepared(ONE)
    assert ran(tmp_path) == ["promote hz-h 1"]
    wait_for("the next epoch's", lambda: again.prepared(TWO))
    assert ran(tmp_path) == ["promote hz-h 1", "promote hz-h 2"]


def test_the_lease_is_given_back_after_the_demote_hook_and_the_master_stops_before_it(tmp_path: Path) -> None:
    table, made = Table(), hooks(tmp_path, promote=None, demote=0)
    (tmp_path / "demote.wait").touch()
    holder, board = with_hooks(table, made)
    holder.step()
    assert holder.active()
    holder.give_up("told to")
    assert board.said.until == 0
    holder.step()
    wait_for("the hook's start", lambda: ran(tmp_path) == ["demote hz-h 1"])
    holder.step()
    assert table.row().state is LeaseState.HELD
    (tmp_path / "demote.wait").unlink()
    wait_for("the hook's end", lambda: made.retired(ONE))
    holder.step()

    assert table.row().state is LeaseState.FREE


def test_after_a_demote_hook_that_failed_the_lease_runs_out_instead_of_being_given_back(tmp_path: Path) -> None:
    table, made = Table(), hooks(tmp_path, promote=None, demote=1)
    holder, _ = with_hooks(table, made)
    holder.step()
    holder.give_up("told to")
    holder.step()
    wait_for("the failure", lambda: made.trouble)
    version = table.row().version
    for _ in range(5):
        table.clock.at += 1
        holder.step()

    assert (table.row().state, table.row().version) == (LeaseState.HELD, version)


def test_a_site_that_is_superseded_runs_its_demote_hook_too(tmp_path: Path) -> None:
    table, made = Table(), hooks(tmp_path, promote=None, demote=0)
    holder, _ = with_hooks(table, made)
    holder.step()
    table.given_to("hz-i")  # type: ignore[arg-type]  # a site's plain name
    holder.step()
    holder.step()

    wait_for("the hook", lambda: ran(tmp_path) == ["demote hz-h 1"])


def test_a_demotion_during_a_promotion_waits_for_its_end(tmp_path: Path) -> None:
    made = hooks(tmp_path, demote=0)
    (tmp_path / "promote.wait").touch()
    assert not made.prepared(ONE)
    wait_for("the promote hook", lambda: ran(tmp_path))
    assert not made.retired(ONE)
    assert ran(tmp_path) == ["promote hz-h 1"]
    (tmp_path / "promote.wait").unlink()
    wait_for("the demote hook", lambda: made.retired(ONE))

    assert ran(tmp_path) == ["promote hz-h 1", "demote hz-h 1"]


@pytest.mark.parametrize(("text", "said"), [("", "is empty"), ("'", "No closing quotation")])
def test_a_hook_that_is_no_command_is_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        Hooks(promote=text, demote=None, timeout=timedelta(seconds=1), memory=tmp_path / "hooks", names=NAMES)


# --- lag ---


@pytest.mark.parametrize(("said", "seconds"), [("1.5\n", 1.5), ("0", 0.0), ('{"lag": 12, "of": "replica"}', 12.0)])
def test_a_lag_is_seconds_or_json(said: str, seconds: float) -> None:
    assert behind(said).total_seconds() == seconds


@pytest.mark.parametrize(
    "said",
    [
        *("", "soon", "-1", "NaN", "Infinity", "true", "null", "[1]", '{"behind": 1}', '{"lag": null}'),
        *("18446744073709551615", "1e300", "1" + "0" * 400, "[" * 4000),  # a counter that ran below zero, among others
    ],
)
def test_whatever_else_is_said_is_no_lag(said: str) -> None:
    with pytest.raises(ValueError, match=r"expect|Expecting"):
        behind(said)


def lag_of(watch: LagWatch) -> Lag | None:
    return watch.newest


def test_a_lag_is_as_old_as_the_start_of_its_measurement_and_unknown_once_one_fails() -> None:
    clock, answers = Hands(), ["2", "3", "?"]

    def measure() -> str:
        clock.at += 1
        return answers.pop(0)

    watch = LagWatch(measure, clock=clock)
    assert lag_of(watch) is None
    for seconds, at in ((2, 100.0), (3, 101.0)):
        watch.look()
        assert watch.newest is not None
        assert (watch.newest.behind, watch.newest.at) == (timedelta(seconds=seconds), at)
    watch.look()

    assert "the lag is not known" in watch.trouble
    assert lag_of(watch) is None


def test_a_lag_command_that_fails_or_is_missing_means_not_known() -> None:
    for said in (shlex.join([sys.executable, "-c", "print(0); raise SystemExit(1)"]), "/no/such/command"):
        watch = LagWatch(by_command(said), clock=Hands())
        watch.look()
        assert watch.newest is None
    good = LagWatch(by_command(shlex.join([sys.executable, "-c", "print(4)"])), clock=Hands())
    good.look()
    assert good.newest is not None
    assert good.newest.behind == timedelta(seconds=4)


@pytest.mark.parametrize(("make", "given"), [(by_command, ""), (by_command, "'"), (by_url, "file:///etc/passwd")])
def test_a_source_of_lag_that_cannot_be_one_is_refused(make: Callable[[str], object], given: str) -> None:
    with pytest.raises(BadInput, match="--lag-"):
        make(given)
