"""A stage's settings as help text: name, type and default, read from its configuration class."""

import dataclasses
import types
import typing
from typing import Any

from pipeline.catalogue import stage_class


def settings_help(verb: str) -> list[tuple[str, str]]:
    """(key, "type, default; meaning") for every setting of the stage."""
    return list(_settings(stage_class(verb), f"{verb}."))


def _settings(cls: Any, prefix: str) -> typing.Iterator[tuple[str, str]]:
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            yield from _settings(hint, f"{prefix}{field.name}.")
            continue
        yield prefix + field.name, f"{_type_name(hint)}, {_default(field)}"


def _type_name(hint: Any) -> str:
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return _type_name(arguments[0])
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(_type_name(item) for item in arguments if item is not type(None))
    if origin in (tuple, list):
        return f"list of {_type_name(arguments[0])}"
    if origin is not None:
        return "mapping"
    return getattr(hint, "__name__", str(hint))


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f"default {field.default!r}" if not dataclasses.is_dataclass(field.default) else "has defaults"
    if field.default_factory is not dataclasses.MISSING:
        return f"default {str(field.default_factory())[:60]}"
    return "required"
