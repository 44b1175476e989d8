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
import importlib.util
import os
import re
import tarfile
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError, nearest
from corpusmill.manifests.settings import Settings
from corpusmill.stages.columns.strings import chunks_of
from numpy.typing import NDArray
from pydantic import PositiveInt

PACKAGED: Final = "datatrove:"
# Name -> asset file of the datatrove wheel, and the member if it is an archive.
PACKAGED_LISTS: Final = {
    "domains": ("url_filterblacklistsv0_3_0.tar.gz", "domains"),
    "urls": ("url_filterblacklistsv0_3_0.tar.gz", "urls"),
    "banned_words": ("banned_words.txt", ""),
    "banned_subwords": ("banned_subwords.txt", ""),
    "soft_banned_words": ("soft_banned_words.txt", ""),
}


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
class Hashes:
    """The entries of a list as sorted hashes, and a bit map of them, empty if there are none."""

    sorted: NDArray[np.uint64]
    bits: NDArray[np.uint64]

    def __contains__(self, value: int) -> bool:
        index = int(np.searchsorted(self.sorted, np.uint64(value)))
        return index < self.sorted.size and bool(self.sorted[index] == value)


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
        path = _asset(name) if name.startswith(PACKAGED) else name
        if not storage.exists(path):
            raise RecipeError(f"block list {name} does not exist", "check the path")
        lines.append(f"{storage.digest_of(path)} {name.rsplit('/', 1)[-1]}")
    return "\n".join(lines)


