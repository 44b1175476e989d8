"""What a run of `benchmarks/vision.py` reads: a tokenizer, packed texts, drawn pages and charts,
and the sets of what it never saw.
"""

import random
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from pathlib import Path
from typing import Any

from corpusmill.benchmarks import vision_charts, vision_pages
from corpusmill.benchmarks.vision_charts import HeldOutChart
from corpusmill.benchmarks.vision_pages import Drawing, HeldOutPage
from corpusmill.benchmarks.vision_training import Run
from corpusmill.stages.tokenizer.bpe import tokenizer_files, train_bpe
from corpusmill.stages.tokenizer.stage import Tokenizer

TEXT_OF_DOCUMENTS = 0.6  # that the language model reads
TWICE = 0.2  # of those documents are cut into passages that stand there twice

Held = HeldOutPage | HeldOutChart
CHARTS = ("charts", "chart fonts")


def make_tokenizer(run: Run, rows: vision_pages.Rows) -> str:
    """A byte-level BPE of the documents; marks of images still fit the vocabulary."""
    settings = Tokenizer(vocab_size=run.size.vocabulary - 16)
    folder = run.work / "tokenizer"
    folder.mkdir(parents=True)
    sample = (row["text"] for row in random.Random(0).sample(rows, min(len(rows), 3000)))
    for name, data in tokenizer_files(train_bpe(sample, settings), settings).items():
        (folder / name).write_bytes(data)
    return str(folder)


def pack_texts(
    run: Run, pool: ProcessPoolExecutor, rows: vision_pages.Rows, tokenizer: str
) -> list[Future[list[Path]]]:
    """Token shards of a part of the documents as text: begun, not finished.

    Some passages stand there twice: reading is copying from an image, and a language model that
    copies from text knows the half of it.
    """
    chosen = rows[: round(TEXT_OF_DOCUMENTS * len(rows))]
    passages = vision_pages.pieces(chosen[: round(TWICE * len(chosen))], 3 * run.size.characters)
    chosen = chosen + [
        {**row, "text": f"{row['text'].strip()}\n{row['text'].strip()}"} for row in passages
    ]
    random.Random(2).shuffle(chosen)
    waiting = []
    for number in range(run.options.processes):
        folder = run.work / "text-pack" / f"{number:03d}"
        file = vision_pages.write(folder / "text.parquet", chosen[number :: run.options.processes])
        waiting.append(pool.submit(vision_pages.pack_text, folder / "pack", tokenizer, [file]))
    return waiting


class Drawer:
    """Draws and packs shards in processes, until it is told to stop."""

    def __init__(self, pool: ProcessPoolExecutor, folders: Sequence[Path], drawing: Drawing):
        self.begun = time.monotonic()
        self.waiting = [pool.submit(vision_pages.draw, folder, drawing) for folder in folders]

    def stop_at(self, seconds: float) -> list[Path]:
        """The token shards that were ready after so many seconds from the begin, and those that
        were being made then.
        """
        pending: set[Future[list[Path]]] = set(self.waiting)
        while pending and time.monotonic() - self.begun < seconds:
            _, pending = wait(pending, 1.0, FIRST_COMPLETED)
        for future in pending:
            future.cancel()
        ready = [future for future in self.waiting if not future.cancelled()]
        return [path for future in ready for path in future.result()]


def count_rows(shards: Sequence[Path]) -> dict[str, int]:
    """Rows of token shards, and those with an image."""
    import pyarrow.parquet as pq

    rows = images = letters = 0
    for path in shards:
        table = pq.read_table(path, columns=["n_prompt", "letters"])
        rows += table.num_rows
        with_image = [text for text in table["letters"].to_pylist() if text is not None]
        images += len(with_image)
        letters += sum(map(len, with_image))
    return {"rows": rows, "rows_with_image": images, "letters": letters}


def held_out_sets(
    run: Run, pool: ProcessPoolExecutor, rows: vision_pages.Rows, render: dict[str, Any]
) -> dict[str, Future[Any]]:
    """Pages and charts to read: begun, not finished. What is first here is read first."""
    cut = [
        row for row in vision_pages.pieces(rows, 12 * run.size.characters) if len(row["text"]) > 200
    ]
    random.Random(1).shuffle(cut)
    signs = [
        vision_pages.random_document(f"held out/{number}", 12 * run.size.characters)
        for number in range(2 * run.size.pages)
    ]
    short = list(vision_pages.pieces(cut, run.size.characters, random.Random(3)))
    short = random.Random(4).sample(short, min(len(short), len(cut)))
    count = run.size.pages
    sets = {
        "documents": (vision_pages.held_out_pages, cut, "training", count),
        "fonts": (vision_pages.held_out_pages, cut, "held_out", count),
        "charts": (vision_charts.held_out_charts, cut, "training", run.size.charts),
        "chart fonts": (vision_charts.held_out_charts, cut, "held_out", run.size.charts),
        "short": (vision_pages.held_out_pages, short, "training", count),
        "random": (vision_pages.held_out_pages, signs, "training", count),
    }
    return {
        name: pool.submit(draw, chosen[: 3 * most], render, families, most)
        for name, (draw, chosen, families, most) in sets.items()
    }
