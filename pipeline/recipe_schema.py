"""The JSON Schema (draft 2020-12) of a recipe, or of one stage's entry in it, for editors.

It comes from the settings classes. So it has every key, its bounds and its meaning. It does not
check whether files exist, nor rules over several keys.
"""

from collections.abc import Iterator
from typing import Any

from corpusmill.manifests.settings import Settings
from corpusmill.pipeline.catalogue import STAGES, stage_class
from pydantic.json_schema import GenerateJsonSchema, models_json_schema

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_PATHS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_OF_A_STEP: dict[str, Any] = {
    "name": {
        "type": "string",
        "pattern": r"^\w[\w-]*$",
        "description": "The step's name and its folder's. The default is the verb.",
    },
    "input": {**_PATHS, "description": "What the step reads. The default is the step before it."},
}


class _WithoutTitles(GenerateJsonSchema):
    """Without pydantic's titles, which only repeat the keys."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False


def recipe_schema() -> dict[str, Any]:
    """The schema of a recipe file."""
    entries, definitions = _entries(list(STAGES))
    steps = [
        {
            "type": "object",
            "properties": {verb: entry},
            "required": [verb],
            "additionalProperties": False,
        }
        for verb, entry in entries.items()
    ]
    return {
        "$schema": DIALECT,
        "title": "corpusmill recipe",
        "type": "object",
        "properties": {
            "name": {"type": "string", "description": "The recipe's name."},
            "description": {"type": "string", "description": "What the recipe is for."},
            "inputs": {**_PATHS, "description": "What the first step reads: files or globs."},
            "stages": {
                "type": "array",
                "minItems": 1,
                "items": {"oneOf": [{"enum": list(STAGES)}, *steps]},
                "description": "The steps, each `verb: settings`. Each reads the one before it.",
            },
        },
        "required": ["stages"],
        "additionalProperties": False,
        "$defs": definitions,
    }


def stage_schema(verb: str) -> dict[str, Any]:
    """The schema of a stage's settings in a recipe. Raises RecipeError for an unknown verb."""
    entries, definitions = _entries([verb])
    return {"$schema": DIALECT, "title": verb, **entries[verb], "$defs": definitions}


def _entries(verbs: list[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The schema of each verb's settings and of the keys of every step, and its definitions."""
    classes: dict[str, type[Settings]] = {verb: stage_class(verb) for verb in verbs}
    refs, whole = models_json_schema(
        [(cls, "validation") for cls in classes.values()], schema_generator=_WithoutTitles
    )
    definitions = whole["$defs"]
    for node in [node for part in definitions.values() for node in _nodes(part)]:
        _require_kinds(node, definitions)
    named = {_name(node) for node in _nodes(definitions) if "$ref" in node}
    entries = {}
    for verb, cls in classes.items():
        name = _name(refs[cls, "validation"])
        # Settings may hold those of another stage: `train.gauge` are those of evaluate.
        entry = dict(definitions[name] if name in named else definitions.pop(name))
        entry.pop("title", None)
        entry["properties"] = {**_OF_A_STEP, **entry["properties"]}
        entry["description"] = STAGES[verb].help
        if not entry.get("required"):
            entry["type"] = ["object", "null"]
        entries[verb] = entry
    return entries, definitions


def _require_kinds(node: dict[str, Any], definitions: dict[str, Any]) -> None:
    """Make `kind` required in each member of a union, except the default one."""
    default = node.get("default") or {}
    for part in node.get("oneOf", ()):
        member = definitions[_name(part)]
        kind = member["properties"]["kind"]["const"]
        required = member.get("required", [])
        if kind != default.get("kind") and "kind" not in required:
            member["required"] = ["kind", *required]


def _nodes(node: Any) -> Iterator[dict[str, Any]]:
    """The schema `node` and all schemas in it."""
    if isinstance(node, dict):
        yield node
    for item in node.values() if isinstance(node, dict) else node:
        if isinstance(item, dict | list):
            yield from _nodes(item)


def _name(ref: Any) -> str:
    return str(ref["$ref"]).rpartition("/")[2]
