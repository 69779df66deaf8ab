"""Which instances and disks a file asks for, and what those are told who write it as another tool would have it."""

import pytest

from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import DiskKind
from shared.domain.policy import DiskSelection, Selection, Where
from tests.config.policies import policy, protection, refusals

FORMS = (
    "Write tags: {role: app}; {role: [app, db]} for one of several values; {role: '*'} for any. Beside tags stand "
    "any: [...], all: [...] and not: {...}"
)
KEYS = "stands where keys with values are expected"

FOREIGN = [
    pytest.param("role=app", f": 'role=app' {KEYS}. Write tags: {{role: app}}", id="one pair"),
    pytest.param(
        "role=app AND env=prod", f": 'role=app AND env=prod' {KEYS}. Write tags: {{role: app, env: prod}}", id="AND"
    ),
    pytest.param("role:app, env:prod", f": 'role:app, env:prod' {KEYS}. Write tags: {{role: app, env: prod}}", id=","),
    pytest.param(
        "role=app OR role=db",
        f": 'role=app OR role=db' {KEYS}. Write any: [{{tags: {{role: app}}}}, {{tags: {{role: db}}}}]",
        id="OR",
    ),
    pytest.param(
        "role=app && env!=test",
        f": 'role=app && env!=test' {KEYS}. Write tags: {{role: app}}, not: {{tags: {{env: test}}}}",
        id="unlike",
    ),
    pytest.param(
        "NOT env=test AND NOT env=dev",
        f": 'NOT env=test AND NOT env=dev' {KEYS}. "
        "Write not: {any: [{tags: {env: test}}, {tags: {env: dev}}]}",
        id="NOT twice",
    ),
    pytest.param("role in (app, db)", f": 'role in (app, db)' {KEYS}. Write tags: {{role: [app, db]}}", id="in"),
    pytest.param("everything", f": 'everything' {KEYS}. {FORMS}", id="a word"),
    pytest.param(
        "[role]", f": a list {KEYS}. Write tags: {{role: '*'}}, which asks for the tag with any value", id="a key"
    ),
    pytest.param("[[a]]", f": a list {KEYS}. {FORMS}", id="a list in a list"),
    pytest.param(
        '{tags: "role=app"}', ".tags: 'role=app' is text, not keys with values. Write tags: {role: app}", id="text"
    ),
    pytest.param(
        "{tags: [role=app, env=prod]}",
        ".tags: a list is not keys with values. Write tags: {role: app, env: prod}",
        id="list of pairs",
    ),
    pytest.param(
        "{tags: [{Key: role, Value: app}]}",
        ".tags: a list is not keys with values. Write tags: {role: app}",
        id="as the cloud's API has them",
    ),
    pytest.param(
        "{tags: [{role: app}, {env: '2'}]}",
        ".tags: a list is not keys with values. Write tags: {role: app, env: '2'}",
        id="list of mappings",
    ),
    pytest.param("{tags: []}", f".tags: an empty list is not keys with values. {FORMS}", id="empty list"),
    pytest.param("{tags: }", f".tags: nothing is not keys with values. {FORMS}", id="nothing"),
    pytest.param("{tags: {}}", f".tags: the mapping is empty, so it asks for nothing. {FORMS}", id="empty mapping"),
    pytest.param(
        "{tags: {'!role': app}}",
        ".tags.!role: '!role' looks like a negation. Write not: {tags: {role: ...}}",
        id="negated key",
    ),
    pytest.param(
        "{tags: {role: '!app'}}",
        ".tags.role: '!app' looks like a negation. Write not: {tags: {...: app}} beside tags. "
        "If a value really reads so, write ['!app']",
        id="negated value",
    ),
    pytest.param(
        "{tags: {role: app*}}",
        ".tags.role: 'app*' looks like a pattern; there is only '*' alone, for any value. "
        "If a value really reads so, write ['app*']",
        id="pattern",
    ),
    pytest.param(
        "{tags: {role: app|db}}",
        ".tags.role: 'app|db' looks like several values. Write [app, db]. If a value really reads so, write ['app|db']",
        id="alternatives in a value",
    ),
    pytest.param(
        "{tags: {role: {not: app}}}",
        f".tags.role: a mapping is not a tag's value. any, all and not stand beside tags, not inside: {FORMS}",
        id="not inside",
    ),
    pytest.param(
        "{tags: {role: }}",
        ".tags.role: nothing is not a tag's value. Write '*' for any value, or '' for an empty one",
        id="no value",
    ),
    pytest.param("{tags: {role: 1}}", ".tags.role: 1 is not text. Put it in quotes: '1'", id="number"),
    pytest.param("{tags: {role: [1]}}", ".tags.role: 1 is not text. Put it in quotes: '1'", id="number in a list"),
    pytest.param(
        "{tags: {role: []}}",
        ".tags.role: the list is empty, so no value would fit. Write one or more, or '*' for any value",
        id="no values",
    ),
    pytest.param("{tags: {role: [a, a]}}", ".tags.role: 'a' is listed twice. Remove one", id="value twice"),
    pytest.param(
        "{tags: {role: [a, '*']}}",
        ".tags.role: '*' is any value, so the others would do nothing. Write '*' alone, or leave it out",
        id="any and one",
    ),
    pytest.param(
        f"{{tags: {{role: {'x' * 129}}}}}",
        f".tags.role: '{'x' * 56}... has 129 characters, a tag of the cloud at most 128. Shorten it",
        id="too long",
    ),
    pytest.param("{role: app}", ".role: unknown key. Tags stand under tags. Write tags: {role: app}", id="bare tag"),
    pytest.param(
        "{or: [{tags: {a: b}}]}",
        ".or: unknown key. Write any: [...], a list of conditions of which one must hold",
        id="or",
    ),
    pytest.param(
        "{AND: [{tags: {a: b}}]}",
        ".AND: unknown key. Write all: [...], a list of conditions that must all hold",
        id="and",
    ),
    pytest.param(
        "{NOT: {tags: {a: b}}}",
        ".NOT: unknown key. Write not: {tags: {role: test}}, a condition that must not hold",
        id="not in capitals",
    ),
    pytest.param("{'!role': app}", ".!role: unknown key. Write not: {tags: {role: ...}}", id="negated bare tag"),
    pytest.param(
        "{tag: {role: app}}",
        ".tag: unknown key. Did you mean 'tags'? Known here: tags, any, all, not, ids, exclude, disks",
        id="singular",
    ),
    pytest.param(
        "{any: {tags: {role: app}}}",
        ".any: a mapping stands where a list of conditions is expected. Write [{tags: {role: app}}, {...}]",
        id="any of a mapping",
    ),
    pytest.param(
        "{all: []}",
        ".all: the list is empty, so it says nothing. Write [{tags: {role: app}}, ...], or remove the key",
        id="all of nothing",
    ),
    pytest.param("{any: [{}]}", ".any[0]: the condition says nothing. Write {tags: {role: app}}", id="empty condition"),
    pytest.param("{any: [role=app]}", f".any[0]: 'role=app' {KEYS}. Write tags: {{role: app}}", id="text in any"),
    pytest.param(
        "{any: [{not: {any: [{role: app}]}}]}",
        ".any[0].not.any[0].role: unknown key. Tags stand under tags. Write tags: {role: app}",
        id="deep inside",
    ),
    pytest.param(
        "{any: [{ids: [i-1]}]}", ".any[0].ids: unknown key. Known here: tags, any, all, not", id="ids in a condition"
    ),
    pytest.param(
        "{not: [{tags: {role: app}}]}",
        ".not: a list stands where one condition is expected. Write {any: [...]}, so that none may hold",
        id="not of a list",
    ),
    pytest.param(
        "{tags: {role: app}, not: {tags: {role: [app, db]}}}",
        ": not takes back what tags ask for, so nothing could fit. Change one of the two",
        id="contradiction",
    ),
    pytest.param("{ids: [i-1, i-1]}", ".ids: 'i-1' is listed twice. Remove one", id="id twice"),
    pytest.param(
        "{ids: [d-1]}",
        ".ids[0]: 'd-1' is the id of a disk, not of an instance. Name its instance, and choose disks under disks",
        id="disk for instance",
    ),
    pytest.param(
        "{ids: [m-1]}",
        ".ids[0]: 'm-1' is the id of an image, not of an instance. Write an id like i-bp67acf",
        id="image for instance",
    ),
    pytest.param(
        "{disks: {kinds: [data]}}", ": selects nothing. Add tags: {role: app} or ids: [i-...]", id="only disks"
    ),
    pytest.param(
        "{tags: {role: app}, disks: {}}",
        ".disks: says nothing. Write {kinds: [data]}, or remove the key: then every disk is taken",
        id="disks of nothing",
    ),
    pytest.param(
        "{tags: {role: app}, disks: {kinds: []}}",
        ".disks: kinds is empty, so no disk would be taken. Write [system], [data] or [system, data]",
        id="no kind",
    ),
    pytest.param(
        "{tags: {role: app}, disks: {kinds: [root]}}",
        ".disks.kinds[0]: 'root' is not a kind of disk. Use system or data",
        id="unknown kind",
    ),
    pytest.param(
        "{tags: {role: app}, disks: {exclude: [i-1]}}",
        ".disks.exclude[0]: 'i-1' is the id of an instance, not of a disk. Write an id like d-bp67acfmxazb4ph",
        id="instance for disk",
    ),
    pytest.param(
        "{tags: {role: app}, disks: {where: scratch=yes}}",
        f".disks.where: 'scratch=yes' {KEYS}. Write tags: {{scratch: yes}}",
        id="condition of disks as text",
    ),
]


