"""A stage's settings as help text: key, default, type and meaning, read from its configuration class.

What a setting means is said once, beside it: in the docstring of its class as `key: meaning.` (`key, other: meaning.` for two), or
in the comment behind it. Configurations within configurations are followed to their keys.
"""

import dataclasses
import inspect
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import yaml
from corpusmill.manifests.config import as_plain
from corpusmill.manifests.setting_types import type_name
from corpusmill.pipeline.catalogue import stage_class

LONGEST_DEFAULT = 100  # characters
_COMMENT = re.compile(r"^    (\w+): [^#\n]*  # (.+)$", re.MULTILINE)


class Setting(typing.NamedTuple):
    """key: as `--set` takes it; `NAME` stands for a name of one's own, `[]` for each item of a list. head: the key and its default.
    text: type and meaning."""

    key: str
    head: str
    text: str


def settings_help(verb: str) -> list[Setting]:
    """Every setting of the stage, nested ones included, in the order of its configuration class."""
    return list(_settings(stage_class(verb), verb))


def _settings(cls: Any, prefix: str) -> Iterator[Setting]:
    hints, meaning_of = typing.get_type_hints(cls, include_extras=True), _meanings(cls)
    for field in dataclasses.fields(cls):
        hint, key = hints[field.name], f"{prefix}.{field.name}"
        inner = list(_configurations(hint))
        if field.name == "kind" and typing.get_origin(hint) is typing.Literal:
            continue  # told by the heading of this kind's settings
        if not dataclasses.is_dataclass(hint):
            text = ": ".join(filter(None, [type_name(hint), meaning_of.get(field.name)]))
            yield Setting(key, f"{key}{_default(field)}", text)
        for suffix, nested in inner:
            if len(inner) > 1:
                kind = f"{key}{suffix}.kind"
                yield Setting(kind, f"{kind}={nested.kind}", "with these settings:")
            yield from _settings(nested, key + suffix)


def _configurations(hint: Any) -> Iterator[tuple[str, Any]]:
    """The configuration classes that a value of this type holds, each with what its keys have before them."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint):
        yield "", hint
    elif origin is typing.Annotated:
        yield from _configurations(arguments[0])
    elif origin in (typing.Union, types.UnionType):
        for item in arguments:
            yield from _configurations(item)
    elif origin in (tuple, list) or _is_mapping(origin):
        step = ".NAME" if _is_mapping(origin) else "[]"
        for item in arguments:
            yield from ((step + suffix, cls) for suffix, cls in _configurations(item))


def _is_mapping(origin: Any) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _default(field: Any) -> str:
    """`=VALUE` in YAML, or that there is none."""
    if field.default is not dataclasses.MISSING:
        value = field.default
    elif field.default_factory is not dataclasses.MISSING:
        value = field.default_factory()
    else:
        return " (required)"
    if dataclasses.is_dataclass(value):  # its keys follow with theirs
        value = {"kind": value.kind} if hasattr(value, "kind") else {}
    plain = yaml.safe_dump(
        as_plain(value), default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True
    )
    text = plain.removesuffix("\n").removesuffix("\n...")
    return "=" + (text if len(text) <= LONGEST_DEFAULT else text[: LONGEST_DEFAULT - 3] + "...")


def _meanings(cls: Any) -> dict[str, str]:
    """Field -> what the docstrings of the class and its bases say of it, or else the comment behind it."""
    names = "|".join(field.name for field in dataclasses.fields(cls))
    entry = re.compile(rf"(?:^|(?<=[.;)]) )((?:{names})(?:(?:, | and )(?:{names}))*): ")
    found: dict[str, str] = {}
    for base in [base for base in reversed(cls.__mro__) if hasattr(base, "__dataclass_fields__")]:
        comments = dict(_COMMENT.findall(inspect.getsource(base)))
        documented: dict[str, str] = {}
        for paragraph in re.split(r"\n\s*\n", inspect.cleandoc(base.__doc__ or "")):
            _, *parts = entry.split(" ".join(paragraph.split()))
            for keys, meaning in zip(parts[::2], parts[1::2], strict=True):
                documented.update(dict.fromkeys(re.split(", | and ", keys), meaning.rstrip(" .;")))
        found |= comments | documented
    return found
