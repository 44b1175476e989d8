"""The sizes of `benchmarks/vision.py`: FULL and LARGE for one GPU, TINY for a CPU.

Letters are about twice as high as a patch: then a patch holds one letter or less, which an encoder
learns many times as fast as patches with several (docs/lab-log.md).
"""

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Size:
    """What differs between the run on a GPU and that on a CPU."""

    tile: int
    patch: int
    vision: dict[str, Any]
    model: dict[str, Any]
    paper: dict[str, Any]
    characters: int  # of a page, about
    vocabulary: int
    longest: int  # tokens of a row
    window: int  # tokens of a row of the language model; `longest`, or it forgets what is further
    batch: int
    text_batch: int
    text_steps: int
    rates: dict[str, float]
    probe: int  # steps to measure the speed
    projector_steps: int
    shards: int
    pages: int  # of a held-out set
    charts: int  # of a held-out set
    most: int  # tokens of an answer


FULL = Size(
    tile=112,
    patch=7,
    vision={"hidden_size": 384, "layers": 6, "heads": 6, "ffn_size": 1536},
    model={
        "pattern": "M-M*-M-M*-M-*-",
        "hidden_size": 512,
        "ffn_size": 1536,
        "attention_heads": 8,
        "key_value_heads": 4,
        "head_dim": 64,
        "mamba_heads": 16,
        "mamba_groups": 1,
        "mamba_state": 64,
    },
    paper={"min_font_size": 13, "max_font_size": 18},
    characters=32,
    vocabulary=512,
    longest=128,
    window=128,
    batch=128,
    text_batch=256,
    text_steps=2000,
    rates={"text": 2e-3, "letters": 1e-3, "projector": 1e-3, "all": 8e-4},
    probe=60,
    projector_steps=200,
    shards=900,
    pages=250,
    charts=240,
    most=80,
)
LARGE = replace(
    FULL,
    tile=168,
    characters=72,
    longest=256,
    window=256,
    batch=64,  # as many patches in a step as FULL has
    text_batch=128,
    pages=200,
    most=160,
)
TINY = Size(
    tile=112,
    patch=14,
    vision={"hidden_size": 128, "layers": 3, "heads": 4, "ffn_size": 512},
    model={
        "pattern": "M*-M*-",
        "hidden_size": 128,
        "ffn_size": 512,
        "attention_heads": 4,
        "key_value_heads": 2,
        "head_dim": 32,
        "mamba_heads": 4,
        "mamba_groups": 1,
        "mamba_state": 32,
    },
    paper={"min_font_size": 16, "max_font_size": 18, "max_noise": 4},
    characters=25,
    vocabulary=512,
    longest=64,
    window=64,
    batch=16,
    text_batch=16,
    text_steps=20,
    rates={"text": 3e-3, "letters": 2e-3, "projector": 2e-3, "all": 1.5e-3},
    probe=4,
    projector_steps=8,
    shards=6,
    pages=8,
    charts=12,
    most=48,
)
