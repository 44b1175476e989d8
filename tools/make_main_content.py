"""Make `main_content/forest.safetensors`: the model with which the default extractor judges blocks.

    python -m corpusmill.tools.make_main_content --data FOLDER [--output FILE] [--tune]

This needs scikit-learn and trafilatura; corpusmill itself does not. Every block of a page is a row:
its features, and whether it is main content. A row's weight is the dampened number of its words.
Every page has the same weight.

Three forests are trained, one after the other:

1. on pages with reference texts under a permissive licence (`gold_pages.PERMISSIVE`), of the
   tuning half of the sites;
2. on these, and on pages without reference, labelled by the vote of the first forest and
   trafilatura (`block_labels.by_vote`);
3. the same again, by the vote of the second forest (`by_second_vote`). This is the model.

The pages without reference are those of `web` and `web2`, and the tuning half of the other sources
of `web_articles`, whose references are not read. At the end, the measure on both halves is printed.
`--tune` cross-validates on the tuning half alone, so that the held-out half chooses nothing. The
same data gives the same file.
"""

import argparse
import logging
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from corpusmill.manifests.package_data import package_file
from corpusmill.stages.extract import language, main_content
from corpusmill.stages.extract.page.block_text import WORDS
from corpusmill.stages.extract.page.page import BEGIN, END, TITLE
from corpusmill.stages.extract.page.trees import Forest, probabilities
from corpusmill.stages.extract.rendering import rendered
from corpusmill.stages.readers.charset import decoded
from corpusmill.tools.block_labels import by_reference, by_second_vote, by_vote
from corpusmill.tools.gold_pages import (
    PERMISSIVE,
    TUNING,
    ReferencePage,
    Score,
    mean,
    part_of,
    reference_pages,
    score,
    unlabelled_pages,
)
from numpy.typing import NDArray

FOLDS = 5
DAMPENED = 0.7  # exponent of a block's number of words in its weight
VOTED = 0.4  # weight of a page that is labelled by vote; a page with a reference has 1
INDEX = "index.jsonl.zst"
PER_SITE = 6  # pages without a reference of one site
NOT_ARTICLES = ("apache-flink-web", "apache-kafka-site")  # hundreds of pages on one template
Vote = tuple[NDArray[np.bool_], NDArray[np.bool_]] | None
FOREST = {
    "learning_rate": 0.08,
    "max_leaf_nodes": 20,
    "max_depth": 7,
    "min_samples_leaf": 60,
    "l2_regularization": 0.5,
    "max_features": 0.3,
    "max_bins": 127,
    "early_stopping": False,
    "random_state": 0,
}


class Sample:
    """A page as rows to learn from.

    labels: which blocks are main content. weights: of the blocks; they sum to about 1 before a
    vote takes the doubtful ones out.
    """

    def __init__(self, page: ReferencePage) -> None:
        self.page = page
        self.blocks = main_content.blocks_of(decoded(page.payload, page.charset)[0])
        sample = main_content.language_sample(self.blocks)
        english = main_content.looks_english(sample)
        self.features = main_content.features_of(
            self.blocks, "en" if english else language.identify([sample])[0].code
        )
        self.texts = [
            self.blocks.text[block[BEGIN] : block[END]].decode() for block in self.blocks.blocks
        ]
        self.fold = part_of(page.domain, FOLDS, "fold")
        self.set_labels(self._labels(f"{page.title}\n{page.reference}"))

    def set_labels(self, labels: NDArray[np.bool_], share: float = 1.0) -> None:
        """Labels, and with them the weights. share: weight of the page."""
        self.labels = labels
        sizes = np.maximum(self.features[:, WORDS], 1).astype(np.float64) ** DAMPENED
        self.weights = share * sizes / max(sizes[labels].sum(), sizes.sum() / 10)

    def taken_by_trafilatura(self) -> NDArray[np.bool_]:
        """The blocks that trafilatura keeps of the page."""
        import trafilatura

        try:
            text = trafilatura.extract(self.page.payload, include_comments=False) or ""
        except Exception:  # noqa: BLE001  (a page on which the peer fails teaches nothing)
            text = ""
        return self._labels(text)

    def scores(self, forest: Forest) -> NDArray[np.float32]:
        return probabilities(forest, self.features) * ~self._titles()

    def text(self, forest: Forest) -> str:
        page = self.blocks
        chosen = main_content.chosen(page, self.features, forest)
        return rendered(page.text, page.blocks, page.elements, chosen)

    def _labels(self, text: str) -> NDArray[np.bool_]:
        return by_reference(self.texts, text) & ~self._titles()

    def _titles(self) -> NDArray[np.bool_]:
        return self.blocks.blocks[:, TITLE] != 0


def samples_of(pages: Sequence[ReferencePage]) -> list[Sample]:
    """The pages that have a block of text."""
    found = []
    for page in pages:
        try:
            found.append(Sample(page))
        except (main_content.TooManyBlocks, ValueError):  # a page without text has no rows
            continue
    return [sample for sample in found if len(sample.features)]


def pages_to_vote_on(data: Path, known: Sequence[ReferencePage]) -> Iterator[ReferencePage]:
    """Pages whose references are absent, or not read because of their licence."""
    web = unlabelled_pages(data, known, "web", "crawl-*.warc.gz", INDEX, PER_SITE)
    yield from (page for page in web if page.source not in NOT_ARTICLES)
    yield from unlabelled_pages(data, known, "web2", "crawl2-*.warc.gz", INDEX, PER_SITE)
    yield from (page for page in known if page.half == TUNING and page.source not in PERMISSIVE)


