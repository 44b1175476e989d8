"""Encoders with random weights in published shapes, and texts for them, for classify_gpu.py."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

ROOT = Path(__file__).resolve().parent.parent
# width, layers, heads, inner width
SHAPES = {"arctic-embed-m": (768, 12, 12, 3072), "arctic-embed-s": (384, 12, 12, 1536)}


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
