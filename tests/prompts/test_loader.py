"""Prompt files: what they may hold, and the errors for wrong ones."""

import hashlib
import json
import re
from pathlib import Path

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.prompts import loader

ROOT = Path(__file__).parents[2]
# Tokens of input with prompt, output, document, segment and row: Nemotron-CC, section 2.3, and its
# public recipe.
NEMOTRON_CC_LIMITS = {
    "rephrase": (512, 512, 5, 5, 50),
    "diverse_qa": (1000, 600, 30, 30, 100),
    "distill": (2000, 1600, 30, 10, 50),
    "extract_knowledge": (1400, 1400, 30, 30, 50),
    "knowledge_list": (1000, 600, 30, 30, 50),
}


def write(folder: Path, front: str, body: str = "Say it again: {document}") -> str:
    path = folder / "mine.md"
    path.write_text(f"---\n{front}\n---\n{body}\n", encoding="utf-8")
    return str(path)


FRONT = "name: mine\nlimits: {max_input_tokens: 100, max_output_tokens: 50}"


FORMATS = ["faq", "math_problems", "table", "tutorial"]
RUBRICS = ["educational", "page_grades", "page_kind"]


PAIRS = ["linked_pair"]


def test_the_prompts_of_nemotron_cc_four_formats_a_pair_and_three_rubrics_are_shipped():
    others = [*FORMATS, *PAIRS, *RUBRICS, "judge", "read_page"]
    assert loader.shipped() == sorted([*NEMOTRON_CC_LIMITS, *others])


def test_only_a_prompt_about_two_documents_has_a_place_for_the_linked_one():
    assert [name for name in loader.shipped() if loader.load(name).about_two] == PAIRS
    prompt = loader.load("linked_pair")
    (turn,) = prompt.messages("a {linked}", "document_first", "b {document}")
    assert turn["content"].startswith(
        "The text:\n\na {linked}\n\n(End of the text.)\n\n"
        "The linked text:\n\nb {document}\n\n(End of the linked text.)\n\n"
    )
    assert "(the text above)" in turn["content"]
    assert "(the linked text above)" in turn["content"]


@pytest.mark.parametrize("name", RUBRICS)
def test_a_rubric_names_every_property_and_word_that_it_asks_for(name):
    prompt = loader.load(name)
    for key, wanted in prompt.properties.items():
        assert f'"{key}": ' in prompt.template
        assert all(word in prompt.template for word in wanted.one_of)
    assert list(json.loads(prompt.answer_schema)["properties"]) == list(prompt.properties)


@pytest.mark.parametrize("name", FORMATS)
def test_a_format_prompt_asks_for_what_its_filters_want(name):
    prompt = loader.load(name)
    wanted = {"labels": "begin", "question_answer": ""}
    for called, arguments in prompt.postfilters:
        for label in arguments.get(wanted.get(called, ""), ()):
            assert label in prompt.template
    assert prompt.limits.max_input_tokens <= 1400


@pytest.mark.parametrize("name", sorted(NEMOTRON_CC_LIMITS))
def test_a_shipped_prompt_has_the_published_limits_and_sampling(name):
    prompt = loader.load(name)
    limits = prompt.limits
    assert prompt.name == name
    assert (
        limits.max_input_tokens,
        limits.max_output_tokens,
        limits.min_document_tokens,
        limits.min_segment_tokens,
        limits.min_output_tokens,
    ) == NEMOTRON_CC_LIMITS[name]
    assert (prompt.sampling.temperature, prompt.sampling.top_p) == (0.5, 0.9)


@pytest.mark.parametrize("name", sorted(NEMOTRON_CC_LIMITS))
def test_a_prompt_that_expects_a_lead_in_asks_for_it(name):
    prompt = loader.load(name)
    assert prompt.lead_in in prompt.template
    assert bool(prompt.lead_in) == any(called == "lead_in" for called, _ in prompt.postfilters)


def test_only_the_rephrased_segments_of_a_document_are_joined():
    assert [name for name in loader.shipped() if loader.load(name).join_segments] == ["rephrase"]


def test_messages_hold_the_document_as_it_is():
    prompt = loader.load("rephrase")
    messages = prompt.messages("a {document} with {braces} and \\1")
    assert [turn["role"] for turn in messages] == ["system", "user"]
    assert messages[1]["content"].endswith("\n\na {document} with {braces} and \\1")


