"""An error in a setting names the whole key and what the key may hold, at any depth."""

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
        ("extract.languages=[1]", "extract.languages[0] is 1; wanted: text, as in '1'"),
        ("extract.languages=", "extract.languages is null; wanted: list of text"),
        ("extract.statuses=[200]", "extract.statuses is [200]; wanted: [int, int]"),
        (
            "extract.reader.format=wrc",
            "extract.reader.format is 'wrc'; "
            "wanted: auto | warc | arc | jsonl | parquet | text | pdf",
        ),
        (
            "extract.language_thresholds={en: x}",
            "extract.language_thresholds.en is 'x'; wanted: float from 0 to 1",
        ),
        (
            "extract.language_thresholds={5: 1}",
            "unknown key extract.language_thresholds.5; wanted: text",
        ),
        (
            "redact.tags={mail: x}",
            "unknown key redact.tags.mail; wanted: email | ip | phone | card | iban | national_id",
        ),
        ("dedup.exact=maybe", "dedup.exact is 'maybe'; wanted: true | false"),
        (
            "classify.scorers={a: {kind: foo}}",
            "classify.scorers.a.kind is 'foo'; "
            "wanted: fasttext | embedding | static | statistics | own",
        ),
        (
            "classify.scorers={a: {}}",
            "classify.scorers.a.kind is missing; "
            "wanted: fasttext | embedding | static | statistics | own",
        ),
        (
            "classify.scorers={a: {kind: fasttext}}",
            "classify.scorers.a.model is missing; give --set classify.scorers.a.model=...: text",
        ),
        (
            "synthesize.engine=5",
            "synthesize.engine is 5; "
            "wanted: mapping with kind: embedded | transformers | openai | vllm",
        ),
        (
            "blend.sources={a: {input: [5], weight: 1}}",
            "blend.sources.a.input is [5]; wanted: text | list of text",
        ),
        (
            "blend.sources={a: {input: x, weight: 1, kinds: [real]}}",
            "blend.sources.a.kinds[0] is 'real'; wanted: actual | synthetic",
        ),
        (
            "train.model.hidden_size=big",
            "train.model.hidden_size is 'big'; wanted: int of at least 1",
        ),
    ],
)
def test_a_wrong_value_names_its_key_and_what_is_wanted(assignment, message):
    assert refusal(assignment) == message


def test_a_scalar_in_place_of_a_mapping_names_the_mapping_s_keys():
    assert refusal("extract.repair=false").startswith(
        "extract.repair is false; wanted: mapping with on, entities,"
    )


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "extract.repair.ftfy=1",
            "unknown key extract.repair.ftfy; known keys: on, entities, ligatures",
        ),
        ("extract.reader.formt=warc", "unknown key extract.reader.formt; did you mean 'format'?"),
        ("extract.name=x", "unknown key extract.name; known keys: reader, extractor"),
        ("train.model.foo=1", "unknown key train.model.foo; known keys: pattern, hidden_size"),
        ("pack.tokeniser=x", "unknown key pack.tokeniser; did you mean 'tokenizer'?"),
        (
            "synthesize.engine={kind: openai, ur: x}",
            "unknown key synthesize.engine.ur; did you mean 'url'?",
        ),
        (
            "classify.scorers={a: {kind: fasttext, mdel: x}}",
            "unknown key classify.scorers.a.mdel; did you mean 'model'?",
        ),
    ],
)
def test_an_unknown_key_names_the_keys_of_its_own_level(assignment, message):
    assert refusal(assignment).startswith(message)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "extract.statuses=[299, 200]",
            "extract.statuses is [299, 200]; give the lowest and the highest",
        ),
        ("redact.kinds=[ip, ip]", "redact.kinds is [ip, ip]; name each kind at most once"),
        ("dedup.template=['(']", "dedup.template holds '(', which is no regular expression"),
        ("classify-train.positive=[x]", "classify-train has only one side"),
        ("filter.families=[gophr]", "filter: there is no rule family 'gophr'; did you mean"),
    ],
)
def test_what_a_stage_itself_refuses_has_its_key_too(assignment, message):
    assert refusal(assignment).startswith(message)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        (
            "extract.page_memory_mb=1",
            "extract.page_memory_mb is 1; wanted: int from 512 to 16777216",
        ),
        (
            "extract.language_threshold=5",
            "extract.language_threshold is 5; wanted: float from 0 to 1",
        ),
        (
            "extract.reader.max_payload_bytes=0",
            "extract.reader.max_payload_bytes is 0; wanted: int of at least 1",
        ),
        (
            "blend.sources={a: {input: x, weight: -1}}",
            "blend.sources.a.weight is -1; wanted: float of at least 0",
        ),
        (
            "blend.sources={}",
            "blend.sources is {}; wanted: mapping of text to mapping with input, weight",
        ),
        (
            "filter.rules=[{name: a, statistic: words, comparison: '<', threshold: .inf}]",
            "filter.rules[0].threshold is inf; wanted: float",
        ),
        (
            "synthesize.engine.threads=0",
            "synthesize.engine.threads is 0; wanted: int of at least 1",
        ),
        (
            "synthesize.max_documents=-1",
            "synthesize.max_documents is -1; wanted: int of at least 0 | null",
        ),
        ("synthesize.samples=0", "synthesize.samples is 0; wanted: int of at least 1"),
        (
            "synthesize.min_joined_share=4",
            "synthesize.min_joined_share is 4; wanted: float from 0 to 1",
        ),
        ("train.device=tpu", "train.device is 'tpu'; wanted: auto | cpu | cuda | cuda:1 | mps"),
        ("train.beta1=2", "train.beta1 is 2; wanted: float of at least 0, below 1"),
        ("train.clip=.nan", "train.clip is nan; wanted: float above 0"),
        ("train.learning_rate=.nan", "train.learning_rate is nan; wanted: float above 0"),
        ("train.eval_fraction=1", "train.eval_fraction is 1; wanted: float of at least 0, below 1"),
        ("train.model.init_std=.nan", "train.model.init_std is nan; wanted: float above 0 | null"),
        ("train.model.norm_epsilon=-1", "train.model.norm_epsilon is -1; wanted: float above 0"),
    ],
)
def test_a_number_out_of_its_range_is_refused_before_anything_starts(assignment, message):
    assert refusal(assignment).startswith(message)


def test_borders_are_refused_in_the_words_of_the_key():
    scorers = "classify.scorers={a: {kind: statistics, model: x}}"
    bucket = "int from 1 to 19"
    wanted = f"[{', '.join([bucket] * 4)}]"
    assert (
        refusal("classify.borders=[1, 2]", scorers)
        == f"classify.borders is [1, 2]; wanted: {wanted}"
    )
    assert "give four ascending buckets" in refusal("classify.borders=[5, 4, 3, 2]", scorers)


def test_a_context_length_is_positive():
    message = refusal("export.tokenizer=x", "export.context_length=-5")
    assert "export.context_length is -5; wanted: int of at least 1 | null" in message


def test_a_rule_family_is_named_once_and_a_threshold_is_a_number():
    for assignment, message in (
        ("filter.families=[c4,c4]", "the family c4 is named twice"),
        (
            "filter.thresholds={c4: {few_sentences: .nan}}",
            "filter.thresholds.c4.few_sentences is nan; wanted: float",
        ),
    ):
        assert message in refusal(assignment)
