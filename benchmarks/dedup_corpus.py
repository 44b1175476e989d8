"""The corpus of the dedup benchmark: real text with near-duplicates planted at known edit rates.

The text is web pages from corpusmill's own extract stage, and books, documentation, articles,
abstracts, problems and LaTeX. It is cut at paragraphs into documents of at most `LONGEST`
characters. If more documents are wanted, they are put together from sentences of the real ones,
drawn at random. They are real English, and no two are alike. One document in six has a near copy,
made by one of `EDITS`. The copies are spread over all shards. Everything follows from the seed.
"""

import io
import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import zstandard
from corpusmill.manifests.schema import DOCUMENT, conform

LONGEST = 6000  # characters of a document
SHORTEST = 200
SHARD_ROWS = 20_000
PAIR_EVERY = 6
SENTENCES = (10, 42)  # in a document that is put together
FOLDERS = ("reference", "academic", "math")

EDITS = (  # kind, and the rate of words replaced, sentences dropped or boilerplate words added
    *(
        ("words", rate)
        for rate in (0.001, 0.0025, 0.005, 0.0075, 0.01, 0.0125, 0.015, 0.0175, 0.02, 0.03, 0.05)
    ),
    *(("drop", rate) for rate in (0.05, 0.1, 0.15, 0.2, 0.3)),
    *(("boilerplate", rate) for rate in (0.02, 0.05, 0.1, 0.15, 0.2, 0.4)),
)


@dataclass(frozen=True)
class Pair:
    """A document, its planted copy, and how the copy was made."""

    original: str
    copy: str
    kind: str
    rate: float


def real_documents(data: Path, work: Path) -> list[str]:
    """All real text below `data`, cut into documents, in a fixed order."""
    texts = [*_web_texts(data, work)]
    for folder in FOLDERS:
        for path in sorted((data / folder).glob("*.jsonl.zst")):
            with path.open("rb") as file:
                lines = io.TextIOWrapper(zstandard.ZstdDecompressor().stream_reader(file), "utf-8")
                texts += [json.loads(line).get("text") or "" for line in lines]
    found = [piece for text in texts for piece in _pieces(text)]
    random.Random("order").shuffle(found)
    return found


def write_corpus(
    texts: list[str], documents: int, folder: Path, seed: int = 1
) -> tuple[list[Path], list[Pair], dict[str, str]]:
    """Write shards with `documents` rows.

    Returns the shards, the planted pairs, and the text of every document of a pair.
    """
    folder.mkdir(parents=True, exist_ok=True)
    originals = documents - documents // (PAIR_EVERY + 1)
    source = pa.array(texts[:originals], pa.large_string())
    if len(texts) < originals:
        made = _put_together(texts, originals - len(texts), seed)
        source = pa.concat_arrays([source, made])
    pairs, paired = [], {}
    copies = []
    for number in range(documents - originals):
        at = number * PAIR_EVERY
        kind, rate = EDITS[number % len(EDITS)]
        original = source[at].as_py()
        copy = edited(original, kind, rate, random.Random(f"{seed} {number}"))
        pairs.append(Pair(f"o{at}", f"c{at}", kind, rate))
        paired[f"o{at}"], paired[f"c{at}"] = original, copy
        copies.append(copy)
    ids = pa.array([*(f"o{i}" for i in range(originals)), *(pair.copy for pair in pairs)])
    table = pa.table(
        {"id": ids, "text": pa.concat_arrays([source, pa.array(copies, pa.large_string())])}
    )
    order = np.random.default_rng(seed).permutation(documents)
    paths = []
    for start in range(0, documents, SHARD_ROWS):
        path = folder / f"part-{start // SHARD_ROWS:05d}.parquet"
        rows = table.take(pa.array(order[start : start + SHARD_ROWS]))
        pq.write_table(conform(rows, DOCUMENT), path, compression="zstd")
        paths.append(path)
    return paths, pairs, paired


def edited(text: str, kind: str, rate: float, dice: random.Random) -> str:
    """A near copy of `text`."""
    if kind == "words":
        pieces = re.split(r"(\s+)", text)  # words at even places
        places = range(0, len(pieces), 2)
        for place in dice.sample(places, max(1, round(rate * len(places)))):
            pieces[place] = dice.choice(pieces[::2])[::-1] + str(dice.randrange(1000))
        return "".join(pieces)
    if kind == "drop":
        sentences = _sentences(text)
        gone = set(
            dice.sample(
                range(len(sentences)), min(len(sentences) - 1, round(rate * len(sentences)))
            )
        )
        return " ".join(sentence for i, sentence in enumerate(sentences) if i not in gone)
    words = text.split()
    count = max(1, round(rate * len(words)))
    line = " ".join(f"{dice.choice(words)}{dice.randrange(100)}" for _ in range(count))
    return (
        f"Home | About | {line}\n\n{text}"
        if dice.random() < 0.5
        else f"{text}\n\nShare this: {line}"
    )


