"""What a page's bytes are: their MIME type by content, and their characters.

The charset follows the WHATWG encoding standard: byte order mark, HTTP header, `<meta>`,
detection. With one exception: text beyond ASCII that is valid UTF-8 is UTF-8, whatever a
server's default header claims.
"""

import codecs
import functools
import re

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_META_CHARSET = re.compile(
    rb"<meta[^>]{1,400}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE
)
_XML_ENCODING = re.compile(
    rb"^\s*<\?xml[^>]{1,200}?encoding\s*=\s*[\"']([A-Za-z0-9_.:-]{2,40})", re.IGNORECASE
)
_META_REACH = 4096
# Resiliparse maps labels as the WHATWG standard does, but to Python's narrow codecs. Pages use the
# vendors' supersets of them.
_CODECS = {
    "shift_jis": "cp932",
    "euc_kr": "cp949",
    "big5": "big5hkscs",
    "gbk": "gb18030",
    "iso8859-11": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
}
# Text encodings of Python that no browser knows. They fail on bytes, or make surrogates and markup
# of ASCII.
_NOT_FOR_PAGES = frozenset(
    ("idna", "punycode", "undefined", "utf-7", "unicode-escape", "raw-unicode-escape")
)


def decoded(payload: bytes, declared: str | None) -> tuple[str, str]:
    """The characters of a page, and the charset that they were read with. declared: the charset
    of the HTTP header.

    Bytes that the charset does not know become U+FFFD. The byte order mark and NUL characters
    are removed.
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
                # This is UTF-8 with a few broken bytes, not another charset.
                return as_utf8.replace("\0", ""), "utf-8"
            codec = _detected(payload)
    return payload.decode(codec, "replace").replace("\0", ""), codec


def _codec_in_page(payload: bytes) -> str | None:
    """What `<meta>` or the XML declaration says near the beginning."""
    found = _META_CHARSET.search(payload, 0, _META_REACH) or _XML_ENCODING.match(
        payload[:_META_REACH]
    )
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
    return found.name if found._is_text_encoding and found.name not in _NOT_FOR_PAGES else None
