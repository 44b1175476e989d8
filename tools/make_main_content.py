"""Make `main_content/forest.safetensors`: the model with which the default extractor judges blocks.

    python -m corpusmill.tools.make_main_content --data FOLDER [--output FILE] [--tune]

This needs scikit-learn; corpusmill itself does not. Every block of a page in the tuning half is a
row: its features, and whether its words stand in the page's reference text, in sequence. A row's
weight is the dampened number of its words. Every page has the same weight. At the end, the measure
on both halves is printed. `--tune` cross-validates on the tuning half alone, so that the held-out
half chooses nothing. The same data gives the same file.
"""

import argparse
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from corpusmill.manifests.package_data import package_file
from corpusmill.stages.extract import main_content
from corpusmill.stages.extract.page.block_text import WORDS
from corpusmill.stages.extract.page.page import BEGIN, END, TITLE
from corpusmill.stages.extract.page.trees import Forest
from corpusmill.stages.extract.rendering import rendered
from corpusmill.stages.readers.charset import decoded
from corpusmill.tools.wcxb import (
    HELD_OUT,
    TUNING,
    ReferencePage,
    Score,
    mean,
    part_of,
    reference_pages,
    score,
    words,
)
from numpy.typing import NDArray

FOLDS = 5
DAMPENED = 0.7  # exponent of a block's number of words in its weight
GRAM = 4  # words in sequence that make a match
NEAR = 4  # blocks on each side that count as close
FOREST = {
    "max_iter": 120,
    "learning_rate": 0.1,
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

    labels: which blocks are in the reference. weights: of the blocks; they sum to about 1.
    """

    def __init__(self, page: ReferencePage) -> None:
        self.page = page
        self.blocks = main_content.blocks_of(decoded(page.payload, page.charset)[0])
        self.features = main_content.features_of(self.blocks, "en")
        texts = [
            self.blocks.text[block[BEGIN] : block[END]].decode() for block in self.blocks.blocks
        ]
        self.labels = labels(texts, page.reference)
        self.labels[self.blocks.blocks[:, TITLE] != 0] = False
        sizes = np.maximum(self.features[:, WORDS], 1).astype(np.float64) ** DAMPENED
        self.weights = sizes / max(sizes[self.labels].sum(), sizes.sum() / 10)
        self.fold = part_of(page.domain, FOLDS, "fold")


def labels(texts: Sequence[str], reference: str) -> NDArray[np.bool_]:
    """Whether at least half of each block's words stand in the reference in runs of GRAM words.

    A block of fewer words must be in such a run together with the words before or after it in the
    page. Or it must be a line of the reference, with a close block that is in the reference too. So
    `Home` in a menu is not the `home` of a sentence.
    """
    wanted = words(reference)
    grams = [
        {tuple(wanted[i : i + size]) for i in range(len(wanted) - size + 1)}
        for size in range(GRAM + 1)
    ]
    lines = {tuple(words(line)) for line in reference.split("\n")}
    blocks = [words(text) for text in texts]
    covered = np.array([_coverage(block, grams[GRAM]) for block in blocks])
    found = covered >= 0.5
    for number, block in enumerate(blocks):
        if not 0 < len(block) < GRAM or tuple(block) not in grams[len(block)]:
            continue
        missing = GRAM - len(block)
        before = [word for other in blocks[max(number - 3, 0) : number] for word in other][
            -missing:
        ]
        after = [word for other in blocks[number + 1 : number + 4] for word in other][:missing]
        in_sequence = tuple(before + block) in grams[GRAM] or tuple(block + after) in grams[GRAM]
        near = covered[max(number - NEAR, 0) : number + NEAR + 1].max() > 0.5
        found[number] = in_sequence or (near and tuple(block) in lines)
    return found


def _coverage(block: list[str], grams: set[tuple[str, ...]]) -> float:
    if len(block) < GRAM:
        return 0.0
    hit = np.zeros(len(block), np.bool_)
    for begin in range(len(block) - GRAM + 1):
        if tuple(block[begin : begin + GRAM]) in grams:
            hit[begin : begin + GRAM] = True
    return float(hit.mean())


def trained(samples: Sequence[Sample]) -> Forest:
    """A forest that is trained on these pages."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    model = HistGradientBoostingClassifier(**FOREST)
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
    """Print the measure on both halves."""
    for half, name in ((TUNING, "tuning half"), (HELD_OUT, "held-out half")):
        scores = [outcome(sample, forest) for sample in samples if sample.page.half == half]
        total = mean(scores)
        print(
            f"{name}: {len(scores)} pages, F1 {total.f1:.4f}, "
            f"precision {total.precision:.4f}, recall {total.recall:.4f}"
        )


def outcome(sample: Sample, forest: Forest) -> Score:
    page = sample.blocks
    chosen = main_content.chosen(page, sample.features, forest)
    return score(rendered(page.text, page.blocks, page.elements, chosen), sample.page.reference)


def cross_validated(samples: Sequence[Sample]) -> list[Score]:
    """The measure on each page, by a forest that was trained without the page's fold of sites.

    Tune by this measure.
    """
    scores = []
    for fold in range(FOLDS):
        forest = trained([sample for sample in samples if sample.fold != fold])
        scores += [outcome(sample, forest) for sample in samples if sample.fold == fold]
    return scores


def main() -> None:
    from safetensors.numpy import save_file

    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder that holds web/")
    parser.add_argument("--output", type=Path)
    parser.add_argument(
        "--tune", action="store_true", help="cross-validate on the tuning half and write nothing"
    )
    arguments = parser.parse_args()
    output = arguments.output or package_file("models", "main_content", "forest.safetensors")
    samples = [Sample(page) for page in reference_pages(arguments.data)]
    tuning = [sample for sample in samples if sample.page.half == TUNING]
    if arguments.tune:
        print(mean(cross_validated(tuning)))
        return
    forest = trained(tuning)
    output.parent.mkdir(parents=True, exist_ok=True)
    save_file(forest._asdict() | {"bias": np.array([forest.bias])}, output)
    report(samples, forest)


if __name__ == "__main__":
    main()
