"""The checker of certificates: it stands alone, agrees with the planner on what a rule saves, accepts what an honest
run wrote, and rejects it when anything in it is altered, also by somebody who makes the digests fit again."""

import ast
import copy
import hashlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.domain.policy import CopyRule, PruneLimits, Retention
from shared.domain.retention import plan_prune
from shared.state import codec
from tests.unit.points import point
from tests.usecases.backup_world import a_policy
from tests.usecases.certified import documents
from tests.usecases.prune_stage import SHANGHAI, Stage, keeping
from understudy import certificate_checker
from understudy.certificate_checker import Unreadable, main, verify

ROOT = Path(__file__).resolve().parents[2]
Document = dict[str, Any]


# -- it stands alone ---------------------------------------------------------------------------------------------------


def test_it_imports_nothing_but_the_standard_library() -> None:
    tree = ast.parse(Path(certificate_checker.__file__).read_text())
    imported = {
        name.split(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or "?"] if isinstance(node, ast.ImportFrom) else [one.name for one in node.names])
    }

    assert imported <= sys.stdlib_module_names


def test_loading_it_loads_nothing_of_the_product() -> None:
    code = "import sys, understudy.certificate_checker; print([m for m in sys.modules if m.split('.')[0] == 'shared'])"
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)

    assert ended.stdout.strip() == "[]"


# -- it agrees with the planner ----------------------------------------------------------------------------------------

ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "Australia/Lord_Howe", "Pacific/Apia")
NIGHTS = (  # of daylight saving, and a year's end with ISO week 53
    datetime(2026, 3, 29, 1, tzinfo=UTC),
    datetime(2026, 10, 25, 1, tzinfo=UTC),
    datetime(2026, 11, 1, 6, tzinfo=UTC),
    datetime(2026, 4, 4, 15, tzinfo=UTC),
    datetime(2027, 1, 1, tzinfo=UTC),
)


@st.composite
def histories(draw: st.DrawFn) -> list[Any]:
    base = draw(st.sampled_from(NIGHTS))
    steps = st.one_of(st.integers(0, 12), st.integers(0, 24 * 40), st.integers(0, 24 * 400))
    made = []
    for number in range(draw(st.integers(0, 24))):
        taken = base - timedelta(minutes=20 * draw(steps)) + timedelta(minutes=20 * draw(st.integers(0, 24)))
        usable, failed = draw(st.sampled_from([(True, False)] * 6 + [(False, False), (False, True)]))
        made.append(
            point(
                taken,
                id=f"p{number:02}",
                disks=draw(st.sampled_from([("d-1",), ("d-1", "d-2"), ("d-2",)])),
                usable=usable,
                failed=failed,
                complete=usable and draw(st.sampled_from([True, True, True, False])),
            )
        )
    return made


keeps = st.builds(
    Retention,
    days=st.one_of(st.none(), st.integers(1, 40), st.just(65_536)),
    last=st.integers(0, 4),
    hourly=st.integers(0, 5),
    daily=st.integers(0, 5),
    weekly=st.integers(0, 3),
    monthly=st.integers(0, 3),
    yearly=st.integers(0, 2),
    forever=st.sampled_from([False] * 9 + [True]),
)


def as_lines(points: list[Any]) -> list[dict[str, Any]]:
    return [
        {
            "id": one.id,
            "protection": one.protection,
            "taken": codec.moment(one.taken),
            "usable": one.usable,
            "complete": one.complete,
            "failed": one.failed,
            "disks": [[disk, snapshot] for disk, snapshot in one.disks],
        }
        for one in points
    ]


@settings(max_examples=300, deadline=None)
@given(points=histories(), keep=keeps, zone=st.sampled_from(ZONES), night=st.sampled_from(NIGHTS))
def test_it_saves_what_the_planner_saves(points: list[Any], keep: Retention, zone: str, night: datetime) -> None:
    now = night + timedelta(hours=2)
    plan = plan_prune(points, keep, zone=zone, now=now)

    rule = {name: getattr(keep, name) for name in ("days", "last", "hourly", "daily", "weekly", "monthly", "yearly")}
    rule |= {"forever": keep.forever, "zone": zone}
    saved = certificate_checker._saved(as_lines(points), {"applications": rule}, now)

    assert set(saved) == {one.point.id for one in plan.keep}


# -- it accepts what is right, and nothing else ------------------------------------------------------------------------


