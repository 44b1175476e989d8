"""Token shards of random pictures and texts, as `pack` writes them, without a tokenizer."""

import io
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.manifests.schema import IMAGE, LETTERS
from corpusmill.vision.config import Tiling
from corpusmill.vision.shards import ImageFacts
from corpusmill.vision.tiling import grids
from PIL import Image

BEGIN, END, PLACE = 60, 61, 62  # the marks of an image; words are 3 to 59
SCHEMA = pa.schema(
    [
        ("id", pa.string()),
        ("tokens", pa.list_(pa.int32())),
        ("n_prompt", pa.int32()),
        IMAGE,
        *LETTERS,
    ]
)


def picture(rng: random.Random, width: int, height: int) -> bytes:
    """A PNG of noise."""
    noise = np.random.default_rng(rng.getrandbits(32)).integers(0, 256, (height, width, 3))
    file = io.BytesIO()
    Image.fromarray(noise.astype(np.uint8)).save(file, "PNG", compress_level=1)
    return file.getvalue()


def document(name: str, rng: random.Random, tiling: Tiling, words: int, image: bool) -> Any:
    """A row of `SCHEMA`: words, behind the tokens of a picture on a random grid, or alone."""
    text = [rng.randrange(3, 60) for _ in range(words)]
    row: dict[str, Any] = {"id": name, "tokens": text, "n_prompt": 0}
    if not image:
        return row | dict.fromkeys((IMAGE.name, *(field.name for field in LETTERS)))
    grid = rng.choice(grids(tiling.max_tiles))
    width, height = grid.columns * tiling.tile_size, grid.rows * tiling.tile_size
    marked = [BEGIN, *[PLACE] * (grid.tiles * tiling.tokens_per_tile), END]
    letters = [
        (rng.choice("abcXYZ12"), rng.randrange(width), rng.randrange(height)) for _ in range(5)
    ]
    row |= {"tokens": marked + text, "n_prompt": len(marked)}
    row |= {IMAGE.name: picture(rng, width, height), "letters": "".join(k for k, _, _ in letters)}
    return row | {"letter_x": [x for _, x, _ in letters], "letter_y": [y for _, _, y in letters]}


def documents(seed: int, count: int, tiling: Tiling, most_words: int = 12) -> list[dict[str, Any]]:
    """Random documents, three of four with a picture."""
    rng = random.Random(seed)
    return [
        document(f"doc-{i}", rng, tiling, rng.randint(1, most_words), rng.random() < 0.75)
        for i in range(count)
    ]


def write_shards(
    folder: Path, rows: list[dict[str, Any]], tiling: Tiling, shards: int = 2, row_group: int = 10
) -> list[Path]:
    """The rows in so many files, whose footers have what the trainer asks of them."""
    folder.mkdir(parents=True, exist_ok=True)
    schema = SCHEMA.with_metadata(ImageFacts(PLACE, tiling.tiling()).footer)
    paths = []
    for number in range(shards):
        paths.append(folder / f"{number}.parquet")
        part = rows[number * len(rows) // shards : (number + 1) * len(rows) // shards]
        table = pa.Table.from_pylist(part, schema)
        pq.write_table(table, paths[-1], row_group_size=row_group)
    return paths
