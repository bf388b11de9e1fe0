"""JSON Schemas: compiled once, asked with every document.

The library is loaded at the first schema, because most processes have none. What must stay true:
a schema reads nothing but itself, and its patterns cannot run for longer than the text is long.
"""

from functools import cached_property
from itertools import islice
from typing import Any, Final

from molecule.model.errors import InvalidConfig

REASONS_MAX: Final = 20
"""Faults that are told of one document."""
_REASON_LENGTH_MAX: Final = 300


class Schema:
    """A compiled JSON Schema. Raises `InvalidConfig` for one that is none."""

    def __init__(self, schema: Any) -> None:
        if not isinstance(schema, dict | bool):
            raise InvalidConfig("must be a JSON Schema, which is a map")
        self._schema = schema
        self._validator  # noqa: B018 - what is no schema is refused now

    def faults(self, value: Any) -> list[str]:
        """What is wrong with a value, the place before the reason; empty when it fits."""
        try:
            return [
                _shortened(f"{_place(error.instance_path)}: {error.message}")
                for error in islice(self._validator.iter_errors(value), REASONS_MAX)
            ]
        except ValueError as error:
            # Bytes are no JSON: no schema describes them.
            return [_shortened(f"$: {error}")]

    @cached_property
    def _validator(self) -> Any:
        from jsonschema_rs import RegexOptions, ValidationError, validator_for

        try:
            return validator_for(self._schema, offline=True, pattern_options=RegexOptions())
        except ValidationError as error:
            told = " ".join(error.message.split())
            raise InvalidConfig(_shortened(f"is no JSON Schema: {told}")) from None
        except ValueError as error:
            told = " ".join(str(error).split())
            raise InvalidConfig(_shortened(f"is no JSON Schema: {told}")) from None


def _place(path: list[str | int]) -> str:
    return "$" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)


def _shortened(text: str) -> str:
    return text if len(text) <= _REASON_LENGTH_MAX else f"{text[:_REASON_LENGTH_MAX]}..."
