"""A recipe is checked key by key before anything runs. Every error says what to do."""

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.groups import groups_of
from corpusmill.pipeline.recipe import (
    build_stage,
    load_recipe,
    override,
    resolve_data,
    step_alone,
)


def recipe(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    return load_recipe(str(path))


def folder_of(name):
    return f"/out/{name}"


def test_a_recipe_lists_its_steps_in_order(tmp_path):
    steps = "  - extract: {min_text_chars: 5}\n  - filter\n  - dedup: {name: again, input: x}\n"
    loaded = recipe(tmp_path, f"inputs: [a.warc]\nstages:\n{steps}")
    assert [(step.verb, step.name, step.inputs) for step in loaded.steps] == [
        ("extract", "extract", ()),
        ("filter", "filter", ()),
        ("dedup", "again", ("x",)),
    ]
    assert loaded.inputs == ("a.warc",)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("stages: [", "mend the file"),
        ("name: x", "a list of stages"),
        ("stages:\n  - filtr: {}\n", "did you mean 'filter'"),
        ("stages: []\nstage: x\n", "did you mean 'stages'"),
        ("stages:\n  - filter: {}\n  - filter: {}\n", "another `name:`"),
        ("stages:\n  - {filter: {}, dedup: {}}\n", "must be one"),
    ],
)
def test_a_broken_recipe_is_refused_with_the_mend(tmp_path, text, mend):
    with pytest.raises(RecipeError, match=mend):
        recipe(tmp_path, text)


@pytest.mark.parametrize(
    ("text", "mend"),
    [
        ("", "a mapping with name"),
        ("- filter\n", "a mapping with name"),
        ("stages: []\n", "a list of stages"),
        ("stages: {filter: {}}\n", "a list of stages"),
        ("stages: [5]\n", "stage 1 must be one"),
        ("stages: [{filter: 5}]\n", "stage 1 must be one"),
        ("stages: [filter]\ninputs: 5\n", "inputs is 5; wanted: a path"),
        ("stages:\n  - filter: {input: {a: b}}\n", "filter.input is"),
        ("stages:\n\t- filter\n", "line 2, column 1: a tab"),
        ("stages:\n  - filter: {off: [], off: []}\n", "'off' stands twice"),
    ],
)
def test_what_is_no_recipe_is_refused_with_its_file(tmp_path, text, mend):
    with pytest.raises(RecipeError, match=mend) as raised:
        recipe(tmp_path, text)
    assert "recipe.yaml" in str(raised.value)


@pytest.mark.parametrize(
    "name", ["a/b", "..", ".hidden", "two words", '""', "a.b", "-x", "5", "null", "[a]"]
)
def test_a_name_that_makes_no_folder_is_refused(tmp_path, name):
    with pytest.raises(RecipeError, match=r"stage 1 has the name .*a name becomes a folder"):
        recipe(tmp_path, f"stages:\n  - filter: {{name: {name}}}\n")


@pytest.mark.parametrize(
    ("steps", "which"),
    [
        ("[{filter: {input: step:dedup}}, dedup]", "filter reads the later step dedup"),
        ("[{filter: {input: [x, step:filter]}}]", "filter reads itself"),
        (
            "[{pack: {tokenizer: step:tokenizer/tokenizer}}, tokenizer]",
            "pack reads the later step tokenizer",
        ),
        ("[{blend: {sources: {a: {input: step:blend, weight: 1}}}}]", "blend reads itself"),
    ],
)
def test_a_step_reads_only_what_comes_before_it(tmp_path, steps, which):
    with pytest.raises(RecipeError, match=f"{which}; name a step that comes before it"):
        recipe(tmp_path, f"stages: {steps}\n")


def test_of_several_steps_of_a_stage_one_has_to_be_named(tmp_path):
    loaded = recipe(tmp_path, "stages:\n  - filter\n  - dedup\n  - filter: {name: late}\n")
    assert loaded.step("dedup").name == "dedup"
    assert loaded.step("filter", "late").name == "late"
    with pytest.raises(
        RecipeError, match="several filter stages; choose one with --step: filter, late"
    ):
        loaded.step("filter")
    with pytest.raises(
        RecipeError, match="no filter stage 'lat'; its filter stages are filter, late"
    ):
        loaded.step("filter", "lat")
    with pytest.raises(RecipeError, match="no pack stage; leave out --config"):
        loaded.step("pack")


def test_an_unknown_key_names_the_nearest(tmp_path):
    loaded = recipe(tmp_path, "stages:\n  - dedup: {verify_treshold: 0.7}\n")
    with pytest.raises(
        RecipeError, match=r"unknown key dedup\.verify_treshold; did you mean 'verify_threshold'"
    ):
        build_stage(loaded.steps[0], folder_of)


def test_a_wrong_type_names_key_and_value(tmp_path):
    loaded = recipe(tmp_path, "stages:\n  - dedup: {verify_threshold: high}\n")
    with pytest.raises(RecipeError, match=r"dedup\.verify_threshold.*'high'"):
        build_stage(loaded.steps[0], folder_of)


def test_set_overrides_nested_keys_and_refuses_unknown_steps(tmp_path):
    loaded = recipe(tmp_path, "stages:\n  - dedup: {}\n")
    changed = override(loaded, ["dedup.verify_threshold=0.7", "dedup.a.b=[1, x]"])
    assert changed.steps[0].settings == {"verify_threshold": 0.7, "a": {"b": [1, "x"]}}
    with pytest.raises(RecipeError, match="did you mean 'dedup'"):
        override(loaded, ["dedupe.x=1"])
    with pytest.raises(RecipeError, match=r"step\.key=value"):
        override(loaded, ["dedup"])


def test_of_a_chosen_step_the_verb_may_stand_for_its_name(tmp_path):
    path = tmp_path / "named.yaml"
    path.write_text("stages:\n  - filter: {name: early}\n  - filter: {name: late}\n")
    step = step_alone("filter", str(path), ["filter.rules={}", "late.blocks=[]"], "late")
    assert (step.name, step.settings) == ("late", {"rules": {}, "blocks": []})
    path.write_text("stages:\n  - filter\n  - filter: {name: late}\n")
    with pytest.raises(RecipeError, match="there is no step 'filter'; did you mean 'late'"):
        step_alone("filter", str(path), ["filter.rules={}"], "late")


def test_references_become_paths(tmp_path):
    assert resolve_data("package:recipes/demo.yaml").endswith("recipes/demo.yaml")
    with pytest.raises(RecipeError, match="no data folder"):
        resolve_data("package:nowhere/x")
    with pytest.raises(RecipeError, match="pip install"):
        resolve_data("python:not_installed_anywhere/x")
    loaded = recipe(tmp_path, "stages:\n  - export: {tokenizer: step:pack/tokenizer}\n")
    assert build_stage(loaded.steps[0], folder_of).tokenizer == "/out/pack/tokenizer"


def test_consecutive_map_stages_are_one_group(tmp_path):
    loaded = recipe(
        tmp_path,
        "stages:\n  - extract: {keep_documents: false}\n  - filter\n  - dedup\n"
        "  - filter: {name: late}\n",
    )
    assert [[step.name for step in group.steps] for group in groups_of(loaded)] == [
        ["extract", "filter"],
        ["dedup"],
        ["late"],
    ]


def test_every_shipped_recipe_builds():
    for name in ("demo", "nemotron_cc", "reader"):
        loaded = load_recipe(f"package:recipes/{name}.yaml")
        for step in loaded.steps:
            build_stage(step, folder_of)
