"""What editors are told of the file, and what they cannot know."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from typer.testing import CliRunner

from shared.adapters.ecs import EcsInventory
from shared.adapters.ecs_disks import EcsDisks
from shared.adapters.ecs_guests import EcsGuests
from shared.adapters.ecs_images import EcsImages
from shared.adapters.ecs_instances import EcsInstances
from shared.adapters.ecs_market import EcsMarket
from shared.adapters.ecs_native import EcsNativePolicies
from shared.adapters.ecs_snapshots import EcsSnapshots
from shared.config import policy_file, policy_schema
from shared.config.policy_section import Section
from shared.config.policy_sections import CALLS
from shared.domain.errors import BadInput
from tests.config.policies import policy, sections
from understudy.cli.main import app

ROOT = Path(__file__).parents[2]
SCHEMA = policy_schema.schema()
EDITOR = jsonschema.Draft202012Validator(SCHEMA)


def tree(text: str) -> object:
    return policy_file.read_tree(text, "understudy.yaml")[0]


def test_it_is_a_schema() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)

    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


def test_the_example_of_the_repository_fits_it() -> None:
    assert [one.message for one in EDITOR.iter_errors(tree((ROOT / "understudy.yaml").read_text()))] == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        pytest.param(policy(rpo_taget="75m"), "'rpo_taget' was unexpected", id="unknown key"),
        pytest.param(policy(keep="{days: 0}"), "0 is less than the minimum of 1", id="bound"),
        pytest.param(policy(rpo_target="75"), "75 is not of type 'string'", id="no unit"),
        pytest.param(policy(select="role=app"), "'role=app' is not of type 'object'", id="text for mapping"),
        pytest.param(policy(name="Apps"), "'Apps' does not match", id="name"),
        pytest.param("version: 1\nregion: cn-hangzhou\n", "'time_zone' is a required property", id="missing key"),
    ],
)
def test_an_editor_sees_what_is_wrong_with_one_value(text: str, says: str) -> None:
    assert any(says in one.message for one in EDITOR.iter_errors(tree(text)))
    with pytest.raises(BadInput):
        policy_file.parse(text, "understudy.yaml")


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(policy(keep="{days: 5}", lock="{days: 9}"), id="lock beyond the retention"),
        pytest.param(policy(schedules="[{name: a, every: 7m}]"), id="no divisor of the day"),
        pytest.param(policy(copies="[{region: cn-hangzhou, keep: {days: 5}}]"), id="copy to the home region"),
        pytest.param(policy(account="branch"), id="unknown account"),
        pytest.param(policy(select="{}"), id="nothing selected"),
    ],
)
def test_rules_between_keys_are_for_check_alone(text: str) -> None:
    assert EDITOR.is_valid(tree(text))
    with pytest.raises(BadInput):
        policy_file.parse(text, "understudy.yaml")


def every_key() -> list[Any]:
    return [
        pytest.param(section, name, id=f"{section.__name__}.{field.alias or name}")
        for section in sections()
        for name, field in section.model_fields.items()
    ]


@pytest.mark.parametrize(("section", "name"), every_key())
def test_every_key_says_what_it_means_and_gives_examples_that_hold(section: type[Section], name: str) -> None:
    field = section.model_fields[name]
    key = field.alias or name

    assert field.description
    assert field.description.endswith(".")
    for example in field.examples or [None]:
        value = tree(str(example))
        validator = section.__pydantic_validator__
        # Other keys of the section are missing here: only what is said of this one counts.
        try:
            validator.validate_python({key: value})
        except ValueError as error:
            found = [one for one in error.errors() if key in one["loc"]]  # type: ignore[attr-defined]
            assert found == []


def test_every_call_that_a_limit_may_name_is_made_and_every_call_may_be_named() -> None:
    adapters = (
        EcsDisks, EcsGuests, EcsImages, EcsInstances, EcsInventory, EcsMarket, EcsNativePolicies, EcsSnapshots,
    )  # fmt: skip
    made = {action.removeprefix("ecs:") for one in adapters for action in one.RAM_ACTIONS}

    assert set(CALLS) == made
    assert list(CALLS) == sorted(CALLS)


def test_the_command_line_prints_it() -> None:
    ended = CliRunner().invoke(app, ["schema"])

    assert ended.exit_code == 0
    assert json.loads(ended.output) == SCHEMA