@cache
def _good() -> str:
    """Two regions, groups, a point that is pinned, one in use, one that waits for its copy."""
    rule = CopyRule(region=SHANGHAI.region, keep=Retention(last=1), within=timedelta(hours=6))
    protection = replace(keeping(hourly=1, daily=1), copies=(rule,))
    stage = Stage(4, a_policy(protection, prune=PruneLimits(max_items=100, max_percent=90)))
    rounds = stage.hours(4, each=4)
    for points in rounds[:2]:
        stage.copy(points[2:])
    stage.copy(rounds[2][:1], complete=False)
    pinned = rounds[0][0]
    stage.command(command="pin", instance=pinned.subject, point=pinned.id, by="li", because="audit")
    stage.cloud.ecs.snapshots.find(rounds[0][1].disks[0][1]).images.add("m-1")
    stage.prune()
    (document,) = documents(stage)
    return json.dumps(document)


def good() -> Document:
    made: Document = json.loads(_good())
    return made


def resealed(document: Document) -> Document:
    """As somebody would leave it who can rewrite all of it."""

    def digest(value: Any) -> str:
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()

    link = digest(document["head"]["terms"])
    for part in document["parts"]:
        part["previous"] = link
        part["digest"] = ""
        part["digest"] = link = digest(part)
    document["head"]["last"], document["head"]["digest"] = link, ""
    document["head"]["digest"] = digest(document["head"])
    return document


def test_an_honest_certificate_is_accepted_and_summed_up() -> None:
    verdict = verify(good())

    assert verdict.accepted, str(verdict)
    assert "policy 1, 20 points judged, " in str(verdict)
    assert {"gone", "kept", "spared"} == set(good()["head"]["outcomes"])
    assert verify(resealed(good())).accepted


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if isinstance(value, dict | list) and value:
        for key in value if isinstance(value, dict) else range(len(value)):
            yield from leaves(value[key], (*path, key))
    else:
        yield path


PATHS = st.deferred(lambda: st.sampled_from(sorted(leaves(good()), key=str)))


@settings(max_examples=300, deadline=None)
@given(path=PATHS, data=st.data())
def test_whatever_is_altered_it_is_rejected(path: tuple[Any, ...], data: st.DataObject) -> None:
    document = good()
    holder: Any = document
    for key in path[:-1]:
        holder = holder[key]
    was = holder[path[-1]]
    texts = st.one_of(st.text(max_size=8), st.sampled_from(["gone", "kept", "2026-03-02T00:00:00.000000Z"]))
    anything = st.one_of(st.none(), st.booleans(), st.integers(-3, 300), texts, st.just([]), st.just({}))
    holder[path[-1]] = data.draw(anything.filter(lambda new: type(new) is not type(was) or new != was))

    with suppress(Unreadable):
        assert not verify(document).accepted


def each_point(document: Document, *fates: str) -> list[dict[str, Any]]:
    return [
        one
        for part in document["parts"]
        for instance in part["instances"]
        for one in instance["points"]
        if one["fate"] in fates
    ]


def gone(document: Document) -> dict[str, Any]:
    return each_point(document, "gone")[0]


def shown_before(document: Document) -> dict[str, Any]:
    """What the cloud showed of a snapshot that went."""
    snapshot = gone(document)["disks"][0][1]
    line: dict[str, Any] = document["parts"][0]["before"][snapshot]
    return line


def recount(document: Document) -> None:
    counted: dict[str, int] = {}
    for one in each_point(document, "kept", "gone", "spared", "still there", "unknown", "intended"):
        counted[one["fate"]] = counted.get(one["fate"], 0) + 1
    document["head"]["outcomes"] = counted


def change(which: Callable[[Document], dict[str, Any]], **to: Any) -> Callable[[Document], None]:
    return lambda document: which(document).update(to)


def head(document: Document) -> dict[str, Any]:
    made: dict[str, Any] = document["head"]
    return made


def terms(document: Document) -> dict[str, Any]:
    made: dict[str, Any] = document["head"]["terms"]
    return made


def rules(document: Document) -> dict[str, Any]:
    made: dict[str, Any] = next(
        one for one in terms(document)["rules"] if one["region"] == document["parts"][0]["region"]
    )
    return made


def first_part(document: Document) -> dict[str, Any]:
    made: dict[str, Any] = document["parts"][0]
    return made


def let_a_kept_one_go(document: Document) -> None:
    part = first_part(document)
    newest = max(part["instances"][0]["points"], key=lambda one: str(one["taken"]))
    newest["fate"] = "gone"
    for _, snapshot in newest["disks"]:
        part["after"].pop(snapshot, None)
    recount(document)


