"""The encoder scorer on one GPU: documents a second, as a share of what its shape allows.

    python benchmarks/classify_gpu.py [--shape NAME] [--part NAME] [--rounds N] [--search]
        [--layers N] [--device cpu]

Weights are random, in the shapes of Snowflake's arctic-embed-m (BERT base) and arctic-embed-s. The
tokenizer is made here, from this project's own pages, and so are the documents. Settings take
turns, for some rounds, since clocks of a GPU differ by some per cent from second to second. Figures
are medians of the rounds.

First come plain products of the sizes of a layer, in bf16 and in 8 bits. The first table has the
GPU's work alone, for batches of texts of 512 tokens, by setting:

| column | is |
|---|---|
| documents/s | of the forward pass, ids on the GPU |
| of ceiling | its floating-point operations by those that the GPU can do, 989 bf16 TFLOP/s |
| of first | its documents/s by those of the first row, `compiled`; the median of the rounds |
| first call | seconds of the first batch, compilation included |

A text of L tokens takes `layers * (2 L (4 H^2 + 2 H F) + 4 L^2 H)` operations, for width H and
inner width F. All settings are credited with all of them, also where the last layer computes only
the first token (`cls`). The ceiling of settings in FP8 is that of bf16, too.

The second table has the scorer as `classify` calls it: texts in, grades out, tokenizer included,
8,192 texts a call, by `precision`. `full` texts have 512 tokens or more; `mixed` have 20 to 4,000
words, as pages do. `ready` gets ids in place of full texts, so no tokenizer takes time. `threads`
gives full texts to the tokenizer from two threads, in blocks of 64 and then 128. `off` is
the largest difference of a grade to fp32 on the CPU, beside the spread of the grades, and
`emulated` what the same rounding to 8 bits makes on the CPU. After each shape comes a line of JSON.
With --search a third table comes last: Triton's products in 8 bits, which take GELU and the
rounding behind it with them.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from corpusmill.classifiers import packed_batches, tokenising  # noqa: E402
from corpusmill.classifiers.embedding import EmbeddingScorer  # noqa: E402
from corpusmill.classifiers.packed_batches import Packer  # noqa: E402
from corpusmill.classifiers.tokenising import Placed, tokenised  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

from benchmarks.classify_encoders import (  # noqa: E402
    CALL,
    CEILING,
    LENGTH,
    SHAPES,
    Shape,
    attention_rate,
    operations,
    own_words,
    products,
    texts_of,
    write_encoder,
)
from benchmarks.classify_forwards import USUAL, forward_rows, searched_rows  # noqa: E402

SAMPLE = 4  # texts of which the grades are compared; a CPU takes a second for each
PRECISIONS = ("plain", "fp8")


def print_products(shape: Shape, device: str) -> dict[str, dict[str, float]]:
    found = {}
    rows = (USUAL if device == "cuda" else 1) * LENGTH
    for name, rates in products(shape, rows, device):
        found[name] = {kind: round(rate, 1) for kind, rate in rates.items()}
        print(f"product {name:20} TFLOP/s {found[name]}", flush=True)
    attention = attention_rate(shape, rows // LENGTH, device) / 1e12
    print(f"attention {attention:.1f} TFLOP/s", flush=True)
    return found


def with_ids(found: Mapping[str, Any]) -> AbstractContextManager[Any]:
    """Scorers get ids in place of these texts."""

    def placed(_tokenizer: Any, distinct: Sequence[str], _most: int) -> Iterator[Placed]:
        return ((place, found[text]) for place, text in enumerate(distinct))

    return mock.patch.object(packed_batches, "tokenised", placed)


def scorer_rows(
    folder: str, shape: Shape, texts: dict[str, list[str]], device: str, rounds: int
) -> dict[str, Any]:
    """The second table."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer("", truncation=True, max_length=LENGTH)
    work: dict[str, float] = {}
    result: dict[str, Any] = {}
    for kind, given in texts.items():
        began = time.perf_counter()
        ids = [ids for _, ids in tokenised(tokenizer.backend_tokenizer, given, LENGTH)]
        rate = len(given) / (time.perf_counter() - began)
        work[kind] = sum(operations(shape, len(found)) for found in ids)
        result[f"tokenizer, {kind}"] = round(rate, 1)
        print(
            f"tokenizer, {kind}: {rate:.0f} documents/s, {sum(map(len, ids)) / len(ids):.0f} each"
        )
        if kind == "full":
            given_ids = dict(zip(given, ids, strict=True))
    scorers = {
        precision: EmbeddingScorer(
            encoder=folder,
            max_tokens=LENGTH,
            device=device,  # type: ignore[arg-type]
            precision=precision,  # type: ignore[arg-type]
        )
        for precision in PRECISIONS
    }
    for precision, scorer in list(scorers.items()):
        try:
            scorer.score(texts["full"][:2])
        except RuntimeError as error:
            print(f"{precision}: {str(error).splitlines()[0]}", flush=True)
            del scorers[precision]
    inputs = {
        "full": texts["full"],
        "ready": texts["full"],
        "threads": texts["full"],
        "mixed": texts["mixed"],
    }
    work["ready"] = work["threads"] = work["full"]
    few: dict[str, Any] = {"MOST_THREADS": 2, "FIRST_BLOCKS": 4, "FIRST_BLOCK": 64, "BLOCK": 128}
    how: dict[str, Callable[[], AbstractContextManager[Any]]] = {
        "ready": lambda: with_ids(given_ids),
        "threads": lambda: mock.patch.multiple(tokenising, **few),
    }
    rates: dict[tuple[str, str], list[float]] = {}
    print(f"\n{'scorer':16} {'documents/s':>11} {'of ceiling':>10} {'of bf16':>8}")
    for turn in range(rounds + 1):  # the first compiles
        for kind, given in inputs.items():
            for precision, scorer in scorers.items():
                began = time.perf_counter()
                with how.get(kind, nullcontext)():
                    scorer.score(given)
                rate = len(given) / (time.perf_counter() - began)
                if not turn:
                    continue
                rates.setdefault((kind, precision), []).append(rate)
                share = rate / len(given) * work[kind] / CEILING
                of_bf16 = rate / rates[kind, "plain"][-1]
                print(
                    f"{kind + ', ' + precision:16} {rate:11.1f} {share:10.3f} {of_bf16:8.3f}",
                    flush=True,
                )
    for (kind, precision), found in rates.items():
        share = median(found) / len(inputs[kind]) * work[kind] / CEILING
        result[f"{kind}, {precision}"] = {
            "documents_s": round(median(found), 1),
            "of_ceiling": round(share, 3),
        }
    result["grades"] = {}
    sample = texts["full"][:SAMPLE]
    exact = grades_on_cpu(folder, sample, fp8=False)
    for precision, scorer in scorers.items():
        grades = scorer.score(sample)
        rounded = exact if precision == "plain" else grades_on_cpu(folder, sample, fp8=True)
        row = {
            "off": round(float(np.abs(grades - exact).max()), 5),
            "emulated": round(float(np.abs(rounded - exact).max()), 5),
            "spread": round(float(np.ptp(exact)), 5),
        }
        result["grades"][precision] = row
        print(f"grades, {precision}: {row}", flush=True)
    return result


