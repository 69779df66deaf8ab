"""What image rules hold and cost, before a policy is applied."""

from dataclasses import replace
from datetime import date

from shared.domain.assumptions import Known
from shared.domain.cost import NAMES, Price, Prices
from shared.domain.feasibility import study
from shared.domain.image_room import image_costs
from shared.domain.image_versions import versions_held
from shared.domain.policy import ImageDisks, ImageRule, Policy, PruneLimits, Schedule, Selection

WEEKLY = Schedule(name="weekly", hours=(3,), weekdays=(7,), zone="UTC")
HOURLY = Schedule(name="hourly", hours=tuple(range(24)), weekdays=(1, 2, 3, 4, 5, 6, 7), zone="UTC")
RULE = ImageRule(name="app", family="app", of=Selection(tags={"role": "app"}), schedules=(WEEKLY,))
PRICES = Prices(dated=date(2026, 3, 1), currency="CNY", everywhere={name: Price(value=1.0) for name in NAMES})


def a_policy(*rules: ImageRule) -> Policy:
    return Policy(
        region="cn-hangzhou",
        protections=(),
        rebuilds=(),
        pairs=(),
        prune=PruneLimits(max_items=1, max_percent=1),
        images=rules,
    )


def test_a_weekly_rule_of_three_holds_three_one_in_the_making_and_those_that_leave() -> None:
    assert versions_held(RULE) == 3 + 1 + 2
    assert study(a_policy(RULE)).refused == ()
    assert study(a_policy(RULE)).notes[0].startswith("images app: up to 6 versions stand at a time")


def test_an_hourly_rule_is_refused_with_what_fits() -> None:
    refused = study(a_policy(replace(RULE, schedules=(HOURLY,), keep=48))).refused

    assert refused[0].startswith("images app: up to 266 versions stand at a time")
    assert refused[0].endswith("What fits: keep: 36")


def test_many_rules_meet_the_quota_of_images_of_a_region() -> None:
    rules = [replace(RULE, name=f"r{at}", family=f"f{at}", keep=10) for at in range(9)]
    refused = study(a_policy(*rules, replace(RULE, name="z", family="z", copy_to=("cn-shanghai",)))).refused

    assert len(refused) == 1
    assert "stand in cn-hangzhou at a time, and a region takes about 100" in refused[0]


def test_the_cost_follows_disks_versions_and_regions() -> None:
    (one,) = image_costs(a_policy(replace(RULE, disks=ImageDisks.SYSTEM)), Known(), PRICES)
    (all_disks,) = image_costs(a_policy(RULE), Known(), PRICES)
    (copied,) = image_costs(a_policy(replace(RULE, copy_to=("cn-shanghai",))), Known(), PRICES)

    assert 60 < one.storage_gib < 200
    assert all_disks.storage == 2 * one.storage
    assert copied.copy_storage == copied.storage == all_disks.storage
    assert copied.traffic > 0
    assert copied.protection == "images app"
