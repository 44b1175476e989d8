"""Sizes of parents for `compression.py`: a model, its training, and the space of its children."""

from typing import Any

from corpusmill.trainer.shape import HybridConfig

SIZES: dict[str, dict[str, Any]] = {
    "tiny": {
        "model": {
            "pattern": "M-M*-M-M-",
            "hidden_size": 96,
            "ffn_size": 384,
            "attention_heads": 4,
            "key_value_heads": 2,
            "head_dim": 24,
            "mamba_heads": 8,
            "mamba_head_dim": 24,
            "mamba_groups": 2,
            "mamba_state": 32,
            "chunk_size": 64,
        },
        "train": {"sequence_length": 256, "batch_size": 8, "learning_rate": 5e-3},
        "space": {"mamba_layers": [2, 3, 4], "ffn_layers": [2, 3, 4]},
        "sequences": 64,
    },
    "56M": {
        "model": {
            "pattern": "M-M-M*-M-M-M*-M-M-",
            "hidden_size": 512,
            "ffn_size": 2048,
            "attention_heads": 8,
            "key_value_heads": 4,
            "head_dim": 64,
            "mamba_heads": 16,
        },
        "train": {
            "sequence_length": 1024,
            "batch_size": 64,
            "micro_batch_size": 32,
            "learning_rate": 3e-3,
            "compile": True,
        },
        "space": {
            "mamba_layers": [5, 6, 7, 8],
            "ffn_layers": [5, 6, 7, 8],
            "ffn_size": [1024, 1280, 1536, 1792, 2048],
        },
        "sequences": 256,
    },
    "160M": {
        "model": {
            "pattern": "M-M-M-M*-M-M-M-M*-M-M-M-M-",
            "hidden_size": 768,
            "ffn_size": 3328,
            "attention_heads": 12,
            "key_value_heads": 4,
            "head_dim": 64,
            "mamba_heads": 24,
        },
        "train": {
            "sequence_length": 2048,
            "batch_size": 32,
            "micro_batch_size": 16,
            "learning_rate": 2e-3,
            "compile": True,
        },
        "space": {
            "mamba_layers": list(range(8, 13)),
            "ffn_layers": list(range(9, 13)),
            "ffn_size": [1664, 2048, 2304, 2560, 2816, 3072, 3328],
        },
        "sequences": 256,
    },
}


def shape_of(size: str, vocabulary: int) -> HybridConfig:
    return HybridConfig(**SIZES[size]["model"], vocab_size=vocabulary)
