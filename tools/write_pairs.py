"""Write `docs/synthesis-pairs.md`: what the shipped small model makes of sample pages, unedited.

    corpusmill demo
    python -m corpusmill.tools.write_pairs demo-output --output docs/synthesis-pairs.md

It asks about one segment of each of the demo's documents, in the order of their ids, as
`synthesize` asks, until it has the pairs. Rows that a post-filter drops are counted.
"""

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from corpusmill.manifests import finding
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.prompts import loader
from corpusmill.stages.engines.contract import in_order
from corpusmill.stages.engines.embedded import EmbeddedEngine
from corpusmill.stages.synthesize.finished_rows import Finished
from corpusmill.stages.synthesize.planner import Planner
from corpusmill.tools.make_tiny import PROMPT

ASKED_TOGETHER = 8
HEAD = """# {count} pairs from the shipped model

What `models/tiny` makes of pages in `samples/crawl` with the prompt `{prompt}`, unedited.
`tools/write_pairs.py` wrote this page. It asked about one segment of each of the demo's documents,
in the order of their ids. The model cleans text and does not rephrase it: it takes out menus,
notices and marks, and copies the rest. So most of a pair is alike. A real model does the real job
([synthesis](synthesis.md)).

Of {asked} answers, {kept} were kept. Dropped:

{reasons}
"""


@dataclass(frozen=True)
class Pair:
    url: str
    before: str
    after: str


def documents(folder: Path) -> list[dict[str, Any]]:
    """The documents of a run's `classify`, by id."""
    columns = [name for name in DOCUMENT.names if name not in ("origin", "lineage")]
    found: list[dict[str, Any]] = []
    for path in finding.files_below(str(folder / "classify" / "documents"), ".parquet"):
        for table in read_parquet(path, columns):
            found += table.to_pylist()
    return sorted(found, key=lambda row: str(row["id"]))


def finished(asked: Sequence[dict[str, Any]], engine: EmbeddedEngine) -> Iterator[Finished]:
    """A row of a segment of each document, in their order, with what became of it."""
    prompt = loader.load(PROMPT).model_copy(update={"join_segments": False})
    planner = Planner(engine.tokenizer(), engine.context_length(), samples=1, seed=0)
    rows = []
    for document in asked:
        planned = list(planner.plan(document, [prompt]))
        rows.append(planned[planned[0].seed % len(planned)])
    answers = iter(in_order(engine, [request for row in rows for request in row.asked]))
    for row in rows:
        row.answers = {place: next(answers) for place in range(len(row.asked))}
        yield planner.finish(row, engine.identity(), least_covered=1)


def page(folder: Path, count: int, engine: EmbeddedEngine) -> str:
    """The page as Markdown."""
    waiting = documents(folder)
    pairs: list[Pair] = []
    dropped: Counter[str] = Counter()
    asked = 0
    while len(pairs) < count and asked < len(waiting):
        taken = waiting[asked : asked + ASKED_TOGETHER]
        for document, row in zip(taken, finished(taken, engine), strict=True):
            asked += 1
            if row.rejection:
                dropped[row.rejection.code("synthesize")] += 1
            else:
                start, end = row.row["lineage"]["start"], row.row["lineage"]["end"]
                before = document["text"][start:end]
                pairs.append(Pair(document["url"], before, row.row["text"]))
            if len(pairs) == count:
                break
    head = HEAD.format(
        count=len(pairs),
        prompt=PROMPT,
        asked=asked,
        kept=len(pairs),
        reasons="\n".join(f"- {rows} for `{name}`" for name, rows in dropped.most_common())
        or "- none",
    )
    return "\n".join([head, *(_section(number, pair) for number, pair in enumerate(pairs, 1))])


def _section(number: int, pair: Pair) -> str:
    before, after = (f"````text\n{text}\n````" for text in (pair.before, pair.after))
    return f"## {number}\n\n[The page]({pair.url})\n\nBefore:\n\n{before}\n\nAfter:\n\n{after}\n"


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m corpusmill.tools.write_pairs")
    parser.add_argument("folder", type=Path, help="a run of the demo recipe")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--count", type=int, default=20)
    parser.add_argument("--model", default="package:models/tiny")
    options = parser.parse_args()
    text = page(options.folder, options.count, EmbeddedEngine(model=options.model))
    options.output.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