def forget_what_is_left(document: Document) -> None:
    first_part(document)["after"].clear()


def leave_only_what_uploads(document: Document) -> None:
    for line in first_part(document)["after"].values():
        line["complete"] = False


def leave_only_what_is_not_usable(document: Document) -> None:
    for line in first_part(document)["after"].values():
        line["usable"] = False


def show_one_that_is_gone(document: Document) -> None:
    snapshot = gone(document)["disks"][0][1]
    first_part(document)["after"][snapshot] = first_part(document)["before"][snapshot]


def call_it_never_asked_for(document: Document) -> None:
    """An end that hides that it was let go."""
    gone(document)["fate"] = "lost"
    recount(document)


def list_an_instance_twice(document: Document) -> None:
    document["parts"][0]["instances"].append(copy.deepcopy(document["parts"][0]["instances"][0]))
    recount(document)
    terms(document)["points"] += 20


def leave_a_part_out(document: Document) -> None:
    document["parts"].pop()


def swap_parts(document: Document) -> None:
    document["parts"].reverse()


def hide_a_kept_point(document: Document) -> None:
    """So that others seem to be what is left."""
    instance = next(one for one in first_part(document)["instances"] if len(one["points"]) > 2)
    newest = max(instance["points"], key=lambda one: str(one["taken"]))
    instance["points"].remove(newest)
    recount(document)


DEEDS: dict[str, Callable[[Document], None]] = {
    "pinned": change(gone, pinned=True),
    "uncopied": change(gone, uncopied=["cn-beijing"]),
    "locked by record": change(gone, locked_until="2027-01-01T00:00:00.000000Z"),
    "not ours": change(shown_before, ours=False),
    "in use": change(shown_before, usage="image"),
    "locked in the cloud": change(shown_before, locked=True),
    "of another disk": change(shown_before, disk="d-other"),
    "of a protection without a rule": change(gone, protection="nothing"),
    "dated in the future": change(gone, taken="2030-01-01T00:00:00.000000Z"),
    "in progress": change(gone, usable=False),
    "still uploading": change(gone, complete=False),
    "saved by number": change(rules, last=10),
    "saved by age": change(rules, days=10),
    "saved by hours": change(rules, hourly=10),
    "saved for ever": change(rules, forever=True),
    "saved as nothing says otherwise": change(rules, hourly=0, daily=0),
    "the rule is of another region": change(rules, region="cn-beijing"),
    "the rule is of another account": change(rules, account="other"),
    "more than the plan": change(terms, going=1),
    "more than the cap": change(terms, max_items=2),
    "more than the percentage": change(terms, max_percent=5),
    "the percentage never holds": change(terms, percent_from=1_000),
    "allowed for another plan": change(terms, allowed="3-20260302T000000Z-0123456789abcdef"),
    "judged as of later": change(terms, as_of="2030-01-01T00:00:00.000000Z"),
    "judged fewer than listed": change(terms, points=3),
    "of one protection only": change(terms, protection="other"),
    "counted wrongly": change(head, outcomes={"gone": 1}),
    "unfinished": change(head, state="begun"),
    "refused, and yet done": change(head, state="refused", refused=["cap per run"]),
    "refused without a reason": change(head, state="refused"),
    "ended before it began": change(head, ended="2020-01-01T00:00:00.000000Z"),
    "never ended": change(head, ended=None),
    "parts miscounted": change(head, parts=7),
    "a part that did not end": change(first_part, state="begun"),
    "a part that was not read back": change(first_part, read_back=None),
    "read back before it was looked at": change(first_part, read_back="2020-01-01T00:00:00.000000Z"),
    "looked at before the run": change(first_part, looked="2020-01-01T00:00:00.000000Z"),
    "a part of another run": change(first_part, run="run-other"),
    "a part misnumbered": change(first_part, number=9),
    "a kept one went": let_a_kept_one_go,
    "nothing is left": forget_what_is_left,
    "nothing usable is left": leave_only_what_is_not_usable,
    "nothing complete is left": leave_only_what_uploads,
    "gone, but shown": show_one_that_is_gone,
    "an end that is none": call_it_never_asked_for,
    "judged twice": list_an_instance_twice,
    "a part left out": leave_a_part_out,
    "parts swapped": swap_parts,
    "a witness hidden": hide_a_kept_point,
}


