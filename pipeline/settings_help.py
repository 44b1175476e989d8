"""A stage's settings as help text: key, default, type and meaning.

They come from the JSON Schema of its settings class. Nested settings are shown key by key.
"""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import yaml
from corpusmill.manifests.setting_words import Node, members, resolved, wanted
from corpusmill.pipeline.catalogue import stage_class

LONGEST_DEFAULT = 100  # characters


class Setting(NamedTuple):
    """One key in the help.

    key: as for `--set`. `NAME` stands for a name that the user chooses, `[]` for each item of a
    list. head: the key and its default. text: type and meaning.
    """

    key: str
    head: str
    text: str


def settings_help(verb: str) -> list[Setting]:
    """Every setting of the stage, nested ones included, in the order of its settings class."""
    root = stage_class(verb).model_json_schema()
    return list(_settings(root, root, verb))


def _settings(node: Node, root: Node, prefix: str) -> Iterator[Setting]:
    for name, field in node["properties"].items():
        if name == "kind" and "const" in field:
            continue  # the heading of this kind's settings shows it
        key = f"{prefix}.{name}"
        if "properties" not in resolved(field, root) or "anyOf" in field:
            meaning = " ".join(field.get("description", "").split())
            head = f"{key}{_default(name, field, node)}"
            yield Setting(key, head, ": ".join(filter(None, [wanted(field, root), meaning])))
        for suffix, inner in _inner(field, root):
            yield from _settings(inner, root, key + suffix)
        for suffix, chosen in _choices(field, root):
            for kind, inner in chosen.items():
                head = f"{key}{suffix}.kind={kind}"
                yield Setting(f"{key}{suffix}.kind", head, "with these settings:")
                yield from _settings(inner, root, key + suffix)


def _parts(node: Node, root: Node) -> Iterator[tuple[str, Node]]:
    """The schemas of a value and of what it holds, each with the prefix of its keys."""
    node = resolved(node, root)
    yield "", node
    for part in node.get("anyOf", ()):
        yield from _parts(part, root)
    for step, held in (("[]", node.get("items")), (".NAME", node.get("additionalProperties"))):
        if isinstance(held, Mapping):
            yield from ((step + suffix, part) for suffix, part in _parts(held, root))


def _inner(field: Node, root: Node) -> Iterator[tuple[str, Node]]:
    return ((suffix, part) for suffix, part in _parts(field, root) if "properties" in part)


def _choices(field: Node, root: Node) -> Iterator[tuple[str, dict[str, Node]]]:
    parts = ((suffix, members(part, root)) for suffix, part in _parts(field, root))
    return ((suffix, chosen) for suffix, chosen in parts if chosen)


def _default(name: str, field: Node, node: Node) -> str:
    """`=VALUE` in YAML, or ` (required)` if there is no default."""
    if name in node.get("required", ()):
        return " (required)"
    value: Any = field.get("default")
    if isinstance(value, Mapping) and ("anyOf" in field or "oneOf" in field):
        value = {"kind": value["kind"]} if "kind" in value else {}  # its keys follow as entries
    plain = yaml.safe_dump(
        value, default_flow_style=True, width=10_000, sort_keys=False, allow_unicode=True
    )
    text = plain.removesuffix("\n").removesuffix("\n...")
    return "=" + (text if len(text) <= LONGEST_DEFAULT else text[: LONGEST_DEFAULT - 3] + "...")
