"""Which instances, and which of their disks, a selection means."""

from collections.abc import Iterable, Mapping

from shared.domain.inventory import Disk, Instance
from shared.domain.policy import ANY_VALUE, DiskSelection, Selection, Where
from shared.domain.provenance import REPLACES


def holds(where: Where, tags: Mapping[str, str]) -> bool:
    """Whether the condition holds for what carries these tags."""
    return (
        all(_has(tags, key, values) for key, values in where.tags.items())
        and all(holds(one, tags) for one in where.all)
        and (not where.any or any(holds(one, tags) for one in where.any))
        and not any(holds(one, tags) for one in where.none)
    )


def _has(tags: Mapping[str, str], key: str, values: tuple[str, ...]) -> bool:
    return key in tags and (ANY_VALUE in values or tags[key] in values)


def selects(selection: Selection, instance: Instance) -> bool:
    """Named in `ids`, or fits `tags` and `where` (when there are any); and is not in `exclude`. What replaced an
    instance that is named stands for it.

    An empty selection selects nothing: protecting everything by a slip is as wrong as protecting nothing.
    """
    if instance.id in selection.exclude:
        return False
    tagged = bool(selection.tags) or selection.where is not None
    tagged = tagged and all(instance.tags.get(key) == value for key, value in selection.tags.items())
    tagged = tagged and (selection.where is None or holds(selection.where, instance.tags))
    return tagged or instance.id in selection.ids or instance.tags.get(REPLACES) in selection.ids


def matches(selection: Selection, instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Those of `instances` that the selection means, by id, each once."""
    found = {instance.id: instance for instance in instances if selects(selection, instance)}
    return tuple(found[key] for key in sorted(found))


def takes(selection: DiskSelection, disk: Disk) -> bool:
    """Whether a disk of a selected instance is meant."""
    if disk.kind not in selection.kinds or disk.id in selection.exclude:
        return False
    return selection.where is None or holds(selection.where, disk.tags)
