"""The arithmetic of `python -m bench failover`: what makes a series fail, what a report keeps, what the table says."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from bench import failover
from bench.failover_policy import TIMES, Terms, written
from bench.failover_runs import Setting
from bench.failover_series import Felt, Limits, Run, Series
from bench.failover_table import markdown
from shared.config import policy_file
from understudy.demo.crowd import CACHES, RESOLVES

PHASES = {"detect": 4.9, "decide": 0.01, "fence": 0.01, "promote": 0.02, "rebind": 0.02, "serve": 0.14}
GOOD = Run(
    number=1,
    first_good=5.1,
    phases=PHASES,
    clients={RESOLVES: Felt(served_again=5.1, without=5.2, lost=10)},
    epochs=(1, 2),
    voices=1,
    silence=1.5,
    accepted=100,
)
LATE = replace(GOOD, first_good=6.1, phases={**PHASES, "detect": 5.9})


def series(*runs: Run, limits: Limits | None = None, loss: str = "zone-silent") -> Series:
    return Series(
        name=f"{loss}-fast",
        loss=loss,
        words="zone H falls silent",
        terms=TIMES[Terms.FAST],
        limits=limits or Limits(median=6.0, worst=10.0),
        runs=list(runs),
    )


# --- what makes a series fail ---


def test_a_run_that_failed_is_reported_and_never_dropped() -> None:
    found = series(GOOD, Run(number=2, failed="CloudDied: it ended"))

    assert found.troubles == ["run 2: CloudDied: it ended"]
    assert found.record()["summary"]["runs"] == 2
    assert found.record()["summary"]["failed"] == 1
    assert found.median() == 5.1


def test_a_series_without_a_single_measurement_proves_nothing() -> None:
    assert "no run came to its end" in series(Run(number=1, failed="NotInTime: in vain")).troubles
    assert series().troubles == ["no run came to its end"]


@pytest.mark.parametrize(
    ("run", "trouble"),
    [
        pytest.param(
            replace(GOOD, first_good=5.2),
            "run 1: its phases sum to 5.100 s, but service came after 5.200 s",
            id="phases do not sum",
        ),
        pytest.param(replace(GOOD, phases={}), "run 1: it has no phases", id="no phases"),
        pytest.param(
            replace(GOOD, overlaps=("epoch 1 after epoch 2",)), "run 1: epoch 1 after epoch 2", id="two active"
        ),
        pytest.param(replace(GOOD, broken=("one record: two",)), "run 1: one record: two", id="a promise was broken"),
        pytest.param(
            replace(GOOD, first_good=None, phases={}), "run 1: the client was never served again", id="never served"
        ),
    ],
)
def test_what_is_wrong_with_a_run_fails_its_series(run: Run, trouble: str) -> None:
    assert series(run).troubles == [trouble]


def test_phases_may_miss_their_total_by_rounding_only() -> None:
    assert replace(GOOD, first_good=5.1004).off == ""
    assert replace(GOOD, first_good=5.1020).off != ""


def test_the_median_and_the_worst_have_limits_of_their_own() -> None:
    slow = replace(GOOD, first_good=11.1, phases={**PHASES, "detect": 10.9})

    assert series(GOOD, GOOD, LATE).troubles == []
    assert series(GOOD, LATE, LATE).troubles == ["the median of 6.10 s is above 6 s"]
    assert series(GOOD, GOOD, slow).troubles == ["the worst of 11.10 s is above 10 s"]


def test_a_switchover_is_limited_by_the_longest_time_without_service() -> None:
    limits = Limits(without=2.0)
    refused = replace(GOOD, clients={RESOLVES: Felt(served_again=2.5, without=2.1, refused=20)})

    assert series(replace(GOOD, clients={RESOLVES: Felt(served_again=2.5, without=2.0)}), limits=limits).troubles == []
    assert series(refused, limits=limits).troubles == ["without service for 2.10 s, which is more than 2 s"]


def test_what_caching_clients_feel_is_told_and_not_limited() -> None:
    felt = {RESOLVES: Felt(served_again=1.0, without=0.2), CACHES: Felt(served_again=29.0, without=28.0)}
    found = series(replace(GOOD, clients=felt), limits=Limits(without=2.0))

    assert found.troubles == []
    assert found.felt(CACHES, "without") == [28.0]


def test_open_operations_that_change_the_median_fail_the_series() -> None:
    busy = replace(GOOD, load=1000)

    assert series(GOOD, busy, replace(LATE, load=0), replace(LATE, load=1000)).troubles == []
    assert series(GOOD, replace(LATE, load=1000)).troubles == [
        "the medians differ by more than 0.5 s: 5.10 s with 0, 6.10 s with 1000 open operations"
    ]


def test_a_failed_run_does_not_count_as_an_unchanged_median() -> None:
    found = series(GOOD, Run(number=1, load=1000, failed="NotInTime: only 7 of 1000 operations were open"))

    assert found.median(1000) is None
    assert found.troubles == ["run 1: NotInTime: only 7 of 1000 operations were open"]


def test_the_checkers_verdict_stands_beside_each_run() -> None:
    runs = [GOOD, replace(GOOD, accepted=0), replace(GOOD, overlaps=("two",)), Run(number=4, failed="OSError: no")]

    verdicts = [run["verdict"] for run in series(*runs).record()["runs"]]

    assert verdicts == ["never two active", "nothing was accepted", "two were active", "not measured"]


# --- what is kept ---


def test_a_report_is_read_as_it_was_written(tmp_path: Path) -> None:
    kept = series(GOOD, replace(LATE, load=1000), Run(number=3, failed="OSError: no"))

    assert Series.load(kept.keep(tmp_path)) == kept
    assert [file.name for file in tmp_path.iterdir()] == ["zone-silent-fast.json"]


def test_another_json_file_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text(json.dumps({"runs": []}))

    with pytest.raises(ValueError, match="not a report of `python -m bench failover`"):
        Series.load(other)


def test_a_table_of_what_is_no_report_ends_in_one_sentence_that_names_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "other.json").write_text("[")

    assert failover.main(["--table", str(tmp_path / "other.json"), str(tmp_path / "missing.json")]) == 2
    assert capsys.readouterr().err.startswith(f"bench failover: {tmp_path}/other.json: ")


def test_an_interruption_leaves_what_was_measured_before_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(_setting: Setting, number: int) -> Run:
        if number == 3:
            raise KeyboardInterrupt
        return replace(GOOD, number=number)

    monkeypatch.setattr(failover, "measured", interrupted)
    with pytest.raises(KeyboardInterrupt):
        failover.main(["--runs", "5", "--loss", "zone-silent", "--reports", str(tmp_path)])

    assert [run.number for run in Series.load(tmp_path / "zone-silent-fast.json").runs] == [1, 2]


def test_the_exit_code_tells_a_series_that_did_not_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = ["--runs", "1", "--loss", "zone-silent", "--reports", str(tmp_path)]
    monkeypatch.setattr(failover, "measured", lambda _setting, _number: GOOD)
    assert failover.main(arguments) == 0

    monkeypatch.setattr(failover, "measured", lambda _setting, number: Run(number=number, failed="OSError: no"))
    assert failover.main(arguments) == 1


# --- what is asked for ---


def planned(*arguments: str) -> list[failover.Plan]:
    return list(failover.planned(failover.parse(arguments)))


def test_without_a_word_the_three_losses_of_the_issue_are_measured_within_their_limits() -> None:
    plans = planned()

    assert [plan.series.name for plan in plans] == ["master-killed-fast", "host-killed-fast", "zone-silent-fast"]
    assert {plan.series.limits for plan in plans} == {Limits(median=6.0, worst=10.0)}


def test_with_a_load_runs_are_made_turn_by_turn_without_and_with_it() -> None:
    (plan,) = planned("--operations", "1000", "--loss", "zone-silent")

    assert [setting.load for setting in plan.settings] == [0, 1000]


@pytest.mark.parametrize(
    ("arguments", "name", "limits"),
    [
        pytest.param(["--switchover"], "switchover-fast", Limits(without=2.0), id="switchover"),
        pytest.param(["--terms", "cautious", "--loss", "zone-silent"], "zone-silent-cautious", Limits(), id="cautious"),
        pytest.param(["--agentless", "--loss", "host-killed"], "host-killed-fast-agentless", Limits(), id="agentless"),
        pytest.param(["--alarm"], "host-killed-fast-alarm", Limits(), id="alarm"),
        pytest.param(
            ["--clients", "all", "--loss", "zone-silent"],
            "zone-silent-fast-all",
            Limits(median=6.0, worst=10.0),
            id="all clients",
        ),
    ],
)
def test_each_series_has_a_report_and_limits_of_its_own(arguments: list[str], name: str, limits: Limits) -> None:
    (plan,) = planned(*arguments)

    assert plan.series.name == name
    assert plan.series.limits == limits


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param(["--switchover", "--loss", "zone-silent"], id="a switchover that is a loss"),
        pytest.param(["--alarm", "--loss", "zone-silent"], id="an alarm of a loss that sends no event"),
        pytest.param(["--agentless", "--loss", "agent-killed"], id="no agent to kill"),
        pytest.param(["--runs", "0"], id="no runs"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as refused:
        failover.parse(arguments)

    assert refused.value.code == 2


@pytest.mark.parametrize("terms", Terms)
@pytest.mark.parametrize("agentless", [False, True], ids=["with agents", "without"])
def test_each_policy_that_is_measured_is_a_sound_one(tmp_path: Path, terms: Terms, agentless: bool) -> None:
    pair = policy_file.load(written(tmp_path, terms, agentless=agentless)).pairs[0]

    seconds = [one.total_seconds() for one in (pair.lease, pair.margin, pair.renew_every, pair.watch_every)]
    assert seconds == list(TIMES[terms].values())
    assert pair.agents is not agentless


def test_the_fast_terms_are_those_of_the_demo() -> None:
    demo = policy_file.load(Path(__file__).resolve().parents[2] / "understudy.yaml").pairs[0]

    assert TIMES[Terms.FAST] == {
        "lease": demo.lease.total_seconds(),
        "margin": demo.margin.total_seconds(),
        "renew_every": demo.renew_every.total_seconds(),
        "watch_every": demo.watch_every.total_seconds(),
    }


# --- the table ---


def test_the_table_shows_losses_phases_loads_and_what_is_wrong(tmp_path: Path) -> None:
    series(GOOD, replace(GOOD, load=1000, worked=40), Run(number=2, failed="OSError: no")).keep(tmp_path)

    text = markdown([tmp_path])

    assert "| `zone-silent-fast`: zone H falls silent | 2 of 3 | 5.1 s | **5.1 s** | 5.1 s | 0 in 200 |" in text
    assert "| `zone-silent-fast` | 4.90 | 0.01 | 0.01 | 0.02 | 0.02 | 0.14 |" in text
    assert "| `zone-silent-fast` | 1,000 | 1 | 5.1 s | **5.1 s** | 5.1 s | 40 to 40 |" in text
    assert "- `zone-silent-fast`: run 2: OSError: no" in text


def test_a_switchover_stands_in_a_table_of_its_own(tmp_path: Path) -> None:
    felt = Felt(served_again=1.2, without=0.25, refused=2, refused_for=0.15)
    series(replace(GOOD, clients={RESOLVES: felt}), loss="switchover").keep(tmp_path)

    text = markdown([tmp_path])

    assert "nobody active between" not in text
    assert "| `switchover-fast` | resolves each time | 1 | 0.25 s | **0.25 s** | 0.25 s | 0.15 to 0.15 s | 2 |" in text


def test_masters_without_agents_tell_of_the_stop_and_of_the_operator(tmp_path: Path) -> None:
    stopped = replace(GOOD, fenced=31.0)
    dark = replace(GOOD, number=2, fenced=70.0, asked=66.0, ordered=2.5)
    found = series(stopped, dark, limits=Limits())
    found.settings = {"agentless": True}
    found.keep(tmp_path)

    row = "| `zone-silent-fast` | 2 | 31.0 s | **31.0 s** | 31.0 s | 66.0 to 66.0 s | 2.5 to 2.5 s |"
    assert row in markdown([tmp_path])
