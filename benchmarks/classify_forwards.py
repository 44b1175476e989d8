"""The forward pass of an encoder on one GPU, by setting, for classify_gpu.py."""

from collections.abc import Callable, Iterator, Sequence
from statistics import median
from typing import Any
from unittest import mock

import numpy as np
import torch
from corpusmill.classifiers import packed_encoder, packed_fp8
from corpusmill.classifiers.packed_encoder import Packed, PackedEncoder, packed
from corpusmill.classifiers.packed_fp8 import Fp8Encoder
from corpusmill.classifiers.replayed import Replayed
from torch.nn.attention import SDPBackend
from transformers import AutoModel

from benchmarks.classify_encoders import CEILING, LENGTH, Shape, operations, seconds_of

USUAL = 66  # 132 processors share the tiles of a product evenly if 33 divides the texts of a batch
SECONDS = 0.3  # of one measurement
Work = Callable[[], object]


def body_of(folder: str, device: str) -> Any:
    body = AutoModel.from_pretrained(folder, dtype=torch.bfloat16, add_pooling_layer=False)
    return body.to(device).eval()


def batch_of(texts: int, device: str) -> Packed:
    ids = np.random.default_rng(0).integers(5, 30000, (texts, LENGTH), dtype=np.int32)
    return packed(list(ids), None, LENGTH, device, alike=True)


def forward(encoder: PackedEncoder, batch: Packed, pooling: Any = "cls") -> Work:
    return lambda: encoder.pooled(batch, pooling)


def replayed(encoder: PackedEncoder, batch: Packed) -> Work:
    """By a CUDA graph, which the first call records."""
    if batch.ids.device.type != "cuda":
        return forward(encoder, batch)
    graphs: list[Replayed] = []

    def work() -> object:
        if not graphs:
            graphs.append(Replayed(lambda given: encoder.pooled(given, "cls"), batch))
        return graphs[0](batch)

    return work


def forward_settings(folder: str, device: str) -> Iterator[tuple[str, int, Work]]:
    """(setting, texts, forward pass of a batch of so many texts)."""
    cuda = device == "cuda"
    body = body_of(folder, device)
    usual, large = (USUAL, 128) if cuda else (1, 2)
    batch, large_batch = batch_of(usual, device), batch_of(large, device)
    ids = batch.ids.view(usual, LENGTH)
    mask = torch.ones_like(ids)

    def padded() -> object:
        return body(input_ids=ids, attention_mask=mask).last_hidden_state[:, 0].float()

    def flash() -> object:
        with mock.patch.object(packed_encoder, "KERNELS", [SDPBackend.FLASH_ATTENTION]):
            return encoder.pooled(batch, "cls")

    encoder, encoder8 = PackedEncoder(body, compiled=cuda), Fp8Encoder(body, compiled=cuda)
    yield "compiled", usual, forward(encoder, batch)
    yield "fp8", usual, forward(encoder8, batch)
    yield "replayed", usual, replayed(encoder, batch)
    yield "fp8, replayed", usual, replayed(encoder8, batch)
    yield "compiled", large, forward(encoder, large_batch)
    yield "fp8", large, forward(encoder8, large_batch)
    yield "mean of tokens", usual, forward(encoder, batch, "mean")
    yield "fp8, mean of tokens", usual, forward(encoder8, batch, "mean")
    yield "transformers, sdpa", usual, padded
    yield "not compiled", usual, forward(PackedEncoder(body, compiled=False), batch)
    mixed = PackedEncoder(body, compiled=cuda, alike=False)
    yield "attention for mixed lengths", usual, forward(mixed, batch)
    if cuda:
        yield "flash attention", usual, flash


def forward_rows(folder: str, shape: Shape, device: str, rounds: int) -> list[dict[str, Any]]:
    """The first table. Every round is printed, the medians are returned."""
    return by_turns(list(forward_settings(folder, device)), shape, device, rounds)


def searched_rows(folder: str, shape: Shape, device: str, rounds: int) -> list[dict[str, Any]]:
    """FP8 with the products behind attention as PyTorch has them, and as a search finds them.

    The search has Triton's products, which take with them what follows.
    """
    body, cuda = body_of(folder, device), device == "cuda"
    batch = batch_of(USUAL if cuda else 1, device)
    texts = len(batch.starts) - 1
    usual, searched = Fp8Encoder(body, compiled=cuda), Fp8Encoder(body, compiled=cuda)
    if cuda:
        options: dict[str, Any] = {
            "max_autotune_gemm": True,
            "max_autotune_gemm_backends": "ATEN,TRITON",
        }
        searched._after8 = torch.compile(packed_fp8._after_attention, options=options)
    settings = [
        ("fp8, replayed", texts, replayed(usual, batch)),
        ("fp8, replayed, searched", texts, replayed(searched, batch)),
    ]
    return by_turns(settings, shape, device, rounds)


def by_turns(
    settings: Sequence[tuple[str, int, Work]], shape: Shape, device: str, rounds: int
) -> list[dict[str, Any]]:
    """The table of these settings. Each is compared with the first, round by round."""
    rates: dict[int, list[float]] = {place: [] for place in range(len(settings))}
    first: dict[int, float] = {}
    print(f"\n{'forward':28} {'texts':>5} {'documents/s':>11} {'of ceiling':>10}", end="")
    print(f" {'of first':>8} {'first call':>10}")
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
            of_first = median(now / then for now, then in zip(rates[place], rates[0], strict=False))
            print(
                f"{name:28} {texts:5} {texts / each:11.1f} {share:10.3f} {of_first:8.3f} "
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
