"""UTF-16 and UTF-32, with a byte order mark and without.

No other charset of text has zero bytes, but for a stray one. So text with many zeros is one of
these. Which one: that under which the characters are letters, spaces and signs of few scripts.
"""

import codecs
import unicodedata

# UTF-32's mark for little endian begins with UTF-16's.
BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_SAMPLE = 4096
_FEWEST_ZEROS = 1 / 200  # of the bytes: one space, digit or line end in 100 characters
_MOST_STRANGE = 0.02  # of the characters
_LEAST_ASCII = 0.25  # of the zeros of UTF-16: the others are halves of other characters


def utf16_of(payload: bytes) -> str | None:
    """The codec of a text in UTF-16 or UTF-32, or None for bytes that are neither."""
    for mark, codec in BOMS[1:]:
        if payload.startswith(mark):
            return codec
    sample = payload[:_SAMPLE]
    zeros = sample.count(0)
    if len(sample) < 4 or zeros < max(1, _FEWEST_ZEROS * len(sample)):
        return None
    even, odd = sample[0::2].count(0), sample[1::2].count(0)
    shares = {
        codec: _strange(sample, codec)
        for codec in ("utf-32-le", "utf-32-be", "utf-16-le", "utf-16-be")
    }
    # Of two that read well, the one whose zeros stand in the high bytes.
    best = min(shares, key=lambda codec: (shares[codec], (even if "le" in codec else odd)))
    ascii_characters = sum(map(str.isascii, sample.decode(best, "replace")))
    is_text = shares[best] <= _MOST_STRANGE and (
        "32" in best or ascii_characters >= _LEAST_ASCII * zeros
    )
    return best if is_text else None


def _strange(sample: bytes, codec: str) -> float:
    """The share of characters that no text has: controls, unassigned ones, private ones, errors."""
    text = sample.decode(codec, "replace").rstrip("\ufffd")
    if not text:
        return 1.0
    strange = sum(
        unicodedata.category(character) in ("Cn", "Co", "Cs", "Cc", "So")
        and character not in "\t\n\r\f"
        for character in text
    )
    return strange / len(text)
