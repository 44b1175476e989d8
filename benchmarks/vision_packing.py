"""Rows of one page against rows that pages share: padding, and the speed of training.

    python benchmarks/vision_packing.py --output OUT --turns 0
    python benchmarks/vision_packing.py --output OUT-224 --tile 224

Pages are drawn from the sample texts on paper of all 35 grids of tiles, so an image has 1 to 13
tiles, and lies in a shard beside all others. A model that is small enough for a CPU is trained on
them for an epoch, with both packings by turns. Speed is documents, and tokens without padding, per
second of CPU time. Attention within documents reads a dense mask on a CPU, which is slow in rows of
4,096 tokens: train with small tiles. Work is counted (`vision/flops.py`): for this model, and for
InternViT-300M with Nemotron-H-8B.
"""

import argparse
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from corpusmill.benchmarks.vision_pages import pieces, run
from corpusmill.manifests.parquet_files import read_parquet
from corpusmill.manifests.schema import IMAGE, extended
from corpusmill.manifests.settings import build_settings
from corpusmill.manifests.storage import artifact_of
from corpusmill.stages.readers import ReaderSettings
from corpusmill.stages.readers.documents import read_documents
from corpusmill.stages.render.stage import Render, pages
from corpusmill.trainer.config import Packing
from corpusmill.trainer.presets import NEMOTRON_H_8B
from corpusmill.trainer.sequences import describe
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.token_shards import IMAGE_TOKEN, Catalogue, catalogue
from corpusmill.trainer.train import train
from corpusmill.vision.build import parts
from corpusmill.vision.config import Tiling, VisionConfig, VisionTrainConfig
from corpusmill.vision.flops import row_flops
from corpusmill.vision.tiling import Grid, grids

ROOT = Path(__file__).parent.parent
TEXTS = [*sorted((ROOT / "samples/reference").glob("*.zst"))]
TILES_A_ROW = (16, 32, 64)  # whose tokens a row has room for
FONTS = (20, 14)  # of them are a tile high: 12 tiles then have about 700 tokens of text
PACKINGS = [pack for pack in get_args(Packing) if pack != "concat"]  # which cuts images
MODEL: dict[str, Any] = {
    "pattern": "M-M*-",
    "hidden_size": 128,
    "ffn_size": 512,
    "attention_heads": 4,
    "key_value_heads": 2,
    "head_dim": 32,
    "mamba_heads": 4,
    "mamba_groups": 1,
    "mamba_state": 32,
    "vocab_size": 2048,
}
ENCODER: dict[str, Any] = {"hidden_size": 32, "layers": 1, "heads": 2, "ffn_size": 64}


def drawn(count: int, tile: int) -> Iterator[dict[str, Any]]:
    """Pages of as many grids as there are, in turn, each with its text."""
    rng = random.Random(0)
    texts = [
        row
        for path in TEXTS
        for table in read_documents(artifact_of(str(path)), ReaderSettings(), "benchmark")
        for row in table.select(["id", "text", "source"]).to_pylist()
    ]
    cut = list(pieces([row for row in texts if row["text"]], 6000))
    rng.shuffle(cut)
    chosen = [rng.choice(grids(Tiling().max_tiles)) for _ in cut]
    for row, grid in zip(cut[:count], chosen, strict=False):
        settings = of_grid(grid, tile)
        for page in pages(row["id"], row["text"], settings, settings.faces()):
            made = {"id": row["id"], "text": page.text, "source": row["source"], "kind": "actual"}
            yield made | {IMAGE.name: page.image}


