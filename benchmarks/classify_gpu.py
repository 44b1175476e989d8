"""The encoder scorer on one GPU: documents a second, as a share of what its shape allows.

    python benchmarks/classify_gpu.py [--shape NAME] [--rounds N] [--layers N] [--device cpu]

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
| of bf16 | its documents/s by those of `compiled`; the median of the rounds |
| first call | seconds of the first batch, compilation included |

A text of L tokens takes `layers * (2 L (4 H^2 + 2 H F) + 4 L^2 H)` operations, for width H and
inner width F. All settings are credited with all of them, also where the last layer computes only
the first token (`cls`). The ceiling of settings in FP8 is that of bf16, too.

The second table has the scorer as `classify` calls it: texts in, grades out, tokenizer included,
8,192 texts a call, by `precision`. `full` texts have 512 tokens or more; `mixed` have 20 to 4,000
words, as pages do. `ready` gets ids in place of full texts, so no tokenizer takes time. `off` is
the largest difference of a grade to fp32 on the CPU, and to the same precision on the CPU, beside
the spread of the grades. After each shape comes a line of JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from statistics import median
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from corpusmill.classifiers import packed_batches, packed_encoder  # noqa: E402
from corpusmill.classifiers.embedding import EmbeddingScorer  # noqa: E402
from corpusmill.classifiers.packed_batches import Packer  # noqa: E402
from corpusmill.classifiers.packed_encoder import Packed, PackedEncoder, packed  # noqa: E402
from corpusmill.classifiers.packed_fp8 import Fp8Encoder  # noqa: E402
from corpusmill.classifiers.replayed import Replayed  # noqa: E402
from corpusmill.classifiers.tokenising import Placed, tokenised  # noqa: E402
from numpy.typing import NDArray  # noqa: E402
from torch.nn.attention import SDPBackend  # noqa: E402
from transformers import (  # noqa: E402
    AutoModel,
    AutoModelForSequenceClassification,
    AutoTokenizer,
)
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
    seconds_of,
    texts_of,
    write_encoder,
)

USUAL = 66  # 132 processors share the tiles of a product evenly if 33 divides the texts of a batch
SECONDS = 0.3  # of one measurement
SAMPLE = 6  # texts of which the grades are compared; a CPU takes a second for each
PRECISIONS = ("plain", "fp8")
Work = Callable[[], object]


def print_products(shape: Shape, device: str) -> dict[str, dict[str, float]]:
    found = {}
    rows = (USUAL if device == "cuda" else 1) * LENGTH
    for name, rates in products(shape, rows, device):
        found[name] = {kind: round(rate, 1) for kind, rate in rates.items()}
        print(f"product {name:20} TFLOP/s {found[name]}", flush=True)
    return found


def forward_settings(folder: str, device: str) -> Iterator[tuple[str, int, Work]]:
    """(setting, texts, forward pass of a batch of so many texts)."""
    cuda = device == "cuda"
    body = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, add_pooling_layer=False)
    body = body.to(device).eval()
    usual, large = (USUAL, 128) if cuda else (1, 2)

    def batch(texts: int) -> Packed:
        ids = np.random.default_rng(0).integers(5, 30000, (texts, LENGTH), dtype=np.int32)
        return packed(list(ids), None, LENGTH, device, alike=True)

    def works(encoder: PackedEncoder, texts: int, pooling: Any = "cls") -> Work:
        made = batch(texts)
        return lambda: encoder.pooled(made, pooling)

    def graph(encoder: PackedEncoder, texts: int) -> Work:
        made = batch(texts)
        replayed: list[Replayed] = []  # at the first call

        def work() -> object:
            if not replayed:
                replayed.append(Replayed(lambda batch: encoder.pooled(batch, "cls"), made))
            return replayed[0](made)

        return work if cuda else works(encoder, texts)

    def padded() -> object:
        return body(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0].float()

    def flash() -> object:
        with mock.patch.object(packed_encoder, "KERNELS", [SDPBackend.FLASH_ATTENTION]):
            return encoder.pooled(usual_batch, "cls")

    usual_batch = batch(usual)
    ids = usual_batch.ids.view(usual, LENGTH)
    mask = torch.ones_like(ids)
    encoder, encoder8 = (
        kind(body, compiled=cuda) for kind in (PackedEncoder, Fp8Encoder)
    )
    mixed = PackedEncoder(body, compiled=cuda, alike=False)
    yield "compiled", usual, works(encoder, usual)
    yield "fp8", usual, works(encoder8, usual)
    yield "replayed", usual, graph(encoder, usual)
    yield "fp8, replayed", usual, graph(encoder8, usual)
    yield "compiled", large, works(encoder, large)
    yield "fp8", large, works(encoder8, large)
    yield "mean of tokens", usual, works(encoder, usual, "mean")
    yield "fp8, mean of tokens", usual, works(encoder8, usual, "mean")
    yield "transformers, sdpa", usual, padded
    yield "not compiled", usual, works(PackedEncoder(body, compiled=False), usual)
    yield "attention for mixed lengths", usual, works(mixed, usual)
    if cuda:
        yield "flash attention", usual, flash


def forward_rows(folder: str, shape: Shape, device: str, rounds: int) -> list[dict[str, Any]]:
    """The first table. Every round is printed, the medians are returned."""
    settings = list(forward_settings(folder, device))
    rates: dict[int, list[float]] = {place: [] for place in range(len(settings))}
    first: dict[int, float] = {}
    print(f"\n{'forward':28} {'texts':>5} {'documents/s':>11} {'of ceiling':>10}", end="")
    print(f" {'of bf16':>8} {'first call':>10}")
    for turn in range(rounds):
        for place, (name, texts, work) in enumerate(settings):
            if turn and not rates[place]:
                continue  # it failed
            try:
                with torch.inference_mode():
                    each, took = seconds_of(work, device, SECONDS)
            except RuntimeError as error:
                print(f"{name}: {str(error).splitlines()[0]}", flush=True)
                continue
            first.setdefault(place, took)
            rates[place].append(texts / each)
            share = texts / each * operations(shape, LENGTH) / CEILING
            of_bf16 = median(now / then for now, then in zip(rates[place], rates[0], strict=False))
            print(
                f"{name:28} {texts:5} {texts / each:11.1f} {share:10.3f} {of_bf16:8.3f} "
                f"{first[place]:10.1f}",
                flush=True,
            )
    return [
        {
            "setting": name,
            "texts": texts,
            "documents_s": round(median(rates[place]), 1),
            "of_ceiling": round(median(rates[place]) * operations(shape, LENGTH) / CEILING, 3),
            "first_call_s": round(first[place], 1),
        }
        for place, (name, texts, _) in enumerate(settings)
        if rates[place]
    ]


def with_ids(texts: Sequence[str], ids: Sequence[Any]) -> AbstractContextManager[Any]:
    """Scorers get ids in place of these texts."""
    found = dict(zip(texts, ids, strict=True))

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
        print(f"tokenizer, {kind}: {rate:.0f} documents/s, {sum(map(len, ids)) / len(ids):.0f} each")
        if kind == "full":
            ready = with_ids(given, ids)
    scorers = {
        precision: EmbeddingScorer(
            encoder=folder,
            max_tokens=LENGTH,
            device=device,
            precision=precision,  # type: ignore[arg-type]
        )
        for precision in PRECISIONS
    }
    inputs = {"full": texts["full"], "ready": texts["full"], "mixed": texts["mixed"]}
    work["ready"] = work["full"]
    rates: dict[tuple[str, str], list[float]] = {}
    print(f"\n{'scorer':16} {'documents/s':>11} {'of ceiling':>10} {'of bf16':>8}")
    for turn in range(rounds + 1):  # the first compiles
        for kind, given in inputs.items():
            for precision, scorer in scorers.items():
                began = time.perf_counter()
                with ready if kind == "ready" else nullcontext():
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
        same = exact if precision == "plain" else grades_on_cpu(folder, sample, fp8=True)
        row = {
            "off": round(float(np.abs(grades - exact).max()), 5),
            "off_same": round(float(np.abs(grades - same).max()), 5),
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
    parser.add_argument("--layers", type=int, help="fewer layers, to try the script")
    parser.add_argument("--texts", type=int, default=CALL, help="of one call of the scorer")
    arguments = parser.parse_args()
    device, rounds = arguments.device, arguments.rounds
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu --layers 1 --texts 8 tries the script")
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
            result: dict[str, Any] = {"shape": name, "product_tflops": print_products(shape, device)}
            attention = attention_rate(shape, USUAL if device == "cuda" else 1, device) / 1e12
            print(f"attention {attention:.1f} TFLOP/s", flush=True)
            result["forward"] = forward_rows(folder, shape, device, rounds)
            result["scorer"] = scorer_rows(folder, shape, texts, device, rounds)
        result["seconds"] = round(time.perf_counter() - began, 1)
        print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