@pytest.mark.parametrize(("written", "says"), FOREIGN)
def test_another_notation_is_answered_with_ours(written: str, says: str) -> None:
    assert refusals(policy(select=written)) == [f"protections[0].select{says}"]


def test_a_word_that_begins_with_yaml_s_own_mark_is_no_negation() -> None:
    (flow,) = refusals(policy(select="{!role : app}"))
    (block,) = refusals(policy(select="\n      tags:\n        role: !app\n"))

    says = "is YAML's mark of a type, not a negation. Write not: {tags: {role: app}}, or put it in quotes"
    assert flow == f"protections[0].select: !role {says}: '!role'"
    assert block == f"protections[0].select.tags.role: !app {says}: '!app'"
    assert refusals(policy(select="{tags: {role: !app}}")) == [
        "line 6 holds a word that begins with !, YAML's mark of a type. Put it in quotes, or write not: {tags: ...}"
    ]


def test_what_yaml_cannot_read_does_not_hide_what_else_is_wrong() -> None:
    lines = refusals(policy(select="{!role : app}", keep="{days: 0}", rpo_target="75"))

    assert [line.split(":")[0] for line in lines] == [
        "protections[0].select",
        "protections[0].keep.days",
        "protections[0].rpo_target",
    ]


def test_a_rebuild_selects_whole_instances() -> None:
    rebuild = (
        "rebuilds:\n  - {name: a, select: {tags: {role: app}, disks: {kinds: [data]}}, image_family: app, port: 80}"
    )

    assert refusals(policy(top=rebuild)) == [
        "rebuilds[0].select.disks: a rebuild replaces whole instances, so disks would do nothing. Remove it"
    ]


