"""URL rules: block lists of domains, whole URLs and words, read from text files and compiled once a process.

A list is a text file with one entry a line; empty lines and those that begin with `#` are skipped. The lists that the datatrove wheel
carries can be named instead of a file, as in `datatrove:domains`: `domains` and `urls` come from UT1 (Université Toulouse Capitole,
CC BY-SA), `banned_words`, `banned_subwords` and `soft_banned_words` are word lists. They are the lists of FineWeb (arXiv:2406.17557); the
scheme of domains, words, soft words and sub-words is RefinedWeb's (arXiv:2306.01116, appendix G.1).

A domain blocks the host of that name and every host below it. The UT1 list has 4.6 million entries, so entries are kept as sorted
64-bit hashes, 8 bytes each; a host that is not listed matches by accident once in about 10**12 times.
"""

import functools
import hashlib
import importlib.util
import os
import re
import tarfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final, NamedTuple
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from manifests import storage
from manifests.config import config
from manifests.errors import InputError, RecipeError
from stages.filter.rules import nearest

PACKAGED: Final = "datatrove:"
PACKAGED_LISTS: Final = {  # name -> asset file of the datatrove wheel, and the member if it is an archive
    "domains": ("url_filterblacklistsv0_3_0.tar.gz", "domains"),
    "urls": ("url_filterblacklistsv0_3_0.tar.gz", "urls"),
    "banned_words": ("banned_words.txt", ""),
    "banned_subwords": ("banned_subwords.txt", ""),
    "soft_banned_words": ("soft_banned_words.txt", ""),
}


@config
class UrlRules:
    """Block lists, each a text file or `datatrove:<list>`. A URL is blocked when its host or a domain above it is among `domains`,
    when it is among `urls` (scheme, `www.` and a closing slash do not matter), when one of `words` is a word of it, when at
    least `soft_word_count` of `soft_words` are, or when one of `subwords` stands anywhere in its letters and digits."""

    domains: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    soft_words: tuple[str, ...] = ()
    soft_word_count: int = 2  # RefinedWeb and FineWeb
    subwords: tuple[str, ...] = ()

    @property
    def lists(self) -> tuple[str, ...]:
        return (*self.domains, *self.urls, *self.words, *self.soft_words, *self.subwords)


class Verdict(NamedTuple):
    reason: str
    detail: str


@dataclass(frozen=True)
class Compiled:
    domains: NDArray[np.uint64]
    urls: NDArray[np.uint64]
    words: frozenset[str]
    soft_words: frozenset[str]
    soft_word_count: int
    subwords: re.Pattern[str] | None


def digests(rules: UrlRules) -> str:
    """The lists by name and digest. Raises RecipeError if a list is not there."""
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
    subwords = sorted({_joined(entry) for entry in _entries(rules.subwords)} - {""})
    return Compiled(
        domains=_hashes(entry.rstrip(".").removeprefix("*.") for entry in _entries(rules.domains)),
        urls=_hashes(_bare(entry) for entry in _entries(rules.urls)),
        words=frozenset(_joined(entry) for entry in _entries(rules.words)) - {""},
        soft_words=frozenset(_joined(entry) for entry in _entries(rules.soft_words)) - {""},
        soft_word_count=rules.soft_word_count,
        subwords=re.compile("|".join(map(re.escape, subwords))) if subwords else None,
    )


def judge(url: str, lists: Compiled) -> Verdict | None:
    """Why the URL is blocked, or None. A URL that cannot be parsed has no host; its words still count."""
    lower = url.lower()
    if lists.domains.size:
        for domain in _domains(lower):
            if _holds(lists.domains, domain):
                return Verdict("url.blocked_domain", f"domain={domain}")
    if lists.urls.size and _holds(lists.urls, _bare(lower)):
        return Verdict("url.blocked_url", f"url={_bare(lower)}")
    if lists.words or lists.soft_words:
        words = set(_WORDS.findall(lower))
        if blocked := words & lists.words:
            return Verdict("url.blocked_word", f"word={min(blocked)}")
        soft = words & lists.soft_words
        if len(soft) >= lists.soft_word_count:
            return Verdict(
                "url.soft_words", f"soft_words={len(soft)} >= {lists.soft_word_count}: {' '.join(sorted(soft))}"
            )
    if lists.subwords and (found := lists.subwords.search(_joined(lower))):
        return Verdict("url.blocked_subword", f"subword={found.group()}")
    return None


_WORDS = re.compile(r"[a-z0-9]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


def _joined(text: str) -> str:
    return "".join(_WORDS.findall(text.lower()))


def _bare(url: str) -> str:
    return _SCHEME.sub("", url).removeprefix("www.").split("#", 1)[0].rstrip("/")


def _domains(url: str) -> Iterator[str]:
    """The host and the domains above it, but for the top one: a.b.org, b.org."""
    try:
        host = (urlsplit(url if "://" in url else f"//{url}").hostname or "").rstrip(".")
    except ValueError:  # a malformed address in brackets
        return
    yield host
    while host.count(".") > 1:
        host = host.split(".", 1)[1]
        yield host


def _entries(names: Iterable[str]) -> list[str]:
    entries: list[str] = []
    for name in names:
        try:
            lines = _content(name).decode().lower().split("\n")
        except UnicodeDecodeError as error:
            raise InputError(f"block list {name} is not UTF-8 ({error.reason})", "convert it") from error
        entries += [entry for entry in map(str.strip, lines) if entry and entry[0] != "#"]
    return entries


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
    """Where the datatrove wheel keeps a list, found without importing datatrove."""
    key = name.removeprefix(PACKAGED)
    if key not in PACKAGED_LISTS:
        raise RecipeError(f"datatrove carries no block list {key!r}", nearest(key, PACKAGED_LISTS))
    spec = importlib.util.find_spec("datatrove")
    if spec is None or not spec.submodule_search_locations:
        raise RecipeError(f"{name} needs the datatrove package", "pip install datatrove")
    return os.path.join(spec.submodule_search_locations[0], "assets", PACKAGED_LISTS[key][0])


def _hashed(entry: str) -> bytes:
    return hashlib.blake2b(entry.encode(), digest_size=8).digest()


def _hashes(entries: Iterable[str]) -> NDArray[np.uint64]:
    return np.unique(np.frombuffer(b"".join(map(_hashed, entries)), np.uint64))


def _holds(hashes: NDArray[np.uint64], entry: str) -> bool:
    value = np.frombuffer(_hashed(entry), np.uint64)[0]
    index = int(np.searchsorted(hashes, value))
    return index < hashes.size and bool(hashes[index] == value)
