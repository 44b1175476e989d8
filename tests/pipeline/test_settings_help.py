"""The help of a verb names every key that its recipe entry may have, with default and meaning."""

import pytest
from corpusmill.pipeline.catalogue import STAGES
from corpusmill.pipeline.settings_help import settings_help


@pytest.mark.parametrize("verb", STAGES)
def test_every_setting_has_a_meaning(verb):
    assert [setting.head for setting in settings_help(verb) if ":" not in setting.text] == []


@pytest.mark.parametrize(
    ("verb", "head", "text"),
    [
        (
            "extract",
            "extract.repair.normalization=NFC",
            "NFC | NFKC | null: The Unicode normal form; null for none. "
            "NFKC changes meaning: 10³ becomes 103.",
        ),
        (
            "filter",
            "filter.rules[].threshold (required)",
            "float: What the measured value is compared with.",
        ),
        (
            "filter",
            "filter.thresholds={}",
            "mapping of text to mapping of text to float: "
            "Family -> rule name -> another threshold.",
        ),
        (
            "classify-train",
            "classify-train.embedding.encoder (required)",
            "text: A local folder, or a name on the Hugging Face hub.",
        ),
        ("classify", "classify.scorers.NAME.kind=fasttext", "with these settings:"),
        (
            "synthesize",
            "synthesize.engine.tensor_parallel_size=1",
            "int of at least 1: GPUs that one engine takes.",
        ),
        (
            "synthesize",
            "synthesize.routes={low: [rephrase], high: [rephrase, diverse_qa, distill, "
            "extract_knowledge, knowledge_list]}",
            "mapping of text to list of text: Level -> prompts, each by its shipped name or the "
            "path of a prompt file. "
            "`unscored` routes documents without a level. Default: Nemotron-CC, section 2.3.",
        ),
        (
            "blend",
            "blend.sources.NAME.max_epochs=1.0",
            "float above 0 | null: How often a document may be taken, at most. Null: no cap. "
            "Up to 4 costs little (arXiv 2305.16264).",
        ),
        ("train", "train.clip=1.0", "float above 0: Largest norm of the gradient."),
    ],
)
def test_nested_settings_show_their_keys(verb, head, text):
    assert (head, text) in [(setting.head, setting.text) for setting in settings_help(verb)]
