"""Reading s.yaml: what is understood, and that everything else is refused with file, place and expression."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from emulator.fc.project import EventRule, Http, ProjectError, Timer, load, resolve
from tests.emulator.fc_projects import destination, props, rule, timer, web_trigger, write

FILE = """
edition: 3.0.0
name: dr
access: default
vars:
  region: ${env('DR_REGION', 'cn-hangzhou')}
  seconds: 60
  names: {prefix: dr}
template:
  base:
    region: ${vars.region}
    runtime: python3.12
    code: ./code
    timeout: ${vars.seconds}
    environmentVariables: {A: one, B: two}
    tags: [{key: app, value: dr}]
resources:
  watch:
    component: ${env('FC3_COMPONENT', 'fc3')}
    extend: {name: base, ignore: [environmentVariables.B]}
    props:
      functionName: ${vars.names.prefix}-watch
      handler: watch.handler
      description: on ${this.props.runtime} beside ${resources.alarm.props.functionName}
      environmentVariables: {C: three}
      tags: [{key: only, value: this}]
  alarm:
    component: fc3
    extend: {name: base}
    props: {functionName: '${vars.names.prefix}-alarm', handler: alarm.handler}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "s.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("expression", "complaint"),
    [
        ("${env('NOWHERE')}", "set the environment variable NOWHERE"),
        ("${vars.missing}", "there is no vars.missing"),
        ("${config('AccountID')}", "only env"),
        ("${file('secret')}", "only env"),
        ("${FOO}", "only env"),
        ("${resources.alarm.output.url}", "only props"),
        ("${this.props.description}", "refers to itself"),
        ("${resources.nobody.props.x}", "there is no resources.nobody"),
        ("a ${env('X', '${vars.region}')}", "nested"),
    ],
)
def test_an_expression_that_an_offline_reader_cannot_answer_stops_it(
    tmp_path: Path, expression: str, complaint: str
) -> None:
    fine = "on ${this.props.runtime} beside ${resources.alarm.props.functionName}"
    assert fine in FILE
    path = written(tmp_path, FILE.replace(fine, '"' + expression + '"'))
    with pytest.raises(ProjectError, match=complaint) as refused:
        resolve(path, {})
    assert str(path) in str(refused.value)
    assert "resources.watch.props.description" in str(refused.value)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("resources: [", "not YAML"),
        ("- a\n", "want a mapping"),
        ("edition: 1.0.0\nresources: {}\n", "edition"),
        ("edition: 3.0.0\n", "resources"),
        ("edition: 3.0.0\nservices: {}\nresources: {}\n", "services"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, flow: {}}}\n", "flow"),
        ("edition: 3.0.0\nresources: {a: {component: fc3, extend: {name: no}}}\n", "no template"),
    ],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(ProjectError, match=complaint):
        resolve(written(tmp_path, text), {})


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="cannot be read"):
        resolve(tmp_path / "s.yaml", {})


@pytest.mark.parametrize(
    ("broken", "complaint"),
    [
        (props("f", triggers=[timer("t", "* * * * *")]), "trigger 't'.*six"),
        (props("f", triggers=[{"triggerName": "t", "triggerType": "oss", "triggerConfig": {}}]), "'oss' is not"),
        (props("f", triggers=[{"triggerName": "t", "triggerType": "timer", "triggerConfig": {}}]), "enable is missing"),
        (props("f", triggers=[web_trigger("w", auth="jwt")]), "jwt"),
        (props("f", triggers=[timer("t", "@every 1m"), timer("t", "@every 2m")]), "same triggerName"),
        (props("f", runtime="nodejs20"), "nodejs20"),
        (props("f", handler=None), "handler"),
        (props("f", vpcConfig="auto"), "vpcConfig"),
    ],
)
def test_a_function_that_is_not_modelled_is_refused(tmp_path: Path, broken: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ProjectError, match=complaint):
        load(write(tmp_path / "s.yaml", broken), {})


def test_two_functions_with_one_name_are_refused(tmp_path: Path) -> None:
    doubled = FILE.replace("'${vars.names.prefix}-alarm'", "'${vars.names.prefix}-watch'")
    with pytest.raises(ProjectError, match="dr-watch is used twice"):
        load(written(tmp_path, doubled), {})


def test_templates_merge_maps_and_replace_lists(tmp_path: Path) -> None:
    watch = resolve(written(tmp_path, FILE), {}).props["watch"]
    assert watch["environmentVariables"] == {"A": "one", "C": "three"}
    assert watch["tags"] == [{"key": "only", "value": "this"}]
    assert watch["timeout"] == 60  # a whole-value expression keeps its type
    assert watch["description"] == "on python3.12 beside dr-alarm"


def test_the_environment_wins_over_a_default(tmp_path: Path) -> None:
    resolved = resolve(written(tmp_path, FILE), {"DR_REGION": "cn-beijing", "FC3_COMPONENT": "./check"})
    assert resolved.props["alarm"]["region"] == "cn-beijing"
    assert resolved.document["resources"]["watch"]["component"] == "./check"


def test_a_project_becomes_functions_and_triggers(tmp_path: Path) -> None:
    full = props(
        "watch",
        role="acs:ram::1000000000000001:role/Probe-Role",
        timeout=90,
        instanceLifecycleConfig={"initializer": {"handler": "probe.initialize", "timeout": 30}},
        asyncInvokeConfig={
            "maxAsyncRetryAttempts": 0,
            "maxAsyncEventAgeInSeconds": 60,
            "destinationConfig": destination("dead"),
        },
        concurrencyConfig={"reservedConcurrency": 2},
        vpcConfig={"vpcId": "v", "securityGroupId": "s", "vSwitchIds": ["vsw-h"]},
        triggers=[timer("t", "@every 1m", "x"), web_trigger("w"), rule("e", {"source": ["acs.ecs"]}, "RawData")],
    )
    function = load(write(tmp_path / "s.yaml", full, props("dead")), {}).function("watch")
    assert function is not None
    assert function.role == "probe-role"  # the tool lower-cases it
    assert function.timeout == timedelta(seconds=90)
    assert function.initializer is not None
    assert function.asynchronous.retries == 0
    assert function.asynchronous.max_age == timedelta(seconds=60)
    assert function.asynchronous.on_failure == "acs:fc:cn-hangzhou:1000000000000001:functions/dead"
    assert function.reserved == 2
    assert function.vswitches == ("vsw-h",)
    assert [type(t) for t in function.triggers] == [Timer, Http, EventRule]
