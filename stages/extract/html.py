"""From a page's HTML to its text: cleaning, and the choice of an extractor.

The default is corpusmill's own (`main_content`). Resiliparse (DCLM, Dolma 3), jusText (Nemotron-CC)
and Trafilatura (FineWeb) run with the settings of the cited papers. `union` adds to the default's
text what jusText and Resiliparse find besides. No extractor depends on pages seen before, and none
opens a link of the page.
"""

import importlib.metadata
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

from corpusmill.stages.extract import justext, resiliparse, trafilatura
from corpusmill.stages.extract.escape_sequences import without_escape_sequences
from corpusmill.stages.extract.links import Written

Extractor = Literal["main_content", "union", "resiliparse", "justext", "trafilatura"]
Comments = Literal["drop", "keep"]

# Characters that show nothing by themselves. Editors of pages leave paragraphs of them.
UNSEEN = "\u00ad\u200b\u200c\u200d\u200e\u200f\u2060\u2800\ufeff \n"
_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ufeff\ufffe\uffff]+")
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_TRAILING_SPACE = re.compile(r"[^\S\n]+\n")
_BLANK_LINES = re.compile(r"\n{3,}")
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>", re.IGNORECASE)


def clean(text: str) -> str:
    """`text` without terminal escape sequences, NUL and other control characters. Tabs and newlines
    stay, and every line end becomes a newline.
    """
    return _without_controls(without_escape_sequences(text))


def _without_controls(text: str) -> str:
    return _CONTROLS.sub("", _LINE_ENDS.sub("\n", text))


def tidy(text: str) -> str:
    """Extracted text without trailing spaces, runs of blank lines, and blank lines at its ends."""
    return _BLANK_LINES.sub("\n\n", _TRAILING_SPACE.sub("\n", text)).strip()


class Page(NamedTuple):
    """The main text of a page, its title (None if it has none), and its links (None if they are not
    known). pages_without_text: those of a PDF file that show something else, from 1.
    """

    text: str
    title: str | None = None
    links: Written | None = None
    pages_without_text: tuple[int, ...] = ()


def main_text(
    html: str, extractor: Extractor, language_of: Callable[[str], str], comments: Comments = "drop"
) -> str:
    """The main text of a page, as `read` gives it."""
    return read(html, extractor, language_of, comments).text


def read(
    html: str, extractor: Extractor, language_of: Callable[[str], str], comments: Comments = "drop"
) -> Page:
    """The main text of a page, empty if the extractor finds none, its title and its links. The
    title is the same for every extractor. Links are known of `main_content` and `union`, and those
    are the same.

    Escape sequences are taken out here, so no extractor has to know them.

    language_of: text -> language code. Extractors ask it when they need the language's stop words.
    Raises whatever the extractor raises on a page that it cannot handle.
    """
    from corpusmill.stages.extract import main_content  # numba is slow to import

    if not html or html.isspace():
        return Page("")
    html, keep_comments = without_escape_sequences(html), comments == "keep"
    if extractor == "main_content":
        # Its text is clean and tidy already, and its code keeps its blank lines.
        return Page(*main_content.extracted(html, language_of, keep_comments))
    # lxml refuses text with an encoding declaration.
    bare = _XML_DECLARATION.sub("", html, count=1)
    if extractor == "union":
        from corpusmill.stages.extract import union

        found = main_content.extracted(bare, language_of, keep_comments)
        text = tidy(_without_controls(union.union(found.text, bare, language_of)))
        return Page(text, found.title, found.links)
    text = _text_of(bare, extractor, language_of, keep_comments)
    return Page(text, main_content.title_of(html))


def _text_of(
    html: str, extractor: Extractor, language_of: Callable[[str], str], keep_comments: bool
) -> str:
    """The main text by an extractor of others."""
    if extractor == "resiliparse":
        text = resiliparse.main_text(html)
    elif extractor == "justext":
        text = "\n\n".join(justext.paragraphs(html, language_of))
    else:
        text = trafilatura.main_text(html, keep_comments)
    return tidy(_without_controls(text))


def extractor_version(extractor: Extractor) -> str:
    """All that decides the extractor's text besides the page: releases, and the digest of a
    model.
    """
    from corpusmill.stages.extract import main_content

    if extractor == "main_content":
        return f"{main_content.version()} {_release('justext')}"  # its stop lists are used
    if extractor == "union":
        return f"{main_content.version()} {_release('justext')} {_release('resiliparse')}"
    return _release(extractor)


def _release(package: str) -> str:
    return f"{package} {importlib.metadata.version(package)}"
