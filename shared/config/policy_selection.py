"""`select`: which instances a protection or rebuild means, and which of their disks."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, WithJsonSchema, model_validator

from shared.config import policy_tags
from shared.config.policy_section import Section, key
from shared.config.policy_tags import Tags
from shared.config.policy_values import DiskIdText, InstanceIdText, distinct
from shared.config.problems import quoted
from shared.domain.ids import DiskId, InstanceId
from shared.domain.inventory import DiskKind
from shared.domain.policy import ANY_VALUE, DiskSelection, Selection, Where

_OUR_WORD = {
    "or": "any: [...], a list of conditions of which one must hold",
    "and": "all: [...], a list of conditions that must all hold",
    "not": "not: {tags: {role: test}}, a condition that must not hold",
    "none": "not: {any: [...]}, conditions of which none may hold",
    "except": "not: {tags: {role: test}}, a condition that must not hold; or exclude: [i-...]",
    "any": "any: [...], in lower case",
    "all": "all: [...], in lower case",
}


def _branches(value: object) -> object:
    if isinstance(value, dict):
        raise ValueError(f"a mapping stands where a list of conditions is expected. Write [{_example(value)}, {{...}}]")
    if value == []:
        raise ValueError("the list is empty, so it says nothing. Write [{tags: {role: app}}, ...], or remove the key")
    return value


def _example(value: Mapping[object, object]) -> str:
    tags = value.get("tags")
    if isinstance(tags, dict) and len(tags) == 1:
        ((name, wanted),) = tags.items()
        if isinstance(wanted, str):
            return f"{{tags: {{{policy_tags.shown(name)}: {policy_tags.shown(wanted)}}}}}"
    return "{tags: {role: app}}"


def _negated(value: object) -> object:
    if isinstance(value, list):
        raise ValueError("a list stands where one condition is expected. Write {any: [...]}, so that none may hold")
    return value


def _kind(value: object) -> str:
    if value not in ("system", "data"):
        raise ValueError(f"{quoted(value)} is not a kind of disk. Use system or data")
    return str(value)


_Kind = Annotated[str, BeforeValidator(_kind), WithJsonSchema({"enum": ["system", "data"]})]


class _Condition(Section):
    """What may be asked of tags. All that is said must hold."""

    tags: Tags = key(
        "{role: app}",
        "{role: [app, db]}",
        "{role: '*'}",
        default={},
        says="Tags that must all be there, each with a value, a list of which one must be there, or '*' for any.",
    )
    any_of: Annotated[list["ConditionSection"], BeforeValidator(_branches)] = key(
        "[{tags: {role: app}}, {tags: {role: db}}]",
        name="any",
        default=[],
        says="Conditions of which at least one must hold.",
    )
    all_of: Annotated[list["ConditionSection"], BeforeValidator(_branches)] = key(
        "[{tags: {role: app}}, {not: {tags: {env: test}}}]",
        name="all",
        default=[],
        says="Conditions that must all hold.",
    )
    none_of: Annotated["ConditionSection | None", BeforeValidator(_negated)] = key(
        "{tags: {env: test}}", name="not", default=None, says="A condition that must not hold."
    )

    @classmethod
    def for_unknown(cls, key: str, value: object) -> str:
        word = key.lstrip("!$").lower()
        if key.startswith("!"):
            return f"Write not: {{tags: {{{policy_tags.shown(key[1:])}: ...}}}}"
        if word in _OUR_WORD:
            return f"Write {_OUR_WORD[word]}"
        if isinstance(value, str) and key not in ("tag", "id"):
            return f"Tags stand under tags. Write tags: {{{policy_tags.shown(key)}: {policy_tags.shown(value)}}}"
        return ""

    @classmethod
    def for_other(cls, value: object) -> str:
        return policy_tags.remedy(value)

    @model_validator(mode="after")
    def _can_hold(self) -> "_Condition":
        if self.none_of is not None and self.none_of.follows_from(self.tags):
            raise ValueError("not takes back what tags ask for, so nothing could fit. Change one of the two")
        return self

    def follows_from(self, tags: Mapping[str, tuple[str, ...]]) -> bool:
        """Whether this holds for all that carries `tags`. False also where only a closer look could tell."""
        if self.any_of or self.all_of or self.none_of is not None or not self.tags:
            return False
        return all(
            name in tags and (ANY_VALUE in values or (set(tags[name]) <= set(values)))
            for name, values in self.tags.items()
        )

    def says_nothing(self) -> bool:
        return not (self.tags or self.any_of or self.all_of or self.none_of is not None)

    def where(self, tags: Mapping[str, tuple[str, ...]] | None = None) -> Where:
        """With `tags` in place of its own."""
        return Where(
            tags=dict(self.tags if tags is None else tags),
            all=tuple(one.where() for one in self.all_of),
            any=tuple(one.where() for one in self.any_of),
            none=(self.none_of.where(),) if self.none_of is not None else (),
        )


class ConditionSection(_Condition):
    """A condition within another one."""

    @model_validator(mode="after")
    def _says_something(self) -> "ConditionSection":
        if self.says_nothing():
            raise ValueError("the condition says nothing. Write {tags: {role: app}}")
        return self


class DiskSelectionSection(Section):
    """Which disks of the selected instances. One that is attached later is in as soon as it fits."""

    kinds: Annotated[list[_Kind], AfterValidator(distinct)] = key(
        "[data]", "[system, data]", default=["system", "data"], says="Kinds of disk."
    )
    exclude: Annotated[list[DiskIdText], AfterValidator(distinct)] = key(
        "[d-bp67acfmxazb4ph]", default=[], says="Disks that are never taken."
    )
    where: ConditionSection | None = key(
        "{not: {tags: {scratch: '*'}}}", default=None, says="A condition on the disk's own tags."
    )

    @model_validator(mode="after")
    def _says_something(self) -> "DiskSelectionSection":
        if not self.model_fields_set:
            raise ValueError("says nothing. Write {kinds: [data]}, or remove the key: then every disk is taken")
        if not self.kinds:
            raise ValueError("kinds is empty, so no disk would be taken. Write [system], [data] or [system, data]")
        return self

    def value(self) -> DiskSelection:
        return DiskSelection(
            kinds=tuple(DiskKind(one) for one in ("system", "data") if one in self.kinds),
            exclude=tuple(DiskId(one) for one in self.exclude),
            where=self.where.where() if self.where else None,
        )


class SelectSection(_Condition):
    """Instances that fit the condition or are named in `ids`, without those in `exclude`."""

    ids: Annotated[list[InstanceIdText], AfterValidator(distinct)] = key(
        "[i-bp67acfmxazb4ph]", default=[], says="Instances that are selected whatever their tags."
    )
    exclude: Annotated[list[InstanceIdText], AfterValidator(distinct)] = key(
        "[i-bp67acfmxazb4ph]", default=[], says="Instances that are never selected."
    )
    disks: DiskSelectionSection | None = key(
        "{kinds: [data]}", default=None, says="Which of their disks; all of them unless said."
    )

    def value(self) -> Selection:
        # What the cloud can filter by stands apart. It would take an empty value for any.
        plain = {
            name: values[0]
            for name, values in self.tags.items()
            if len(values) == 1 and values[0] not in ("", ANY_VALUE)
        }
        where = self.where({name: values for name, values in self.tags.items() if name not in plain})
        return Selection(
            tags=plain,
            where=None if where == Where() else where,
            ids=tuple(InstanceId(one) for one in self.ids),
            exclude=tuple(InstanceId(one) for one in self.exclude),
            disks=self.disks.value() if self.disks else DiskSelection(),
        )


def contradiction(select: SelectSection) -> str:
    """An instance that is both named and excluded; empty: none is."""
    both = sorted(set(select.ids) & set(select.exclude))
    return f"{quoted(both[0])} is also in ids. Remove it from one of the two" if both else ""
