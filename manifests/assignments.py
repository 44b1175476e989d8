"""`--set KEY=VALUE`: one value of a recipe or of a configuration, changed from the command line.

Dots join nested keys. The value is YAML.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from corpusmill.manifests.errors import RecipeError, short
from corpusmill.manifests.yaml_text import parse_yaml


class Assignment(NamedTuple):
    """keys: the outermost first. value: as YAML reads it."""

    keys: tuple[str, ...]
    value: Any


def read_assignment(text: str, form: str = "key=value") -> Assignment:
    """Read `a.b=1` as ((a, b), 1). Raises RecipeError, which shows `form`, if it cannot be read."""
    path, equals, value = text.partition("=")
    keys = tuple(path.split("."))
    if not equals or not all(keys) or len(keys) <= form.count("."):
        raise RecipeError(f"--set {text} cannot be read", f"write --set {form}")
    try:
        return Assignment(keys, parse_yaml(value))
    except ValueError as error:
        raise RecipeError(
            f"--set {text} is not readable YAML ({error})", "quote the value"
        ) from error


def assigned(settings: Mapping[str, Any], keys: Sequence[str], value: Any) -> dict[str, Any]:
    """A copy of `settings` with `value` at the nested `keys`.

    Raises RecipeError if a key before the last holds something else than a mapping.
    """
    head, *rest = keys
    if not rest:
        return {**settings, head: value}
    inner = settings.get(head) or {}
    if not isinstance(inner, Mapping):
        raise RecipeError(
            f"--set: {head!r} holds {short(inner)}, not a mapping", "set the whole key instead"
        )
    return {**settings, head: assigned(inner, rest, value)}
