"""The types of settings: what one may hold, in words, and how to get from one to those within it."""

import dataclasses
import types
import typing
from collections.abc import Mapping
from typing import Any

_NAMES = {str: "text", bool: "true | false", type(None): "null", Any: "anything"}


def type_name(hint: Any) -> str:
    """What a setting of this type may hold, in the words of YAML."""
    if typing.get_origin(hint) is typing.Annotated:
        hint = typing.get_args(hint)[0]
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if is_configuration(hint):
        return f"mapping with {', '.join(fields_of(hint))}"
    if kinds := members(hint):
        return f"mapping with kind: {' | '.join(kinds)}"
    if origin is typing.Literal:
        return " | ".join(map(str, arguments))
    if origin in (typing.Union, types.UnionType):
        return " | ".join(dict.fromkeys(map(type_name, arguments)))
    if origin is tuple and Ellipsis not in arguments:
        return f"[{', '.join(map(type_name, arguments))}]"
    if origin in (tuple, list):
        return f"list of {type_name(arguments[0])}"
    if origin is not None:
        return f"mapping of {type_name(arguments[0])} to {type_name(arguments[1])}"
    return str(_NAMES.get(hint) or getattr(hint, "__name__", hint))


def is_configuration(hint: Any) -> bool:
    """Whether this type is a settings class."""
    return dataclasses.is_dataclass(hint) or hasattr(hint, "model_fields")


def fields_of(cls: Any) -> dict[str, Any]:
    """The settings of a configuration class, each with its type."""
    hints = typing.get_type_hints(cls, include_extras=True)
    if hasattr(cls, "model_fields"):
        return {name: hints[name] for name in cls.model_fields}
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def members(hint: Any) -> Mapping[str, Any]:
    """The configuration classes between which a setting `kind` chooses, by its values; none for any other type."""
    classes = [plain(item)[0] for item in plain(hint)[1]]
    if not all(map(is_configuration, classes)):
        return {}
    return {kind: cls for cls in classes for kind in typing.get_args(fields_of(cls).get("kind"))}


def plain(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without its annotations and without null beside it, and what it is made of."""
    if typing.get_origin(hint) is typing.Annotated:
        return plain(typing.get_args(hint)[0])
    arguments = typing.get_args(hint)
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arguments = tuple(item for item in arguments if item is not type(None))
        if len(arguments) == 1:
            return plain(arguments[0])
    return hint, arguments
