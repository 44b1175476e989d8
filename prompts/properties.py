"""What a rubric asks for: the properties of a document, each with the values that it may have.

A prompt file lists them under `properties`. The model answers with one JSON object. Engines that
can are given its JSON Schema, so that no other answer can come.
"""

import re
from collections.abc import Mapping
from typing import Any, Self

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from pydantic import model_validator

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_MOST_GRADES = 100


class Property(Settings):
    """A whole number from `least` to `most`, one of several words, or a short text."""

    least: int | None = None
    """The lowest grade."""
    most: int | None = None
    """The highest grade."""
    one_of: tuple[str, ...] = ()
    """The words that the value is one of."""

    @model_validator(mode="after")
    def _is_one_kind(self) -> Self:
        if (self.least is None) != (self.most is None) or (self.one_of and self.least is not None):
            raise RecipeError(
                "a property has `least` and `most`, or `one_of`, or neither",
                "write {least: 0, most: 5}, {one_of: [a, b]} or {}",
            )
        if not -1 < (self.most or 0) - (self.least or 0) < _MOST_GRADES:
            raise RecipeError(
                f"a property goes from {self.least} to {self.most}",
                f"write the lower one as `least`, and at most {_MOST_GRADES} grades",
            )
        return self

    @property
    def is_grade(self) -> bool:
        return self.least is not None

    @property
    def values(self) -> tuple[int | str, ...]:
        """The values that it may have. Empty: any text."""
        if self.least is None or self.most is None:
            return self.one_of
        return tuple(range(self.least, self.most + 1))

    def holds(self, value: Any) -> bool:
        """Whether an answer may have this value. Booleans are no grades, and 3.0 is none."""
        if not self.values:
            return isinstance(value, str)
        return type(value) in (int, str) and value in self.values

    def json_schema(self) -> dict[str, Any]:
        # Grades are listed: some servers take `enum`, and no `minimum`.
        kind = {"type": "integer" if self.is_grade else "string"}
        return {**kind, "enum": list(self.values)} if self.values else kind


def check_names(properties: Mapping[str, Property]) -> None:
    """Raises RecipeError for a name that cannot be a column."""
    for name in properties:
        if not _NAME.fullmatch(name):
            raise RecipeError(
                f"the property {name!r} cannot name a column",
                "use a-z, 0-9 and _ only, and begin with a letter",
            )


def object_schema(properties: Mapping[str, Property]) -> dict[str, Any]:
    """The JSON Schema of an object with all of these properties, in their order."""
    return {
        "type": "object",
        "properties": {name: each.json_schema() for name, each in properties.items()},
        "required": list(properties),
        "additionalProperties": False,
    }
