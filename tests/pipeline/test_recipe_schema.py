"""The JSON Schema of `corpusmill schema` accepts and refuses what the settings classes do."""

import json
from pathlib import Path

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.yaml_text import parse_yaml
from corpusmill.pipeline.catalogue import STAGES
from corpusmill.pipeline.recipe_schema import recipe_schema, stage_schema
from jsonschema import Draft202012Validator

from tests.command_line import corpusmill
from tests.pipeline.test_recipe_docs import BLOCKS

RECIPES = sorted((Path(__file__).parents[2] / "recipes").glob("*.yaml"))
SCORER = "classify: {scorers: {a: {%s}}}"


@pytest.fixture(scope="module")
def validator():
    schema = recipe_schema()
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def stages(step):
    return {"stages": [parse_yaml(step)]}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.name)
def test_the_shipped_recipes_are_valid(validator, path):
    assert [error.message for error in validator.iter_errors(parse_yaml(path.read_text()))] == []


@pytest.mark.parametrize("name", BLOCKS)
def test_the_recipes_of_the_pages_are_valid(validator, name):
    block = parse_yaml(BLOCKS[name])
    recipe = {"stages": block} if isinstance(block, list) else block
    assert [error.message for error in validator.iter_errors(recipe)] == []


@pytest.mark.parametrize(
    "step",
    [
        "filter",
        "filter: ",
        "dedup: {name: again, input: [a, b], verify_threshold: 1}",
        "synthesize: {engine: {model: package:models/tiny}}",  # of the default kind
        SCORER % "kind: fasttext, model: x",
        "classify-train: {labelled: [x], fasttext: null}",
    ],
)
def test_what_a_recipe_may_say_is_valid(validator, step):
    assert validator.is_valid(stages(step))


@pytest.mark.parametrize(
    "step",
    [
        "filtr: {}",
        "filter: {familys: [c4]}",
        "filter: {}\ndedup: {}",
        "filter: {rules: [{name: a, statistic: words, comparison: '<'}]}",
        "filter: {lines: {minimum_words: -1}}",
        "dedup: {verify_threshold: 0}",
        "dedup: {survivor: shortest}",
        "dedup: {name: a/b}",
        "extract: {statuses: [200]}",
        "synthesize: {engine: {kind: openai}}",
        "synthesize: {engine: {url: 'http://host/v1', model: x}}",
        SCORER % "model: x",
        SCORER % "kind: fasttext, model: x, head: y",
        "pack: ",
    ],
)
def test_what_no_recipe_may_say_is_not(validator, step):
    assert not validator.is_valid(stages(step))


def test_a_recipe_s_own_keys_are_known(validator):
    assert not validator.is_valid({"stages": ["filter"], "input": ["x"]})
    assert not validator.is_valid({"name": "a"})


@pytest.mark.parametrize("verb", STAGES)
def test_every_key_of_a_stage_is_described(verb):
    schema = stage_schema(verb)
    parts = [schema, *schema["$defs"].values()]
    properties = [item for part in parts for item in part.get("properties", {}).items()]
    assert [name for name, node in properties if not node.get("description")] == [
        name for name, node in properties if name == "kind" and "const" in node
    ]


def test_the_command_prints_it(tmp_path):
    assert json.loads(corpusmill("schema", cwd=tmp_path).stdout) == recipe_schema()
    assert json.loads(corpusmill("schema", "dedup", cwd=tmp_path).stdout) == stage_schema("dedup")


def test_a_verb_that_there_is_not_is_named():
    with pytest.raises(RecipeError, match="no stage 'dedupe'; did you mean 'dedup'"):
        stage_schema("dedupe")
