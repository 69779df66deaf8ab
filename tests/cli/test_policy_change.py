"""`understudy apply` says what the new policy lets go that the active one keeps, before it is active."""

from datetime import timedelta
from pathlib import Path

from emulator.testing import Local
from shared.state.points import Points
from shared.wiring import foundation
from tests.cli.conftest import Run
from tests.unit.points import point

EXAMPLE = Path(__file__).parents[2] / "understudy.yaml"
KEEP = "keep: {hourly: 24, daily: 7}"


def test_a_shorter_keep_is_told_with_numbers_and_a_longer_one_is_not(
    connected: Local, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "understudy.yaml"
    file.write_text(EXAMPLE.read_text())

    def apply(keep: str) -> str:
        text = file.read_text()
        file.write_text(EXAMPLE.read_text().replace(KEEP, f"keep: {{{keep}}}"))
        assert file.read_text() != text
        ended = run("apply", "--file", str(file), "--accept-doubts")
        assert ended.code == 0, ended.err
        return ended.out.replace("\n", " ")

    first = apply("last: 9")
    taken = [connected.cloud.clock.now() - timedelta(hours=hour) for hour in range(1, 5)]
    Points(foundation.store()).put([point(at, subject="i-app-h1", disks=("d-app-h1",)) for at in taken])
    shorter = apply("last: 1")
    longer = apply("last: 3")

    assert "kept now" not in first
    assert "of 4 restore points it lets 3 go that are kept now: 3 of applications in cn-hangzhou" in shorter
    assert point(taken[-1], subject="i-app-h1").id in shorter
    assert "policy version 2 is active" in shorter
    assert "kept now" not in longer
