"""The base of all settings classes, and how plain data becomes settings.

Every error names the key, its value and what the key may hold.
"""

import re
from collections.abc import Mapping
from typing import Annotated, Any, Self, TypeVar

from corpusmill.manifests.errors import RecipeError, nearest, short
from corpusmill.manifests.setting_words import located, members, resolved, wanted
from pydantic import BaseModel, ConfigDict, Field, ValidationError

Share = Annotated[float, Field(ge=0, le=1)]
_LARGEST = 2**63 - 1
PositiveShare = Annotated[float, Field(gt=0, le=1)]


class Settings(BaseModel):
    """Settings from a recipe, a prompt file or Python. They are frozen. Unknown keys are refused.

    A field's docstring says what it does, its unit and where its default comes from. `--help` and
    `corpusmill schema` show it. Bounds stand in the field's type. A rule over several fields is a
    `model_validator(mode="after")` that raises RecipeError. `model_dump(mode="json")` gives plain
    data again.
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
        _refuse_giants(settings, "")
        try:
            super().__init__(**settings)
        except ValidationError as error:
            name = getattr(type(self), "name", None)
            step = name if isinstance(name, str) else type(self).__name__
            raise _refusal(type(self), step, error.errors()) from error

    # This tells pydantic not to call `__init__` for settings within settings.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields changed, checked like a new object. Raises RecipeError."""
        copied = super().model_copy(deep=deep)
        fields = {name: getattr(copied, name) for name in type(self).model_fields}
        return type(self)(**{**fields, **(update or {})})


Class = TypeVar("Class", bound=Settings)


def build_settings(cls: type[Class], settings: Mapping[str, Any], step: str = "") -> Class:
    """An object of the settings class `cls` from plain data.

    Raises RecipeError naming the key below `step`, its value and what it may hold.
    """
    _refuse_giants(settings, step)
    try:
        return cls.model_validate(dict(settings))
    except ValidationError as error:
        raise _refusal(cls, step, error.errors()) from error


def _refuse_giants(value: Any, key: str) -> None:
    """Raises RecipeError for a number that no file and no library here can hold."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            _refuse_giants(inner, _below(key, str(name)))
    elif isinstance(value, list | tuple):
        for place, inner in enumerate(value):
            _refuse_giants(inner, f"{key}[{place}]")
    elif isinstance(value, int) and not -_LARGEST <= value <= _LARGEST:
        raise RecipeError(
            f"{key} is a number of more than {len(str(_LARGEST))} digits",
            f"wanted: int of at most {_LARGEST}",
        )


def _refusal(cls: type[Settings], step: str, errors: list[Any]) -> RecipeError:
    """The error that comes first, in the user's words.

    An unknown key comes before a missing one: it is most likely the missing key, misspelt.
    """
    ranks = {"extra_forbidden": 0, "missing": 2}
    first = min(errors, key=lambda error: ranks.get(error["type"], 1))
    kind, value, loc = first["type"], first["input"], first["loc"]
    root = cls.model_json_schema()
    if kind == "missing" and isinstance(loc[-1], int):  # a list of fixed length is too short
        kind, loc = "too_short", loc[:-1]
    if kind == "extra_forbidden":
        inner, node = located(loc[:-1], root)
        known = resolved(node, root).get("properties", {})
        return RecipeError(
            f"unknown key {_below(step, inner, str(loc[-1]))}",
            nearest(str(loc[-1]), known, "known keys"),
        )
    if loc and loc[-1] == "[key]":  # pydantic's mark for an error in a mapping's key
        inner, node = located(loc[:-2], root)
        names = wanted(resolved(node, root).get("propertyNames", {"type": "string"}), root)
        return RecipeError(f"unknown key {_below(step, inner, str(loc[-2]))}", f"wanted: {names}")
    inner, node = located(loc, root)
    key = _below(step, inner)
    if kind == "missing":
        mend = f"give --set {key}=..." if step else "add it"
        return RecipeError(f"{key} is missing", f"{mend}: {wanted(node, root)}")
    if kind == "value_error":
        return _placed(first["ctx"]["error"], key, resolved(node, root).get("properties", {}))
    if kind.startswith("union_tag") and isinstance(value, Mapping):
        found = f"is {short(value['kind'])}" if "kind" in value else "is missing"
        return RecipeError(f"{key}.kind {found}", f"wanted: {' | '.join(members(node, root))}")
    words = wanted(node, root)
    return RecipeError(f"{key} is {short(value)}", f"wanted: {words}{_example(value, words)}")


def _below(*keys: str) -> str:
    return ".".join(filter(None, keys))


def _placed(error: ValueError, key: str, fields: Mapping[str, Any]) -> RecipeError:
    """An error that a settings class raised, with the key of these settings in front."""
    if not isinstance(error, RecipeError):
        return RecipeError(f"{key}: {error}", "mend the recipe or the --set")
    if not key or error.what.startswith(key):
        return error
    name = re.match(r"(\w+)(?=[\[.]| is | are | holds | names )", error.what)
    joined = f"{key}.{error.what}" if name and name[1] in fields else f"{key}: {error.what}"
    return RecipeError(joined, error.mend)


def _example(value: Any, words: str) -> str:
    """How to write the value as a list or as text, if that is what is wanted. Else empty."""
    if words.startswith("list of") and isinstance(value, str) and re.fullmatch(r"[\w./-]+", value):
        return f", as in [{value}]"
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return f", as in '{short(value)}'" if words.startswith("text") and is_number else ""
