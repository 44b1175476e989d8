"""Arguments of post-filters in prompt files, and the examples that prompt files hold."""

import re

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.prompts import loader
from corpusmill.stages.synthesize import postfilters
from corpusmill.stages.synthesize.postfilters import Rejection, clean, outcome


def with_filter(name, **arguments):
    return loader.load("rephrase").model_copy(update={"postfilters": ((name, arguments),)})


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("labels", {"begin": "Problem:"}, "labels: begin is 'Problem:'; wanted: list of text"),
        ("labels", {"begin": []}, "labels: begin is []; wanted: list of text, at least one"),
        ("labels", {"begin": [1]}, "labels: begin[0] is 1; wanted: text"),
        ("labels", {}, "labels: begin is missing; add it"),
        ("repetition", {"most": 2}, "repetition: most is 2; wanted: float from 0 to 1"),
        ("repetition", {"window": 0}, "repetition: window is 0; wanted: int of at least 1"),
        ("repetition", {"window": "eight"}, "repetition: window is 'eight'; wanted: int"),
        (
            "lead_in",
            {"required": "perhaps"},
            "lead_in: required is 'perhaps'; wanted: true | false",
        ),
        ("faithful", {"names": -0.1}, "faithful: names is -0.1; wanted: float from 0 to 1"),
        ("table", {"least_rows": -1}, "table: least_rows is -1; wanted: int of at least 0"),
        ("question_answer", {"pairs_per_150_tokens": 0}, "pairs_per_150_tokens is 0; wanted"),
        ("prompt_copy", {"window": 2}, "prompt_copy: window is 2; wanted: int from 4 to 50"),
    ],
)
def test_a_value_that_a_filter_cannot_have_is_refused_with_its_place(name, arguments, message):
    with pytest.raises(RecipeError, match=re.escape(message)) as raised:
        postfilters.check(with_filter(name, **arguments))
    assert str(raised.value).startswith("prompts/rephrase.md: postfilters[0]: ")


def test_a_list_of_yaml_reaches_the_filter(tmp_path):
    path = tmp_path / "mine.md"
    path.write_text(
        "---\nname: mine\nlimits: {max_input_tokens: 9, max_output_tokens: 9}\n"
        "postfilters: [{labels: {begin: [Why, Because]}}]\n---\n{document}\n"
    )
    prompt = loader.load(str(path))
    postfilters.check(prompt)
    context = postfilters.Context("", 1, "", 0)
    assert clean("Why?\nBecause.", prompt, context) == "Why?\nBecause."
    assert isinstance(clean("Why?", prompt, context), Rejection)


EXAMPLES = [
    pytest.param(prompt, example, id=f"{name}-{number}")
    for name in loader.shipped()
    for prompt in [loader.load(name)]
    for number, example in enumerate(prompt.examples)
]


@pytest.mark.parametrize(("prompt", "example"), EXAMPLES)
def test_an_example_of_a_prompt_file_becomes_what_the_file_says(prompt, example):
    assert outcome(example, prompt)[0] == ""


@pytest.mark.parametrize("name", loader.shipped())
def test_every_prompt_file_has_good_and_bad_examples(name):
    examples = loader.load(name).examples
    assert any(example.kept for example in examples)
    assert any(example.dropped for example in examples)


def test_an_example_that_comes_out_otherwise_is_told():
    prompt = loader.load("table")
    good = next(example for example in prompt.examples if example.kept)
    bad = next(example for example in prompt.examples if example.dropped)
    assert outcome(good.model_copy(update={"kept": "x"}), prompt)[0] == "kept with another text"
    as_bad = good.model_copy(update={"kept": None, "dropped": "synthesize.no_table"})
    assert outcome(as_bad, prompt)[0] == "kept, not dropped as synthesize.no_table"
    other = bad.model_copy(update={"dropped": "synthesize.refusal"})
    assert outcome(other, prompt)[0] == "dropped as synthesize.no_table, not synthesize.refusal"


def test_a_reason_gets_the_name_of_the_stage_that_writes_it_unless_it_is_a_code():
    assert Rejection("too_far", "").code("synthesize") == "synthesize.too_far"
    assert Rejection("request", "", failed=True).code("annotate") == "error_annotate.request"
    assert Rejection("error_read.format", "").code("annotate") == "error_read.format"
