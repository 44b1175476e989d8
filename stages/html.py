"""From a page's bytes to its text: charset, MIME type by content, and the extractors.

The charset follows the order of the WHATWG encoding standard (byte order mark, HTTP header, `<meta>`, detection), but the
bytes have a say: text that is valid UTF-8 beyond ASCII is UTF-8 whatever a server's default header claims.

Extractors: Resiliparse (DCLM, arXiv:2406.11794; Dolma 3), jusText (Nemotron-CC, arXiv:2412.02595: 28.6 % more high-quality tokens
than Trafilatura), Trafilatura (FineWeb, arXiv:2406.17557). All are used with the cited settings, without anything that depends
on pages seen before.
"""

import codecs
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

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_META_CHARSET = re.compile(rb"<meta[^>]{1,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_XML_ENCODING = re.compile(rb"^\s*<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE)
_META_REACH = 4096
# Resiliparse maps labels as the WHATWG standard does, but to Python's narrow codecs; pages use the vendors' supersets of them.
_CODECS = {
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "iso8859-11": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
_HTML_START = re.compile(
    rb"\s*(?:<!--.{0,2000}?-->\s*)*<(?:!doctype\s+html|html|head|body|title|script|style|table|div|h1|p|br|a|b|font|iframe)[\s>]",
    re.IGNORECASE | re.DOTALL,
)
_BINARY_STARTS = {
    b"%PDF-": "application/pdf",
    b"\x89PNG": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"PK\x03\x04": "application/zip",
    b"\x1f\x8b\x08": "application/gzip",
    b"Rar!": "application/vnd.rar",
    b"7z\xbc\xaf": "application/x-7z-compressed",
    b"\xd0\xcf\x11\xe0": "application/x-ole-storage",
    b"{\\rtf": "application/rtf",
    b"%!PS": "application/postscript",
    b"OggS": "application/ogg",
    b"ID3": "audio/mpeg",
    b"wOFF": "font/woff",
    b"wOF2": "font/woff2",
}
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


def sniffed_mime(payload: bytes) -> str:
    """The MIME type by content, for a page whose headers give none."""
    start = payload[:4096]
    binary = binary_mime(payload)
    if binary:
        return binary
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        start = start.replace(b"\0", b"")[2:]
    if _HTML_START.match(start.removeprefix(codecs.BOM_UTF8)):
        return "text/html"
    if start.lstrip().startswith(b"<?xml"):
        return "application/xhtml+xml" if b"<html" in start.lower() else "application/xml"
    return "application/octet-stream" if b"\0" in start else "text/plain"


def binary_mime(payload: bytes) -> str | None:
    """The MIME type of a file that begins with a known binary signature, whatever its headers call it."""
    return next((mime for start, mime in _BINARY_STARTS.items() if payload.startswith(start)), None)


def decoded(payload: bytes, declared: str | None) -> tuple[str, str]:
    """The characters of a page and the charset they were read with. declared: the HTTP header's charset.

    Bytes that the charset does not know become U+FFFD; the byte order mark and NUL characters are gone.
    """
    for mark, codec in _BOMS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(codec, "replace").replace("\0", ""), codec
    codec = _codec(declared) or _codec_in_page(payload) or "utf-8"
    try:
        as_utf8 = payload.decode()
        if codec == "utf-8" or not payload.isascii():
            return as_utf8.replace("\0", ""), "utf-8"
    except UnicodeDecodeError:
        if codec == "utf-8":
            as_utf8 = payload.decode("utf-8", "replace")
            broken = as_utf8.count("\ufffd")
            if 10 * broken <= len(as_utf8) - len(as_utf8.encode("ascii", "ignore")) - broken:
                return as_utf8.replace("\0", ""), "utf-8"  # UTF-8 with a few broken bytes, not another charset
            codec = _detected(payload)
    return payload.decode(codec, "replace").replace("\0", ""), codec


def _codec_in_page(payload: bytes) -> str | None:
    """What `<meta>` or the XML declaration says near the beginning."""
    found = _META_CHARSET.search(payload, 0, _META_REACH) or _XML_ENCODING.match(payload[:_META_REACH])
    codec = _codec(found[1].decode("ascii")) if found else None
    # A declaration that could be read as ASCII cannot be UTF-16 (HTML standard, 13.2.3.2).
    return "utf-8" if codec and codec.startswith("utf-16") else codec


def _detected(payload: bytes) -> str:
    from resiliparse.parse.encoding import detect_encoding

    return _codec(detect_encoding(payload)) or "cp1252"


@functools.lru_cache(maxsize=256)
def _codec(label: str | None) -> str | None:
    """Python's name for a charset label, or None for a label that means nothing."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    if not label:
        return None
    standard = (map_encoding_to_html5(label, fallback_utf8=False) or label).lower()
    try:
        found = codecs.lookup(_CODECS.get(standard, standard))
    except (LookupError, ValueError):
        return None
    return found.name if found._is_text_encoding else None


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
