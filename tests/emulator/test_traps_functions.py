"""What Function Compute does to whoever believes in it: lost ticks, old ones by the hundred, keys that end before their
instance, pages that are stored instead of shown."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from emulator.faults.fault import Fault
from emulator.fc.project import ProjectError
from emulator.fc.queue import Refused
from emulator.fc.service import FunctionCompute
from emulator.testing import Local, mock_aliyun
from tests.emulator.fc_projects import (
    CODE,
    START,
    World,
    destination,
    event,
    props,
    tell,
    timer,
    web_trigger,
    write,
)

DEAD = props("dead")


# --- what is tried again and what is not --------------------------------------------------------------------------


def test_a_failure_that_a_function_only_reports_is_a_success_and_never_tried_again(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.fc.invoke_async("f", event(answer={"ok": False, "why": "nothing was protected"}))
        await world.advance(hours=1)
        assert world.outcomes("f") == ["ok"]
        assert world.outcomes("dead") == []

    tell(tmp_path, story, props("f", asyncInvokeConfig={"destinationConfig": destination("dead")}), DEAD)


def test_a_tick_that_is_lost_inside_the_cloud_is_neither_tried_again_nor_told(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.faults.add(Fault(kind="deliver_lost", trigger="timer", function="f", calls=2))
        await world.advance(minutes=31)
        assert world.outcomes("dead") == []
        (ran,) = [json.loads(note["event"]) for note in world.notes()]
        assert ran["triggerTime"] == "2026-03-02T00:30:00Z"  # only the hole before it tells of the two that are gone

    hopeful = {"maxAsyncRetryAttempts": 8, "destinationConfig": destination("dead")}
    tell(tmp_path, story, props("f", asyncInvokeConfig=hopeful, triggers=[timer("tick", "@every 10m")]), DEAD)


def test_what_is_queued_is_delivered_hours_later_where_no_age_was_set(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.faults.add(Fault(kind="instance_limit", limit=0, lasts=timedelta(hours=4)))
        world.fc.invoke_async("patient", b"from noon")
        world.fc.invoke_async("watch", b"from noon")
        await world.advance(hours=4, minutes=2)
        assert world.outcomes("patient") == ["ok"]
        assert world.fc.records[-1].at - START >= timedelta(hours=4)
        assert world.outcomes("watch") == ["dropped: expired"]
        assert [note["fn"] for note in world.notes()] == ["patient"]

    young = {"maxAsyncRetryAttempts": 0, "maxAsyncEventAgeInSeconds": 60}
    tell(tmp_path, story, props("patient"), props("watch", asyncInvokeConfig=young))


# --- how many at once ---------------------------------------------------------------------------------------------


def test_the_101st_instance_is_refused_and_only_reserved_ones_are_safe(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        for _ in range(100 - 1):  # one of the account's 100 is kept
            world.fc.invoke_async("busy", b"")
        assert len(world.fc.running()) == 99
        with pytest.raises(Refused, match="429 ResourceExhausted"):
            await world.fc.invoke("other", b"")
        world.fc.invoke_async("busy", b"one too many")
        assert len(world.fc.running()) == 99
        assert (await world.fc.invoke("watch", b"")).error is None
        await world.advance(minutes=5)
        assert world.outcomes("busy") == ["ok"] * 100  # what was too much has waited

    kept = props("watch", concurrencyConfig={"reservedConcurrency": 1})
    tell(tmp_path, story, props("busy"), props("other"), kept)


def test_after_an_outage_hundreds_of_stale_ticks_start_at_once(tmp_path: Path) -> None:
    async def story(world: World) -> None:
        world.cloud.faults.add(Fault(kind="region_outage", region="cn-hangzhou", lasts=timedelta(hours=4)))
        over = asyncio.ensure_future(world.advance(hours=4))
        while not world.fc.running():
            await asyncio.sleep(0)
        assert world.cloud.clock.now() == START + timedelta(hours=4)
        assert len(world.fc.running()) == 99 + 1  # 99 old ticks, and the only young one of the watch
        with pytest.raises(Refused, match="429"):
            await world.fc.invoke("command", b"somebody wants to know what is going on")
        await over
        await world.advance(minutes=5)
        times = [json.loads(note["event"])["triggerTime"] for note in world.notes() if note["fn"] == "naive"]
        assert len(times) >= 240
        assert min(times) == "2026-03-02T00:01:00Z"  # four hours old when it ran
        first = next(record.at for record in world.fc.records if record.function == "naive")
        assert first == START + timedelta(hours=4)
        dropped = [outcome for outcome in world.outcomes("watch") if outcome == "dropped: expired"]
        assert len(dropped) == 240 - 2  # the last one is due now, the one before is just 60 s old

    young = {"maxAsyncRetryAttempts": 0, "maxAsyncEventAgeInSeconds": 60}
    watch = props(
        "watch",
        asyncInvokeConfig=young,
        concurrencyConfig={"reservedConcurrency": 1},
        triggers=[timer("tick", "@every 1m")],
    )
    tell(tmp_path, story, props("naive", triggers=[timer("tick", "@every 1m")]), props("command"), watch)


# --- credentials and context --------------------------------------------------------------------------------------


@pytest.mark.parametrize(("runtime", "there"), [("python3.12", False), ("python3.10", True), ("python3.9", True)])
def test_the_newest_runtimes_context_has_no_credentials(tmp_path: Path, runtime: str, there: bool) -> None:
    async def story(world: World) -> None:
        told = json.loads((await world.fc.invoke("f", b"")).body)
        assert told["credentials"] is there
        assert told["env"]["ALIBABA_CLOUD_SECURITY_TOKEN"]  # these are there for all

    tell(tmp_path, story, props("f", runtime=runtime))


def test_an_instance_that_is_never_idle_outlives_its_credentials(tmp_path: Path) -> None:
    hourly = props(
        "asking", handler="asking.handler", asyncInvokeConfig={"maxAsyncRetryAttempts": 0}, timeout=600,
        triggers=[timer("tick", "@every 60m")],
    )  # fmt: skip
    project = write(tmp_path / "s.yaml", hourly)
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env={"URL": "{url}"}, fc_workdir=tmp_path / "fc") as local:
        fc = functions_of(local)
        for _ in range(37):
            local.advance(3600)
        outcomes = local.run(lambda: [record.outcome for record in fc.records])
        assert outcomes == ["ok"] * 36 + ["UnhandledInvocationError"]  # its keys came with the first of them
        assert "InvalidSecurityToken.Expired" in local.run(lambda: fc.records[-1].detail)
        assert len(local.run(fc.instances)) == 1
        local.run(lambda: fc.kill("asking"))
        local.advance(3600)
        assert local.run(lambda: fc.records[-1].outcome) == "ok"  # a fresh instance has fresh keys


def functions_of(local: Local) -> FunctionCompute:
    fc: FunctionCompute | None = local.cloud.fc
    assert fc is not None
    return fc


# --- code ---------------------------------------------------------------------------------------------------------


def test_each_function_has_only_what_its_own_code_directory_holds(tmp_path: Path) -> None:
    for name in ("whole", "thin"):
        (tmp_path / "build" / name).mkdir(parents=True)
        (tmp_path / "build" / name / "entry.py").write_text(
            "def handler(event, context):\n    import engine\n    return engine.NAME\n"
        )
    (tmp_path / "build" / "whole" / "engine.py").write_text('NAME = "engine"\n')

    async def story(world: World) -> None:
        assert (await world.fc.invoke("whole", b"")).body == b"engine"
        failed = await world.fc.invoke("thin", b"")
        assert json.loads(failed.body)["errorType"] == "ModuleNotFoundError"

    whole, thin = (props(name, handler="entry.handler", code=f"./build/{name}") for name in ("whole", "thin"))
    tell(tmp_path, story, whole, thin, code=())


def test_a_code_directory_that_is_missing_stops_the_start(tmp_path: Path) -> None:
    async def story(_: World) -> None:
        raise AssertionError("it started")

    with pytest.raises(ProjectError, match=r"code: .*build/code is not a directory"):
        tell(tmp_path, story, props("f", code="./build/code"), code=())


@pytest.mark.parametrize("what", ["layers", "nasConfig", "ossMountConfig"])
def test_layers_and_mounts_are_refused_instead_of_left_out(tmp_path: Path, what: str) -> None:
    """A layer's bytecode is lost in the cloud; here nothing of a layer would be there at all."""

    async def story(_: World) -> None:
        raise AssertionError("it started")

    with pytest.raises(ProjectError, match=f"{what}: not modelled"):
        tell(tmp_path, story, props("f", **{what: ["acs:fc:cn-hangzhou:1:layers/deps/versions/1"]}))


