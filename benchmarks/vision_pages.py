"""Pages and charts for `benchmarks/vision.py`: drawn and packed in processes, and held-out pages.

Documents are cut into pieces, mixed with documents of random letters, and laid in shards. A process
draws a shard's pages with `render` and packs them with `pack`, some pieces of plain text beside
them. Held-out documents and font families are those that the stages hold out.
"""

import contextlib
import io
import math
import random
import string
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.schema import DOCUMENT
from corpusmill.pipeline.recipe import Step
from corpusmill.pipeline.run import run_step
from corpusmill.pipeline.runner import InlineRunner
from corpusmill.stages.render.stage import Render, pages
from corpusmill.trainer.token_shards import is_held_out

PIECE = 3000  # characters: no document fills a shard alone
TEXT_SHARE = 0.2  # of the rows have no image, and text to the end
TOKEN = 1.9  # characters, about
SHARD_PAGES = 450  # about: a few seconds of one core
SHORT_SHARE = 0.15  # of the text is on short pages: about a third of the pages
SHORTEST = 4  # characters
RANDOM_SHARE = 0.2  # characters of random letters for each of the documents
SHARD_CHARTS = 160  # about: a fifth of the images
HELD_OUT = 0.03  # of the documents
SIGNS = string.ascii_letters + string.digits * 2 + string.punctuation
Rows = list[dict[str, Any]]


@dataclass(frozen=True)
class Drawing:
    """How a shard is drawn and packed. characters: of a page, about."""

    render: Mapping[str, Any]
    tokenizer: str
    tiling: Mapping[str, Any]
    longest: int
    characters: int


@dataclass(frozen=True)
class HeldOutPage:
    image: bytes
    text: str
    font: str
    source: str


def read(path: str) -> tuple[Rows, Rows]:
    """The documents of a Parquet file, mixed: (for training, held out).

    Files are often sorted by source, and some steps take the first documents.
    """
    sides: tuple[Rows, Rows] = ([], [])
    rows = pq.read_table(path, columns=["id", "text", "source"]).to_pylist()
    random.Random(0).shuffle(rows)
    for row in rows:
        sides[is_held_out(row["id"], HELD_OUT)].append(row)
    return sides


