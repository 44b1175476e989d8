"""What makes the encoder scorer faster on one GPU: one change at a time.

    python benchmarks/classify_variants.py [--shape NAME] [--quick] [--layers N] [--device cpu]

The first table has the forward pass for texts of 512 tokens, as in classify_gpu.py. Each row adds
to `base`, which is compiled and has GELU in its product. The rows come twice, in the same order,
since clocks of a GPU differ by some per cent from second to second.

| row | adds |
|---|---|
| replayed | a CUDA graph: one launch for a batch |
| residual | the product before a LayerNorm adds to its residual in place |
| lt | all products by cuBLASLt |
| tuned | a search among launch settings of the kernels between the products |
| halves | the halves of a batch on two streams, so that kernels of one fill gaps of the other |
| autotuned | a search among Triton's products, which take GELU with them |

`off` is the largest difference of a vector to the first row's. Then come kernels by the time that
they take in one batch. The second table has the scorer as `classify` calls it (not with --quick):
`ready` gets ids in place of texts, so no tokenizer takes Python's lock. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
import torch._dynamo.config  # noqa: E402
from corpusmill.classifiers import packed_batches, tokenising  # noqa: E402
from corpusmill.classifiers.linear import Embeddings  # noqa: E402
from corpusmill.classifiers.packed_batches import Packer  # noqa: E402
from corpusmill.classifiers.packed_encoder import (  # noqa: E402
    Packed,
    PackedEncoder,
    _after_attention,
    packed,
)
from corpusmill.classifiers.replayed import Replayed  # noqa: E402
from corpusmill.classifiers.tokenising import Placed, tokenised  # noqa: E402
from transformers import AutoModelForSequenceClassification, AutoTokenizer  # noqa: E402
from transformers.utils import logging  # noqa: E402

from benchmarks.classify_encoders import (  # noqa: E402
    CALL,
    CEILING,
    LENGTH,
    SHAPES,
    operations,
    own_words,
    seconds_of,
    texts_of,
    write_encoder,
)

USUAL = 66
Forward = Callable[[Packed], torch.Tensor]


def side_by_side(forward: Forward) -> Forward:
    """The halves of a batch on two streams."""
    sides = [torch.cuda.Stream(), torch.cuda.Stream()]

    def both(batch: Packed) -> torch.Tensor:
        assert batch.length is not None
        texts = (len(batch.starts) - 1) // 2
        tokens = texts * batch.length
        here = torch.cuda.current_stream()
        found = []
        for side, ids, positions in zip(
            sides, batch.ids.split(tokens), batch.positions.split(tokens), strict=True
        ):
            side.wait_stream(here)
            with torch.cuda.stream(side):
                starts = batch.starts[: texts + 1]
                half = Packed(ids, positions, starts, batch.longest, batch.length)
                found.append(forward(half))
        for side in sides:
            here.wait_stream(side)
        return torch.cat(found)

    return both


class Forwards:
    """The rows of the first table."""

    def __init__(self, body: Any, shape: Any, device: str) -> None:
        self.body, self.shape, self.device = body, shape, device
        self.rows: list[dict[str, Any]] = []
        self.first: torch.Tensor | None = None  # vectors by the first row

    def batch(self, texts: int) -> Packed:
        ids = np.random.default_rng(0).integers(5, 30000, (texts, LENGTH), dtype=np.int32)
        return packed(list(ids), None, LENGTH, self.device, alike=True)

    def measure(
        self,
        name: str,
        texts: int,
        *,
        replayed: bool = True,
        halves: bool = False,
        after: Any = None,
        joined_gelu: bool = True,
        lt: bool = False,
    ) -> None:
        """Measure and print a row. after: in place of the compiled `_after_attention`."""
        cuda = self.device == "cuda"
        encoder = PackedEncoder(self.body, compiled=cuda, joined_gelu=joined_gelu)
        if after is not None:
            encoder._after = after
        batch = self.batch(texts)
        forward: Forward = lambda made: encoder.pooled(made, "cls")  # noqa: E731
        if cuda:
            torch.backends.cuda.preferred_blas_library("cublaslt" if lt else "default")
        began = time.perf_counter()
        try:
            with torch.inference_mode():
                if halves and cuda:
                    forward = side_by_side(forward)
                if replayed and cuda:
                    forward = Replayed(forward, batch)
                each, _ = seconds_of(lambda: forward(batch), self.device)
                some = forward(batch)[:2].clone()
        except (RuntimeError, ValueError, AssertionError) as error:  # the others still count
            print(f"{name:24} {type(error).__name__}: {str(error).splitlines()[0]}", flush=True)
            return
        finally:
            if cuda:
                torch.backends.cuda.preferred_blas_library("default")
        self.first = some if self.first is None else self.first
        share = texts / each * operations(self.shape, LENGTH) / CEILING
        row = {
            "row": name,
            "texts": texts,
            "documents_s": round(texts / each, 1),
            "of_ceiling": round(share, 4),
            "off": round(float((some - self.first).abs().max()), 4),
            "took_s": round(time.perf_counter() - began, 1),
        }
        self.rows.append(row)
        print(
            f"{name:24} {texts:5} {texts / each:12.1f} {share:11.4f} {row['off']:8} "
            f"{row['took_s']:8}",
            flush=True,
        )

    def kernels(self) -> None:
        """Print the kernels of a batch by their time."""
        from torch.profiler import ProfilerActivity, profile

        encoder, batch = PackedEncoder(self.body), self.batch(USUAL)
        with torch.inference_mode(), profile(activities=[ProfilerActivity.CUDA]) as seen:
            encoder.pooled(batch, "cls")
            torch.cuda.synchronize()
        found = sorted(seen.key_averages(), key=lambda item: -item.device_time_total)
        print(f"\n{'kernel':90} {'calls':>5} {'ms':>8}")
        for item in found[:14]:
            print(f"{item.key[:90]:90} {item.count:5} {item.device_time_total / 1000:8.3f}")


def residual_in_place(norm_of: Any) -> Any:
    """`_after_attention` whose products add to `x` in place. norm_of(norm, x, bias)."""

    def after(layer: Any, x: torch.Tensor, attended: torch.Tensor, _joined_gelu: bool) -> Any:
        first, inner, last = layer.attention.output, layer.intermediate.dense, layer.output
        x = x.addmm_(attended, first.dense.weight.t())
        x = norm_of(first.LayerNorm, x, first.dense.bias)
        hidden = torch._addmm_activation(inner.bias, x, inner.weight.t(), use_gelu=True)
        x = x.addmm_(hidden, last.dense.weight.t())
        return norm_of(last.LayerNorm, x, last.dense.bias)

    return after


def plain_norm(norm: Any, x: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
    found: torch.Tensor = norm(x + bias)
    return found


def tuned(**options: Any) -> Any:
    return torch.compile(_after_attention, options=options)


def quick_rows(measured: Forwards) -> None:
    residual = residual_in_place(torch.compile(plain_norm))
    for _ in range(3):
        for texts in (USUAL, 128):
            measured.measure("base", texts, replayed=False)
            measured.measure("replayed", texts)
            measured.measure("replayed, residual", texts, after=residual)


def forward_rows(measured: Forwards) -> None:
    settings = tuned(coordinate_descent_tuning=True)
    for _ in range(2):
        measured.measure("base", USUAL, replayed=False)
        measured.measure("replayed", USUAL)
        measured.measure("the same, lt", USUAL, lt=True)
        measured.measure("the same, tuned", USUAL, after=settings)
        measured.measure("the same, halves", 2 * USUAL, halves=True)
        for texts in (33, 128, 132):
            measured.measure("replayed", texts)


def scorer_rows(folder: str, texts: list[str], mixed: list[str], device: str) -> dict[str, float]:
    """Documents a second of the scorer by setting. texts: of full length. mixed: of all lengths."""
    dtype = torch.bfloat16 if device == "cuda" else torch.float32
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
    model = model.to(device).eval()
    found: dict[str, float] = {}
    grades: list[Embeddings] = []

    def measure(name: str, batch_texts: int = 128, *, replayed: bool = True) -> Packer:
        packer = Packer(
            model,
            tokenizer,
            pooling=None,
            normalise=False,
            max_tokens=LENGTH,
            batch_tokens=batch_texts * LENGTH,
            device=device,
            replayed=replayed,
        )
        packer.rows(texts[: 2 * batch_texts])
        took = []
        for _ in range(2):
            began = time.perf_counter()
            rows = packer.rows(texts)
            took.append(time.perf_counter() - began)
        found[name] = round(len(texts) / min(took), 1)
        grades.append(rows)
        off = float(np.abs(rows - grades[0]).max())
        print(f"{name:30} {found[name]:10} {off:10.5f}", flush=True)
        return packer

    measure("base", replayed=False)
    packer = measure("replayed")
    measure("the same, 66 texts a batch", USUAL)
    for threads in (1, 4, 16):
        with mock.patch.object(tokenising, "MOST_THREADS", threads):
            measure(f"the same, {threads} threads")
    ready = dict(tokenised(packer.tokenizer, texts, LENGTH))

    def placed(_tokenizer: Any, distinct: Sequence[str], _max_tokens: int) -> Iterator[Placed]:
        return ((place, ready[place]) for place in range(len(distinct)))

    with mock.patch.object(packed_batches, "tokenised", placed):
        measure("the same, ready")
        measure("base, ready", replayed=False)
    print(f"spread of the grades: {float(np.ptp(grades[0])):.3f}; now texts of all lengths")
    texts = mixed
    grades.clear()
    measure("mixed, base", replayed=False)
    measure("mixed, replayed")
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=list(SHAPES), default="arctic-embed-m")
    parser.add_argument("--quick", action="store_true", help="a few forward passes, three times")
    parser.add_argument("--layers", type=int, help="fewer layers, to try the script")
    parser.add_argument("--texts", type=int, default=CALL, help="of one call of the scorer")
    arguments = parser.parse_args()
    torch._dynamo.config.recompile_limit = 64  # settings and sizes share one function here
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    began = time.perf_counter()
    words = own_words()
    texts = texts_of(words, iter([600] * arguments.texts))
    lengths = np.random.default_rng(1).lognormal(6.2, 0.9, arguments.texts)
    mixed = texts_of(words, iter(np.clip(lengths, 20, 4000).astype(int)))
    shape = SHAPES[arguments.shape]
    if arguments.layers:
        shape = (shape[0], arguments.layers, *shape[2:])
    result: dict[str, Any] = {"shape": arguments.shape}
    with tempfile.TemporaryDirectory() as work:
        folder = write_encoder(Path(work), shape, words)
        dtype = torch.bfloat16 if arguments.device == "cuda" else torch.float32
        model = AutoModelForSequenceClassification.from_pretrained(folder, dtype=dtype)
        measured = Forwards(model.base_model.to(arguments.device).eval(), shape, arguments.device)
        print(f"torch {torch.__version__}; prepared in {time.perf_counter() - began:.1f} s\n")
        print(f"{'forward':24} {'texts':>5} {'documents/s':>12} {'of ceiling':>11}", end="")
        print(f" {'off':>8} {'took s':>8}")
        if arguments.device != "cuda":
            measured.measure("base", 2)
            measured.measure("residual", 2, after=residual_in_place(plain_norm))
        elif arguments.quick:
            quick_rows(measured)
            print(json.dumps({**result, "forward": measured.rows}))
            return
        else:
            forward_rows(measured)
            measured.kernels()
        print(f"\n{'scorer':30} documents/s, largest difference of grades to the first row")
        result["scorer"] = scorer_rows(folder, texts, mixed, arguments.device)
        if arguments.device == "cuda":  # last, because its search takes longest
            print()
            search = tuned(max_autotune=True, max_autotune_gemm_backends="ATEN,TRITON")
            for joined in (False, True):
                measured.measure("the same, autotuned", USUAL, after=search, joined_gelu=joined)
            measured.measure("replayed", USUAL)
        result["forward"] = measured.rows
    result["seconds"] = round(time.perf_counter() - began, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
