"""The stages there are: each verb, the class that does it, and one line of help. Adding a stage is adding a line here."""

import importlib
from dataclasses import dataclass
from typing import Any

from manifests.errors import RecipeError, nearest


@dataclass(frozen=True)
class Entry:
    """target: module:class. reads_previous: takes the step before as its input (blend and classify-train name theirs).
    passes_on: the next step reads its output by default (a trained classifier or tokenizer is a side product)."""

    target: str
    help: str
    reads_previous: bool = True
    passes_on: bool = True


STAGES: dict[str, Entry] = {
    "extract": Entry(
        "stages.extract.stage:Extract", "Read WARC, WET, JSONL or Parquet; turn HTML into text; identify the language."
    ),
    "filter": Entry(
        "stages.filter.stage:Filter",
        "Measure every document and drop what breaks the quality rules, each with its reason.",
    ),
    "redact": Entry(
        "stages.redact.stage:Redact",
        "Replace e-mail and IP addresses, telephone numbers, cards and IBANs by tags; count them.",
    ),
    "dedup": Entry(
        "stages.dedup.stage:Dedup", "Remove exact and near duplicates over all shards, every removal verified."
    ),
    "substring": Entry(
        "stages.substring.stage:Substring", "Cut passages that other documents have, by suffix array; one copy stays."
    ),
    "classify-train": Entry(
        "stages.classify.train:ClassifyTrain", "Train quality scorers on labelled text.", False, False
    ),
    "classify": Entry(
        "stages.classify.stage:Classify",
        "Score quality with an ensemble; give every document a bucket 0-19 and a level.",
    ),
    "synthesize": Entry(
        "stages.synthesize.stage:Synthesize", "Rephrase and expand documents with a language model, routed by level."
    ),
    "blend": Entry("stages.blend.stage:Blend", "Mix corpora by weights with an epoch cap for each source.", False),
    "tokenizer": Entry("stages.pack.tokenizer:Tokenizer", "Train a byte-level BPE tokenizer.", passes_on=False),
    "pack": Entry("stages.pack.stage:Pack", "Tokenise documents into the token shards that the trainer reads."),
    "train": Entry("pipeline.training:Train", "Train a Mamba-2/attention/FFN hybrid on token shards."),
    "export": Entry(
        "pipeline.training:Export", "Write the trained model as a folder that transformers and vLLM load."
    ),
}


def stage_class(verb: str) -> type[Any]:
    """The configuration class of a stage. Raises RecipeError naming the nearest verb if there is no such stage."""
    if verb not in STAGES:
        raise RecipeError(f"there is no stage {verb!r}", nearest(verb, STAGES))
    module, name = STAGES[verb].target.split(":")
    return getattr(importlib.import_module(module), name)
