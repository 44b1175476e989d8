"""Encoders with random weights in published shapes, texts for them, and what a GPU can do of them.

For classify_gpu.py and classify_variants.py.
"""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from corpusmill.classifiers import packed_encoder
from torch import Tensor
from torch.nn.attention import sdpa_kernel

ROOT = Path(__file__).resolve().parent.parent
# width, layers, heads, inner width
SHAPES = {"arctic-embed-m": (768, 12, 12, 3072), "arctic-embed-s": (384, 12, 12, 1536)}
CEILING = 989e12  # dense bf16 operations a second of an H100 or H200
LENGTH = 512  # tokens of a text
CALL = 8192  # texts of one call of the scorer
Shape = tuple[int, int, int, int]


def operations(shape: Shape, length: int) -> float:
    """Floating-point operations of the layers for a text of so many tokens."""
    width, layers, _, inner = shape
    products = 2 * length * (4 * width * width + 2 * width * inner)
    return float(layers * (products + 4 * length * length * width))


def seconds_of(
    work: Callable[[], object], device: str, seconds: float = 0.4
) -> tuple[float, float]:
    """(seconds of a call, seconds of the first call). seconds: of the whole measurement."""

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
    calls = max(2, round(seconds / max(once, 1e-6)))
    began = done()
    for _ in range(calls):
        work()
    return (done() - began) / calls, first


def products(shape: Shape, rows: int, device: str) -> Iterator[tuple[str, dict[str, float]]]:
    """(product, {kind: TFLOP/s}) of each product of a layer, by kinds of product.

    bf16; fp8: one scale a tensor, as `classifiers.fp8` has it; fp8 rows: one scale a row. A kind
    that the GPU refuses is printed and left out.
    """
    width, _, _, inner = shape
    sizes = {
        "query, key, value": (width, 3 * width),
        "behind attention": (width, width),
        "inner": (width, inner),
        "outer": (inner, width),
    }
    for name, (into, out) in sizes.items():
        x = torch.randn(rows, into, device=device)
        weight = torch.randn(out, into, device=device)
        bias = torch.randn(out, dtype=torch.bfloat16, device=device)
        x16, weight16 = x.bfloat16(), weight.bfloat16()
        x8, weight8 = x.to(torch.float8_e4m3fn), weight.to(torch.float8_e4m3fn).t()
        one = torch.ones((), device=device)
        each = torch.ones(rows, 1, device=device), torch.ones(1, out, device=device)

        def in_8_bits(scale_a: Tensor, scale_b: Tensor) -> Tensor:
            found: Tensor = torch._scaled_mm(
                x8,  # noqa: B023 - called in this round
                weight8,  # noqa: B023
                scale_a=scale_a,
                scale_b=scale_b,
                bias=bias,  # noqa: B023
                out_dtype=torch.bfloat16,
                use_fast_accum=True,
            )
            return found

        kinds: dict[str, Callable[[], Tensor]] = {
            "bf16": lambda: torch.nn.functional.linear(x16, weight16, bias),  # noqa: B023
            "fp8": lambda: in_8_bits(one, one),  # noqa: B023
            "fp8 rows": lambda: in_8_bits(*each),  # noqa: B023
        }
        found = {}
        for kind, work in kinds.items():
            try:
                seconds, _ = seconds_of(work, device, 0.1)
            except RuntimeError as error:
                print(f"{name}, {kind}: {str(error).splitlines()[0]}", flush=True)
                continue
            found[kind] = 2 * rows * into * out / seconds / 1e12
        yield name, found


def attention_rate(shape: Shape, texts: int, device: str) -> float:
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


def own_words() -> list[str]:
    """The words of this project's pages, with their marks."""
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    return " ".join(page.read_text(encoding="utf-8") for page in pages).split()


def texts_of(words: list[str], lengths: Iterator[int]) -> list[str]:
    draw = np.random.default_rng(0)
    found: list[str] = []
    for length in lengths:
        start = int(draw.integers(len(words) - length))
        found.append(f"{len(found)} " + " ".join(words[start : start + length]))
    return found


def write_encoder(folder: Path, shape: tuple[int, int, int, int], words: list[str]) -> str:
    """A BERT with one output and random weights, and a WordPiece tokenizer of these words."""
    from tokenizers import BertWordPieceTokenizer
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    tokenizer = BertWordPieceTokenizer()
    tokenizer.train_from_iterator(words, vocab_size=30522, show_progress=False)
    marks = {"pad": "[PAD]", "unk": "[UNK]", "cls": "[CLS]", "sep": "[SEP]", "mask": "[MASK]"}
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer._tokenizer,
        **{f"{name}_token": mark for name, mark in marks.items()},
    ).save_pretrained(folder)
    width, layers, heads, inner = shape
    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=width,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        intermediate_size=inner,
    )
    config.num_labels = 1
    model = BertForSequenceClassification(config)
    torch.nn.init.normal_(model.classifier.weight, std=0.1)  # so that grades differ within 0-5
    torch.nn.init.constant_(model.classifier.bias, 2.5)
    model.save_pretrained(folder)
    return str(folder)
