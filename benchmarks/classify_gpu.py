"""The encoder scorer on one GPU: documents a second, as a share of what its shape allows.

    python benchmarks/classify_gpu.py [--shape NAME] [--layers N] [--device cpu]

Weights are random, in the shapes of Snowflake's arctic-embed-m (BERT base) and arctic-embed-s. The
tokenizer is made here, from this project's own pages, and so are the documents. The first table has
the GPU's work alone, for batches of texts of 512 tokens, by setting:

| column | is |
|---|---|
| documents/s | of the forward pass, ids on the GPU |
| of ceiling | its floating-point operations by those that the GPU can do, 989 bf16 TFLOP/s |
| of products | the same by what plain products of the same sizes reach here, attention left out |
| first call | seconds of the first batch, compilation included |

A text of L tokens takes `layers * (2 L (4 H^2 + 2 H F) + 4 L^2 H)` operations, for width H and
inner width F. All settings are credited with all of them, also where the last layer computes only
the first token (`cls`).

The second table has the scorer as `classify` calls it: texts in, grades out, tokenizer included,
8,192 texts a call. `full` texts have 512 tokens or more; `mixed` have 20 to 4,000 words, as pages
do. `grades off` is the largest difference to fp32 on the CPU, beside the spread of the grades.
Vectors are means over the tokens of mixed texts. The last line is JSON.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from corpusmill.classifiers import packed_encoder  # noqa: E402
from corpusmill.classifiers.embedding import EmbeddingScorer  # noqa: E402
from corpusmill.classifiers.encoder import EncoderSettings, embed  # noqa: E402
from corpusmill.classifiers.packed_encoder import PackedEncoder, packed  # noqa: E402
from corpusmill.classifiers.tokenising import tokenised  # noqa: E402
from torch.nn.attention import SDPBackend, sdpa_kernel  # noqa: E402
from transformers.utils import logging  # noqa: E402

from benchmarks.classify_encoders import SHAPES, own_words, texts_of, write_encoder  # noqa: E402

CEILING = 989e12  # dense bf16 operations a second of an H100 or H200
LENGTH = 512
CALL = 8192  # texts of one call of the scorer
SECONDS = 0.4  # of one measurement
# 132 processors share the tiles of a product evenly if a batch has a multiple of 33 texts.
BATCHES = (33, 66, 128, 132, 264)
USUAL = 66
SAMPLE = 6  # texts of which the grades are compared; a CPU takes a second for each


def operations(shape: tuple[int, int, int, int], length: int) -> float:
    """Floating-point operations of the layers for a text of so many tokens."""
    width, layers, _, inner = shape
    products = 2 * length * (4 * width * width + 2 * width * inner)
    return float(layers * (products + 4 * length * length * width))


def seconds_of(work: Callable[[], object], device: str) -> tuple[float, float]:
    """(seconds of a call, seconds of the first call)."""

    def done() -> float:
        if device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()

    began = done()
    work()
    first = done() - began
    work()
    once = done()
    work()
    once = done() - once
    calls = max(2, round(SECONDS / max(once, 1e-6)))
    began = done()
    for _ in range(calls):
        work()
    return (done() - began) / calls, first


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def product_rate(shape: tuple[int, int, int, int], rows: int, device: str) -> float:
    """Operations a second of the products of a layer, as plain matrix products."""
    width, _, _, inner = shape
    total = spent = 0.0
    for into, out in ((width, 3 * width), (width, width), (width, inner), (inner, width)):
        x = torch.randn(rows, into, dtype=torch.bfloat16, device=device)
        weight = torch.randn(out, into, dtype=torch.bfloat16, device=device)
        spent += seconds_of(lambda x=x, weight=weight: x @ weight.t(), device)[0]  # type: ignore[misc]
        total += 2 * rows * into * out
    return total / spent


def attention_rate(shape: tuple[int, int, int, int], texts: int, device: str) -> float:
    """Operations a second of PyTorch's attention for texts of one length."""
    width, _, heads, _ = shape
    q, k, v = torch.randn(
        texts, LENGTH, 3, heads, width // heads, dtype=torch.bfloat16, device=device
    ).unbind(2)
    q, k, v = (part.transpose(1, 2) for part in (q, k, v))
    with sdpa_kernel(packed_encoder.KERNELS, set_priority=True), torch.inference_mode():
        each, _ = seconds_of(
            lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v), device
        )
    return 4 * texts * LENGTH * LENGTH * width / each