def grades_on_cpu(folder: str, texts: Sequence[str], *, fp8: bool) -> NDArray[np.float32]:
    """In fp32. fp8: with values that are rounded to 8 bits before the products."""
    packer = Packer(
        AutoModelForSequenceClassification.from_pretrained(folder).eval(),
        AutoTokenizer.from_pretrained(folder),
        pooling=None,
        normalise=False,
        max_tokens=LENGTH,
        batch_tokens=4 * LENGTH,
        device="cpu",
        fp8=fp8,
    )
    return packer.rows(texts)[:, 0]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=list(SHAPES), help="only this one")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--part", choices=["forward", "scorer"], help="only this table")
    parser.add_argument("--search", action="store_true", help="Triton's products too, at the end")
    parser.add_argument("--layers", type=int, help="fewer layers, to try the script")
    parser.add_argument("--texts", type=int, default=CALL, help="of one call of the scorer")
    arguments = parser.parse_args()
    device, rounds = arguments.device, arguments.rounds
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu --layers 2 --texts 2 tries the script")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    draw = np.random.default_rng(1)
    words = own_words()
    texts = {
        "full": texts_of(words, iter([600] * arguments.texts)),
        "mixed": texts_of(
            words, iter(np.clip(draw.lognormal(6.2, 0.9, arguments.texts), 20, 4000).astype(int))
        ),
    }
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if device == 'cuda' else ''}")
    for name, shape in SHAPES.items():
        if arguments.shape not in (None, name):
            continue
        began = time.perf_counter()
        if arguments.layers:
            shape = (shape[0], arguments.layers, *shape[2:])
        with tempfile.TemporaryDirectory() as work:
            folder = write_encoder(Path(work), shape, words)
            print(f"\n{name}, prepared in {time.perf_counter() - began:.1f} s", flush=True)
            result: dict[str, Any] = {"shape": name}
            if arguments.part != "scorer":
                result["product_tflops"] = print_products(shape, device)
                result["forward"] = forward_rows(folder, shape, device, rounds)
            if arguments.part != "forward":
                result["scorer"] = scorer_rows(folder, shape, texts, device, rounds)
            result["seconds"] = round(time.perf_counter() - began, 1)
            print(json.dumps(result), flush=True)
            if arguments.search:
                print(json.dumps(searched_rows(folder, shape, device, rounds)), flush=True)


if __name__ == "__main__":
    main()
