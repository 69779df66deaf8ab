"""Which instances a selection means."""

from collections.abc import Iterable

from shared.domain.inventory import Instance
from shared.domain.policy import Selection
from shared.domain.provenance import REPLACES


def selects(selection: Selection, instance: Instance) -> bool:
    """Named in `ids`, or carries all of `tags` (when there are any); and is not in `exclude`. What replaced an instance
    that is named stands for it.

    An empty selection selects nothing: protecting everything by a slip is as wrong as protecting nothing.
    """
    if instance.id in selection.exclude:
        return False
    tagged = bool(selection.tags) and all(instance.tags.get(key) == value for key, value in selection.tags.items())
    return tagged or instance.id in selection.ids or instance.tags.get(REPLACES) in selection.ids


def matches(selection: Selection, instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Those of `instances` that the selection means, by id, each once."""
    found = {instance.id: instance for instance in instances if selects(selection, instance)}
    return tuple(found[key] for key in sorted(found))
