"""The pages of the structure score: with reference texts, and of a crawl without."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from corpusmill.tools.gold_pages import (
    HELD_OUT,
    ReferencePage,
    crawled,
    part_of,
    truth_rows,
    words,
)

from benchmarks.extraction_gold import Gold, gold_of, parsed
from benchmarks.extraction_peers import TEXTS, Page, language_of, text_or_nothing
from benchmarks.extraction_views import Views

Item = TypeVar("Item")
PAGES_A_SITE = 5  # of the crawl without reference texts, for each kind of markup
PEERS_THAT_AGREE = 2  # of three, on what the main content is
FEWEST_WORDS = 100  # in the main content of a page without reference text
PLAIN_PAGES = 200  # with lists and headings at most
_MARKUP: Final = {
    "code": re.compile(rb"<pre[\s>]", re.I),
    "tables": re.compile(rb"<t[dh][\s>].*?</t[dh]>\s*<t[dh]", re.I | re.S),
    "formulas": re.compile(rb"application/x-tex|alttext=|type=.?math/tex|\\\(|\\\[|\$\$", re.I),
}


@dataclass(frozen=True)
class Marked:
    """A page and the structures of its main content."""

    id: str
    page: Page
    gold: Gold


def marked_pages(
    data: Path, pages: Sequence[ReferencePage], limit: int | None = None, half: int = HELD_OUT
) -> list[Marked]:
    """Pages with reference texts, and pages of the crawl without. Of one half of the sites.

    All with code, tables or formulas, and PLAIN_PAGES with lists and headings alone, spread evenly.
    limit: at most so many of each of the two, spread evenly too.
    """
    found = [
        Marked(page.id, Page(page.payload, page.charset, language_of(page.reference)), gold)
        for page in pages
        if page.half == half and (gold := _gold(page.payload, Views([page.reference])))
    ]
    rich = [one for one in found if set(one.gold.kinds()) & set(_MARKUP)]
    plain = [one for one in found if not set(one.gold.kinds()) & set(_MARKUP)]
    crawl = crawl_pages(data, half)
    return (
        spread(rich, limit)
        + spread(plain, min(limit or PLAIN_PAGES, PLAIN_PAGES))
        + list(filter(None, map(_by_peers, spread(crawl, limit))))
    )


def spread(items: Sequence[Item], limit: int | None) -> list[Item]:
    if limit is None or limit >= len(items):
        return list(items)
    return [items[number * len(items) // limit] for number in range(limit)]


def _gold(payload: bytes, views: Views) -> Gold | None:
    root = parsed(payload)
    gold = gold_of(root, views) if root is not None else Gold()
    return gold if gold.kinds() else None


def crawl_pages(data: Path, half: int) -> list[tuple[str, bytes, str | None]]:
    """Pages of web2 with code, tables or formulas, a few of each site."""
    if not (index := data / "web2" / "index.jsonl.zst").exists():
        return []
    sites = {row["id"]: row["site"] for row in truth_rows(index)}
    taken: Counter[tuple[str, str]] = Counter()
    chosen = []
    for name, payload, charset in sorted(
        crawled(data, "web2/crawl2-*.warc.gz"), key=lambda one: zlib.crc32(one[0].encode())
    ):
        if part_of(site := sites[name], 2) != half:
            continue
        kinds = [
            kind
            for kind, markup in _MARKUP.items()
            if taken[site, kind] < PAGES_A_SITE and markup.search(payload)
        ]
        if kinds:
            chosen.append((name, payload, charset))
        taken.update((site, kind) for kind in kinds)
    return chosen


def _by_peers(one: tuple[str, bytes, str | None]) -> Marked | None:
    """The structures that at least two of three peers see in the main content."""
    name, payload, charset = one
    plain = text_or_nothing(TEXTS["resiliparse"]["main_content"], Page(payload, charset))
    page = Page(payload, charset, language_of(plain))
    views = [text_or_nothing(TEXTS[peer]["defaults"], page) for peer in ("trafilatura", "justext")]
    views.append(plain)
    if sum(len(words(view)) >= FEWEST_WORDS for view in views) < PEERS_THAT_AGREE:
        return None  # a page without main content
    gold = _gold(payload, Views(views, PEERS_THAT_AGREE))
    return Marked(name, page, gold) if gold else None
