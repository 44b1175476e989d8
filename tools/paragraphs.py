"""Text of the small rephrasing model: paragraphs separated by an empty line, and their noise."""

import random
from collections.abc import Callable

Noise = Callable[[str, float, random.Random], str]  # (text, severity in [0, 1], rng) -> spoilt text

PARAGRAPH = "\n\n"


def per_paragraph(text: str, spoil: Callable[[str], str]) -> str:
    """`text` with every paragraph changed by `spoil`."""
    return PARAGRAPH.join(map(spoil, text.split(PARAGRAPH)))
