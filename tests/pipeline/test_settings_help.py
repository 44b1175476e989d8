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
        ("extract", "extract.repair.normalization=NFC",
         "NFC | NFKC | null: NFC, NFKC (changes meaning: 10³ becomes 103), or null for none"),
        ("filter", "filter.rules[].threshold (required)", "float: what drops a document"),
        ("filter", "filter.thresholds={}", "mapping of text to mapping of text to float: family -> rule name -> another threshold"),
        ("classify-train", "classify-train.embedding.encoder (required)", "text: a local folder, or a name on the Hugging Face hub"),
        ("classify", "classify.scorers.NAME.kind=fasttext", "with these settings:"),
        ("synthesize", "synthesize.engine.tensor_parallel_size=1", "int: GPUs that one engine takes"),
        ("synthesize", "synthesize.routes={low: [rephrase], high: [rephrase, diverse_qa, distill, extract_knowledge, knowledge_list]}",
         "mapping of text to list of text: level -> prompts, by shipped name or path to a prompt file; `unscored` routes documents "
         "without a level"),
        ("blend", "blend.sources.NAME.max_epochs=1.0", "float | null: null: no cap. Up to 4 costs little (arXiv 2305.16264)"),
        ("train", "train.clip=1.0", "float: largest gradient norm"),
    ],
)  # fmt: skip
def test_nested_settings_show_their_keys(verb, head, text):
    assert (head, text) in [(setting.head, setting.text) for setting in settings_help(verb)]
