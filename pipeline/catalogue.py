"""The stages there are: each verb, the class that does it, and one line of help. Adding a stage is adding a line here."""

import importlib
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests.errors import RecipeError, nearest


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
        "corpusmill.stages.extract.stage:Extract",
        "Read crawl files and keep the text of their pages. Reads WARC, WET, ARC, JSON lines, Parquet and text files; turns HTML into "
        "text; identifies the language.",
    ),
    "filter": Entry(
        "corpusmill.stages.filter.stage:Filter",
        "Drop documents that break the quality rules. Every document is measured, and every drop has its reason.",
    ),
    "redact": Entry(
        "corpusmill.stages.redact.stage:Redact",
        "Replace personal data by tags, and count it. E-mail and IP addresses, telephone numbers, cards and IBANs.",
    ),
    "dedup": Entry(
        "corpusmill.stages.dedup.stage:Dedup",
        "Remove exact and near duplicates over all shards. Every removal is verified.",
    ),
    "substring": Entry(
        "corpusmill.stages.substring.stage:Substring",
        "Cut passages that other documents have. By suffix array; one copy stays.",
    ),
    "classify-train": Entry(
        "corpusmill.stages.classify_train.stage:ClassifyTrain",
        "Train quality scorers on labelled text.",
        False,
        False,
    ),
    "classify": Entry(
        "corpusmill.stages.classify.stage:Classify",
        "Score quality and give every document a level. By an ensemble of scorers; buckets 0-19, five levels.",
    ),
    "synthesize": Entry(
        "corpusmill.stages.synthesize.stage:Synthesize",
        "Rephrase and expand documents with a language model. Prompts are chosen by level.",
    ),
    "blend": Entry(
        "corpusmill.stages.blend.stage:Blend",
        "Mix corpora by weights with an epoch cap for each source.",
        False,
    ),
    "tokenizer": Entry(
        "corpusmill.stages.tokenizer.stage:Tokenizer",
        "Train a byte-level BPE tokenizer.",
        passes_on=False,
    ),
    "pack": Entry(
        "corpusmill.stages.pack.stage:Pack", "Tokenise documents into the trainer's token shards."
    ),
    "train": Entry(
        "corpusmill.stages.train.stage:Train",
        "Train a Mamba-2/attention/FFN hybrid on token shards.",
    ),
    "export": Entry(
        "corpusmill.stages.export.stage:Export", "Write the model as transformers and vLLM load it."
    ),
}


def stage_class(verb: str) -> type[Any]:
    """The configuration class of a stage. Raises RecipeError naming the nearest verb if there is no such stage."""
    if verb not in STAGES:
        raise RecipeError(f"there is no stage {verb!r}", nearest(verb, STAGES))
    module, name = STAGES[verb].target.split(":")
    return getattr(importlib.import_module(module), name)
