"""What the encoder loses by fewer bits: vectors and grades in float32, bfloat16 and FP8.

    python benchmarks/classify_precision.py [--data FOLDER] [--tokens N] [--documents N]

The encoder is MiniLM-L6, with the weights of its authors. A head is trained on float32 vectors, as
`classify-train` does, and scores unseen documents by vectors of each precision. FOLDER holds
`labelled/`; benchmarks/classify.py says what its sets are. All runs on a CPU, which emulates FP8:
the values that a GPU would multiply are rounded in the same way and multiplied in float32.

| column | is |
|---|---|
| cosine | of a document's vector and its float32 one: mean, and the lowest of 100 documents |
| grades off | the mean difference of a score, by the standard deviation of the float32 scores |
| rank | Spearman's correlation with the float32 scores |
| buckets moved | the share of documents in another of twenty buckets, each with edges of its own |
| AUC, top 10 % | as in benchmarks/classify.py |

The last line is JSON.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from corpusmill.classifiers.linear import fit_ridge  # noqa: E402
from corpusmill.classifiers.packed_batches import Packer  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from transformers import AutoModel, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

from benchmarks.classify import ENCODER, figures, labelled_trials, ranks  # noqa: E402
from benchmarks.peers import require_data  # noqa: E402

PRECISIONS = {
    "float32": (torch.float32, False),
    "bfloat16": (torch.bfloat16, False),
    "fp8": (torch.bfloat16, True),
}
BUCKETS = 20
LOW = 0.01  # the share of documents below the cosine that is shown as the lowest


def packer(precision: str, tokens: int) -> Packer:
    dtype, fp8 = PRECISIONS[precision]
    return Packer(
        AutoModel.from_pretrained(ENCODER, dtype=dtype).eval(),
        AutoTokenizer.from_pretrained(ENCODER),
        pooling="mean",
        normalise=True,
        max_tokens=tokens,
        batch_tokens=4096,
        device="cpu",
        fp8=fp8,
    )


def row_of(
    vectors: NDArray[Any],
    exact: NDArray[Any],
    scores: NDArray[Any],
    exact_scores: NDArray[Any],
    truth: NDArray[np.bool_],
) -> dict[str, float]:
    cosines = (vectors * exact).sum(axis=1)
    places, exact_places = ranks(scores), ranks(exact_scores)
    buckets, exact_buckets = (np.ceil(BUCKETS * part) for part in (places, exact_places))
    off = np.abs(scores - exact_scores).mean() / exact_scores.std()
    found = {
        "cosine": float(cosines.mean()),
        "cosine_low": float(np.quantile(cosines, LOW)),
        "grades_off": float(off),
        "rank": float(np.corrcoef(places, exact_places)[0, 1]),
        "buckets_moved": float((buckets != exact_buckets).mean()),
    }
    judged = figures(scores, truth)
    return {**{name: round(value, 4) for name, value in found.items()}, **judged}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--tokens", type=int, default=256, help="of a text")
    parser.add_argument("--documents", type=int, default=600, help="of a class, to learn from")
    arguments = parser.parse_args()
    logging.disable_progress_bar()
    require_data(arguments.data, "labelled/*.jsonl.zst", "bring the sets that classify.py names")
    packers = {name: packer(name, arguments.tokens) for name in PRECISIONS}
    result: dict[str, Any] = {"tokens": arguments.tokens}
    print(
        f"{'':22} {'cosine':>7} {'lowest':>7} {'grades off':>10} {'rank':>7} {'buckets':>8} "
        f"{'AUC':>6} {'top 10 %':>8}"
    )
    for name, trial in labelled_trials(arguments.data, arguments.documents).items():
        labels = np.array([text.positive for text in trial.learn], dtype=np.float64)
        learned = packers["float32"].rows([text.text for text in trial.learn])
        head = fit_ridge(learned, labels, {})
        texts = [text.text for text in trial.judge]
        exact = packers["float32"].rows(texts)
        result[name] = {"learned": len(labels), "judged": len(texts)}
        for precision, made in packers.items():
            vectors = made.rows(texts)
            row = row_of(vectors, exact, head.score(vectors), head.score(exact), trial.truth)
            result[name][precision] = row
            print(
                f"{name + ', ' + precision:22} {row['cosine']:7.4f} {row['cosine_low']:7.4f} "
                f"{row['grades_off']:10.4f} {row['rank']:7.4f} {row['buckets_moved']:8.3f} "
                f"{row['auc']:6.3f} {row['recall_top']:8.3f}",
                flush=True,
            )
    print(json.dumps(result))


if __name__ == "__main__":
    main()
