"""The characters of a page or a text: which charset its bytes are in.

What is declared (HTTP header, `<meta>`, XML declaration), what is met (a byte order mark, valid
UTF-8, zero bytes, escape sequences) and what is detected are weighed together over all the bytes:

    byte order mark -> zero bytes of UTF-16 -> escape sequences of ISO 2022 -> UTF-8 that is valid
    -> UTF-8 with a few broken bytes -> what is declared or detected, and reads best

Text beyond ASCII that is valid UTF-8 is UTF-8, whatever a server's default header claims. Bytes
that are not UTF-8 are never read as such. Labels mean what they mean in the WHATWG encoding
standard.
"""

import codecs
import functools
import importlib.metadata
import re

from corpusmill.stages.readers.plausible import cost
from corpusmill.stages.readers.utf16 import BOMS, utf16_of

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
    "euc-kr": "cp949",
    "uhc": "cp949",
    "big5": "big5hkscs",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "iso8859-11": "cp874",
    "tis-620": "cp874",
    "x-mac-cyrillic": "mac_cyrillic",
    "mac-cyrillic": "mac_cyrillic",
    "hz-gb-2312": "hz",
    "iso-2022-kr": "iso2022_kr",
}
# Text encodings of Python that no browser knows. They fail on bytes, or make surrogates and markup
# of ASCII.
_NOT_FOR_PAGES = frozenset(
    ("idna", "punycode", "undefined", "utf-7", "unicode-escape", "raw-unicode-escape")
)
_ESCAPES = (
    (re.compile(rb"\x1b\$[@B]|\x1b\([IJ]"), "iso2022_jp_ext"),
    (re.compile(rb"\x1b\$\)C"), "iso2022_kr"),
)
_HZ = re.compile(rb"~\{(?:[\x21-\x77][\x21-\x7e]){1,2000}+~\}")
_SEVEN_BIT = ("hz", "iso2022_jp", "iso2022_jp_ext", "iso2022_kr")
# Detectors miss these; bytes of another charset are seldom valid in them.
_ALWAYS_TRIED = (
    "cp949",
    "gb18030",
    "big5hkscs",
    "euc_jp",
    "cp932",
    "cp1256",
    "cp1250",
    "iso8859-2",
    "cp1254",
    "cp1257",
)
# Charsets of one script that differ in few places. Detectors name either.
_SIBLINGS = (
    ("koi8-r", "koi8-u"),
    ("iso8859-2", "cp1250"),
    ("iso8859-5", "cp1251"),
    ("iso8859-6", "cp1256"),
    ("iso8859-7", "cp1253"),
    ("iso8859-8", "cp1255"),
    ("iso8859-9", "cp1254"),
    ("iso8859-13", "cp1257"),
    ("iso8859-15", "cp1252"),
)
_SIBLING = {one: other for pair in _SIBLINGS for one, other in (pair, pair[::-1])}
# How much speaks for a charset, in costs of a character. What is declared counts as much as what
# two detectors say, but servers and editors say these of any page.
_DECLARED, _FOUND, _IN_PAGE_BY_DEFAULT, _IN_HEADER_BY_DEFAULT = 0.3, 0.15, 0.2, 0.1
_AS_SIBLING = 0.02  # less
# For windows-1252. It is more than one detector says, and less than two, in texts with so few
# characters beyond ASCII that detectors guess.
_WESTERN, _WESTERN_IF_FEW = 0.05, 0.16
_FEW_CHARACTERS, _SMALL_SHARE = 5, 0.02
_DEFAULTS = ("cp1252", "iso8859-1", "ascii")
_BEYOND = bytes(range(0x80, 0x100))
_SEPARATED = bytes.maketrans(b'<>"', b"   ")
_BYTES_AS_WESTERN = "corpusmill.bytes-as-western"
_NOT_DETECTED = ("iso8859-3", "iso8859-10", "iso8859-14", "iso8859-15", "iso8859-16", "mac-latin2")
_DETECTORS = ("faust-cchardet", "resiliparse")
_MOST_DETECTED = 1 << 20  # bytes that a detector sees
# How many bytes may be broken for each character of a text in UTF-8. Few characters prove little:
# other charsets have sequences that are valid UTF-8 by chance, about one in ten.
_FEW_BROKEN, _BROKEN_OF_FEW, _FEW = 0.5, 0.1, 4


def decoded(payload: bytes, declared: str | None) -> tuple[str, str]:
    """The characters of a page, and the charset that they were read with. declared: the charset
    of the HTTP header.

    Bytes that the charset does not know become U+FFFD. The byte order mark and NUL characters
    are removed.
    """
    text, codec = _decoded(payload, declared)
    return text.replace("\0", ""), codec


def detector_versions() -> tuple[str, ...]:
    """All that decides the charset besides the bytes."""
    return tuple(f"{name} {importlib.metadata.version(name)}" for name in _DETECTORS)


def _decoded(payload: bytes, declared: str | None) -> tuple[str, str]:
    for mark, codec in BOMS:
        if payload.startswith(mark):
            return payload[len(mark) :].decode(codec, "replace"), codec
    wide = utf16_of(payload)
    if wide is not None:
        return payload.decode(wide, "replace"), wide
    is_ascii = payload.isascii()
    if not is_ascii:
        try:
            return payload.decode(), "utf-8"
        except UnicodeDecodeError:
            pass
    in_header, in_page = _codec(declared), _codec_in_page(payload)
    if is_ascii:
        escaped = _seven_bit(payload, in_header, in_page)
        if escaped is None:
            return payload.decode("ascii"), _name(in_header or in_page or "utf-8")
        return payload.decode(escaped, "replace"), escaped
    as_utf8 = payload.decode("utf-8", "replace")
    broken = as_utf8.count("\ufffd")
    beyond = len(as_utf8) - len(as_utf8.encode("ascii", "ignore")) - broken
    if broken <= (_FEW_BROKEN if beyond >= _FEW else _BROKEN_OF_FEW) * beyond:
        return as_utf8, "utf-8"  # with a few broken bytes, and no other charset
    return _most_plausible(payload, in_header, in_page, beyond)


