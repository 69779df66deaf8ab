"""The JSON Schema of `understudy.yaml`, for editors: generated from the sections that also check the file.

It knows keys, forms and bounds of each value, not the rules between them: what `understudy check` accepts fits it, and
some of what fits it is refused by `understudy check`.
"""

from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

from shared.config import policy_file
from shared.config.policy_images import ImageSection
from shared.config.policy_pairs import PairSection, SiteSection
from shared.config.policy_plans import PlanSection
from shared.config.policy_protection import EVERY_DAY, ProtectionSection
from shared.config.policy_rebuild import RebuildSection
from shared.config.policy_sections import AccountSection, DocumentSection
from shared.config.policy_values import in_words

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_LISTS: dict[str, type[BaseModel]] = {
    "accounts": AccountSection,
    "protections": ProtectionSection,
    "rebuilds": RebuildSection,
    "pairs": PairSection,
    "plans": PlanSection,
    "images": ImageSection,
}


def schema() -> dict[str, Any]:
    sections: list[type[BaseModel]] = [DocumentSection, SiteSection, *_LISTS.values()]
    references, made = models_json_schema(
        [(one, "validation") for one in sections], schema_generator=_InOurNotation, ref_template="#/$defs/{model}"
    )
    definitions = made["$defs"]
    whole = definitions.pop(DocumentSection.__name__)
    for key, section in _LISTS.items():
        whole["properties"][key]["items"] = references[(section, "validation")]
    whole["properties"]["sites"]["additionalProperties"] = references[(SiteSection, "validation")]
    found = {
        "$schema": DIALECT,
        **whole,
        "title": "understudy.yaml",
        "description": "What Understudy protects, and how. See docs/policy.md.",
        "$defs": definitions,
    }
    for section in (found, *definitions.values()):
        _tidy(section)
    return found


class _InOurNotation(GenerateJsonSchema):
    def encode_default(self, dft: Any) -> Any:
        if isinstance(dft, timedelta):
            return in_words(dft)
        if dft == EVERY_DAY:
            return "all"
        if isinstance(dft, BaseModel):
            return {name: self.encode_default(getattr(dft, name)) for name in type(dft).model_fields}
        return super().encode_default(dft)


def _unless_null(said: dict[str, Any]) -> None:
    """A key that may be left out is not written with nothing behind it."""
    choices = [one for one in said.get("anyOf", ()) if one != {"type": "null"}]
    if len(choices) == 1 and len(said["anyOf"]) == 2:
        del said["anyOf"]
        said.update(choices[0])
    elif choices:
        said["anyOf"] = choices


def _can_be_written(default: Any, said: dict[str, Any]) -> bool:
    """Some stand for a key that is left out, and nothing else does."""
    return bool(default) or said.get("type") == "boolean" or said.get("minimum") == 0


def _tidy(section: Any) -> None:
    """Examples as values, and no title that only repeats the key."""
    for part in section.get("anyOf", ()):
        _tidy(part)
    for said in section.get("properties", {}).values():
        said.pop("title", None)
        _unless_null(said)
        if "default" in said and not _can_be_written(said["default"], said):
            del said["default"]
        if "examples" in said:
            said["examples"] = [policy_file.read_tree(one, "example")[0] for one in said["examples"]]
