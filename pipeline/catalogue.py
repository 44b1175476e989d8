"""The list of stages: each verb, its class and its help. A new stage gets an entry here."""

import importlib
from dataclasses import dataclass
from typing import Any

from corpusmill.manifests.errors import RecipeError, nearest
from corpusmill.manifests.named_class import is_class_path, named_class


@dataclass(frozen=True)
class Entry:
    """One stage.

    target: module:class. help: text for `--help`.
    reads_previous: whether it reads the output of the step before. blend and classify-train name
    their inputs instead.
    passes_on: whether the next step reads its output. No step reads a trained classifier or
    tokenizer as its main input.
    """

    target: str
    help: str
    reads_previous: bool = True
    passes_on: bool = True


STAGES: dict[str, Entry] = {
    "extract": Entry(
        "corpusmill.stages.extract.stage:Extract",
        "Read crawl files and keep the text of their pages. Reads WARC, WET, ARC, JSON lines, "
        "Parquet and text files. Turns HTML into text. Identifies the language.",
    ),
    "code": Entry(
        "corpusmill.stages.code.stage:Code",
        "Read program files and keep clean ones. Those without a permissive licence, generated "
        "ones and Python that does not parse go, each with its reason.",
    ),
    "images": Entry(
        "corpusmill.stages.images.stage:Images",
        "Read image-text corpora and filter their images. Reads JSON lines with image files, "
        "Parquet and WebDataset tars. Drops what is small, long, blank or a near duplicate.",
    ),
    "ocr": Entry(
        "corpusmill.stages.ocr.stage:Ocr",
        "Read scanned pages with a model that takes images. Reads PDF files, pictures, WARC files "
        "and page images. Pages with a text layer are read without the model.",
    ),
    "filter": Entry(
        "corpusmill.stages.filter.stage:Filter",
        "Drop documents that break the quality rules. Measures every document, and gives every "
        "drop its reason.",
    ),
    "sections": Entry(
        "corpusmill.stages.sections.stage:Sections",
        "Cut lists of references out of papers. And other sections, by their headings. Records "
        "what it cuts.",
    ),
    "redact": Entry(
        "corpusmill.stages.redact.stage:Redact",
        "Replace personal data by tags, and count it. Finds e-mail and IP addresses, telephone "
        "numbers, card numbers, IBANs and national identity numbers.",
    ),
    "dedup": Entry(
        "corpusmill.stages.dedup.stage:Dedup",
        "Remove exact and near duplicates over all shards. Every removal is verified.",
    ),
    "templates": Entry(
        "corpusmill.stages.templates.stage:Templates",
        "Remove lines that many pages of a site have. Menus, notices and calls to subscribe go. "
        "Records what it removes.",
    ),
    "semantic-dedup": Entry(
        "corpusmill.stages.semantic_dedup.stage:SemanticDedup",
        "Remove documents that mean nearly the same as another. Compares the vectors of a sentence "
        "encoder within clusters.",
    ),
    "substring": Entry(
        "corpusmill.stages.substring.stage:Substring",
        "Cut passages that other documents have. Finds them with a suffix array. Keeps one copy.",
    ),
    "annotate": Entry(
        "corpusmill.stages.annotate.stage:Annotate",
        "Grade a sample of documents with a language model. Classifiers learn from the grades.",
        passes_on=False,
    ),
    "classify-train": Entry(
        "corpusmill.stages.classify_train.stage:ClassifyTrain",
        "Train quality scorers on labelled text.",
        False,
        False,
    ),
    "classify": Entry(
        "corpusmill.stages.classify.stage:Classify",
        "Score quality and give every document a level. Combines several scorers into buckets 0-19 "
        "and five levels.",
    ),
    "link": Entry(
        "corpusmill.stages.link.stage:Link",
        "Find pairs of documents of which one links to the other. Prompts about two documents ask "
        "about them.",
    ),
    "synthesize": Entry(
        "corpusmill.stages.synthesize.stage:Synthesize",
        "Rephrase and expand documents with a language model. Prompts are chosen by level.",
    ),
    "render": Entry(
        "corpusmill.stages.render.stage:Render",
        "Draw documents as page images. A model learns to read from them.",
    ),
    "decontaminate": Entry(
        "corpusmill.stages.decontaminate.stage:Decontaminate",
        "Take evaluation items out of documents. Finds questions with their answers, questions "
        "alone and answers alone, and says which item it is.",
    ),
    "mix": Entry(
        "corpusmill.stages.mix.stage:Mix",
        "Propose the weights of a blend from many small runs. Trains a small model on each of many "
        "mixtures of a packed pool, and fits a regression to what they have learnt.",
        passes_on=False,
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
    "convert": Entry(
        "corpusmill.stages.convert.stage:Convert",
        "Write tokens or documents for other tools. Megatron's .bin and .idx, flat token files, or "
        "a folder for Hugging Face's datasets.",
        passes_on=False,
    ),
    "train": Entry(
        "corpusmill.stages.train.stage:Train",
        "Train a Mamba-2/attention/FFN hybrid on token shards.",
    ),
    "export": Entry(
        "corpusmill.stages.export.stage:Export", "Write the model for transformers and vLLM."
    ),
    "evaluate": Entry(
        "corpusmill.stages.evaluate.stage:Evaluate",
        "Measure a model on tasks and on held-out text. Scores multiple choice and texts by "
        "log-likelihood, and generated answers and programs by what they should be.",
        passes_on=False,
    ),
    "ablate": Entry(
        "corpusmill.stages.ablate.stage:Ablate",
        "Show what steps of curation are worth. Trains a small model on each of several data sets, "
        "with several seeds, and compares them on held-out text and tasks.",
        False,
        False,
    ),
    "importance": Entry(
        "corpusmill.stages.compress.importance:Importance",
        "Measure which parts of a trained hybrid matter. Prints the layers in the order in which "
        "they would go.",
        passes_on=False,
    ),
    "compress": Entry(
        "corpusmill.stages.compress.stage:Compress",
        "Make a trained hybrid smaller: search, prune, distil. Finds the children that fit a "
        "budget, and writes the best one as transformers and vLLM load it.",
    ),
}


def entry_of(verb: str) -> Entry:
    """The entry of a verb, or of a stage of your own (`module:Class`)."""
    if not is_class_path(verb):
        return STAGES[verb]
    from corpusmill.stages.contract import Account

    own = stage_class(verb)
    return Entry(verb, own.__doc__ or "", passes_on=own.account is not Account.MANY_TO_ONE)


def default_name(verb: str) -> str:
    """The name of a step to which the recipe gives none. Raises RecipeError for an unknown verb."""
    own = stage_class(verb)
    return str(own.name) if is_class_path(verb) else verb


def stage_class(verb: str) -> type[Any]:
    """The settings class of a stage, or the class of your own that `verb` names as `module:Class`.

    Raises RecipeError if there is no such stage.
    """
    if is_class_path(verb):
        from corpusmill.stages.contract import GlobalStage, MapStage, Stage

        own = named_class(verb, Stage, "stage")
        if not issubclass(own, MapStage | GlobalStage) or not hasattr(own, "name"):
            raise RecipeError(
                f"{verb} is no whole stage",
                "derive it from corpusmill.MapStage or corpusmill.DocumentFilter, and give it a "
                "`name: ClassVar[str]`",
            )
        return own
    if verb not in STAGES:
        raise RecipeError(f"there is no stage {verb!r}", nearest(verb, STAGES))
    module, name = STAGES[verb].target.split(":")
    return getattr(importlib.import_module(module), name)