# --- pages --------------------------------------------------------------------------------------------------------


def domain(name: str, *routes: dict[str, Any]) -> dict[str, Any]:
    return {"region": "cn-hangzhou", "domainName": name, "protocol": "HTTP", "routeConfig": {"routes": list(routes)}}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Local]:
    folder = tmp_path_factory.mktemp("site")
    web = domain(
        "status.example.com",
        {"path": "/api/*", "functionName": "page", "methods": ["GET"]},
        {"path": "/", "functionName": "page"},
    )
    project = write(
        folder / "s.yaml",
        props("page", handler="probe.page", triggers=[web_trigger("open")]),
        props("stream", handler="probe.streaming", triggers=[web_trigger("open")]),
        domains=[web],
    )
    environment = {"NOTES": str(folder / "notes.jsonl")}
    with mock_aliyun(fc=project, fc_code=(CODE,), fc_env=environment, fc_workdir=folder / "fc") as local:
        yield local


def get(local: Local, path: str, host: str | None = None, method: str = "GET") -> requests.Response:
    return requests.request(method, local.url + path, headers={"Host": host} if host else {}, timeout=10)


def test_a_page_at_the_default_address_is_stored_and_not_shown(site: Local) -> None:
    page = get(site, "/_fc/http/page/open")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    assert page.headers["Content-Disposition"] == "attachment"  # the function asked for inline


