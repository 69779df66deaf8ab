"""s.yaml is fine, and each check of it can fail: one damaged copy per mistake."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from math import ceil
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy import s_yaml_check
from deploy.s_yaml_check import dotenv, problems
from emulator.fc.project import EventRule, Timer, load
from shared.state.called import AGAIN
from shared.usecases.failover.watch import FINISH, SPAN

ROOT = Path(__file__).resolve().parents[2]
S_YAML = ROOT / "s.yaml"


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A checkout with only what the checks look at."""
    shutil.copyfile(S_YAML, tmp_path / "s.yaml")
    shutil.copytree(ROOT / "functions", tmp_path / "functions", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(ROOT / "deploy" / "ram", tmp_path / "deploy" / "ram")
    shutil.copyfile(ROOT / "deploy" / "fc3.schema.json", tmp_path / "deploy" / "fc3.schema.json")
    return tmp_path


def found(root: Path, **options: Any) -> list[str]:
    return problems(root / "s.yaml", {}, root=root, **options)


def damaged(root: Path, change: Callable[[dict[str, Any]], object]) -> list[str]:
    document = yaml.safe_load((root / "s.yaml").read_text())
    change(document)
    (root / "s.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return found(root)


def props(document: dict[str, Any], name: str = "backup") -> Any:
    return document["resources"][name]["props"]


def trigger(document: dict[str, Any], name: str = "backup", index: int = 0) -> Any:
    return props(document, name)["triggers"][index]


def config(document: dict[str, Any], name: str = "backup", index: int = 0) -> Any:
    return trigger(document, name, index)["triggerConfig"]


def put(holder: Any, key: str, value: Any) -> None:
    holder[key] = value


MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "time-out too long": (lambda d: put(props(d), "timeout", 86_401), "backup: timeout: 86401 is greater"),
    "misspelt property": (lambda d: put(props(d), "memorySiz", 512), "memorySiz: the component has no such property"),
    "unknown region": (lambda d: put(d["vars"], "region", "cn-atlantis"), "region: 'cn-atlantis' is not one of"),
    "variable that is no text": (
        lambda d: put(d["template"]["base"]["environmentVariables"], "LIMIT", 5),
        "environmentVariables/LIMIT",
    ),
    "misspelt trigger key": (lambda d: put(config(d), "cronExpresion", "x"), "triggerConfig.cronExpresion: unknown"),
    "trigger without a cron": (lambda d: config(d).pop("cronExpression"), "triggerConfig.cronExpression is missing"),
    "trigger with a foreign key": (lambda d: put(trigger(d), "invocationRol", "x"), "invocationRol: unknown key"),
    "trigger type not used here": (lambda d: put(trigger(d), "triggerType", "oss"), "triggerType 'oss'"),
    "misspelt delivery option": (
        lambda d: put(config(d, index=1)["eventSinkConfig"]["deliveryOption"], "schema", "x"),
        "deliveryOption.schema: unknown",
    ),
    "misspelt run option": (
        lambda d: put(config(d, index=1)["runOptions"], "errorTolerance", "x"),
        "runOptions.errorTolerance: unknown",
    ),
    "crontab of five fields": (lambda d: put(config(d, "schedule"), "cronExpression", "*/5 * * * *"), "six"),
    "pattern that is not JSON": (lambda d: put(config(d, index=1), "eventRuleFilterPattern", "{acs}"), "not JSON"),
    "same function name twice": (
        lambda d: put(props(d, "status"), "functionName", "understudy-backup"),
        "understudy-backup is used twice",
    ),
    "same trigger name twice": (
        lambda d: put(trigger(d, index=1), "triggerName", "tick"),
        "same triggerName",
    ),
    "event rule not last": (lambda d: props(d)["triggers"].reverse(), "list eventbridge triggers last"),
    "more rules than the bus takes": (
        lambda d: props(d)["triggers"].extend([{**trigger(d, index=1), "triggerName": f"rule-{n}"} for n in range(9)]),
        "11 eventbridge triggers",
    ),
    "handler that does not exist": (lambda d: put(props(d), "handler", "backup.handel"), "no function 'handel'"),
    "module that does not exist": (lambda d: put(props(d), "handler", "backups.handler"), "functions/backups.py"),
    "initializer that does not exist": (
        lambda d: put(props(d)["instanceLifecycleConfig"]["initializer"], "handler", "backup.init"),
        "no function 'init'",
    ),
    "destination of another file": (
        lambda d: put(d["vars"], "failures", "acs:fc:cn-hangzhou:1000000000000001:functions/elsewhere"),
        "is not a function of this file",
    ),
    "destination that leads back": (
        lambda d: put(
            props(d, "deadletter")["asyncInvokeConfig"],
            "destinationConfig",
            {"onFailure": {"destination": "${vars.failures}"}},
        ),
        "lead back to it",
    ),
    "environment over 4 KB": (
        lambda d: put(d["template"]["base"]["environmentVariables"], "BIG", "x" * 4096),
        "bytes; FC takes 4096",
    ),
    "reserved variable name": (
        lambda d: put(d["template"]["base"]["environmentVariables"], "FC_REGION", "x"),
        "FC_REGION: FC refuses",
    ),
    "dependencies not on the path": (
        lambda d: d["template"]["base"]["environmentVariables"].pop("PYTHONPATH"),
        "must hold /code/python",
    ),
    "watch that is tried again and again": (
        lambda d: put(props(d, "watch-hz-h")["asyncInvokeConfig"], "maxAsyncRetryAttempts", 3),
        "watch-hz-h: asyncInvokeConfig: at most 2 retries and 60 s, or stale ticks pile up",
    ),
    "watch that outlives its minute": (
        lambda d: put(props(d, "watch-hz-h")["asyncInvokeConfig"], "maxAsyncEventAgeInSeconds", 61),
        "stale ticks pile up",
    ),
    "watch that loses its minute with its keys": (
        lambda d: put(props(d, "watch-hz-h")["asyncInvokeConfig"], "maxAsyncRetryAttempts", 0),
        "watch-hz-h: maxAsyncRetryAttempts: at least 1",
    ),
    "schedule that lives long": (
        lambda d: put(props(d, "schedule")["asyncInvokeConfig"], "maxAsyncEventAgeInSeconds", 601),
        "stale ticks pile up",
    ),
    "age left to the default": (
        lambda d: props(d)["asyncInvokeConfig"].pop("maxAsyncEventAgeInSeconds"),
        "defaults differ",
    ),
    "age over a documented limit": (
        lambda d: put(props(d)["asyncInvokeConfig"], "maxAsyncEventAgeInSeconds", 604_801),
        "smaller documented limit",
    ),
    "watch without a reserve": (
        lambda d: props(d, "watch-hz-i").pop("concurrencyConfig"),
        "watch-hz-i: concurrencyConfig.reservedConcurrency: 0; want at least 6",
    ),
    "watch that waits for its last tick": (
        lambda d: put(props(d, "watch-hz-h")["concurrencyConfig"], "reservedConcurrency", 5),
        "watch-hz-h: concurrencyConfig.reservedConcurrency: 5; want at least 6",
    ),
    "command without a reserve": (
        lambda d: props(d, "command").pop("concurrencyConfig"),
        "command: concurrencyConfig.reservedConcurrency: 0; want at least 1",
    ),
    "destination that the role may not call": (
        lambda d: put(
            props(d, "watch-hz-h")["asyncInvokeConfig"]["destinationConfig"],
            "onFailure",
            {"destination": "acs:fc:cn-hangzhou:1000000000000001:functions/understudy-status"},
        ),
        "watch-hz-h: onFailure: deploy/ram/watch.json lacks fc:InvokeFunction on understudy-status",
    ),
    "memory without cpu": (lambda d: d["template"]["base"].pop("cpu"), "set memorySize, cpu and diskSize together"),
    "too little cpu for the memory": (lambda d: put(props(d), "memorySize", 4096), "want 1 to 4 GB per vCPU"),
    "another runtime": (lambda d: put(props(d), "runtime", "python3.10"), "want python3.12"),
    "a layer": (lambda d: put(props(d), "layers", ["acs:fc:x"]), "a layer loses its bytecode"),
    "code from elsewhere": (lambda d: put(props(d), "code", "."), "want ./build/code"),
    "a role for two": (lambda d: put(props(d), "role", "understudy-prune"), "want understudy-backup"),
    "an expression nobody knows": (lambda d: put(props(d), "description", "${FOO}"), "${FOO}"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_each_mistake_is_found(copy: Path, mistake: str) -> None:
    change, complaint = MISTAKES[mistake]
    told = damaged(copy, change)
    assert [line for line in told if complaint in line], told


def test_a_role_without_a_policy_is_found(copy: Path) -> None:
    (copy / "deploy" / "ram" / "prune.json").unlink()
    assert "prune: deploy/ram/prune.json is missing: the role has no policy" in found(copy)


def test_a_role_that_may_not_call_the_destination_is_found_for_every_function_with_one(copy: Path) -> None:
    for path in (copy / "deploy" / "ram").glob("*.json"):
        path.write_text(path.read_text().replace("understudy-deadletter", "understudy-status"))
    lacking = {
        line.partition(":")[0] for line in found(copy) if "lacks fc:InvokeFunction on understudy-deadlet" in line
    }
    assert lacking == {"schedule", "backup", "prune", "recover", "alarm", "watch-hz-h", "watch-hz-i", "command"}


def test_as_many_instances_are_kept_for_a_watch_as_its_ticks_and_the_calls_of_alarms_can_overlap() -> None:
    longest = SPAN + FINISH
    overlapping = ceil(longest / timedelta(minutes=1)) + ceil(longest / AGAIN)
    reserved = {f.reserved for f in load(S_YAML, {}).functions if f.handler == "watch.handler"}
    assert reserved == {overlapping} == {s_yaml_check.RESERVED["watch"]}


def test_alarm_may_call_the_watch_of_every_site() -> None:
    watches = {f.name for f in load(S_YAML, {}).functions if f.handler == "watch.handler"}
    text = (ROOT / "deploy" / "ram" / "alarm.json").read_text()
    assert watches
    assert [name for name in watches if f"functions/{name}" not in text] == []


@pytest.mark.parametrize("name", ["operator", "requests", "shared", "tablestore"])
def test_an_entry_module_that_shadows_another_is_found(copy: Path, name: str) -> None:
    (copy / "functions" / f"{name}.py").write_text("def handler(event, context): ...\n")
    assert [line for line in found(copy) if f"functions/{name}.py: the name shadows" in line]


@pytest.mark.parametrize("name", ["tests", "emulator", "understudy", ".env"])
def test_what_must_not_be_deployed_is_found_in_the_package(copy: Path, name: str) -> None:
    package = built(copy)
    (package / name).mkdir()
    assert f"build/code/{name} must not be deployed: run make package" in found(copy)


@pytest.mark.parametrize("name", ["shared", "python", "__pycache__", ".fcignore"])
def test_what_the_package_lacks_is_found(copy: Path, name: str) -> None:
    package = built(copy)
    (package / name).rename(package / "elsewhere")
    assert f"build/code/{name} is missing: run make package" in found(copy)


def test_a_handler_that_is_not_in_the_package_is_found(copy: Path) -> None:
    (built(copy) / "watch.py").unlink()
    assert "watch-hz-h: watch.handler: no function 'handler' in code/watch.py" in found(copy)


def built(root: Path) -> Path:
    package = root / "build" / "code"
    for folder in ("shared", "python", "__pycache__"):
        (package / folder).mkdir(parents=True)
    (package / ".fcignore").touch()
    for entry in (root / "functions").glob("*.py"):
        shutil.copyfile(entry, package / entry.name)
    return package


def test_before_a_deployment_demo_values_and_a_stale_package_are_refused(copy: Path) -> None:
    assert "build/code is missing: run make package" in found(copy, deploy=True)
    built(copy)
    (copy / "functions" / "prune.py").write_text((copy / "functions" / "prune.py").read_text() + "\n# newer\n")
    told = found(copy, deploy=True)
    assert "build/code/prune.py is not the one of the sources: run make package" in told
    (copy / "build" / "code" / "shared" / "gone.py").touch()
    assert "build/code/shared/gone.py is not the one of the sources: run make package" in found(copy, deploy=True)
    assert [line for line in told if "vars.vpc: 'vpc-demo' belongs to the demo" in line]
    real = {
        "ALIBABA_CLOUD_ACCOUNT_ID": "1234567890123456",
        "UNDERSTUDY_VPC": "vpc-1",
        "UNDERSTUDY_SECURITY_GROUP": "sg-1",
        "UNDERSTUDY_VSWITCH_HZ_H": "vsw-1",
        "UNDERSTUDY_VSWITCH_HZ_I": "vsw-2",
    }
    still = problems(copy / "s.yaml", real, root=copy, deploy=True)
    assert not [line for line in still if "demo" in line]


def test_the_file_as_it_stands_is_fine(copy: Path) -> None:
    assert found(copy) == []
    built(copy)
    assert found(copy) == []


def test_the_command_line_says_what_is_wrong_and_where(
    copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s_yaml_check, "ROOT", copy)
    assert s_yaml_check.main([str(copy / "s.yaml")]) == 0
    assert capsys.readouterr().out == "s.yaml: fine\n"
    (copy / "s.yaml").write_text("edition: 1.0.0\nresources: {}\n")
    assert s_yaml_check.main([str(copy / "s.yaml")]) == 2
    assert "edition: want 3.0.0" in capsys.readouterr().err


def test_a_dotenv_file_is_read_as_the_deployment_tool_reads_it(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("# account\nA=1\nexport B = 'two words'\n\nC=\n")
    assert dotenv(tmp_path / ".env") == {"A": "1", "B": "two words", "C": ""}
    assert dotenv(tmp_path / "none") == {}


def test_the_emulator_reads_the_same_file() -> None:
    project = load(S_YAML, {})
    watches = [f for f in project.functions if f.handler == "watch.handler"]
    assert {f.environment["UNDERSTUDY_SITE"] for f in watches} == {"hz-h", "hz-i"}
    assert [f.vswitches for f in watches] == [("vsw-h",), ("vsw-i",)]
    assert all(f.environment["UNDERSTUDY_OTS_INSTANCE"] == "understudy" for f in project.functions)
    timers = {f.resource: t.cron.expression for f in project.functions for t in f.triggers if isinstance(t, Timer)}
    assert timers["prune"] == "0 30 * * * *"
    rules = [f.resource for f in project.functions for t in f.triggers if isinstance(t, EventRule)]
    assert rules == ["backup", "alarm"]


def test_no_preview_of_serverless_devs_would_meet_a_folder_named_like_the_component() -> None:
    assert not (ROOT / "fc3").exists()


def test_a_flood_of_a_url_that_anybody_may_call_takes_no_other_functions_instances() -> None:
    def anonymous(trigger: Any) -> bool:
        return bool(trigger["triggerType"] == "http" and trigger["triggerConfig"]["authType"] == "anonymous")

    services = yaml.safe_load(S_YAML.read_text())["resources"].values()
    open_to_all = [one["props"] for one in services if any(map(anonymous, one["props"].get("triggers", ())))]
    assert {one["functionName"]: one["concurrencyConfig"]["reservedConcurrency"] for one in open_to_all} == {
        "understudy-alarm": 10,
        "understudy-status": 5,
    }
