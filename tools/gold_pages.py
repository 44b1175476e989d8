r"""Pages with reference texts, to train and to measure extraction on. The measure, and two halves.

Two folders hold pages as WARC files. A header X-Corpus-Id joins a page with its row in a file of
reference texts:

    web/crawl-*.warc.gz            web/ground_truth.jsonl.zst
    web_articles/articles-*.warc.gz  web_articles/articles.ground_truth.jsonl.zst

The first holds WCXB (Murrough-Foley, web-content-extraction-benchmark, CC-BY-4.0 for the
annotations). The second holds articles from six other makers; each row names its source.

**Measure**: words are `\w+`, lower-cased. A Chinese or Japanese character is a word by itself. F1,
precision and recall compare the multisets of words, and are averaged over pages.

**Headline**: makers differ. Some have it in the text, some beside it. A text is therefore scored
against the reference with and without the headline, and the better F1 counts. This holds for every
extractor. Comments do not belong to the reference, except on pages of forums.

**Halves**: a hash of its domain puts a site into one half. A model learns from the tuning half
only, and rules are chosen by it.
"""

import hashlib
import io
import json
import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import zstandard

TUNING, HELD_OUT = 0, 1
MIXED = "wcxb-dev"  # the source of mixed pages
# Sources whose annotations are licensed for models under a permissive licence.
PERMISSIVE = (MIXED, "fundus-tests")
_FOLDERS = (
    ("web", "crawl-*.warc.gz", "ground_truth.jsonl.zst"),
    ("web_articles", "articles-*.warc.gz", "articles.ground_truth.jsonl.zst"),
)
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]|[^\W\u3040-\u30ff\u3400-\u9fff]+")


@dataclass(frozen=True)
class ReferencePage:
    """payload, charset: as in the crawl. reference: the main text. title: the headline, empty
    where the reference holds it. kind: article, forum... source: who made the reference.
    """

    id: str
    payload: bytes
    charset: str | None
    reference: str
    title: str
    kind: str
    domain: str
    source: str

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


def score(text: str, reference: str, title: str = "") -> Score:
    """How well `text` agrees with the reference: the better of with and without the headline."""
    found = Counter(words(text))
    plain = _score(found, Counter(words(reference)))
    if not title:
        return plain
    return max(
        plain, _score(found, Counter(words(f"{title}\n{reference}"))), key=lambda one: one.f1
    )


def _score(found: Counter[str], wanted: Counter[str]) -> Score:
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


def reference_pages(
    data: Path, limit: int | None = None, sources: Sequence[str] = ()
) -> list[ReferencePage]:
    """The pages that have a reference text, in the order of the WARC files.

    limit: at most so many, spread evenly over the files. sources: only of these; all if empty.
    """
    pages = [page for folder in _FOLDERS for page in _pages(data, *folder)]
    if sources:
        pages = [page for page in pages if page.source in sources]
    if limit is None or limit >= len(pages):
        return pages
    return [pages[number * len(pages) // limit] for number in range(limit)]


def unlabelled_pages(
    data: Path,
    known: Sequence[ReferencePage],
    folder: str,
    crawls: str,
    index: str,
    per_site: int,
) -> Iterator[ReferencePage]:
    """Pages of a crawl that have no reference text: the reference is empty. Pages of sites in the
    held-out half of any set are left out, and so are pages that have a reference.

    known: all pages that have one (`reference_pages`). index: the file that says each page's `url`
    and `source`. per_site: at most so many of a host.
    """
    names = {page.id for page in known}
    held_out = {page.domain for page in known if page.half == HELD_OUT}
    rows = {row["id"]: row for row in truth_rows(data / folder / index)}
    taken: Counter[str] = Counter()
    for name, payload, charset in crawled(data, f"{folder}/{crawls}"):
        host = urlsplit(rows[name]["url"]).hostname or ""
        site = rows[name].get("site") or host
        if name in names or taken[site] >= per_site or _stands_in(host, held_out):
            continue
        taken[site] += 1
        source = rows[name].get("source") or rows[name].get("repo") or folder
        yield ReferencePage(name, payload, charset, "", "", "any", site, source)


def _stands_in(host: str, domains: Collection[str]) -> bool:
    parts = host.split(".")
    return any(".".join(parts[place:]) in domains for place in range(len(parts)))


def _pages(data: Path, folder: str, crawls: str, truth: str) -> Iterator[ReferencePage]:
    if not (data / folder / truth).exists():
        return
    truths = {
        row["id"]: row
        for row in truth_rows(data / folder / truth)
        if row["gt_kind"] == "full_text" and row["text"] is not None
    }
    for name, payload, charset in crawled(data, f"{folder}/{crawls}"):
        if name in truths:
            yield _page(name, payload, charset, truths[name])


def _page(name: str, payload: bytes, charset: str | None, row: Mapping[str, Any]) -> ReferencePage:
    return ReferencePage(
        name,
        payload,
        charset,
        row["text"],
        row["title"] or "",
        row["page_type"] or "any",
        row.get("domain") or row.get("site") or "",
        row["source"],
    )


def truth_rows(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as source:
        reader = zstandard.ZstdDecompressor().stream_reader(source)
        yield from map(json.loads, io.TextIOWrapper(reader, encoding="utf-8"))


def crawled(data: Path, pattern: str) -> Iterator[tuple[str, bytes, str | None]]:
    """(id, body, charset) of every page."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    for path in sorted(data.glob(pattern)):
        with path.open("rb") as source:
            for record in ArchiveIterator(
                source, record_types=WarcRecordType.response, parse_http=True
            ):
                headers = record.http_headers
                yield headers.get("X-Corpus-Id") or "", record.reader.read(), record.http_charset