class Measured:
    """One shape: its model on the device, and the rows of its tables."""

    def __init__(self, name: str, folder: str, shape: Any, device: str) -> None:
        from transformers import AutoModel

        self.name, self.folder, self.shape, self.device = name, folder, shape, device
        body = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, add_pooling_layer=False)
        self.body = body.to(device).eval()
        self.products = product_rate(shape, (USUAL if device == "cuda" else 2) * LENGTH, device)
        self.rows: list[dict[str, Any]] = []

    def forward(self, setting: str, texts: int, pooling: Any = "cls", **how: Any) -> None:
        """Measure the packed encoder on a batch of so many texts. How: of `PackedEncoder`."""
        encoder = PackedEncoder(self.body, **how)
        ids = np.random.default_rng(0).integers(5, 30000, (texts, LENGTH), dtype=np.int32)
        batch = packed(list(ids), None, LENGTH, self.device, alike=True)
        self._measure(setting, texts, lambda: encoder.pooled(batch, pooling))

    def padded(self, texts: int) -> None:
        """Measure transformers' own forward pass."""
        ids = torch.randint(5, 30000, (texts, LENGTH), device=self.device)
        mask = torch.ones_like(ids)
        self._measure(
            "transformers, sdpa",
            texts,
            lambda: self.body(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0].float(),
        )

    def _measure(self, setting: str, texts: int, work: Callable[[], object]) -> None:
        try:
            with torch.inference_mode():
                each, first = seconds_of(work, self.device)
        except (RuntimeError, torch.cuda.OutOfMemoryError) as error:
            print(f"{self.name}, {setting}: {str(error).splitlines()[0]}", flush=True)
            return
        rate = texts / each
        row = {
            "shape": self.name,
            "setting": setting,
            "texts": texts,
            "documents_s": round(rate, 1),
            "of_ceiling": round(rate * operations(self.shape, LENGTH) / CEILING, 3),
            "of_products": round(rate * operations(self.shape, LENGTH) / self.products, 3),
            "first_call_s": round(first, 1),
        }
        self.rows.append(row)
        print(
            f"{self.name:15} {setting:34} {texts:5} {rate:11.1f} {row['of_ceiling']:10} "
            f"{row['of_products']:11} {first:10.1f}",
            flush=True,
        )


