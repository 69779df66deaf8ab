"""Whatever interrupts a rebuild, wherever: it ends as an undisturbed one does. The whole sweep of all paths is
`python -m tests.usecases.rebuild_sweep`; here all of it for the main path, and each effect on the cloud for the others.
"""

from functools import partial

import pytest

from tests.usecases.rebuild_sweep import PATHS, Build, freezes, keeps_everything, swept, troubles


def report(capsys: pytest.CaptureFixture[str], what: str, count: int, wrong: list[str]) -> None:
    with capsys.disabled():
        print(f"\nrebuild, {what}: {count} interruptions, {len(wrong)} ended otherwise")
    assert count >= 8
    assert not wrong, "\n".join(wrong)


@pytest.mark.timeout(300)
def test_every_interruption_of_every_call_ends_in_the_same_world(capsys: pytest.CaptureFixture[str]) -> None:
    report(capsys, "all calls", *swept(keeps_everything, troubles))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("build", [one for one in PATHS.values() if one is not keeps_everything])
def test_every_interruption_of_every_effect_ends_in_the_same_world(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, f"effects, {build.__name__}", *swept(build, partial(troubles, only_effects=True)))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("build", PATHS.values())
def test_an_executor_that_freezes_before_an_effect_and_thaws_does_no_harm(
    build: Build, capsys: pytest.CaptureFixture[str]
) -> None:
    report(capsys, f"freezes, {build.__name__}", *swept(build, freezes))
