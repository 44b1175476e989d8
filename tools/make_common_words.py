"""Make `models/common_words/english.txt`: the commonest words of English, the commonest first.

    python tools/make_common_words.py DATA

DATA is a folder of folders of JSON lines (`*.jsonl.zst`) with a `text`. Each folder of `SHARES` is
read, and its words' relative frequencies are added with its share. So no genre rules the list. A
word counts if at least two folders have it more than once. So a project's own words are not there.
`stages.decontaminate.rarity` turns a word's place in the list into bits.
"""

import argparse
import io
import json
import re
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import zstandard
from corpusmill.manifests.package_data import package_file
from corpusmill.stages.decontaminate.words import spelled, words_of

SHARES = {"web_articles": 4, "reference": 2, "academic": 1, "math": 1, "code": 0.5}
FILE_BYTES = 8 << 20  # of text, from each file
WORDS = 8000
TARGET = package_file("models", "common_words", "english.txt")


def counted(path: Path) -> Counter[str]:
    """The words of a file's first texts."""
    found: Counter[str] = Counter()
    read = 0
    with path.open("rb") as packed:
        lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(packed), "utf-8")
        for line in lines:
            text = (json.loads(line).get("text") or "").encode()
            hashes, begins, ends = words_of(text)
            _, first, counts = np.unique(hashes, return_index=True, return_counts=True)
            for place, count in zip(first, counts, strict=True):
                found[spelled(text[begins[place] : ends[place]])] += int(count)
            read += len(text)
            if read > FILE_BYTES:
                break
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    data = parser.parse_args().data
    frequency: dict[str, float] = defaultdict(float)
    folders: Counter[str] = Counter()
    for folder, share in SHARES.items():
        counts: Counter[str] = Counter()
        for path in sorted((data / folder).glob("*.jsonl.zst")):
            counts += counted(path)
        total = sum(counts.values())
        for word, count in counts.items():
            if count > 1:
                frequency[word] += share * count / total
                folders[word] += 1
    words = (
        word
        for word in sorted(frequency, key=frequency.__getitem__, reverse=True)
        if folders[word] > 1 and re.fullmatch(r"[a-z]+|\d{1,4}", word)
    )
    TARGET.write_text("".join(f"{word}\n" for word, _ in zip(words, range(WORDS), strict=False)))


if __name__ == "__main__":
    main()
