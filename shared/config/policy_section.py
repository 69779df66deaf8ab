"""What every section of `understudy.yaml` is: keys that say what they mean, with examples that hold.

The examples are what a message about a missing key proposes and what an editor offers; a test reads each of them.
"""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator


class Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, hide_input_in_errors=True)

    @field_validator("*", mode="before")
    @classmethod
    def _has_a_value(cls, value: object, info: ValidationInfo) -> object:
        """`lock:` with nothing behind it is a line that somebody meant to fill in, not the absence of a lock."""
        field = cls.model_fields[info.field_name or ""]
        if value is None and field.default is None:
            examples = one_of([str(one) for one in field.examples or ()])
            raise ValueError(
                f"has no value. {f'Write {examples}, or remove the key' if examples else 'Remove the key'}"
            )
        return value

    @classmethod
    def for_unknown(cls, key: str, value: object) -> str:
        """What to write in place of a key that is not known here; empty: the nearest known one is proposed."""
        del key, value
        return ""

    @classmethod
    def for_other(cls, value: object) -> str:
        """What to write in place of something that is no mapping; empty: the keys of this section are named."""
        del value
        return ""


def key(*examples: str, says: str, default: Any = ..., name: str | None = None) -> Any:
    """One key. `examples` are YAML; `name` is that of the file where Python has another use for the word."""
    return Field(default, alias=name, description=says, examples=list(examples))


def keys_of(section: type[BaseModel]) -> dict[str, str]:
    """The keys as the file spells them, each with its examples in words. A section without examples proposes what its
    descriptions say."""
    return {
        field.alias or name: one_of([str(example) for example in field.examples or ()]) or field.description or ""
        for name, field in section.model_fields.items()
    }


def one_of(words: list[str]) -> str:
    return " or ".join(filter(None, [", ".join(words[:-1]), *words[-1:]]))
