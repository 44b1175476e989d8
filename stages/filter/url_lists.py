"""Block lists of URLs: text files, read once and kept as sorted hashes.

The list of domains of UT1 has 4.6 million entries. As 64-bit hashes they take 8 bytes each. A host
that is not listed matches by accident once in about 10**12 times.
"""

import importlib.util
import os
import re
import tarfile
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from corpusmill.manifests import storage
from corpusmill.manifests.errors import InputError, RecipeError, nearest
from numpy.typing import NDArray

PACKAGED: Final = "datatrove:"
# Name -> asset file of the datatrove wheel, and the member if it is an archive.
PACKAGED_LISTS: Final = {
    "domains": ("url_filterblacklistsv0_3_0.tar.gz", "domains"),
    "urls": ("url_filterblacklistsv0_3_0.tar.gz", "urls"),
    "banned_words": ("banned_words.txt", ""),
    "banned_subwords": ("banned_subwords.txt", ""),
    "soft_banned_words": ("soft_banned_words.txt", ""),
}
_INTERNATIONAL = re.compile(rb"(?m)^[^#\n][^\n]*?(?:xn--|[\x80-\xff])[^\n]*|^[\x80-\xff][^\n]*")
WORDS = re.compile(r"[a-z0-9]+")
_SCHEME = re.compile(r"^[a-z][a-z0-9+.-]*://")


@dataclass(frozen=True)
class Hashes:
    """The entries of a list as sorted hashes, and a bit map of them, empty if there are none."""

    sorted: NDArray[np.uint64]
    bits: NDArray[np.uint64]

    def __contains__(self, value: int) -> bool:
        index = int(np.searchsorted(self.sorted, np.uint64(value)))
        return index < self.sorted.size and bool(self.sorted[index] == value)


def joined(text: str) -> str:
    return "".join(WORDS.findall(text.lower()))


def bare(url: str) -> str:
    return _SCHEME.sub("", url).removeprefix("www.").split("#", 1)[0].rstrip("/")


def entries(names: Iterable[str]) -> list[str]:
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
        return storage.read_bytes(asset(name))
    with tarfile.open(asset(name)) as archive:
        extracted = archive.extractfile(member)
        assert extracted is not None, f"{member} is a regular file of the archive"
        return extracted.read()


def asset(name: str) -> str:
    """The path of a list in the datatrove wheel, found without importing datatrove."""
    key = name.removeprefix(PACKAGED)
    if key not in PACKAGED_LISTS:
        raise RecipeError(f"datatrove carries no block list {key!r}", nearest(key, PACKAGED_LISTS))
    spec = importlib.util.find_spec("datatrove")
    if spec is None or not spec.submodule_search_locations:
        raise RecipeError(f"{name} needs the datatrove package", "pip install datatrove")
    return os.path.join(spec.submodule_search_locations[0], "assets", PACKAGED_LISTS[key][0])


def hashes_of(names: Sequence[str], *, backwards: bool) -> Hashes:
    from corpusmill.stages.filter.measure.url_hashes import MAP_BITS, hash_lines

    found = [np.zeros(0, np.uint64)]
    for name in names:
        text = _text(name)
        if not backwards:
            text = "\n".join(
                bare(line.strip()) for line in text.decode().split("\n") if line[:1] != "#"
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


def hash_of(entry: str, *, backwards: bool) -> int:
    from corpusmill.stages.filter.measure.url_hashes import hash_of

    return hash_of(np.frombuffer(entry.encode(), np.uint8), backwards)


def hashes_of_words(words: Iterable[str]) -> Hashes:
    return _mapped(np.array([hash_of(word, backwards=False) for word in words], np.uint64), 16)


def subword_tables(
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
