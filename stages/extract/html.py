"""From a page's HTML to its text: the extractors.

Extractors: Resiliparse (DCLM, arXiv:2406.11794; Dolma 3), jusText (Nemotron-CC, arXiv:2412.02595: 28.6 % more high-quality tokens
than Trafilatura), Trafilatura (FineWeb, arXiv:2406.17557). All are used with the cited settings, without anything that depends
on pages seen before.
"""

import functools
import importlib.metadata
import logging
import re
from collections.abc import Callable
from typing import Any, Literal

Extractor = Literal["resiliparse", "justext", "trafilatura"]

MAX_NESTING = (
    2_000  # Resiliparse's main-content pass is quadratic in this depth: 0.1 s at 2,000, 6 s at 16,000 open <div>s
)

_CONTROLS = {
    code: None for code in (*range(0x20), *range(0x7F, 0xA0), 0xFEFF, 0xFFFE, 0xFFFF) if code not in (0x09, 0x0A)
}
_LINE_ENDS = re.compile("\r\n?|[\x85\u2028\u2029]")
_TRAILING_SPACE = re.compile(r"[^\S\n]+\n")
_BLANK_LINES = re.compile(r"\n{3,}")
_NESTING_TAG = re.compile(r"<(/?)(?:div|article|section|main)\b", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>", re.IGNORECASE)
# Language code -> jusText's name of its stop list, where the two agree on what the language is.
# fmt: off
_STOP_LISTS = {
    "af": "Afrikaans", "sq": "Albanian", "ar": "Arabic", "an": "Aragonese", "hy": "Armenian", "ast": "Asturian",
    "az": "Azerbaijani", "eu": "Basque", "be": "Belarusian", "bn": "Bengali", "bs": "Bosnian", "br": "Breton",
    "bg": "Bulgarian", "ca": "Catalan", "ceb": "Cebuano", "cv": "Chuvash", "hr": "Croatian", "cs": "Czech",
    "da": "Danish", "nl": "Dutch", "en": "English", "eo": "Esperanto", "et": "Estonian", "fi": "Finnish",
    "fr": "French", "gl": "Galician", "ka": "Georgian", "de": "German", "el": "Greek", "gu": "Gujarati",
    "ht": "Haitian", "he": "Hebrew", "hi": "Hindi", "hu": "Hungarian", "is": "Icelandic", "io": "Ido",
    "id": "Indonesian", "ga": "Irish", "it": "Italian", "jv": "Javanese", "kn": "Kannada", "kk": "Kazakh",
    "ko": "Korean", "ku": "Kurdish", "ky": "Kyrgyz", "la": "Latin", "lv": "Latvian", "lt": "Lithuanian",
    "lmo": "Lombard", "nds": "Low_Saxon", "lb": "Luxembourgish", "mk": "Macedonian", "ms": "Malay", "ml": "Malayalam",
    "mt": "Maltese", "mr": "Marathi", "ne": "Nepali", "new": "Newar", "no": "Norwegian_Bokmal",
    "nn": "Norwegian_Nynorsk", "oc": "Occitan", "fa": "Persian", "pms": "Piedmontese", "pl": "Polish",
    "pt": "Portuguese", "qu": "Quechua", "ro": "Romanian", "ru": "Russian", "sr": "Serbian", "sh": "Serbo_Croatian",
    "scn": "Sicilian", "sk": "Slovak", "sl": "Slovenian", "es": "Spanish", "su": "Sundanese", "sw": "Swahili",
    "sv": "Swedish", "tl": "Tagalog", "ta": "Tamil", "te": "Telugu", "tr": "Turkish", "tk": "Turkmen",
    "uk": "Ukrainian", "ur": "Urdu", "uz": "Uzbek", "vi": "Vietnamese", "vo": "Volapuk", "wa": "Walloon",
    "war": "Waray_Waray", "cy": "Welsh", "fy": "West_Frisian", "pnb": "Western_Panjabi", "yo": "Yoruba",
}
# fmt: on


def clean(text: str) -> str:
    """`text` without NUL and other control characters (tabs and newlines stay), with every line end a newline."""
    return _LINE_ENDS.sub("\n", text).translate(_CONTROLS)


def tidy(text: str) -> str:
    """Extracted text without trailing spaces, runs of blank lines and blank ends."""
    return _BLANK_LINES.sub("\n\n", _TRAILING_SPACE.sub("\n", text)).strip()


def nesting(html: str) -> int:
    """How deeply `<div>`, `<article>`, `<section>` and `<main>` are nested, by their tags alone (an estimate: linear, no parsing)."""
    depth = deepest = 0
    for tag in _NESTING_TAG.finditer(html):
        depth = max(0, depth - 1) if tag[1] else depth + 1
        deepest = max(deepest, depth)
    return deepest


def main_text(html: str, extractor: Extractor, language_of: Callable[[str], str]) -> str:
    """The main text of a page; empty if the extractor finds none.

    language_of: text -> language code, asked by jusText only, which needs the language's stop words.
    Raises whatever the extractor raises on a page that it cannot bear.
    """
    html = _XML_DECLARATION.sub("", html, count=1)  # lxml refuses characters that declare an encoding
    if not html.strip():
        return ""
    if extractor == "resiliparse":
        return tidy(clean(_resiliparse(html, main_content=True)))
    if extractor == "justext":
        return tidy(clean(_justext(html, language_of)))
    return tidy(clean(_trafilatura(html)))


def extractor_version(extractor: Extractor) -> str:
    return f"{extractor} {importlib.metadata.version(extractor)}"


def _resiliparse(html: str, main_content: bool) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(
        html, main_content=main_content, alt_texts=False, links=False, form_fields=False, noscript=False
    )


def _justext(html: str, language_of: Callable[[str], str]) -> str:
    import justext
    from lxml.etree import ParserError

    stop_words = stop_list(language_of(_resiliparse(html, main_content=False)))
    # Nemotron-CC by way of NeMo Curator: lengths 70 and 200, stop-word shares 0.30 and 0.32, link density 0.2, heading distance 200.
    shares: dict[str, Any] = (
        {"stopwords_low": 0.30, "stopwords_high": 0.32} if stop_words else {"stopwords_low": 0, "stopwords_high": 0}
    )
    try:
        paragraphs = justext.justext(
            html, stop_words, length_low=70, length_high=200, max_link_density=0.2, max_heading_distance=200, **shares
        )
    except ParserError:  # lxml's word for a page without any element
        return ""
    return "\n\n".join(paragraph.text for paragraph in paragraphs if not paragraph.is_boilerplate)


@functools.lru_cache(maxsize=64)
def stop_list(language: str) -> frozenset[str]:
    """jusText's stop words of a language; empty (its language-independent mode) where it has none."""
    import justext

    name = _STOP_LISTS.get(language)
    return justext.get_stoplist(name) if name else frozenset()


def _trafilatura(html: str) -> str:
    import trafilatura

    logging.getLogger("trafilatura").setLevel(logging.CRITICAL)  # it logs every page without text as an error
    # As FineWeb, but without `deduplicate`, which remembers the pages before and so would depend on their order.
    return trafilatura.extract(html, favor_precision=True, include_comments=False, deduplicate=False) or ""
