"""Policies as an author might write them, and trees that are none: what the fuzz tests are fed."""

import copy
import json
from typing import Any

from hypothesis import strategies as st

from shared.config.policy_section import keys_of
from tests.config.policies import FREEZES, sections

NAMES = st.sampled_from(["a", "web-1", "nightly", "db"])
WORDS = st.sampled_from(["app", "db", "", "!x", "a b", "*", "true", "1.10", "é", "#x", "x: y"])
VALUES = st.one_of(
    st.sampled_from(["app", "db", "", "*"]),
    st.lists(st.sampled_from(["app", "db", "!x", "a|b"]), min_size=1, unique=True),
)
TAGS = st.dictionaries(st.sampled_from(["role", "env", "tier", "é"]), VALUES, min_size=1, max_size=3)
KEEPS = st.one_of(
    st.just({"forever": True}),
    st.dictionaries(
        st.sampled_from(["days", "last", "hourly", "daily", "weekly", "monthly", "yearly"]),
        st.integers(30, 65_536),
        min_size=1,
    ),
)


def conditions() -> st.SearchStrategy[dict[str, Any]]:
    """That can hold: what `not` says is never asked for beside it."""
    leaf: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries({"tags": TAGS})
    return st.recursive(
        leaf,
        lambda inner: st.one_of(
            st.fixed_dictionaries({"any": st.lists(inner, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"all": st.lists(inner, min_size=1, max_size=3)}),
            st.fixed_dictionaries({"not": inner}),
        ),
        max_leaves=5,
    )


@st.composite
def schedules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Of different minutes, so that no two are due alike."""
    return [
        {"name": f"s{minute}", "minute": minute}
        | draw(
            st.one_of(
                st.fixed_dictionaries({"every": st.sampled_from(["15m", "1h", "6h", "1d"])}),
                st.fixed_dictionaries(
                    {"hours": st.one_of(st.just("all"), st.lists(st.integers(0, 23), min_size=1, unique=True))},
                    optional={
                        "weekdays": st.lists(st.sampled_from(["mon", 2, "sun"]), min_size=1, unique=True),
                        "time_zone": st.sampled_from(["UTC", "Europe/Berlin"]),
                    },
                ),
            )
        )
        for minute in draw(st.lists(st.integers(0, 14), min_size=1, max_size=3, unique=True))
    ]


BLACKOUTS: st.SearchStrategy[list[dict[str, Any]]] = st.one_of(
    st.just([]),
    st.just([{"name": "nights", "between": "22:00-02:00", "weekdays": ["sat"]}]),
    st.just([{"name": "feast", "from": "2026-12-24 18:00", "to": "2026-12-27", "time_zone": "Europe/Berlin"}]),
)
COPIES = st.lists(
    st.fixed_dictionaries(
        {"region": st.sampled_from(["cn-shanghai", "us-west-1"]), "keep": KEEPS},
        optional={
            "within": st.sampled_from(["10m", "36h"]),
            "kms_key": st.just("key-1"),
            "priority": st.integers(1, 9),
            "lock": st.fixed_dictionaries({"days": st.integers(1, 30)}),
        },
    ),
    max_size=2,
    unique_by=lambda one: one["region"],
)


@st.composite
def protections(draw: st.DrawFn, name: str) -> dict[str, Any]:
    disks = st.fixed_dictionaries(
        {"kinds": st.sampled_from([["data"], ["system"], ["data", "system"]])},
        optional={"exclude": st.just(["d-1"]), "where": conditions()},
    )
    select = st.fixed_dictionaries(
        {}, optional={"ids": st.just(["i-1", "i-2"]), "exclude": st.just(["i-3"]), "disks": disks}
    )
    return {
        "name": name,
        "select": draw(conditions()) | draw(select),
        "schedules": draw(schedules()),
        "keep": draw(KEEPS),
        "rpo_target": draw(st.sampled_from(["75m", "25h", "1h30m", "7d"])),
    } | draw(
        st.fixed_dictionaries(
            {},
            optional={
                "account": st.just("branch"),
                "blackouts": BLACKOUTS,
                "overlap": st.sampled_from(["skip", "queue", {"at_most": 3, "then": "skip"}, {"at_most": 1}]),
                "lock": st.fixed_dictionaries(
                    {"days": st.integers(1, 30)}, optional={"cool_off": st.sampled_from(["0s", "24h"])}
                ),
                "copies": COPIES,
            },
        )
    )


@st.composite
def policies(draw: st.DrawFn) -> dict[str, Any]:
    """All of which are sound."""
    named = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    tree: dict[str, Any] = {
        "version": 1,
        "region": "cn-hangzhou",
        "time_zone": "Asia/Shanghai",
        "accounts": [{"name": "branch", "role": "acs:ram::1234567890123456:role/understudy"}],
        "protections": [draw(protections(name)) for name in named],
        "limits": draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "default": st.integers(10, 1_000),
                    "actions": st.just({"CreateSnapshot": 100}),
                    "reserve_percent": st.integers(0, 90),
                    "fan_out": st.integers(1, 100),
                },
            )
        ),
    }
    freeze = draw(st.sampled_from([None, *FREEZES]))
    if freeze:
        tree["protections"][0]["freeze"] = freeze
    return tree


SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-2, 70),
    st.floats(),
    st.text(max_size=20),
    WORDS,
    st.sampled_from(
        ["15m", "role=app OR x", "cn-hangzhou-h", "i-1", "d-1", "22:00-22:00", "2026-12-24", "9999-12-31", "all"]
    ),
)
KEYS = st.sampled_from(sorted({key for section in sections() for key in keys_of(section)} | {"or", "AND", "!x"}))
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.one_of(KEYS, st.text(max_size=5)), inner, max_size=5)
    ),
    max_leaves=20,
)


@st.composite
def slips(draw: st.DrawFn) -> dict[str, Any]:
    """A sound policy in which something, somewhere, was replaced, added or left out."""
    tree = copy.deepcopy(draw(policies()))
    for _ in range(draw(st.integers(1, 3))):
        holder: Any = tree
        while True:
            keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
            if not keys:
                break
            key = draw(st.sampled_from(keys))
            inner = holder[key]
            if isinstance(inner, dict | list) and inner and draw(st.booleans()):
                holder = inner
                continue
            match draw(st.sampled_from(["replace", "leave out", "add"])):
                case "replace":
                    holder[key] = draw(TREES)
                case "leave out":
                    del holder[key]
                case "add" if isinstance(holder, dict):
                    holder[draw(KEYS)] = draw(TREES)
                case _:
                    holder.append(draw(TREES))
            break
    return tree


def as_yaml(tree: object) -> str:
    """JSON is YAML, but for numbers that JSON does not have."""
    return json.dumps(tree, ensure_ascii=False)
