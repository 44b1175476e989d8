r"""Pages with reference texts, to train and to measure extraction on. The measure, and two halves.

The pages and texts are those of WCXB (Murrough-Foley, web-content-extraction-benchmark, CC-BY-4.0
for the annotations). The pages are WARC files, `web/crawl-*.warc.gz`. Their header X-Corpus-Id
joins them with the reference texts in `web/ground_truth.jsonl.zst`.

**Measure**: words are `\w+`, lower-cased. F1, precision and recall compare the multisets of words,
and are averaged over pages.

**Halves**: a hash of its domain puts a site into one half. The model learns from the tuning half
only.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import zstandard

TUNING, HELD_OUT = 0, 1
_WORD = re.compile(r"\w+")


@dataclass(frozen=True)
class ReferencePage:
    """payload, charset: as in the crawl. reference: the text to extract. kind: article, forum..."""

    id: str
    payload: bytes
    charset: str | None
    reference: str
    kind: str
    domain: str

    @property
    def half(self) -> int:
        return part_of(self.domain, 2)


@dataclass(frozen=True)
class Score:
    f1: float
    precision: float
    recall: float


def part_of(domain: str, parts: int, salt: str = "") -> int:
    """The number of the part, of `parts`, that a site belongs to."""
    return hashlib.sha256((salt + domain).encode()).digest()[0] % parts


def words(text: str) -> list[str]:
    return _WORD.findall(text.lower())


def score(text: str, reference: str) -> Score:
    found, wanted = Counter(words(text)), Counter(words(reference))
    common = (found & wanted).total()
    if not common:
        return Score(0.0, 0.0, 0.0)
    precision, recall = common / found.total(), common / wanted.total()
    return Score(2 * precision * recall / (precision + recall), precision, recall)


def mean(scores: Sequence[Score]) -> Score:
    count = max(len(scores), 1)
    return Score(
        sum(item.f1 for item in scores) / count,
        sum(item.precision for item in scores) / count,
        sum(item.recall for item in scores) / count,
    )


def reference_pages(data: Path, limit: int | None = None) -> list[ReferencePage]:
    """The pages that have a reference text, in the order of the WARC files.

    limit: at most so many, spread evenly over the files.
    """
    truths = {
        row["id"]: row
        for row in ground_truth(data)
        if row["gt_kind"] == "full_text" and row["text"] is not None
    }
    pages = [
        ReferencePage(
            name,
            payload,
            charset,
            truths[name]["text"],
            truths[name]["page_type"],
            truths[name]["domain"],
        )
        for name, payload, charset in crawled(data)
        if name in truths
    ]
    if limit is None or limit >= len(pages):
        return pages
    return [pages[number * len(pages) // limit] for number in range(limit)]


def ground_truth(data: Path) -> Iterator[dict]:
    with (data / "web" / "ground_truth.jsonl.zst").open("rb") as source:
        reader = zstandard.ZstdDecompressor().stream_reader(source)
        yield from map(json.loads, io.TextIOWrapper(reader, encoding="utf-8"))


def crawled(data: Path) -> Iterator[tuple[str, bytes, str | None]]:
    """(id, body, charset) of every page."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    for path in sorted((data / "web").glob("crawl-*.warc.gz")):
        with path.open("rb") as source:
            for record in ArchiveIterator(
                source, record_types=WarcRecordType.response, parse_http=True
            ):
                headers = record.http_headers
                yield headers.get("X-Corpus-Id") or "", record.reader.read(), record.http_charset
