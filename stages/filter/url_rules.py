"""URL rules: block lists of domains, whole URLs and words, read from text files and compiled once
per process.

A list is a text file with one entry per line. Empty lines and lines that begin with `#` are
skipped. The lists in the datatrove wheel can be named instead of a file, as in `datatrove:domains`.
`domains` and `urls` come from UT1 (Université Toulouse Capitole, CC BY-SA). `banned_words`,
`banned_subwords` and `soft_banned_words` are word lists. These are the lists of FineWeb
(arXiv:2406.17557). The scheme of domains, words, soft words and sub-words is RefinedWeb's
(arXiv:2306.01116, appendix G.1).

A domain blocks the host of that name and every host below it, in both spellings of a name with
letters beyond ASCII: `bücher.example` and `xn--bcher-kva.example` (RFC 3492). The UT1 list has 4.6
million entries, so entries are kept as sorted 64-bit hashes, 8 bytes each. A host that is not
listed matches by accident once in about 10**12 times. A kernel first sifts a column of URLs,
millions per second (`stages.filter.measure.urls`). The URLs that it does not clear are judged here,
one by one.
"""

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings
from corpusmill.stages.columns.strings import chunks_of
from corpusmill.stages.filter.url_lists import (
    PACKAGED,
    WORDS,
    Hashes,
    asset,
    bare,
    entries,
    hash_of,
    hashes_of,
    hashes_of_words,
    joined,
    subword_tables,
)
from numpy.typing import NDArray
from pydantic import PositiveInt


class UrlRules(Settings):
    """Block lists, each a text file or `datatrove:LIST`. A URL that one of them names is
    blocked.
    """

    domains: tuple[str, ...] = ()
    """Lists of hosts. A listed host blocks itself and all hosts below it."""
    urls: tuple[str, ...] = ()
    """Lists of whole URLs. Scheme, www. and a closing slash do not matter."""
    words: tuple[str, ...] = ()
    """Lists of words. One word of the URL is enough."""
    soft_words: tuple[str, ...] = ()
    """Lists of words of which `soft_word_count` together block."""
    soft_word_count: PositiveInt = 2
    """So many soft words block (RefinedWeb and FineWeb: 2)."""
    subwords: tuple[str, ...] = ()
    """Lists of letter sequences. They count anywhere in the URL's letters and digits."""

    @property
    def lists(self) -> tuple[str, ...]:
        return (*self.domains, *self.urls, *self.words, *self.soft_words, *self.subwords)


class Verdict(NamedTuple):
    reason: str
    detail: str


@dataclass(frozen=True)
class Compiled:
    domains: Hashes
    urls: Hashes
    words: frozenset[str]
    soft_words: frozenset[str]
    soft_word_count: int
    subwords: re.Pattern[str] | None
    word_hashes: Hashes  # words, soft words and subwords in the kernel's form
    soft_word_hashes: Hashes
    subword_tables: tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]


def digests(rules: UrlRules) -> str:
    """The lists by name and digest. Raises RecipeError if a list is missing."""
    lines = []
    for name in rules.lists:
        path = asset(name) if name.startswith(PACKAGED) else name
        if not storage.exists(path):
            raise RecipeError(f"block list {name} does not exist", "check the path")
        lines.append(f"{storage.digest_of(path)} {name.rsplit('/', 1)[-1]}")
    return "\n".join(lines)


@functools.lru_cache(maxsize=4)
def compiled(rules: UrlRules) -> Compiled:
    """Read the lists. Raises InputError if one cannot be read."""
    words = frozenset(joined(entry) for entry in entries(rules.words)) - {""}
    soft_words = frozenset(joined(entry) for entry in entries(rules.soft_words)) - {""}
    subwords = sorted({joined(entry) for entry in entries(rules.subwords)} - {""})
    return Compiled(
        domains=hashes_of(rules.domains, backwards=True),
        urls=hashes_of(rules.urls, backwards=False),
        words=words,
        soft_words=soft_words,
        soft_word_count=rules.soft_word_count,
        subwords=re.compile("|".join(map(re.escape, subwords))) if subwords else None,
        word_hashes=hashes_of_words(words),
        soft_word_hashes=hashes_of_words(soft_words),
        subword_tables=subword_tables(subwords),
    )


def judge_all(urls: pa.ChunkedArray, lists: Compiled) -> dict[int, Verdict]:
    """Row -> verdict, for every blocked URL of a column. A null is not judged."""
    from corpusmill.stages.filter.measure.urls import sift

    verdicts, start = {}, 0
    words, soft_words = lists.word_hashes, lists.soft_word_hashes
    for chunk, (data, offsets) in zip(urls.chunks, chunks_of(urls), strict=True):
        suspects = np.zeros(offsets.size - 1, np.bool_)
        sift(
            data, offsets, lists.domains.sorted, lists.domains.bits, lists.urls.sorted,
            lists.urls.bits, words.sorted, words.bits, soft_words.sorted, soft_words.bits,
            max(lists.soft_word_count, 1), *lists.subword_tables, suspects,
        )  # fmt: skip
        for row in np.flatnonzero(suspects).tolist():
            verdict = judge(chunk[row].as_py() or "", lists)
            if verdict:
                verdicts[start + row] = verdict
        start += len(chunk)
    return verdicts


def judge(url: str, lists: Compiled) -> Verdict | None:
    """Why the URL is blocked, or None. A URL that cannot be parsed has no host, but its words still
    count.
    """
    lower = url.lower()
    if lists.domains.sorted.size:
        for domain in _domains(lower):
            if hash_of(domain, backwards=True) in lists.domains:
                return Verdict("url.blocked_domain", f"domain={domain}")
    if lists.urls.sorted.size and hash_of(bare(lower), backwards=False) in lists.urls:
        return Verdict("url.blocked_url", f"url={bare(lower)}")
    if lists.words or lists.soft_words:
        words = set(WORDS.findall(lower))
        if blocked := words & lists.words:
            return Verdict("url.blocked_word", f"word={min(blocked)}")
        soft = words & lists.soft_words
        if len(soft) >= lists.soft_word_count:
            return Verdict(
                "url.soft_words",
                f"soft_words={len(soft)} >= {lists.soft_word_count}: {' '.join(sorted(soft))}",
            )
    if lists.subwords and (found := lists.subwords.search(joined(lower))):
        return Verdict("url.blocked_subword", f"subword={found.group()}")
    return None


def _domains(url: str) -> Iterator[str]:
    """The host and the domains above it, without the top-level domain: a.b.org, b.org."""
    try:
        host = (urlsplit(url if "://" in url else f"//{url}").hostname or "").rstrip(".")
    except ValueError:  # a malformed address in brackets
        return
    yield host
    while host.count(".") > 1:
        host = host.split(".", 1)[1]
        yield host
