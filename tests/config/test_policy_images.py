"""`images` of the file: what may stand there, and what an operator reads who wrote something else."""

from datetime import timedelta

import pytest

from shared.config import policy_file
from shared.domain.errors import BadInput
from shared.domain.policy import ImageDisks, ImageRule, Selection
from tests.config.policies import policy

RULE = "{name: app, family: app, of: {tags: {role: app}}}"


def parsed(images: str) -> tuple[ImageRule, ...]:
    return policy_file.parse(f"{policy()}\nimages: {images}\n", "understudy.yaml").images


def test_a_rule_of_three_keys_is_by_hand_and_keeps_three_versions() -> None:
    assert parsed(f"[{RULE}]") == (ImageRule(name="app", family="app", of=Selection(tags={"role": "app"})),)


def test_everything_can_be_said() -> None:
    (rule,) = parsed(
        "[{name: app, family: role-app, of: {ids: [i-1]}, disks: system, keep: 5, copy_to: [cn-shanghai, us-west-1], "
        "publish_to: [asg-1], max_age: 14d, blackouts: [{name: nights, between: '22:00-02:00'}], "
        "schedules: [{name: weekly, hours: [3], weekdays: [sun]}]}]"
    )

    assert (rule.disks, rule.keep, rule.copy_to) == (ImageDisks.SYSTEM, 5, ("cn-shanghai", "us-west-1"))
    assert (rule.publish_to, rule.max_age) == (("asg-1",), timedelta(days=14))
    assert [one.name for one in rule.schedules] == ["weekly"]
    assert [one.name for one in rule.blackouts] == ["nights"]


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("[{name: a, of: {tags: {r: a}}}]", "images[0].family: is missing"),
        ("[{name: a, family: a}]", "images[0].of: is missing"),
        ("[{name: a, family: a, of: {}}]", "images[0].of: selects nothing"),
        (RULE.replace("}}}", "}}, disks: sytem}").join("[]"), "Did you mean 'system'?"),
        (RULE.replace("}}}", "}}, keep: 0}").join("[]"), "images[0].keep: 0 is not a number of versions (1-100)"),
        (RULE.replace("}}}", "}}, copy_to: [cn-hangzhou]}").join("[]"), "is the home region, where the image is made"),
        (RULE.replace("}}}", "}}, copy_to: [cn-shanghai, cn-shanghai]}").join("[]"), "images[0].copy_to"),
        (RULE.replace("}}}", "}, disks: {kinds: [data]}}}").join("[]"), "images[0].of.disks: which disks an image"),
        (f"[{RULE}, {RULE.replace('name: app', 'name: b')}]", "'app' is already the family of images[0]"),
        (f"[{RULE}, {RULE.replace('family: app', 'family: b')}]", "'app' is already the name of images[0]"),
        (
            f"[{RULE.replace('}}}', '}}, publish_to: [asg-1]}')}, "
            "{name: b, family: b, of: {ids: [i-1]}, publish_to: [asg-1]}]",
            "'asg-1' already starts from images[0]. One group has one role",
        ),
        (
            RULE.replace("}}}", "}}, blackouts: [{name: nights, between: '22:00-02:00'}]}").join("[]"),
            "images[0].blackouts: hold schedules back, and there are none",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused_with_its_place(images: str, says: str) -> None:
    with pytest.raises(BadInput) as refused:
        parsed(images)

    assert says in str(refused.value)