def trained(labelled: Sequence[Sample], voted: Sequence[Sample] = ()) -> Forest:
    """The forest of the last round. labelled: by their references. voted: pages to vote on."""
    forest = fitted(labelled, 200)
    taken = [sample.taken_by_trafilatura() for sample in voted]
    for vote, trees in ((first_vote, 150), (second_vote, 300)):
        agreed = [
            sample
            for sample, peer in zip(voted, taken, strict=True)
            if label(sample, vote(sample, peer, forest))
        ]
        print(f"{len(agreed)} of {len(voted)} pages are labelled by vote", flush=True)
        forest = fitted([*labelled, *agreed], trees)
    return forest


def first_vote(sample: Sample, peer: NDArray[np.bool_], forest: Forest) -> Vote:
    comments = (
        sample.features[:, main_content.FEATURES.index("comment")] <= main_content.NEAR_COMMENTS
    )
    return by_vote(peer, sample.scores(forest), sample.features[:, WORDS], comments)


def second_vote(sample: Sample, peer: NDArray[np.bool_], forest: Forest) -> Vote:
    chosen = main_content.chosen(sample.blocks, sample.features, forest)
    return by_second_vote(peer, sample.scores(forest), sample.features[:, WORDS], chosen)


def label(sample: Sample, vote: Vote) -> bool:
    """Label a page by a vote. False if it teaches nothing."""
    if vote is None:
        return False
    labels, teach = vote
    sample.set_labels(labels, VOTED)
    sample.weights = sample.weights * teach
    return True


def fitted(samples: Sequence[Sample], trees: int) -> Forest:
    """A forest of so many trees that is trained on these pages."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(**FOREST, max_iter=trees)
    model.fit(
        np.vstack([sample.features for sample in samples]),
        np.concatenate([sample.labels for sample in samples]),
        sample_weight=np.concatenate([sample.weights for sample in samples]),
    )
    return forest_of(model)


def forest_of(model: Any) -> Forest:
    """scikit-learn's trees as one table of nodes. A node's two children stand side by side."""
    roots: list[int] = []
    depths: list[int] = []
    nodes: list[tuple[int, float, int, float]] = []  # feature, threshold, left, value
    for (predictor,) in model._predictors:
        tree = predictor.nodes
        roots.append(len(nodes))
        depths.append(int(tree["depth"].max()))
        waiting = deque([(0, len(nodes))])  # node of the tree, its place in the table
        nodes.append((0, np.inf, 0, 0.0))
        while waiting:
            number, place = waiting.popleft()
            node = tree[number]
            if node["is_leaf"]:
                nodes[place] = (0, np.inf, place, float(node["value"]))
                continue
            children = len(nodes)
            nodes[place] = (int(node["feature_idx"]), float(node["num_threshold"]), children, 0.0)
            waiting += [(int(node["left"]), children), (int(node["right"]), children + 1)]
            nodes += [(0, np.inf, 0, 0.0)] * 2
    features, thresholds, left, values = zip(*nodes, strict=True)
    return Forest(
        np.array(roots, np.int32),
        np.array(depths, np.int32),
        np.array(features, np.int32),
        np.array(thresholds, np.float32),
        np.array(left, np.int32),
        np.array(values, np.float32),
        float(np.ravel(model._baseline_prediction)[0]),
    )


def report(samples: Sequence[Sample], forest: Forest) -> None:
    """Print the measure on both halves, by source."""
    rows: dict[tuple[int, str], list[Score]] = {}
    for sample in samples:
        rows.setdefault((sample.page.half, sample.page.source), []).append(outcome(sample, forest))
    for (half, source), scores in sorted(rows.items()):
        total = mean(scores)
        print(
            f"{'tuning' if half == TUNING else 'held out'}: {source}, {len(scores)} pages, "
            f"F1 {total.f1:.4f}, precision {total.precision:.4f}, recall {total.recall:.4f}"
        )


def outcome(sample: Sample, forest: Forest) -> Score:
    return score(sample.text(forest), sample.page.reference, sample.page.title)


def cross_validate(
    labelled: Sequence[Sample], voted: Sequence[Sample], measured: Sequence[Sample]
) -> None:
    """Print the measure on the tuning half, by a forest that saw no page of two fifths of the
    sites.
    """
    forest = trained(
        [sample for sample in labelled if sample.fold < 3],
        [sample for sample in voted if sample.fold < 3],
    )
    report([sample for sample in measured if sample.fold >= 3], forest)


def main() -> None:
    from safetensors.numpy import save_file

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument(
        "--data", type=Path, required=True, help="the folder that holds web/, web2/, web_articles/"
    )
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--tune", action="store_true", help="cross-validate on the tuning half and write nothing"
    )
    arguments = parser.parse_args()
    output = arguments.output or package_file("models", "main_content", "forest.safetensors")
    known = reference_pages(arguments.data)
    voted = samples_of(list(pages_to_vote_on(arguments.data, known)))
    samples = samples_of(known)
    tuning = [sample for sample in samples if sample.page.half == TUNING]
    labelled = [sample for sample in tuning if sample.page.source in PERMISSIVE]
    if arguments.tune:
        cross_validate(labelled, voted, tuning)
        return
    forest = trained(labelled, voted)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(forest._asdict() | {"bias": np.array([forest.bias])}, output)
    report(samples, forest)


if __name__ == "__main__":
    main()
