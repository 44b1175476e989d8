"""corpusmill and its peers as functions from a page to its text, with their known settings.

TEXTS is for the words of the main text, STRUCTURED for the best structured output that a tool has:
Markdown of trafilatura, plain text or reduced HTML of Resiliparse. jusText has paragraphs only.
Every function gets bytes, so that decoding counts for each tool.
"""

import html as entities
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import justext
import trafilatura
from corpusmill.stages.extract import html
from corpusmill.stages.extract import language as languages
from corpusmill.stages.extract.stop_lists import stop_list
from corpusmill.stages.readers.charset import decoded
from resiliparse.extract.html2text import extract_plain_text

logging.getLogger("trafilatura").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Page:
    """charset: of the HTTP header. language: a code, for the stop words of jusText alone."""

    payload: bytes
    charset: str | None = None
    language: str = "en"


Extract = Callable[[Page], str]
Tools = Mapping[str, Mapping[str, Extract]]  # tool -> setting -> function

stop_words = cache(stop_list)


def language_of(text: str) -> str:
    return languages.identify([text])[0].code


def _text_of(page: Page) -> str:
    return decoded(page.payload, page.charset)[0]


def _ours(page: Page) -> str:
    return html.main_text(_text_of(page), "main_content", language_of)


def _trafilatura(**options: Any) -> Extract:
    return lambda page: trafilatura.extract(page.payload, include_comments=False, **options) or ""


def _justext(page: Page) -> str:
    """A language without a list is judged without stop words, as jusText's manual says."""
    words = stop_words(page.language)
    shares = {} if words else {"stopwords_low": 0, "stopwords_high": 0}
    found = justext.justext(page.payload, words, **shares)
    return "\n\n".join(paragraph.text for paragraph in found if not paragraph.is_boilerplate)


def _resiliparse(page: Page) -> str:
    return extract_plain_text(_text_of(page), main_content=True, alt_texts=False)


def _resiliparse_html(page: Page) -> str:
    return marks_of_html(
        extract_plain_text(
            _text_of(page),
            preserve_formatting="minimal_html",
            main_content=True,
            alt_texts=False,
        )
    )


_ITEM = re.compile(r"<li[^>]*>\s*(?:<p[^>]*>)?\s*")
_HEADING = re.compile(r"<h([1-6])[^>]*>\s*")
_BREAK = re.compile(r"<br[^>]*>")
_TAG = re.compile(r"</?\w[^>]*>")


def marks_of_html(text: str) -> str:
    """The reduced HTML of Resiliparse with the marks of Markdown in place of its tags."""
    text = _ITEM.sub("- ", text)
    text = _HEADING.sub(lambda found: "#" * int(found[1]) + " ", text)
    return entities.unescape(_TAG.sub("", _BREAK.sub("\n", text)))


TEXTS: Final[Tools] = {
    "corpusmill": {"main_content": _ours},
    "trafilatura": {
        "defaults": _trafilatura(),
        "favor_recall": _trafilatura(favor_recall=True),
        "favor_precision": _trafilatura(favor_precision=True),
    },
    "resiliparse": {"main_content": _resiliparse},
    "justext": {"defaults": _justext},  # the settings of Nemotron-CC are the same
}

_MARKDOWN: Final = {
    "output_format": "markdown",
    "include_formatting": True,
    "include_tables": True,
}
STRUCTURED: Final[Tools] = {
    "corpusmill": {"main_content": _ours},
    "trafilatura": {
        "markdown": _trafilatura(**_MARKDOWN),
        "markdown, favor_recall": _trafilatura(**_MARKDOWN, favor_recall=True),
    },
    "resiliparse": {"text": _resiliparse, "minimal_html": _resiliparse_html},
    "justext": {"paragraphs": _justext},
}


def text_or_nothing(extract: Extract, page: Page) -> str:
    """An extractor that fails on a page has found nothing there."""
    try:
        return extract(page)
    except Exception:  # noqa: BLE001 - whatever a tool raises
        return ""
