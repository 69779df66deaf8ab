"""Whatever stands in the file, its author gets a policy or a list of problems; and a policy is the same once stored."""

from typing import Any

import jsonschema
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.config import policy_file, policy_schema
from shared.config.policy_document import check
from shared.domain.errors import BadInput
from shared.domain.policy import Policy, Where
from shared.state import codec
from tests.config.trees import TREES, as_yaml, policies, slips

EDITOR = jsonschema.Draft202012Validator(policy_schema.schema())

several = settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


@several
@given(policies())
def test_a_sound_tree_is_a_policy_that_survives_being_stored(tree: dict[str, Any]) -> None:
    policy = policy_file.parse(as_yaml(tree), "understudy.yaml")

    assert codec.load(Policy, codec.dump(policy)) == policy
    assert [one.name for one in policy.protections] == [one["name"] for one in tree["protections"]]


@several
@given(policies())
def test_an_editor_has_nothing_against_a_sound_tree(tree: dict[str, Any]) -> None:
    assert [error.message for error in EDITOR.iter_errors(tree)] == []


@several
@given(st.one_of(TREES, slips()))
def test_any_tree_is_a_policy_or_has_problems(tree: object) -> None:
    policy, problems = check(tree)

    assert (policy is None) == bool(problems)
    for problem in problems:
        assert problem.says.strip()
        assert "Input should" not in problem.says, "pydantic's words, not ours"
    if policy is not None:
        assert codec.load(Policy, codec.dump(policy)) == policy


@several
@given(slips())
def test_whatever_check_accepts_an_editor_accepts_too(tree: dict[str, Any]) -> None:
    policy, _ = check(tree)

    assert policy is None or EDITOR.is_valid(tree)


@several
@given(st.one_of(st.text(max_size=200), TREES.map(as_yaml), slips().map(as_yaml)))
def test_any_text_is_a_policy_or_bad_input(text: str) -> None:
    try:
        policy_file.parse(text, "understudy.yaml")
    except BadInput as error:
        for line in str(error).splitlines():
            assert line.startswith("understudy.yaml: ")


def conditions() -> st.SearchStrategy[Where]:
    values = st.lists(st.text(max_size=3), min_size=1, max_size=3).map(tuple)
    tags = st.dictionaries(st.text(max_size=3), values, max_size=2)
    leaf = tags.map(lambda one: Where(tags=one))

    def nested(inner: st.SearchStrategy[Where]) -> st.SearchStrategy[Where]:
        several_of = st.lists(inner, max_size=2).map(tuple)
        return st.builds(Where, tags=tags, all=several_of, any=several_of, none=several_of)

    return st.recursive(leaf, nested, max_leaves=12)


@several
@given(conditions())
def test_a_condition_of_any_depth_survives_being_stored(where: Where) -> None:
    assert codec.load(Where, codec.dump(where)) == where
