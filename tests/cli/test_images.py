"""`image` and `images` as an operator meets them, over the wire of a local cloud."""

import json
from pathlib import Path

import pytest

import functions.prune as prune_function
from emulator.testing import Local
from shared.adapters.ecs_images import EcsImages
from shared.adapters.sdk import Endpoint
from shared.domain.ids import InstanceId, OperationId
from shared.domain.place import Place
from shared.state.families import Families
from shared.state.images import ImageRecord, Images
from shared.triggers.parse import parse
from shared.usecases.images.image_readiness import ImageReadiness
from shared.wiring import foundation
from shared.wiring.guard import Call
from tests.cli.conftest import Run
from tests.cli.test_commands import deployed  # noqa: F401 (a fixture)
from understudy.cli.connection import Connection
from understudy.simulation.functions import InProcessFunctions

POLICY = """
version: 1
region: cn-hangzhou
time_zone: UTC
images:
  - {name: applications, family: role-app, of: {tags: {role: app}}, keep: 1}
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    written = tmp_path / "understudy.yaml"
    written.write_text(POLICY)
    return written


@pytest.fixture
def active(file: Path, connected: Local, run: Run) -> Local:
    applied = run("apply", "--file", str(file))
    assert applied.code == 0, applied.err
    return connected


def an_image(cloud: Local, version: int) -> str:
    images = EcsImages(endpoint=Endpoint("cn-hangzhou", cloud.url), credentials=foundation.credentials)
    operation = OperationId(f"image/i-app-h1/role-app/{version}")
    made = images.create_from_instance(
        InstanceId("i-app-h1"),
        name=f"app-v{version}",
        family="role-app",
        version=str(version),
        tags={"understudy:operation": operation},
        token=f"t-{version}",
    )
    cloud.advance(300)
    (stands,) = images.list(ids=[made])
    record = ImageRecord(
        place=Place("cn-hangzhou"),
        image=made,
        family="role-app",
        instance=InstanceId("i-app-h1"),
        operation=operation,
        made=stands.created,
        snapshots=stands.snapshots,
        version=version,
    )
    Images(foundation.store()).put(record)
    return made


def judge(_: Local) -> None:
    ImageReadiness(
        clouds=foundation.clouds_of_operator(),
        scaling=lambda: pytest.fail("nothing is published"),
        store=foundation.store(),
        functions=foundation.functions(),
        clock=foundation.clock(),
    ).run()


def test_the_table_shows_what_stands_what_goes_and_what_is_ready(active: Local, run: Run) -> None:
    first, second = an_image(active, 1), an_image(active, 2)
    judge(active)
    shown = run("images")

    assert shown.code == 0, shown.err
    words = " ".join(shown.out.split())
    assert first in words
    assert second in words
    assert "leaves its family: 1 newer usable version stands" in words
    assert "stays: the newest usable version" in words


def test_machines_get_one_object(active: Local, run: Run) -> None:
    image = an_image(active, 1)
    judge(active)
    shown = json.loads(run("images", "--json").out)

    assert (shown["format"], shown["policy"]) == ("understudy images 1", 1)
    (role,) = shown["roles"]
    assert (role["family"], role["ready"], role["image"], role["version"]) == ("role-app", True, image, 1)
    (listed,) = shown["images"]
    assert (listed["fate"], listed["usable"], listed["region"]) == ("keep", True, "cn-hangzhou")


def test_before_anything_was_judged_that_is_said(active: Local, run: Run) -> None:
    assert "not judged yet" in " ".join(run("images").out.split())


def test_an_image_may_be_asked_for_with_and_without_make(
    active: Local,
    deployed: InProcessFunctions,  # noqa: F811
    run: Run,
) -> None:
    for words in (("image", "i-app-h1", "role-app"), ("image", "make", "i-app-h1", "role-app")):
        asked = run(*words)
        assert asked.code == 0, asked.err
        assert "asked for an image of i-app-h1 in family role-app" in " ".join(asked.out.split())
    by_rule = run("image", "--rule", "applications")
    assert "asked for an image of an instance of images applications" in " ".join(by_rule.out.split())
    assert run("image").code == 2
    assert active.url
    assert deployed is not None


def test_a_region_that_does_not_exist_is_refused_before_anything_is_asked(active: Local, run: Run) -> None:
    refused = run("image", "i-app-h1", "role-app", "--copy-to", "cn-shanghia")

    assert refused.code == 2
    assert "--copy-to: there is no region cn-shanghia for this account. Did you mean cn-shanghai?" in refused.err
    assert active.url


def test_a_pin_is_made_and_taken_back(
    active: Local,
    deployed: InProcessFunctions,  # noqa: F811
    run: Run,
) -> None:
    first = an_image(active, 1)
    an_image(active, 2)
    assert run("image", "pin", "role-app", first, "--because", "audit").code == 0
    assert "pinned by" in " ".join(run("images").out.split())
    assert set(Families(foundation.store()).pins("role-app")) == {first}
    assert run("image", "unpin", "role-app", first).code == 0
    assert Families(foundation.store()).pins("role-app") == {}
    assert deployed is not None


def test_a_policy_that_copies_into_an_unknown_region_is_refused_against_the_cloud(
    connected: Local, file: Path, run: Run
) -> None:
    file.write_text(POLICY.replace("keep: 1", "keep: 1, copy_to: [cn-shanghia]"))
    assert run("check", "--file", str(file)).code == 0
    refused = run("check", "--cloud", "--file", str(file))

    assert refused.code != 0
    assert "images[0].copy_to: there is no region cn-shanghia for this account" in refused.out + refused.err
    assert connected.url


def test_prune_shows_which_images_would_go_and_then_certifies_that_they_went(
    run: Run, active: Local, monkeypatch: pytest.MonkeyPatch
) -> None:
    older, newer = an_image(active, 1), an_image(active, 2)
    sent: list[str] = []

    def command(self: Connection, name: str, **arguments: object) -> dict[str, object]:
        sent.append(name)
        return {"queued": True}

    monkeypatch.setattr(Connection, "command", command)

    shown, plan = run("prune"), json.loads(run("prune", "--json").out)
    assert older in shown.out
    assert "leaves its family" in shown.out
    assert newer not in shown.out
    assert newer in run("prune", "--all").out
    assert [(one["image"], one["fate"]) for one in plan["images"]] == [(older, "deprecate")]
    assert sent == []

    asked = run("prune", "--apply")
    assert (asked.code, sent) == (0, ["prune"]), asked.err
    prune_function.run(Call(trigger=parse(b'{"prune": "apply"}'), run="run-7", owner="o"))

    told = run("certificate", "show", "run-7")
    assert older in told.out
    assert "retired" in told.out
    assert newer in told.out, "what stayed is in it as well"
    verified = run("verify-certificate", "run-7", "--cloud")
    assert verified.code == 0, verified.out + verified.err
    assert "1 kept, 1 retired" in verified.out