def _web_texts(data: Path, work: Path) -> Iterator[str]:
    from corpusmill.pipeline.recipe import Step
    from corpusmill.pipeline.run import run_step
    from corpusmill.pipeline.runner import InlineRunner

    paths = tuple(str(path) for path in sorted((data / "web").glob("crawl-*.warc.gz"))[:2])
    manifest = run_step(Step("extract", "extract"), paths, str(work / "extract"), InlineRunner())
    for artifact in manifest.documents():
        yield from pq.read_table(artifact.path, columns=["text"])["text"].to_pylist()


def _pieces(text: str) -> Iterator[str]:
    piece = ""
    for paragraph in text.split("\n\n"):
        while len(paragraph) > LONGEST:
            paragraph, rest = paragraph[:LONGEST], paragraph[LONGEST:]
            yield paragraph
            paragraph = rest
        if len(piece) + len(paragraph) > LONGEST:
            if len(piece) >= SHORTEST:
                yield piece
            piece = ""
        piece += paragraph + "\n\n"
    if len(piece) >= SHORTEST:
        yield piece


def _sentences(text: str) -> list[str]:
    return [sentence for sentence in re.split(r"(?<=[.!?])\s+|\n+", text) if sentence]


def _put_together(texts: list[str], documents: int, seed: int) -> pa.Array:
    """Documents of sentences drawn at random. There is no Python object for each of them."""
    pool, source = _pool(texts), np.random.default_rng(seed)
    return pa.concat_arrays([part for part, _ in _drawn(pool, documents, source)])


def write_scaling_corpus(
    texts: list[str], documents: int, folder: Path, seed: int = 2
) -> list[Path]:
    """Write shards of documents that are put together.

    One in seven is a copy of another one, with a twentieth of its sentences exchanged.
    """
    folder.mkdir(parents=True, exist_ok=True)
    pool, source = _pool(texts), np.random.default_rng(seed)
    paths: list[Path] = []
    # The last shard's documents. Their copies go into the next shard.
    before = (source.integers(*SENTENCES, 0), source.integers(0, 1, 0))
    for start in range(0, documents, SHARD_ROWS):
        rows = min(SHARD_ROWS, documents - start)
        copies = min(rows // (PAIR_EVERY + 1), len(before[0]))
        ((text, drawn),) = _drawn(pool, rows - copies, source)
        counts = before[0][:copies]
        same = before[1][: counts.sum()]
        near = np.where(
            source.random(len(same)) < 0.05, source.integers(0, len(pool), len(same)), same
        )
        ids = pa.array([f"d{start + i}" for i in range(rows)])
        table = pa.table({"id": ids, "text": pa.concat_arrays([text, _joined(pool, counts, near)])})
        paths.append(folder / f"part-{len(paths):05d}.parquet")
        pq.write_table(
            conform(table.take(pa.array(source.permutation(rows))), DOCUMENT),
            paths[-1],
            compression="zstd",
        )
        before = drawn
    return paths


def _pool(texts: list[str]) -> pa.Array:
    return pa.array(
        [s for text in texts for s in _sentences(text) if 30 <= len(s) <= 300 and s.isascii()]
    )


def _drawn(
    pool: pa.Array, documents: int, source: np.random.Generator
) -> Iterator[tuple[pa.Array, tuple[np.ndarray, np.ndarray]]]:
    for start in range(0, documents, 50_000):
        counts = source.integers(*SENTENCES, min(50_000, documents - start))
        drawn = source.integers(0, len(pool), counts.sum())
        yield _joined(pool, counts, drawn), (counts, drawn)


def _joined(pool: pa.Array, counts: np.ndarray, drawn: np.ndarray) -> pa.Array:
    offsets = np.concatenate([[0], np.cumsum(counts)]).astype(np.int32)
    lists = pa.ListArray.from_arrays(pa.array(offsets), pool.take(pa.array(drawn)))
    return pc.binary_join(lists, " ").cast(pa.large_string())