def test_plain_tags_are_left_to_the_cloud_and_the_rest_is_a_condition() -> None:
    select = protection(select="{tags: {role: app, tier: [a, b], owner: '*', legacy: ''}}").select

    assert select == Selection(
        tags={"role": "app"}, where=Where(tags={"tier": ("a", "b"), "owner": ("*",), "legacy": ("",)})
    )


def test_a_list_takes_values_as_they_stand() -> None:
    assert protection(select="{tags: {role: ['!app', app*, 'a|b']}}").select.where == Where(
        tags={"role": ("!app", "app*", "a|b")}
    )


def test_conditions_nest() -> None:
    select = protection(
        select="{any: [{tags: {role: app}}, {all: [{tags: {role: db}}, {not: {tags: {env: test}}}]}], "
        "not: {tags: {skip: '*'}}}"
    ).select

    test = Where(none=(Where(tags={"env": ("test",)}),))
    either = (Where(tags={"role": ("app",)}), Where(all=(Where(tags={"role": ("db",)}), test)))
    assert select == Selection(where=Where(any=either, none=(Where(tags={"skip": ("*",)}),)))


def test_everything_but_something_is_a_selection() -> None:
    assert protection(select="{not: {tags: {env: test}}}").select == Selection(
        where=Where(none=(Where(tags={"env": ("test",)}),))
    )


def test_disks_are_chosen_by_kind_by_id_and_by_their_own_tags() -> None:
    select = protection(
        select="{ids: [i-1], disks: {kinds: [data], exclude: [d-9], where: {not: {tags: {scratch: '*'}}}}}"
    ).select

    assert select == Selection(
        ids=(InstanceId("i-1"),),
        disks=DiskSelection(
            kinds=(DiskKind.DATA,), exclude=(DiskId("d-9"),), where=Where(none=(Where(tags={"scratch": ("*",)}),))
        ),
    )