def test_a_page_at_a_domain_of_ones_own_is_shown(site: Local) -> None:
    page = get(site, "/", "status.example.com")
    assert page.headers["Content-Disposition"] == "inline"
    assert page.text == "<p>GET / at status.example.com</p>"
    assert get(site, "/api/runs/7?x=1", "status.example.com:8080").text.startswith("<p>GET /api/runs/7 ")


def test_what_no_route_of_a_domain_names_is_not_found(site: Local) -> None:
    lost = get(site, "/elsewhere", "status.example.com")
    assert (lost.status_code, lost.json()["Code"]) == (404, "RouteNotFound")
    assert get(site, "/api/x", "status.example.com", method="POST").status_code == 405
    assert get(site, "/api/x", "other.example.com").status_code == 404


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (domain("nowhere.example.com", {"path": "/*", "functionName": "nobody"}), "no function 'nobody'"),
        (domain("mute.example.com", {"path": "/*", "functionName": "f"}), "no HTTP trigger"),
        (domain("odd.example.com", {"path": "x", "functionName": "f"}), "path"),
        ({**domain("tls.example.com"), "tlsConfig": {}}, "tlsConfig: not modelled"),
        (domain("empty.example.com"), "routes"),
        (domain("auto", {"path": "/*", "functionName": "f"}), "domainName"),
    ],
)
def test_a_domain_that_leads_nowhere_is_refused(tmp_path: Path, broken: dict[str, Any], complaint: str) -> None:
    async def story(_: World) -> None:
        raise AssertionError("it started")

    with pytest.raises(ProjectError, match=complaint):
        tell(tmp_path, story, props("f"), domains=[broken])


def test_an_event_handler_has_no_streaming_answer(site: Local) -> None:
    failed = get(site, "/_fc/http/stream/open")
    assert failed.headers["X-Fc-Error-Type"] == "UnhandledInvocationError"
    assert "generator" in failed.json()["errorMessage"]
    assert "the first line" not in failed.text