@functools.lru_cache(maxsize=4)
def compiled(rules: UrlRules) -> Compiled:
    """Read the lists. Raises InputError if one cannot be read."""
    words = frozenset(_joined(entry) for entry in _entries(rules.words)) - {""}
    soft_words = frozenset(_joined(entry) for entry in _entries(rules.soft_words)) - {""}
    subwords = sorted({_joined(entry) for entry in _entries(rules.subwords)} - {""})
    return Compiled(
        domains=_hashes(rules.domains, backwards=True),
        urls=_hashes(rules.urls, backwards=False),
        words=words,
        soft_words=soft_words,
        soft_word_count=rules.soft_word_count,
        subwords=re.compile("|".join(map(re.escape, subwords))) if subwords else None,
        word_hashes=_word_hashes(words),
        soft_word_hashes=_word_hashes(soft_words),
        subword_tables=_subword_tables(subwords),
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
            if _hash(domain, backwards=True) in lists.domains:
                return Verdict("url.blocked_domain", f"domain={domain}")
    if lists.urls.sorted.size and _hash(_bare(lower), backwards=False) in lists.urls:
        return Verdict("url.blocked_url", f"url={_bare(lower)}")
    if lists.words or lists.soft_words:
        words = set(_WORDS.findall(lower))
        if blocked := words & lists.words:
            return Verdict("url.blocked_word", f"word={min(blocked)}")
        soft = words & lists.soft_words
        if len(soft) >= lists.soft_word_count:
            return Verdict(
                "url.soft_words",
                f"soft_words={len(soft)} >= {lists.soft_word_count}: {' '.join(sorted(soft))}",
            )
    if lists.subwords and (found := lists.subwords.search(_joined(lower))):
        return Verdict("url.blocked_subword", f"subword={found.group()}")
    return None


_INTERNATIONAL = re.compile(rb"(?m)^[^#\n][^\n]*?(?:xn--|[\x80-\xff])[^\n]*|^[\x80-\xff][^\n]*")
_WORDS = re.compile(r"[a-z0-9]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


def _joined(text: str) -> str:
    return "".join(_WORDS.findall(text.lower()))


def _bare(url: str) -> str:
    return _SCHEME.sub("", url).removeprefix("www.").split("#", 1)[0].rstrip("/")


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


def _entries(names: Iterable[str]) -> list[str]:
    lines = [line.strip() for name in names for line in _text(name).decode().split("\n")]
    return [entry for entry in lines if entry and entry[0] != "#"]


def _text(name: str) -> bytes:
    """A list in lower case. Raises InputError if it is no text."""
    content = _content(name)
    if content.isascii():
        return content.lower()
    try:
        return content.decode().lower().encode()
    except UnicodeDecodeError as error:
        raise InputError(
            f"block list {name} is not UTF-8 ({error.reason})", "convert it"
        ) from error


def _content(name: str) -> bytes:
    if not name.startswith(PACKAGED):
        return storage.read_bytes(name)
    member = PACKAGED_LISTS[name.removeprefix(PACKAGED)][1]
    if not member:
        return storage.read_bytes(_asset(name))
    with tarfile.open(_asset(name)) as archive:
        extracted = archive.extractfile(member)
        assert extracted is not None, f"{member} is a regular file of the archive"
        return extracted.read()


def _asset(name: str) -> str:
    """The path of a list in the datatrove wheel, found without importing datatrove."""
    key = name.removeprefix(PACKAGED)
    if key not in PACKAGED_LISTS:
        raise RecipeError(f"datatrove carries no block list {key!r}", nearest(key, PACKAGED_LISTS))
    spec = importlib.util.find_spec("datatrove")
    if spec is None or not spec.submodule_search_locations:
        raise RecipeError(f"{name} needs the datatrove package", "pip install datatrove")
    return os.path.join(spec.submodule_search_locations[0], "assets", PACKAGED_LISTS[key][0])


def _hashes(names: Sequence[str], *, backwards: bool) -> Hashes:
    from corpusmill.stages.filter.measure.url_hashes import MAP_BITS, hash_lines

    found = [np.zeros(0, np.uint64)]
    for name in names:
        text = _text(name)
        if not backwards:
            text = "\n".join(
                _bare(line.strip()) for line in text.decode().split("\n") if line[:1] != "#"
            ).encode()
        text = _with_other_spellings(text)
        hashes = np.empty(text.count(b"\n") + 1, np.uint64)
        found.append(hashes[: hash_lines(np.frombuffer(text, np.uint8), backwards, hashes)])
    return _mapped(np.concatenate(found), MAP_BITS)


def _with_other_spellings(text: bytes) -> bytes:
    """The list, with a second line for each internationalised host: Punycode or Unicode."""
    if text.isascii() and b"xn--" not in text:
        return text
    further = [_other_spelling(line[0].decode().strip()) for line in _INTERNATIONAL.finditer(text)]
    return b"\n".join([text, *(entry.encode() for entry in further if entry)])


def _other_spelling(entry: str) -> str:
    """The entry with its host in the other spelling; empty if a label is no Punycode."""
    host, slash, path = entry.partition("/")
    labels = []
    for label in host.split("."):
        try:
            if label.startswith("xn--"):
                label = label[4:].encode().decode("punycode")
            elif not label.isascii():
                label = "xn--" + unicodedata.normalize("NFKC", label).encode("punycode").decode()
        except UnicodeError:
            return ""
        labels.append(label)
    other = ".".join(labels)
    return "" if other == host else other + slash + path


def _mapped(hashes: NDArray[np.uint64], map_bits: int) -> Hashes:
    from corpusmill.stages.filter.measure.url_hashes import fill_map

    entries = np.sort(hashes)  # np.unique takes fifty times as long
    entries = (
        entries[np.concatenate([[True], entries[1:] != entries[:-1]])] if entries.size else entries
    )
    bits = np.zeros(1 << (map_bits - 6) if entries.size else 0, np.uint64)
    fill_map(entries, bits)
    return Hashes(entries, bits)


def _hash(entry: str, *, backwards: bool) -> int:
    from corpusmill.stages.filter.measure.url_hashes import hash_of

    return hash_of(np.frombuffer(entry.encode(), np.uint8), backwards)


def _word_hashes(words: Iterable[str]) -> Hashes:
    return _mapped(np.array([_hash(word, backwards=False) for word in words], np.uint64), 16)


def _subword_tables(
    subwords: Sequence[str],
) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.int32]]:
    """The entries' characters as numbers from 0 to 35; where each entry begins; and by pair of
    first characters the first entry that has it, or -1.
    """
    begins = np.cumsum([0, *map(len, subwords)], dtype=np.int32)
    pairs = np.full(36 * 36, -1, np.int32)
    characters = "0123456789abcdefghijklmnopqrstuvwxyz"
    for index, subword in reversed(list(enumerate(subwords))):
        seconds = characters if len(subword) == 1 else subword[1]
        for second in seconds:
            pairs[characters.index(subword[0]) * 36 + characters.index(second)] = index
    numbers = [characters.index(character) for subword in subwords for character in subword]
    return np.array(numbers, np.uint8), begins, pairs
