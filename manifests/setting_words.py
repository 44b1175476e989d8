"""What a setting may hold, in the words of YAML, and the key under which it stands.

Both come from the JSON Schema that pydantic writes for a settings class. So messages, help and
`corpusmill schema` say the same.
"""

from collections.abc import Mapping, Sequence
from typing import Any

Node = Mapping[str, Any]  # a JSON Schema, or a part of one

_NAMES = {
    "string": "text",
    "boolean": "true | false",
    "null": "null",
    "integer": "int",
    "number": "float",
}


def wanted(node: Node, root: Node) -> str:
    """What a value may be, in words. node: its part of the schema `root`."""
    node = resolved(node, root)
    if kinds := members(node, root):
        return f"mapping with kind: {' | '.join(kinds)}"
    if "anyOf" in node:
        return " | ".join(dict.fromkeys(wanted(part, root) for part in node["anyOf"]))
    if choices := node.get("enum") or node.get("examples"):
        return " | ".join(map(str, choices))
    if "const" in node:
        return str(node["const"])
    if "properties" in node:
        return f"mapping with {', '.join(node['properties'])}"
    if "prefixItems" in node:
        return f"[{', '.join(wanted(part, root) for part in node['prefixItems'])}]"
    kind = node.get("type")
    if kind == "array":
        return f"list of {wanted(node['items'], root)}{_at_least(node.get('minItems'))}"
    if kind == "object":
        keys = wanted(node.get("propertyNames", {"type": "string"}), root)
        values = node.get("additionalProperties")
        held = wanted(values, root) if isinstance(values, Mapping) else "anything"
        return f"mapping of {keys} to {held}{_at_least(node.get('minProperties'))}"
    return _NAMES.get(str(kind), "anything") + _bounds(node)


def resolved(node: Node, root: Node) -> Node:
    """`node`, or the node that its `$ref` names."""
    return root["$defs"][node["$ref"].rpartition("/")[2]] if "$ref" in node else node


def without_null(node: Node, root: Node) -> Node:
    """As `resolved`. For a type that may also be null, the type without null."""
    node = resolved(node, root)
    others = [part for part in node.get("anyOf", ()) if part.get("type") != "null"]
    return resolved(others[0], root) if len(others) == 1 else node


def members(node: Node, root: Node) -> dict[str, Node]:
    """For a union of settings: value of the key `kind` -> its settings. Else empty."""
    parts = [resolved(part, root) for part in without_null(node, root).get("oneOf", ())]
    return {part["properties"]["kind"]["const"]: part for part in parts}


def located(loc: Sequence[str | int], root: Node) -> tuple[str, Node]:
    """The user's key for pydantic's path `loc`, such as `rules[0].threshold`, and its schema.

    Pydantic's path also holds the member of a union. The user did not write that, so it is left
    out.
    """
    key, node = "", root
    for part in loc:
        node = without_null(node, root)
        if chosen := members(node, root).get(str(part)):
            node = chosen
            continue
        if isinstance(part, int) and node.get("type") == "array":
            listed = node.get("prefixItems", ())
            node = listed[part] if part < len(listed) else node.get("items", {})
            key += f"[{part}]"
            continue
        others = node.get("additionalProperties")
        if str(part) in node.get("properties", {}):
            node = node["properties"][str(part)]
        elif isinstance(others, Mapping):
            node = others
        else:
            break
        key += f".{part}" if key else str(part)
    return key, node


def _at_least(number: int | None) -> str:
    return f", at least {'one' if number == 1 else number}" if number else ""


def _bounds(node: Node) -> str:
    """The range of a number."""
    least, most = node.get("minimum"), node.get("maximum")
    above, below = node.get("exclusiveMinimum"), node.get("exclusiveMaximum")
    if node.get("type") == "integer" and above is not None:
        least, above = above + 1, None
    if least is not None and most is not None:
        return f" from {least} to {most}"
    only = "of " if least is above is None else ""
    parts = {"of at least": least, "above": above, f"{only}at most": most, "below": below}
    said = [f"{words} {bound}" for words, bound in parts.items() if bound is not None]
    return f" {', '.join(said)}" if said else ""