def test_a_prompt_without_system_text_is_one_turn(tmp_path):
    assert loader.load(write(tmp_path, FRONT)).messages("x") == [
        {"role": "user", "content": "Say it again: x"}
    ]


def test_the_digest_is_of_the_whole_file(tmp_path):
    path = write(tmp_path, FRONT)
    before = loader.load(path).digest
    assert before == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    write(tmp_path, FRONT + "\npurpose: another")
    assert loader.load(path).digest != before


def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path):
    path = Path(write(tmp_path, FRONT))
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert loader.load(str(path)).template == "Say it again: {document}"


def test_postfilters_may_have_arguments(tmp_path):
    prompt = loader.load(
        write(tmp_path, FRONT + "\npostfilters: [refusal, {lead_in: {required: false}}]")
    )
    assert prompt.postfilters == (("refusal", {}), ("lead_in", {"required": False}))


def test_an_unknown_prompt_names_the_nearest():
    with pytest.raises(RecipeError, match=r"there is no prompt 'rephrse'.*did you mean 'rephrase'"):
        loader.load("rephrse")


def test_an_absent_file_is_named(tmp_path):
    with pytest.raises(RecipeError, match=r"there is no prompt file .*none\.md"):
        loader.load(str(tmp_path / "none.md"))


@pytest.mark.parametrize(
    ("front", "body", "message"),
    [
        (FRONT, "no place for it", r"mine\.md: the template has 0 \{document\} placeholders"),
        (FRONT, "{document} {document}", r"has 2 \{document\} placeholders"),
        (
            FRONT + "\nleadin: x",
            "{document}",
            r"unknown key leadin; did you mean 'lead_in'",
        ),
        ("name: mine", "{document}", r"mine\.md: limits"),
        (FRONT.replace("100", "many"), "{document}", r"mine\.md: limits\.max_input_tokens"),
        (
            FRONT.replace("50", "0"),
            "{document}",
            r"limits\.max_output_tokens is 0; wanted: int of at least 1",
        ),
        (FRONT + "\nlimit: [", "{document}", r"not readable YAML"),
        (
            FRONT + "\nsampling: {temperature: 3}",
            "{document}",
            r"sampling\.temperature is 3; wanted: float from 0 to 2",
        ),
        (FRONT + "\npostfilters: refusal", "{document}", r"postfilters must be a list"),
        (FRONT + "\npostfilters: [{a: 1}]", "{document}", r"post-filter .* cannot be read"),
        (FRONT + "\nproperties: {a: {least: 1}}", "{document}", "has `least` and `most`"),
        (FRONT + "\nproperties: {a: {least: 5, most: 1}}", "{document}", "goes from 5 to 1"),
        (FRONT + "\nproperties: {A b: {}}", "{document}", "'A b' cannot name a column"),
    ],
)
def test_a_wrong_prompt_is_refused_with_its_file_and_the_mend(tmp_path, front, body, message):
    with pytest.raises(RecipeError, match=message):
        loader.load(write(tmp_path, front, body))


def test_a_file_without_front_matter_is_refused(tmp_path):
    path = tmp_path / "bare.md"
    path.write_text("{document}", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"bare\.md has no front matter"):
        loader.load(str(path))


@pytest.mark.parametrize("name", loader.shipped())
def test_the_wording_holds_whether_the_document_comes_first_or_last(name):
    asked = loader.load(name).instruction
    placed = (
        r"(text|passage|page)s? (at the end|below|above|that follows)|^(below|above) (is|are)\b"
    )
    assert not re.search(placed, asked, re.IGNORECASE | re.MULTILINE)
    assert not re.search(r"following (text|passage|page)", asked, re.IGNORECASE)


def test_a_document_that_comes_first_stands_before_everything_that_prompts_differ_in():
    document = "A {river} rises.\n\n(End of the text.)"
    contents = []
    for name in loader.shipped():
        (turn,) = loader.load(name).messages(document, "document_first")
        assert turn["role"] == "user"
        assert turn["content"].count(document) == 1
        assert loader.PLACEHOLDER not in turn["content"]
        assert loader.load(name).system in turn["content"]
        contents.append(turn["content"])
    begin = f"The text:\n\n{document}\n\n(End of the text.)\n\n"
    assert all(content.startswith(begin) for content in contents)
    assert len(set(contents)) == len(contents)
