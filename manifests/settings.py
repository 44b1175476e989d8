"""The base of all settings classes, and how plain data becomes an object of one.

Every refusal names the key, its value and what the key may hold.
"""

import re
import typing
from collections.abc import Mapping
from typing import Any, Self, TypeVar

from corpusmill.manifests.errors import RecipeError, nearest, short
from corpusmill.manifests.setting_types import (
    fields_of,
    is_configuration,
    members,
    plain,
    type_name,
)
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

_KEY = "[key]"  # pydantic's mark for an error in a mapping's key
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "dataclass_type_extra")


Class = TypeVar("Class")


class Settings(BaseModel):
    """Settings that a recipe, a prompt file or Python gives: frozen, and closed to unknown keys.

    A field's docstring says what it does, its unit and where its default comes from. `--help` and
    `corpusmill schema` show it. Bounds stand in the field's type, rules over several fields in a
    `model_validator(mode="after")` that raises RecipeError.
    """

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
        defer_build=True,
        protected_namespaces=(),
    )

    def __init__(self, /, **settings: Any) -> None:
        """Raises RecipeError, as a recipe with the same settings does."""
        try:
            super().__init__(**settings)
        except ValidationError as error:
            name = getattr(type(self), "name", None)
            step = name if isinstance(name, str) else type(self).__name__
            raise _first_refusal(type(self), step, error.errors()) from error

    # pydantic's mark for an __init__ that it need not call for settings within settings
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, validated like a new object. Raises RecipeError."""
        if deep:
            return super().model_copy(update=update, deep=True)
        fields = {name: getattr(self, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **(update or {})})


def build_settings(cls: type[Class], settings: Mapping[str, Any], step: str) -> Class:
    """An object of the settings class `cls`.

    Raises RecipeError naming `step`, the key, its value and what it may hold.
    """
    try:
        return TypeAdapter(cls).validate_python(dict(settings))
    except ValidationError as error:
        raise _first_refusal(cls, step, error.errors()) from error


def _first_refusal(cls: type[Any], step: str, errors: list[Any]) -> RecipeError:
    """Of what is most likely the mistake: a key that nobody knows comes before a key that is missing for it."""
    first = min(
        errors,
        key=lambda error: (
            0 if error["type"] in _UNKNOWN else 2 if error["type"] == "missing" else 1
        ),
    )
    kind, value, loc = first["type"], first["input"], first["loc"]
    if kind == "missing" and isinstance(loc[-1], int):  # a list of fixed length is too short
        kind, loc = "too_short", loc[:-1]
    if kind in _UNKNOWN:
        keys, hint = _located(cls, loc[:-1])
        known = fields_of(hint) if is_configuration(hint) else ()
        return RecipeError(
            f"unknown key {'.'.join([step, *keys, str(loc[-1])])}",
            nearest(str(loc[-1]), known, "known keys"),
        )
    if loc and loc[-1] == _KEY:
        keys, hint = _located(cls, loc[:-2])
        return RecipeError(
            f"unknown key {'.'.join([step, *keys, str(loc[-2])])}",
            f"wanted: {type_name(plain(hint)[1][0])}",
        )
    keys, hint = _located(cls, loc)
    key = ".".join([step, *keys])
    if kind == "missing":
        return RecipeError(f"{key} is missing", f"give --set {key}=...: {type_name(hint)}")
    if kind == "value_error":
        return _placed(first["ctx"]["error"], key)
    if kind.startswith("union_tag") and isinstance(value, Mapping):
        found = f"is {short(value['kind'])}" if "kind" in value else "is missing"
        return RecipeError(f"{key}.kind {found}", f"wanted: {' | '.join(members(hint))}")
    return RecipeError(
        f"{key} is {short(value)}", f"wanted: {type_name(hint)}{_example(value, type_name(hint))}"
    )


def _placed(error: ValueError, key: str) -> RecipeError:
    """What a configuration class itself refuses, with the key under which it stands: that it cannot know."""
    if not isinstance(error, RecipeError):
        return RecipeError(f"{key}: {error}", "mend the recipe or the --set")
    return error if error.what.startswith(key) else RecipeError(f"{key}: {error.what}", error.mend)


def _example(value: Any, wanted: str) -> str:
    """How to write the same value as what is wanted, where that is certain."""
    if wanted.startswith("list of") and isinstance(value, str) and re.fullmatch(r"[\w./-]+", value):
        return f", as in [{value}]"
    return (
        f", as in '{short(value)}'"
        if wanted.startswith("text") and isinstance(value, int | float)
        else ""
    )


def _located(hint: Any, loc: tuple[str | int, ...]) -> tuple[list[str], Any]:
    """The user's keys in pydantic's path `loc` (which also tells the member of a union), and the type of what they lead to."""
    keys: list[str] = []
    for part in loc:
        hint, arguments = plain(hint)
        if chosen := members(hint).get(str(part)):
            hint = chosen
            continue
        if is_configuration(hint):
            hint = fields_of(hint)[str(part)]
        elif typing.get_origin(hint) is tuple:
            hint = arguments[0 if Ellipsis in arguments else int(part)]
        elif typing.get_origin(hint) in (dict, Mapping):
            hint = arguments[1]
        else:
            break  # which type of a union was tried is nothing that the user wrote
        keys.append(str(part))
    return keys, hint