def pieces(
    rows: Sequence[Mapping[str, Any]], most: int, rng: random.Random | None = None
) -> Iterator[dict[str, Any]]:
    """The documents in pieces of about `most` characters, cut at line ends or blanks.

    With rng, sizes are log-uniform between `SHORTEST` and `most`.
    """
    size = most
    for row in rows:
        text, start = row["text"], 0
        while start < len(text):
            if rng is not None:
                size = round(SHORTEST * (most / SHORTEST) ** rng.random())
            end = min(start + size, len(text))
            for mark in ("\n", " "):
                cut = text.rfind(mark, start + size // 2, end)
                if end < len(text) and cut > 0:
                    end = cut + 1
                    break
            yield {**row, "id": f"{row['id']}#{start}", "text": text[start:end]}
            start = end


def random_document(seed: str, characters: int) -> dict[str, Any]:
    """Words of random letters, digits and marks. Nobody can guess them."""
    rng = random.Random(seed)
    words: list[str] = []
    while sum(map(len, words)) < characters:
        letters = rng.choice((string.ascii_lowercase, string.ascii_letters, string.digits, SIGNS))
        words.append("".join(rng.choices(letters, k=rng.randint(1, 10))))
    return {"id": f"random/{seed}", "text": " ".join(words), "source": "random"}


def write(path: Path, rows: Sequence[Mapping[str, Any]]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist([{**row, "kind": "actual"} for row in rows], schema=DOCUMENT)
    pq.write_table(table, path)
    return str(path)


def shards(rows: Rows, most: int, drawing: Drawing, folder: Path) -> list[Path]:
    """The folders of at most `most` shards, each with documents to draw, documents whose words are
    names on charts, and texts to read as such.

    These texts are pieces of any documents, so that no kind of them is forgotten. They are much
    longer than a row, so that `pack` fills rows with them: a language model that learns from half
    rows forgets what stands further back. Random letters are a fifth of what is drawn. A share is
    cut short: a model that begins with whole pages takes much longer to find out where to read on.
    """
    cut = list(pieces(rows, PIECE))
    random.Random(0).shuffle(cut)
    each = max(1, round(SHARD_PAGES * drawing.characters / PIECE))
    folders = []
    for number, start in enumerate(range(0, min(len(cut), most * each), each)):
        rng = random.Random(number)
        here = cut[start : start + each]
        size = sum(len(row["text"]) for row in here)
        drawn = here + [
            random_document(f"{number}/{more}", 1000)
            for more in range(round(RANDOM_SHARE * size / 1000))
        ]
        rng.shuffle(drawn)
        short = round(SHORT_SHARE * len(drawn))
        drawn = [*drawn[short:], *pieces(drawn[:short], drawing.characters, rng)]
        images = size * (1 + RANDOM_SHARE) / drawing.characters + SHARD_CHARTS
        wanted = images * TEXT_SHARE / (1 - TEXT_SHARE)
        plain: Rows = []
        while wanted > 0:
            row = rng.choice(cut)
            plain.append({**row, "id": f"{row['id']}/text/{len(plain)}"})
            wanted -= math.ceil(len(row["text"]) / TOKEN / drawing.longest)
        folders.append(folder / f"{number:04d}")
        write(folders[-1] / "drawn.parquet", drawn)
        write(folders[-1] / "charts.parquet", here)
        write(folders[-1] / "plain.parquet", plain)
    return folders


def run(verb: str, settings: Mapping[str, Any], output: Path, *inputs: str) -> None:
    """One stage in this process, silently."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        run_step(Step(verb, verb, (), settings), inputs, str(output), InlineRunner())


def pack_text(folder: Path, tokenizer: str, inputs: Sequence[str]) -> list[Path]:
    """Token shards without images."""
    run("pack", {"tokenizer": tokenizer}, folder, *inputs)
    return sorted((folder / "documents").glob("*.parquet"))


def draw(folder: Path, drawing: Drawing) -> list[Path]:
    """Token shards of one shard's pages, charts and plain text, mixed. Work of one process."""
    run("render", drawing.render, folder / "render", str(folder / "drawn.parquet"))
    named = folder / "charts.parquet"
    each = math.ceil(SHARD_CHARTS / pq.read_metadata(named).num_rows)
    charts = {**drawing.render, "charts": {"values": "training"}, "max_pages": each}
    run("render", charts, folder / "charts", str(named))
    images = [
        path
        for drawn in ("render", "charts")
        for path in sorted((folder / drawn / "documents").glob("*.parquet"))
    ]
    tables = [pq.read_table(path) for path in (*images, folder / "plain.parquet")]
    rows = pa.concat_tables(tables, promote_options="default")
    order = np.random.default_rng(0).permutation(rows.num_rows)
    pq.write_table(rows.take(pa.array(order)), folder / "mixed.parquet")
    packing = {
        "tokenizer": drawing.tokenizer,
        "images": drawing.tiling,
        "max_document_tokens": drawing.longest,
        "row_group_tokens": 1 << 17,  # small, so that few images are in memory
    }
    run("pack", packing, folder / "pack", str(folder / "mixed.parquet"))
    for image_file in (*images, folder / "mixed.parquet"):
        image_file.unlink()  # packed
    return sorted((folder / "pack" / "documents").glob("*.parquet"))


def renderer_speed(
    rows: Sequence[Mapping[str, Any]], render: Mapping[str, Any], count: int
) -> float:
    """Pages a second of this process's own time, once it has seen some fonts."""
    held_out_pages(rows[:count], render, "training", count)
    begun = time.process_time()
    drawn = held_out_pages(rows[count : 2 * count], render, "training", count)
    return len(drawn) / (time.process_time() - begun)


def held_out_pages(
    rows: Sequence[Mapping[str, Any]], render: Mapping[str, Any], families: str, count: int
) -> list[HeldOutPage]:
    """A page of each of `count` pieces at most, in fonts of these families. Work of one process."""
    settings = Render(**{**render, "families": families, "max_pages": 1})
    faces = settings.faces()
    found: list[HeldOutPage] = []
    for row in rows:
        for page in pages(row["id"], row["text"], settings, faces):
            found.append(HeldOutPage(page.image, page.text, page.font, row["source"]))
        if len(found) == count:
            break
    return found