@pytest.mark.parametrize("deed", list(DEEDS), ids=lambda name: name.replace(" ", "-"))
def test_a_wrong_deed_is_rejected_although_all_digests_fit(deed: str) -> None:
    document = good()
    DEEDS[deed](document)

    assert not verify(resealed(document)).accepted


def make_one_that_stays_vanish(document: Document) -> None:
    part = document["parts"][0]
    going = {one for point in each_point({"parts": [part]}, "gone") for _, one in point["disks"]}
    del part["after"][next(one for one in part["before"] if one not in going)]


def hold_a_snapshot_twice(document: Document) -> None:
    points = gone_among(document)
    kept = next(point for point in points if point["fate"] == "kept")
    kept["disks"] = next(point for point in points if point["fate"] == "gone")["disks"]


def gone_among(document: Document) -> list[dict[str, Any]]:
    """All points of the first instance of which one is gone."""
    every = (instance["points"] for part in document["parts"] for instance in part["instances"])
    return next(points for points in every if any(point["fate"] == "gone" for point in points))


@pytest.mark.parametrize(
    ("deed", "said"),
    [
        (make_one_that_stays_vanish, "which was not let go, was not shown afterwards"),
        (hold_a_snapshot_twice, "which was not, holds it too"),
        (change(terms, as_of="2026-01-01T00:00:00.000000Z"), "more than a day before the run"),
    ],
)
def test_it_says_what_is_wrong(deed: Callable[[Document], None], said: str) -> None:
    document = good()
    deed(document)

    assert any(said in reason for reason in verify(resealed(document)).reasons)


@pytest.mark.parametrize("missing", ["uncopied", "fate", "disks", "pinned"])
def test_what_lacks_a_field_is_unreadable(missing: str) -> None:
    document = good()
    del gone(document)[missing]

    with pytest.raises(Unreadable, match=missing):
        verify(resealed(document))


def leftover(**changes: Any) -> Document:
    """A certificate of one part, about an image that is no more."""
    document = good()
    part = document["parts"][0]
    part["instances"] = []
    line = {"disk": "d-1", "usable": True, "complete": True, "ours": True, "usage": "none"}
    part["before"], part["after"] = {"s-1": line | changes.pop("line", {})}, {}
    if changes.pop("shown", False):
        part["after"] = {"s-1": line}
    part["leftovers"] = [
        {
            "image": "m-1",
            "operation": "image/1",
            "missing_since": "2026-02-01T00:00:00.000000Z",
            "snapshots": ["s-1"],
            "fate": "gone",
            "because": ["left over from image m-1"],
        }
        | changes
    ]
    document["parts"] = [part]
    document["head"]["parts"] = 1
    document["head"]["outcomes"] = {part["leftovers"][0]["fate"]: 1}
    return resealed(document)


def test_what_an_image_left_over_may_go_when_it_was_ours_and_long_missed() -> None:
    assert verify(leftover()).accepted


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"missing_since": "2026-03-02T03:00:00.000000Z"}, id="missed too lately"),
        pytest.param({"operation": ""}, id="made by nobody"),
        pytest.param({"line": {"usage": "image"}}, id="in use"),
        pytest.param({"line": {"ours": False}}, id="not ours"),
        pytest.param({"line": {"locked": True}}, id="locked"),
        pytest.param({"shown": True}, id="gone, but shown"),
        pytest.param({"fate": "intended"}, id="no end"),
    ],
)
def test_a_leftover_that_is_none_is_rejected(changes: dict[str, Any]) -> None:
    assert not verify(leftover(**changes)).accepted


# -- at a terminal -----------------------------------------------------------------------------------------------------


def test_it_ends_with_0_1_or_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    right, wrong, odd = tmp_path / "right.json", tmp_path / "wrong.json", tmp_path / "odd.json"
    right.write_text(json.dumps(good()))
    bad = good()
    gone(bad)["pinned"] = True
    wrong.write_text(json.dumps(bad))
    odd.write_text("[]")

    assert main([str(right)]) == 0
    assert "accepted" in capsys.readouterr().out
    assert main([str(right), str(wrong)]) == 1
    assert "though it is pinned" in capsys.readouterr().out
    assert main([str(odd), str(right)]) == 2
    assert main([str(tmp_path / "none.json")]) == 2
    assert "cannot check" in capsys.readouterr().err


def test_a_certificate_of_another_format_is_unreadable() -> None:
    document = good()
    terms(document)["format"] = "understudy prune certificate 1"

    with pytest.raises(Unreadable, match="its format is"):
        verify(document)
