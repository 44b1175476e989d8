"""The decorator that makes a class a configuration: frozen, keyword-only, and closed to unknown keys.

A configuration is a plain dataclass whose defaults are the published values. Recipes are checked against it by pydantic
(in `pipeline.recipe`), which reads the `__pydantic_config__` attribute set here; this file itself needs no pydantic, so
that a configuration can be built anywhere the standard library runs.
"""

import dataclasses
from typing import Any, TypeVar, dataclass_transform

Class = TypeVar("Class")


@dataclass_transform(
    frozen_default=True, kw_only_default=True, field_specifiers=(dataclasses.field,)
)
def config(cls: type[Class]) -> type[Class]:
    """Turn `cls` into a frozen, keyword-only dataclass that refuses unknown keys when built from a recipe."""
    cls.__pydantic_config__ = {"extra": "forbid"}  # type: ignore[attr-defined]
    return dataclasses.dataclass(frozen=True, kw_only=True)(cls)


def as_plain(value: Any) -> Any:
    """A configuration as JSON-ready data (mappings, lists, numbers, strings), nested ones included."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: as_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if hasattr(value, "model_fields"):
        return {name: as_plain(getattr(value, name)) for name in type(value).model_fields}
    if isinstance(value, dict):
        return {str(key): as_plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [as_plain(item) for item in value]
    return value