def of_grid(grid: Grid, tile: int) -> Render:
    paper = {"width": grid.columns * tile, "height": grid.rows * tile, "max_columns": 2}
    paper |= {"min_font_size": tile // FONTS[0], "max_font_size": tile // FONTS[1]}
    return build_settings(Render, {"paper": paper, "max_pages": 1})


def packed(folder: Path, count: int, tiling: Tiling) -> list[Path]:
    """Token shards of the pages."""
    done = folder / "pack/documents"
    if not done.exists():
        table = pa.Table.from_pylist(list(drawn(count, tiling.tile_size)), schema=extended(IMAGE))
        pq.write_table(table, folder / "pages.parquet")
        run("tokenizer", {"vocab_size": 2000}, folder / "tokenizer", *map(str, TEXTS))
        tokenizer = str(folder / "tokenizer/tokenizer")
        longest = TILES_A_ROW[0] * tiling.tokens_per_tile + 1
        images = {"tile_size": tiling.tile_size}
        packing = {"tokenizer": tokenizer, "images": images, "max_document_tokens": longest}
        run("pack", packing, folder / "pack", str(folder / "pages.parquet"))
    return sorted(done.glob("*.parquet"))


def shape_of(shards: list[Path], corpus: Catalogue, tiling: Tiling) -> dict[str, Any]:
    """Documents, tokens and tiles."""
    place = int(corpus.metadata[IMAGE_TOKEN])
    lengths, tiles = [], []
    for path in shards:
        for table in read_parquet(str(path), ["tokens"]):
            for row in table["tokens"].to_pylist():
                lengths.append(len(row))
                tiles.append(row.count(place) // tiling.tokens_per_tile)
    counts = np.bincount(tiles, minlength=14)[1:].tolist()
    return {
        "documents": len(lengths),
        "tokens": sum(lengths),
        "shortest": min(lengths),
        "longest": max(lengths),
        "tiles": sum(tiles),
        "documents_by_tiles": counts,
    }


def trained(
    shards: list[Path], pack: Packing, folder: Path, found: dict[str, Any], tiling: Tiling
) -> dict[str, Any]:
    """Speed over an epoch, start and first batch included."""
    config = build_settings(
        VisionTrainConfig,
        {
            "model": MODEL,
            "vision": {**ENCODER, "tile_size": tiling.tile_size},
            "pack": pack,
            "reset_at_documents": pack == "best_fit",
            "sequence_length": TILES_A_ROW[0] * tiling.tokens_per_tile,
            "batch_size": 4,
            "micro_batch_size": 1,
            "epochs": 1,
            "warmup_steps": 0,
            "threads": 1,
            "device": "cpu",
            "checkpoint_every": 1 << 30,
        },
    )
    begun = time.process_time()
    result = train(config, shards, folder, parts=parts(config))
    seconds = time.process_time() - begun
    assert result.last is not None
    return {
        "steps": result.steps,
        "seconds": round(seconds, 1),
        "documents_s": round(found["documents"] / seconds, 2),
        "tokens_s": round(found["tokens"] / seconds),
        "tokens_s_with_padding": round(result.tokens / seconds),
        "loss": round(result.last.loss, 3),
    }


def work(found: dict[str, Any], rows: int, length: int, tile: int) -> dict[str, float]:
    """PFLOP of an epoch for the model that is trained here, and for one of the report's size."""
    sizes = {
        "small": (VisionConfig(tile_size=tile, **ENCODER), HybridConfig(**MODEL)),
        "nemotron_h_8b": (VisionConfig(tile_size=tile, projector="report"), NEMOTRON_H_8B),
    }
    return {
        name: round(rows * row_flops(vision, text, length, found["tiles"] / rows, "all") / 1e15, 4)
        for name, (vision, text) in sizes.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--pages", type=int, default=160)
    parser.add_argument("--tile", type=int, default=448, help="pixels along a side")
    parser.add_argument("--turns", type=int, default=3)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    tiling = Tiling(tile_size=options.tile)
    shards = packed(options.output, options.pages, tiling)
    results: dict[str, Any] = {}
    print("length  packing   sequences   padding   work here (PFLOP)   of 8B")
    for tiles in TILES_A_ROW:
        length = tiles * tiling.tokens_per_tile
        corpus = catalogue(shards, length)
        found = results.setdefault("corpus", shape_of(shards, corpus, tiling))
        for pack, figures in json.loads(describe(corpus, "pad"))["packings"].items():
            if pack not in PACKINGS:
                continue
            figures["work"] = work(found, figures["sequences"], length, options.tile)
            results[f"{length}_{pack}"] = figures
            print(
                f"{length:6}  {pack:8}  {figures['sequences']:9,}  {figures['padding']:8.2%}  "
                f"{figures['work']['small']:17.4f}  {figures['work']['nemotron_h_8b']:6.1f}"
            )
    print(found)
    for turn in range(options.turns):
        for pack in PACKINGS:
            folder = options.output / f"train-{pack}-{turn}-{time.time_ns()}"
            speed = trained(shards, pack, folder, found, tiling)
            results.setdefault(f"train_{pack}", []).append(speed)
            print(pack, speed, flush=True)
    print(json.dumps(results))


if __name__ == "__main__":
    main()
