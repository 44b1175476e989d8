"""Charsets of texts that nobody declares: the share read right, against detection libraries.

    python benchmarks/charsets.py --data DATA

DATA is a folder with `langid/language_sentences.jsonl.zst` (sentences with the name of their
language) and `web_articles/*.ground_truth.jsonl.zst` (main texts of pages). Each text is written in
the charsets that its language had before UTF-8, and read again: as it stands, within a page, and
with a server's default in the header. A reading is right if every character is. `--skip` leaves out
so many characters of the long texts, for texts other than those that the rules were made on.

The benchmark prints a table, and last one line of JSON.
"""

import argparse
import io
import json
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import zstandard

sys.path.insert(0, str(Path(__file__).parent.parent))

from corpusmill.stages.readers.charset import decoded

CYRILLIC = ("cp1251", "koi8_r", "iso8859_5", "cp866")
CENTRAL = ("cp1250", "iso8859_2")
CHARSETS = {
    **dict.fromkeys(("pl", "cs", "hu", "ro", "hr", "sk", "sl"), CENTRAL),
    **dict.fromkeys(("de", "fr", "es", "pt", "it", "sv", "da", "no", "nl", "fi"), ("cp1252",)),
    **dict.fromkeys(("lt", "lv", "et"), ("cp1257",)),
    "ko": ("cp949",),
    "ja": ("euc_jp", "cp932", "iso2022_jp"),
    "zh": ("gb18030", "big5hkscs"),
    "ru": CYRILLIC,
    "bg": ("cp1251",),
    "uk": ("cp1251", "koi8_u"),
    "el": ("cp1253", "iso8859_7"),
    "tr": ("cp1254",),
    "he": ("cp1255",),
    "ar": ("cp1256",),
    "fa": ("cp1256",),
    "vi": ("cp1258",),
    "th": ("cp874",),
}
NAMES = {
    "Korean": "ko",
    "Japanese": "ja",
    "Russian": "ru",
    "Ukrainian": "uk",
    "Bulgarian": "bg",
    "Polish": "pl",
    "Czech": "cs",
    "Hungarian": "hu",
    "Romanian": "ro",
    "Croatian": "hr",
    "Slovak": "sk",
    "Slovenian": "sl",
    "German": "de",
    "French": "fr",
    "Spanish": "es",
    "Italian": "it",
    "Swedish": "sv",
    "Danish": "da",
    "Dutch": "nl",
    "Finnish": "fi",
    "Greek": "el",
    "Turkish": "tr",
    "Hebrew": "he",
    "Arabic": "ar",
    "Persian": "fa",
    "Lithuanian": "lt",
    "Latvian": "lv",
    "Estonian": "et",
    "Vietnamese": "vi",
    "Thai": "th",
} | {"Mandarin Chinese": "zh"}
PAGE = (
    b"<!DOCTYPE html><html><head><title>News</title></head><body>"
    b'<div class="menu"><a href="/">Home</a></div><p>%s</p></body></html>'
)
MOST_TEXTS = 15  # long ones of a language


class Sample(NamedTuple):
    charset: str
    length: str
    data: bytes
    text: str


def rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as file:
        unpacked = zstandard.ZstdDecompressor().stream_reader(file)
        yield from map(json.loads, io.TextIOWrapper(unpacked, encoding="utf-8"))


def texts(data: Path, skip: int) -> Iterator[tuple[str, str, str]]:
    """(language, kind of length, text)."""
    for row in rows(data / "langid" / "language_sentences.jsonl.zst"):
        if row["language"] in NAMES:
            yield NAMES[row["language"]], "sentence", row["text"]
    seen: Counter[str] = Counter()
    for path in sorted((data / "web_articles").glob("*ground_truth*.zst")):
        for row in rows(path):
            language, text = row.get("lang_guess", ""), row["text"][skip:]
            if language in CHARSETS and len(text) > 300 and seen[language] < MOST_TEXTS:
                seen[language] += 1
                yield language, "400 characters", text[:400]
                yield language, "3,000 characters", text[:3000]


def samples(data: Path, skip: int) -> list[Sample]:
    """Characters that a charset has not are left out; texts that would lose many are not used."""
    found = []
    for language, length, text in texts(data, skip):
        for charset in CHARSETS[language]:
            encoded = text.encode(charset, "ignore")
            kept = encoded.decode(charset)
            told = not encoded.isascii() or b"\x1b" in encoded
            if len(kept) >= 0.97 * len(text) and told:
                found.append(Sample(charset, length, encoded, kept))
    return found


def by_label(payload: bytes, label: str | None) -> str:
    wider = {"shift_jis": "cp932", "euc-kr": "cp949", "uhc": "cp949", "gb2312": "gb18030"}
    wider |= {"gbk": "gb18030", "big5": "big5hkscs"}
    name = (label or "utf-8").lower()
    return payload.decode(wider.get(name, name), "replace")


def readings() -> dict[str, Callable[[bytes], str]]:
    """Name -> what reads bytes."""
    import cchardet
    import charset_normalizer
    from resiliparse.parse.encoding import detect_encoding

    def normalizer(payload: bytes) -> str:
        best = charset_normalizer.from_bytes(payload).best()
        return by_label(payload, best.encoding if best else None)

    def in_page(payload: bytes) -> str:
        return decoded(PAGE % payload, None)[0].split("<p>")[1].split("</p></body>")[0]

    return {
        "corpusmill": lambda payload: decoded(payload, None)[0],
        "corpusmill, in a page": in_page,
        "corpusmill, header utf-8": lambda payload: decoded(payload, "utf-8")[0],
        "corpusmill, header iso-8859-1": lambda payload: decoded(payload, "iso-8859-1")[0],
        "cchardet": lambda payload: by_label(payload, cchardet.detect(payload)["encoding"]),
        "resiliparse": lambda payload: by_label(payload, detect_encoding(payload)),
        "charset-normalizer": normalizer,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--skip", type=int, default=0)
    arguments = parser.parse_args()
    given = samples(arguments.data, arguments.skip)
    lengths = sorted({sample.length for sample in given})
    count = Counter(sample.length for sample in given)
    print(f"{len(given)} texts, {len({sample.charset for sample in given})} charsets")
    print(" | ".join(["", *(f"{length} ({count[length]})" for length in lengths), "all", "s"]))
    results: dict[str, float] = {}
    for name, read in readings().items():
        right: Counter[str] = Counter()
        started = time.process_time()
        for sample in given:
            try:
                right[sample.length] += read(sample.data) == sample.text
            except (LookupError, UnicodeError):
                continue
        seconds = time.process_time() - started
        shares = [f"{right[length] / count[length]:.3f}" for length in lengths]
        results[name] = round(right.total() / len(given), 4)
        print(" | ".join([name, *shares, f"{results[name]:.3f}", f"{seconds:.1f}"]), flush=True)
    print(json.dumps({"texts": len(given), **results}))


if __name__ == "__main__":
    main()
