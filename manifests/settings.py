"""A stage's settings, from plain data to its configuration: every refusal names the key and says what it may hold."""

import dataclasses
import re
import typing
from collections.abc import Mapping
from typing import Any

from corpusmill.manifests.errors import RecipeError, nearest, short
from corpusmill.manifests.setting_types import fields_of, members, plain, type_name

_KEY = "[key]"  # pydantic's mark for an error in a mapping's key
_UNKNOWN = ("unexpected_keyword_argument", "extra_forbidden", "dataclass_type_extra")


def build_settings(cls: type[Any], settings: Mapping[str, Any], step: str) -> Any:
    """An object of the configuration class `cls`. Raises RecipeError naming `step`, the key and what it may hold."""
    from pydantic import TypeAdapter, ValidationError

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
        known = fields_of(hint) if dataclasses.is_dataclass(hint) else ()
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
        if dataclasses.is_dataclass(hint):
            hint = fields_of(hint)[str(part)]
        elif typing.get_origin(hint) is tuple:
            hint = arguments[0 if Ellipsis in arguments else int(part)]
        elif typing.get_origin(hint) in (dict, Mapping):
            hint = arguments[1]
        else:
            break  # which type of a union was tried is nothing that the user wrote
        keys.append(str(part))
    return keys, hint
