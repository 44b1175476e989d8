"""Text as the small rephrasing model knows it: paragraphs separated by an empty line, and what may be done to them."""

import random
from collections.abc import Callable

Noise = Callable[[str, float, random.Random], str]  # (text, severity in [0, 1], rng) -> spoilt text

PARAGRAPH = "\n\n"


def per_paragraph(text: str, spoil: Callable[[str], str]) -> str:
    """`text` with every paragraph changed by `spoil`."""
    return PARAGRAPH.join(map(spoil, text.split(PARAGRAPH)))
