"""A stage's settings as text: name, type and default, read from its configuration class; what a type may hold, for help and messages."""

import dataclasses
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

from pipeline.catalogue import stage_class

_NAMES: dict[Any, str] = {str: "text", int: "whole number", float: "number", bool: "true | false", Any: "anything"}


def settings_help(verb: str) -> list[tuple[str, str]]:
    """(key, "type, default; meaning") for every setting of the stage."""
    return list(_settings(stage_class(verb), f"{verb}."))


def type_name(hint: Any) -> str:
    """What a setting of this type may hold, in the words of YAML."""
    hint, arguments = plain(hint)
    if dataclasses.is_dataclass(hint):
        return f"mapping with {', '.join(fields_of(hint))}"
    if kinds := members(hint):
        return f"mapping with kind: {' | '.join(kinds)}"
    origin = typing.get_origin(hint)
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(type_name(item) for item in arguments)
    if origin is tuple:
        return (
            f"list of {type_name(arguments[0])}"
            if Ellipsis in arguments
            else f"[{', '.join(map(type_name, arguments))}]"
        )
    if origin is not None:
        return f"mapping of {' to '.join(map(type_name, arguments))}"
    return _NAMES.get(hint, str(hint))


def fields_of(cls: Any) -> dict[str, Any]:
    """The settings of a configuration class, each with its type."""
    hints = typing.get_type_hints(cls, include_extras=True)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def members(hint: Any) -> Mapping[str, Any]:
    """The classes of a union that a setting `kind` chooses between, by its values; nothing for any other type."""
    classes = [plain(item)[0] for item in plain(hint)[1]]
    if not classes or not all(map(dataclasses.is_dataclass, classes)):
        return {}
    return {kind: cls for cls in classes for kind in typing.get_args(fields_of(cls).get("kind"))}


def plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations and without None beside it, and what it is made of."""
    if typing.get_origin(hint) is typing.Annotated:
        return plain(typing.get_args(hint)[0])
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arguments = tuple(item for item in arguments if item is not type(None))
        if len(arguments) == 1:
            return plain(arguments[0])
    return hint, arguments


def _settings(cls: Any, prefix: str) -> Iterator[tuple[str, str]]:
    for field, hint in zip(dataclasses.fields(cls), fields_of(cls).values(), strict=True):
        if dataclasses.is_dataclass(hint):
            yield from _settings(hint, f"{prefix}{field.name}.")
            continue
        yield prefix + field.name, f"{type_name(hint)}, {_default(field)}"


def _default(field: Any) -> str:
    if field.default is not dataclasses.MISSING:
        return f"default {field.default!r}" if not dataclasses.is_dataclass(field.default) else "has defaults"
    if field.default_factory is not dataclasses.MISSING:
        return f"default {str(field.default_factory())[:60]}"
    return "required"
