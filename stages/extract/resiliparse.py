"""Resiliparse with DCLM's settings (arXiv:2406.11794; Dolma 3 uses it too): fast rules over the
lexbor DOM.
"""

import re

# Resiliparse's main-content pass is quadratic in this depth: it takes 0.1 s for 2,000 open <div>s,
# and 6 s for 16,000.
MAX_NESTING = 2_000

_NESTING_TAG = re.compile(r"<(/?)(?:div|article|section|main)\b", re.IGNORECASE)


class NestedTooDeeply(ValueError):
    """The page is nested so deeply that extraction would take minutes."""


def main_text(html: str) -> str:
    """The main text of a page. Raises NestedTooDeeply."""
    depth = nesting(html)
    if depth > MAX_NESTING:
        raise NestedTooDeeply(f"depth={depth} > {MAX_NESTING}")
    return _plain_text(html, main_content=True)


def all_text(html: str) -> str:
    """All the text of a page, menus and footers included."""
    return _plain_text(html, main_content=False)


def nesting(html: str) -> int:
    """How deeply `<div>`, `<article>`, `<section>` and `<main>` are nested. An estimate by their
    tags alone: linear time, no parsing.
    """
    depth = deepest = 0
    for tag in _NESTING_TAG.finditer(html):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def _plain_text(html: str, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(
        html,
        main_content=main_content,
        alt_texts=False,
        links=False,
        form_fields=False,
        noscript=False,
    )