def _most_plausible(
    payload: bytes, in_header: str | None, in_page: str | None, in_utf8: int
) -> tuple[str, str]:
    """Of all charsets that anything speaks for, the one under which the bytes read best.

    in_utf8: characters beyond ASCII that are valid UTF-8. Pages that are made of parts hold some
    beside bytes of windows-1252.
    """
    said = [
        (in_header, _IN_HEADER_BY_DEFAULT if in_header in _DEFAULTS else _DECLARED),
        (in_page, _IN_PAGE_BY_DEFAULT if in_page in _DEFAULTS else _DECLARED),
        *((codec, _FOUND) for codec in _detected(payload)),
    ]
    beyond = len(payload) - len(payload.translate(None, _BEYOND))
    words = _words_beyond_ascii(payload)
    few = beyond < _FEW_CHARACTERS or beyond < _SMALL_SHARE * len(payload)
    weights = {"cp1252": _WESTERN_IF_FEW if few else _WESTERN}
    for codec, weight in said:
        if codec and "utf" not in codec and codec not in _SEVEN_BIT:
            weights[codec] = weights.get(codec, 0.0) + weight
    weights["cp1252"] = min(weights["cp1252"], _DECLARED)
    for codec, weight in list(weights.items()):
        if codec in _SIBLING:
            weights.setdefault(_SIBLING[codec], weight - _AS_SIBLING)
    best, least = "cp1252", 1e9
    for codec in dict.fromkeys((*weights, *_ALWAYS_TRIED)):
        if codec not in weights and not _is_valid(words, codec):
            continue
        text = words.decode(codec, "replace")
        if codec == "cp1256" and codec not in weights and not _is_arabic(text):
            continue
        found = cost(text, codec) - weights.get(codec, 0.0)
        if found < least:
            best, least = codec, found
    if in_utf8 and cost(words.decode("utf-8", _BYTES_AS_WESTERN), "utf-8") < least:
        return payload.decode("utf-8", _BYTES_AS_WESTERN), "utf-8"
    return payload.decode(best, "replace"), best


def _words_beyond_ascii(payload: bytes) -> bytes:
    """The words with bytes beyond ASCII: all that charsets differ in, and a small part of a page.

    No charset that is tried has a blank or a bracket of a tag within a character.
    """
    words = payload.translate(_SEPARATED).split()
    return b" ".join(word for word in words if not word.isascii())


def _seven_bit(payload: bytes, in_header: str | None, in_page: str | None) -> str | None:
    """The charset of ASCII bytes that stand for other characters."""
    for sign, codec in _ESCAPES if b"\x1b" in payload else ():
        if sign.search(payload):
            return codec
    if b"~{" in payload and ("hz" in (in_header, in_page) or len(_HZ.findall(payload)) >= 2):
        return "hz"
    return None


def _is_arabic(text: str) -> bool:
    beyond = [character for character in text if character > "\x7f"][:1000]
    return sum("\u0600" <= character <= "\u06ff" for character in beyond) > 0.7 * len(beyond)


def _as_western(error: UnicodeError) -> tuple[str, int]:
    """Bytes that are not UTF-8 as characters of windows-1252."""
    assert isinstance(error, UnicodeDecodeError)
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error(_BYTES_AS_WESTERN, _as_western)


def _is_valid(payload: bytes, codec: str) -> bool:
    """Whether the bytes are valid in a charset, but for a character that is cut off at the end."""
    try:
        payload.decode(codec)
    except UnicodeDecodeError as error:
        return error.start >= len(payload) - 3
    return True


def _codec_in_page(payload: bytes) -> str | None:
    """What `<meta>` or the XML declaration says near the beginning."""
    found = _META_CHARSET.search(payload, 0, _META_REACH) or _XML_ENCODING.match(
        payload[:_META_REACH]
    )
    codec = _codec(found[1].decode("ascii")) if found else None
    # A declaration that could be read as ASCII cannot be UTF-16 (HTML standard, 13.2.3.2).
    return "utf-8" if codec and codec.startswith("utf-16") else codec


def _detected(payload: bytes) -> list[str]:
    """What the detectors say: cchardet (Mozilla's universal detector) and Resiliparse's."""
    import cchardet
    from resiliparse.parse.encoding import detect_encoding

    sample = payload[:_MOST_DETECTED]
    found = [cchardet.detect(sample)["encoding"], detect_encoding(sample, from_html_meta=False)]
    on_the_web = (label for label in found if label and _standard(label))
    return [codec for codec in map(_codec, on_the_web) if codec and codec not in _NOT_DETECTED]


@functools.lru_cache(maxsize=256)
def _codec(label: str | None) -> str | None:
    """Python's name for a charset label, or None for a label that means nothing."""
    if not label:
        return None
    try:
        found = codecs.lookup(_standard(label) or label.lower())
    except (LookupError, ValueError):
        return None
    return found.name if found._is_text_encoding and found.name not in _NOT_FOR_PAGES else None


def _standard(label: str) -> str | None:
    """The codec of a label of the WHATWG standard, or of another that pages use."""
    from resiliparse.parse.encoding import map_encoding_to_html5

    known = _CODECS.get(label.lower())
    found = known or (map_encoding_to_html5(label, fallback_utf8=False) or "").lower()
    return _CODECS.get(found, found) or None


def _name(codec: str) -> str:
    return codec if codec not in _SEVEN_BIT else "utf-8"
