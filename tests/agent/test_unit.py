"""The systemd unit: its watchdog against the lease, and what the agent tells systemd."""

import shutil
import socket
import subprocess
from datetime import timedelta
from pathlib import Path

import pytest

from shared.domain.errors import BadInput
from shared.domain.lease import Terms
from tests.agent.conftest import ROOT
from understudy.agent.notify import Notify
from understudy.agent.unit import check, main, slowest_step, unit, watchdog

FILES = ROOT / "deploy/systemd"
ARGUMENTS = ["--instance", "i-master-h", "--bind", "10.0.1.21", "--master", "10.0.1.21:7000", "--sidecar", "7002"]


def terms(lease: float, margin: float, every: float) -> Terms:
    return Terms(lease=timedelta(seconds=lease), margin=timedelta(seconds=margin), renew_every=timedelta(seconds=every))


FIVE = terms(5, 1, 1)


@pytest.mark.parametrize("pair", [FIVE, terms(4, 1, 1), terms(15, 3, 3), terms(60, 5, 10)])
def test_the_watchdog_ends_a_hanging_agent_before_its_deadline_and_no_healthy_one(pair: Terms) -> None:
    assert slowest_step(pair) <= watchdog(pair) < pair.lease - pair.margin
    assert check(unit(pair), pair) == []


def test_terms_that_leave_no_room_for_a_watchdog_are_refused() -> None:
    with pytest.raises(BadInput, match="no watchdog fits"):
        unit(terms(5, 1, 3))


@pytest.mark.parametrize(
    ("before", "after", "wrong"),
    [
        ("WatchdogSec=3500ms", "WatchdogSec=4", "WatchdogSec is 4 s: it has to be from 2.9 s to 3.5 s"),
        ("WatchdogSec=3500ms", "WatchdogSec=1s", "WatchdogSec is 1 s"),
        ("WatchdogSec=3500ms", "", "WatchdogSec is None"),
        ("Type=notify", "Type=simple", "Type must be notify"),
        ("RuntimeDirectoryPreserve=restart", "", "forgets what it has promised"),
    ],
)
def test_an_installed_unit_that_does_not_fit_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], before: str, after: str, wrong: str
) -> None:
    installed = tmp_path / "understudy-agent.service"
    installed.write_text(unit(FIVE).replace(before, after))

    assert main(["--lease", "5", "--margin", "1", "--renew-every", "1", "--check", str(installed)]) == 1
    assert wrong in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "which lease"),
        (["--lease", "5"], "go together"),
        (["--policy", str(ROOT / "understudy.yaml")], "--policy needs --instance"),
        (["--policy", str(ROOT / "understudy.yaml"), "--instance", "i-none"], "is in no pair"),
    ],
)
def test_a_unit_without_a_lease_to_check_it_against_is_refused(arguments: list[str], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        main(arguments)


def test_the_files_in_deploy_are_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    own = ["--lease", "5", "--margin", "1", "--renew-every", "1"]
    for more, file in ((ARGUMENTS, "understudy-agent.service"), (["--drop-in"], "master.conf")):
        assert main([*own, *more]) == 0
        assert capsys.readouterr().out == (FILES / file).read_text()


def test_the_terms_come_from_the_policy(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    from shared.config.policy_file import load

    policy = ROOT / "understudy.yaml"
    member = load(policy).pairs[0].members[0]
    pair = Terms.of(load(policy).pairs[0])

    assert main(["--policy", str(policy), "--instance", member.instance]) == 0
    printed = capsys.readouterr().out
    assert check(printed, pair) == []
    assert f"--instance {member.instance}" in printed
    with pytest.raises(BadInput, match="the policy says"):
        main(
            [
                "--policy",
                str(policy),
                "--instance",
                member.instance,
                *["--lease", "99", "--margin", "1", "--renew-every", "1"],
            ]
        )


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="no systemd here")
def test_systemd_finds_nothing_wrong_in_it(tmp_path: Path) -> None:
    file = tmp_path / "understudy-agent.service"
    text = (FILES / "understudy-agent.service").read_text()
    file.write_text(text.replace("/opt/understudy/bin/python", "/bin/true"))

    command = ["systemd-analyze", "verify", "--man=no", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)

    assert file.name not in done.stderr, done.stderr


def test_without_systemd_nothing_is_sent_and_a_socket_that_is_gone_does_no_harm(tmp_path: Path) -> None:
    Notify(None).ready()
    Notify(str(tmp_path / "gone")).beat()
    Notify("@understudy-test-nobody").stopping()


def test_an_abstract_socket_is_reached() -> None:
    name = f"understudy-test-{id(object())}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name)
        Notify("@" + name).ready()
        assert listening.recv(64) == b"READY=1"
