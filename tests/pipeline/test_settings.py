"""A setting that cannot be used is refused with its whole key and what the key may hold, whatever its depth."""

import pytest
from corpusmill.manifests.errors import RecipeError
from corpusmill.pipeline.recipe import Recipe, Step, build_stage, override


def refusal(*assignments):
    verb = assignments[0].partition(".")[0]
    step = override(Recipe(verb, (), (Step(verb, verb),)), list(assignments)).steps[0]
    with pytest.raises(RecipeError) as raised:
        build_stage(step, lambda name: f"/out/{name}")
    return str(raised.value)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("extract.languages=en", "extract.languages is 'en'; wanted: list of text, as in [en]"),
        ("extract.languages=[1]", "extract.languages.0 is 1; wanted: text, as in '1'"),
        ("extract.languages=", "extract.languages is null; wanted: list of text"),
        ("extract.statuses=[200]", "extract.statuses is [200]; wanted: [int, int]"),
        ("extract.reader.format=wrc", "extract.reader.format is 'wrc'; wanted: auto | warc | arc | jsonl | parquet | text"),
        ("extract.language_thresholds={en: x}", "extract.language_thresholds.en is 'x'; wanted: float"),
        ("extract.language_thresholds={5: 1}", "unknown key extract.language_thresholds.5; wanted: text"),
        ("redact.tags={mail: x}", "unknown key redact.tags.mail; wanted: email | ip | phone | card | iban"),
        ("dedup.exact=maybe", "dedup.exact is 'maybe'; wanted: true | false"),
        ("classify.scorers={a: {kind: foo}}", "classify.scorers.a.kind is 'foo'; wanted: fasttext | embedding | statistics"),
        ("classify.scorers={a: {}}", "classify.scorers.a.kind is missing; wanted: fasttext | embedding | statistics"),
        ("classify.scorers={a: {kind: fasttext}}", "classify.scorers.a.model is missing; give --set classify.scorers.a.model=...: text"),
        ("synthesize.engine=5", "synthesize.engine is 5; wanted: mapping with kind: transformers | openai | vllm"),
        ("blend.sources={a: {input: [5], weight: 1}}", "blend.sources.a.input is [5]; wanted: text | list of text"),
        ("blend.sources={a: {input: x, weight: 1, kinds: [real]}}", "blend.sources.a.kinds.0 is 'real'; wanted: actual | synthetic"),
        ("train.model.hidden_size=big", "train.model.hidden_size is 'big'; wanted: int"),
    ],
)  # fmt: skip
def test_a_wrong_value_names_its_key_and_what_is_wanted(assignment, message):
    assert refusal(assignment) == message


def test_a_scalar_in_place_of_a_mapping_names_the_mapping_s_keys():
    assert refusal("extract.repair=false").startswith(
        "extract.repair is false; wanted: mapping with on, entities,"
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("extract.repair.ftfy=1", "unknown key extract.repair.ftfy; known keys: on, entities, ligatures"),
        ("extract.reader.formt=warc", "unknown key extract.reader.formt; did you mean 'format'?"),
        ("extract.name=x", "unknown key extract.name; known keys: reader, extractor"),
        ("train.model.foo=1", "unknown key train.model.foo; known keys: pattern, hidden_size"),
        ("pack.tokeniser=x", "unknown key pack.tokeniser; did you mean 'tokenizer'?"),
        ("synthesize.engine={kind: openai, ur: x}", "unknown key synthesize.engine.ur; did you mean 'url'?"),
        ("classify.scorers={a: {kind: fasttext, mdel: x}}", "unknown key classify.scorers.a.mdel; did you mean 'model'?"),
    ],
)  # fmt: skip
def test_an_unknown_key_names_the_keys_of_its_own_level(assignment, message):
    assert refusal(assignment).startswith(message)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "extract.statuses=[299, 200]",
            "extract.statuses is [299, 200]; give the lowest and the highest",
        ),
        ("extract.page_memory_mb=1", "extract.page_memory_mb is 1; give at least 512"),
        ("extract.language_threshold=5", "extract has the language threshold 5.0; give a score"),
        (
            "extract.reader.max_payload_bytes=0",
            "extract.reader: max_payload_bytes is 0; give a positive number",
        ),
        ("dedup.template=['(']", "dedup.template holds '(', which is no regular expression"),
        ("blend.sources={a: {input: x, weight: -1}}", "blend.sources.a: a blend source has weight"),
        ("classify-train.positive=[x]", "classify-train has only one side"),
        ("filter.families=[gophr]", "filter: there is no rule family 'gophr'; did you mean"),
    ],
)
def test_what_a_stage_itself_refuses_has_its_key_too(assignment, message):
    assert refusal(assignment).startswith(message)


def test_borders_are_refused_in_the_words_of_the_key():
    scorers = "classify.scorers={a: {kind: statistics, model: x}}"
    wanted = "[int, int, int, int]"
    assert (
        refusal("classify.borders=[1, 2]", scorers)
        == f"classify.borders is [1, 2]; wanted: {wanted}"
    )
    assert "give four ascending buckets" in refusal("classify.borders=[5, 4, 3, 2]", scorers)


def test_a_context_length_is_positive():
    message = refusal("export.tokenizer=x", "export.context_length=-5")
    assert "context_length is -5; give a positive number or leave it out" in message


def test_a_rule_family_is_named_once_and_a_threshold_is_a_number():
    for assignment, message in (
        ("filter.families=[c4,c4]", "the family c4 is named twice"),
        (
            "filter.thresholds={c4: {few_sentences: .nan}}",
            "the threshold of c4.few_sentences is nan",
        ),
    ):
        assert message in refusal(assignment)
