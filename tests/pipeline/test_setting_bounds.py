"""Every number of every stage's settings: what it cannot be is refused before anything runs."""

import math
from collections.abc import Iterator
from typing import Any

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.setting_words import members, resolved
from corpusmill.manifests.settings import build_settings
from corpusmill.pipeline.catalogue import STAGES, stage_class

Path = tuple[Any, ...]  # keys, places in lists, and {"kind": ...} of unions
NEVER = (math.nan, math.inf, -math.inf, "many", [1], {"a": 1}, 10**30, -(10**30), 10**5000)


def numbers(node, root, path: Path = (), seen: tuple[str, ...] = ()) -> Iterator[tuple[Path, Any]]:
    """(path, schema) of every number in a schema, but for values that may be of any type."""
    if node.get("$ref") in seen:
        return
    seen = (*seen, node["$ref"]) if "$ref" in node else seen
    if "$ref" in node or "oneOf" in node:
        kinds = members(node, root)
        for kind, inner in kinds.items():
            yield from numbers(inner, root, (*path, {"kind": kind}), seen)
        if kinds:
            return
    node = resolved(node, root)
    parts = node.get("anyOf", ())
    for part in parts if {"type": "string"} not in parts else ():
        yield from numbers(part, root, path, seen)
    if node.get("type") in ("number", "integer"):
        yield path, node
    for name, inner in node.get("properties", {}).items():
        yield from numbers(inner, root, (*path, name), seen)
    for place, inner in enumerate(node.get("prefixItems", ())):
        yield from numbers(inner, root, (*path, place), seen)
    if isinstance(node.get("items"), dict):
        yield from numbers(node["items"], root, (*path, 0), seen)
    if isinstance(node.get("additionalProperties"), dict):
        names = resolved(node.get("propertyNames", {}), root).get("enum", ["name"])
        yield from numbers(node["additionalProperties"], root, (*path, names[0]), seen)


def nested(path: Path, value: Any) -> Any:
    for step in reversed(path):
        if isinstance(step, dict):
            value = {**step, **value}
        elif isinstance(step, int):
            value = [1] * step + [value]
        else:
            value = {step: value}
    return value


def beyond(node) -> list[float]:
    """Values just outside the bounds of a number."""
    found = []
    for bound, away in (("minimum", -1), ("maximum", 1)):
        if bound in node:
            found.append(node[bound] + away)
    for bound in ("exclusiveMinimum", "exclusiveMaximum"):
        if bound in node:
            found.append(node[bound])
    return found


CASES = [
    pytest.param(verb, path, node, id=f"{verb}.{'.'.join(map(str, path))}")
    for verb in STAGES
    for root in [stage_class(verb).model_json_schema()]
    for path, node in numbers(root, root)
]


def test_the_schemas_have_numbers():
    assert len(CASES) > 100
    assert {case.values[0] for case in CASES} >= {"extract", "filter", "dedup", "blend", "train"}


@pytest.mark.parametrize(("verb", "path", "node"), CASES)
def test_what_a_number_cannot_be_is_refused_with_its_key(verb, path, node):
    key = next(step for step in reversed(path) if isinstance(step, str))
    for value in (*NEVER, *beyond(node)):
        with pytest.raises(RecipeError) as refused:
            build_settings(stage_class(verb), nested(path, value), verb)
        assert key in refused.value.what, refused.value.what
        assert refused.value.mend


@pytest.mark.parametrize(("verb", "path", "node"), CASES)
def test_a_fraction_is_no_whole_number(verb, path, node):
    if node["type"] == "integer":
        with pytest.raises(RecipeError):
            build_settings(stage_class(verb), nested(path, 2.5), verb)


@pytest.mark.parametrize("value", [math.nan, math.inf, 10**30, [10**30], {"a": 10**5000}])
def test_arguments_of_any_type_are_finite(value):
    engine = {"kind": "openai", "url": "http://host/v1", "model": "m", "extra": {"name": value}}
    with pytest.raises(RecipeError, match=r"synthesize\.engine\.extra\.name"):
        build_settings(stage_class("synthesize"), {"engine": engine}, "synthesize")


def test_a_number_of_too_many_digits_is_named_without_them():
    with pytest.raises(RecipeError, match=r"extract\.max_page_bytes is a number of more than 19"):
        build_settings(stage_class("extract"), {"max_page_bytes": 10**5000}, "extract")
