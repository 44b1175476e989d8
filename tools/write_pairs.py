"""Write `docs/synthesis-pairs.md`: what the shipped small model makes of sample pages, unedited.

    corpusmill run FOLDER/pairs.yaml --output OUT
    python -m corpusmill.tools.write_pairs OUT --output docs/synthesis-pairs.md

OUT is a run that classified documents and synthesised rows of them. The pairs are the kept rows
with the smallest ids whose passage is short enough to be read. Nothing is left out of a pair.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from corpusmill.manifests import storage
from corpusmill.manifests.manifest import read_manifest
from corpusmill.manifests.shard import read_parquet

HEAD = """# Twenty pairs from the shipped model

What `models/tiny` made of pages in `samples/crawl` with the prompt `rephrase`, unedited. `python -m
corpusmill.tools.write_pairs` wrote this page: the kept rows with the smallest ids whose passage has
{least:,} to {most:,} characters. The model cleans text and does not rephrase it, so most of a pair
is alike. A real model does the real job: see [synthesis](synthesis.md).

Of {asked:,} rows, {kept:,} were kept. The others: {reasons}.
"""
LEAST, MOST = 200, 1_200  # characters of a passage


def pairs(folder: Path, count: int) -> list[tuple[str, str, str]]:
    """(address, before, after) of some kept rows of `folder/synthesize`."""
    texts = {
        row["id"]: row["text"] or ""
        for row in _rows(folder / "classify", ["id", "text"], "documents")
    }
    found = []
    columns = ["id", "url", "text", "lineage"]
    for row in sorted(
        _rows(folder / "synthesize", columns, "documents"), key=lambda row: row["id"]
    ):
        lineage = row["lineage"]
        before = texts[lineage["parent"]][lineage["start"] : lineage["end"]]
        if LEAST <= len(before) <= MOST:
            found.append((row["url"], before, row["text"]))
    return found[:count]


def page(folder: Path, count: int) -> str:
    """The page as Markdown."""
    (total,) = read_manifest(str(folder / "synthesize")).totals
    reasons = Counter(total.excluded).most_common()
    head = HEAD.format(
        least=LEAST,
        most=MOST,
        asked=total.kept + sum(total.excluded.values()),
        kept=total.kept,
        reasons=", ".join(f"`{name}` {rows}" for name, rows in reasons) or "none",
    )
    return "\n".join([head, *_sections(pairs(folder, count))])


def _sections(found: Sequence[tuple[str, str, str]]) -> Iterator[str]:
    for number, (url, before, after) in enumerate(found, 1):
        yield f"## {number}. {url}\n\nBefore:\n\n{_fenced(before)}\n\nAfter:\n\n{_fenced(after)}\n"


def _fenced(text: str) -> str:
    return f"````text\n{text}\n````"


def _rows(stage: Path, columns: list[str], below: str) -> Iterator[Mapping[str, Any]]:
    for path in storage.list_files(str(stage / below), ".parquet"):
        for table in read_parquet(path, columns):
            yield from table.to_pylist()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m corpusmill.tools.write_pairs")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    options = parser.parse_args()
    options.output.write_text(page(options.folder, options.count), encoding="utf-8")


if __name__ == "__main__":
    main()