def scorer_row(name: str, folder: str, shape: Any, kind: str, texts: list[str], device: str) -> Any:
    """The scorer as `classify` calls it, texts in, grades out."""
    scorer = EmbeddingScorer(encoder=folder, max_tokens=LENGTH, device=device)  # type: ignore[arg-type]
    began = time.perf_counter()
    scorer.score(texts)
    first = time.perf_counter() - began
    each = min(timed(lambda: scorer.score(texts)) for _ in range(2))
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer("", truncation=True, max_length=LENGTH)
    began = time.perf_counter()
    lengths = [len(ids) for _, ids in tokenised(tokenizer.backend_tokenizer, texts, LENGTH)]
    spent = time.perf_counter() - began
    rate = sum(operations(shape, length) for length in lengths) / each
    sample = texts[:SAMPLE]
    exact = EmbeddingScorer(encoder=folder, max_tokens=LENGTH, device="cpu").score(sample)
    row = {
        "shape": name,
        "texts": kind,
        "tokens_a_text": round(sum(lengths) / len(lengths), 1),
        "documents_s": round(len(texts) / each, 1),
        "of_ceiling": round(rate / CEILING, 3),
        "tokenizer_documents_s": round(len(texts) / spent, 1),
        "first_call_s": round(first, 1),
        "grades_off": round(float(np.abs(scorer.score(sample) - exact).max()), 5),
        "grades_spread": round(float(np.ptp(exact)), 5),
    }
    print(" ".join(f"{key}={value}" for key, value in row.items()), flush=True)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", choices=["cuda", "cpu"], default="cuda")
    parser.add_argument("--shape", choices=list(SHAPES), help="only this one")
    parser.add_argument("--layers", type=int, help="fewer layers, to try the script")
    parser.add_argument("--texts", type=int, default=CALL, help="of one call of the scorer")
    arguments = parser.parse_args()
    device = arguments.device
    if device == "cuda" and not torch.cuda.is_available():
        sys.exit("there is no CUDA device here; --device cpu --layers 1 --texts 8 tries the script")
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    began = time.perf_counter()
    draw = np.random.default_rng(1)
    words = own_words()
    texts = {
        "full": texts_of(words, iter([600] * arguments.texts)),
        "mixed": texts_of(
            words, iter(np.clip(draw.lognormal(6.2, 0.9, arguments.texts), 20, 4000).astype(int))
        ),
    }
    print(f"torch {torch.__version__}, {torch.cuda.get_device_name() if device == 'cuda' else ''}")
    result: dict[str, Any] = {"forward": [], "scorer": [], "product_tflops": {}}
    with tempfile.TemporaryDirectory() as work:
        for name, shape in SHAPES.items():
            if arguments.shape not in (None, name):
                continue
            if arguments.layers:
                shape = (shape[0], arguments.layers, *shape[2:])
            folder = write_encoder(Path(work) / name, shape, words)
            print(f"\n{'':50} {'texts':>5} {'documents/s':>11} {'of ceiling':>10}", end="")
            print(f" {'of products':>11} {'first call':>10}")
            measured = Measured(name, folder, shape, device)
            usual = USUAL if device == "cuda" else 2
            plain = {"compiled": False, "joined_gelu": False}
            measured.padded(usual)
            measured.forward("packed", usual, **plain)
            measured.forward("packed, joined gelu", usual, compiled=False)
            measured.forward("compiled", usual, joined_gelu=False)
            measured.forward("compiled, joined gelu", usual)
            measured.forward("the same, mixed-length attention", usual, alike=False)
            measured.forward("the same, mean of tokens", usual, "mean")
            kernels = packed_encoder.KERNELS
            packed_encoder.KERNELS = [SDPBackend.FLASH_ATTENTION]
            measured.forward("the same, flash attention", usual)
            packed_encoder.KERNELS = kernels
            for batch in BATCHES if device == "cuda" else ():
                measured.forward("compiled, joined gelu", batch)
            result["forward"] += measured.rows
            result["product_tflops"][name] = round(measured.products / 1e12, 1)
            attention = attention_rate(shape, usual, device) / 1e12
            print(
                f"plain products {measured.products / 1e12:.1f} TFLOP/s, "
                f"attention {attention:.1f} TFLOP/s"
            )
            del measured
            for kind in texts:
                result["scorer"].append(scorer_row(name, folder, shape, kind, texts[kind], device))
            settings = EncoderSettings(encoder=folder, device=device)  # mean of tokens
            embed(settings, texts["mixed"])
            each = timed(lambda settings=settings: embed(settings, texts["mixed"]))  # type: ignore[misc]
            result.setdefault("vectors_documents_s", {})[name] = round(arguments.texts / each, 1)
            print(f"vectors, mean of tokens: {arguments.texts / each:.1f} documents/s", flush=True)
    result["seconds"] = round(time.perf_counter() - began, 1)
    print(json.dumps(result))


if __name__ == "__main__":
    main()
