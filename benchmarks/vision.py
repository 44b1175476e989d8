"""Train a reader of pages and charts from nothing, and measure it on what it never saw.

    python benchmarks/vision.py --documents FILE.parquet --fonts FOLDER --output FOLDER
        [--seconds 560] [--processes N] [--compile] [--large | --tiny]
    python benchmarks/vision.py --read EXPORT --documents ... --fonts ... --output ... [--large]

One command, on a machine with one GPU and some cores: train a tokenizer; draw and pack pages, and
charts with a question (a fifth of the images), on all cores, while the GPU trains the language
model on the same documents' text; then the three phases (the encoder by letters, the projector,
everything); export; read held-out pages and charts.

Steps follow from measured speed and what is left of `--seconds`. Held out are documents (3 %) and
font families (a quarter). The sets: `documents` (unseen documents, seen families), `short` (the
same, but for some letters a page), `fonts` (both unseen), `random` (random letters, seen families),
and two controls: a blank page, and the text of another page. Error rates count edits for each
character, after runs of blanks are made one. Besides: the share of letters that the encoder names,
and bits per byte of held-out text.

Held-out charts ask for values, and about coloured shapes, that training never drew together. Names
come from unseen documents (`charts`), and stand in unseen families as well (`chart fonts`). Exact
matches, of each kind of chart too, stand beside chance, a blank image, and another chart's image.

The output has results.json, fourteen pages and six charts as PNG with what was read (twenty.tar),
the images of the sets with what was read (pages.tar), and two exports in parts (models.tar.xz.*):
the reader, and the language model before it saw an image. All are written as the run goes.

--large has pages of 168 pixels and about 70 letters, and not of 112 and 25. --tiny runs the whole
on a CPU in minutes, and learns little. --read only reads, with the export of an earlier run; a CPU
takes some minutes. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import torch  # noqa: E402
from corpusmill.benchmarks import vision_charts, vision_pages, vision_reading  # noqa: E402
from corpusmill.benchmarks.vision_data import (  # noqa: E402
    CHARTS,
    Drawer,
    Held,
    count_rows,
    held_out_sets,
    make_tokenizer,
    pack_texts,
)
from corpusmill.benchmarks.vision_pages import Drawing  # noqa: E402
from corpusmill.benchmarks.vision_sizes import FULL, LARGE, TINY  # noqa: E402
from corpusmill.benchmarks.vision_training import (  # noqa: E402
    Run,
    measure_letters,
    measure_text,
    train_phase,
    train_text,
)
from corpusmill.trainer import checkpoint  # noqa: E402
from corpusmill.trainer.export import export as export_text  # noqa: E402
from corpusmill.trainer.shape import HybridConfig  # noqa: E402
from corpusmill.vision.build import load_model  # noqa: E402
from corpusmill.vision.config import VisionConfig  # noqa: E402
from corpusmill.vision.export import export_checkpoint  # noqa: E402
from corpusmill.vision.model import parameter_counts  # noqa: E402
from corpusmill.vision.reading import PageReader  # noqa: E402

PART_BYTES = 16_700_000  # under 16 MiB
SHARED_BYTES = 2 << 30
TEXTS = 200  # held-out documents for bits per byte
DRAWING_SHARE = 0.17  # of the time
READING_SHARE = 0.11
LETTERS_SHARE = 0.3  # of the time for images; all but the projector's steps is for everything


def pack_up(folders: Sequence[Path], output: Path) -> subprocess.Popen[bytes]:
    """The exports as parts that are small enough to travel: begun, not finished."""
    [work] = {folder.parent for folder in folders}
    names = " ".join(folder.name for folder in folders)
    command = f"set -o pipefail; tar -C {work} -cf - {names} | xz -T0 -1 | "
    command += f"split -b {PART_BYTES} -d - {output}/models.tar.xz."
    return subprocess.Popen(["bash", "-c", command])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--documents", required=True)
    parser.add_argument("--fonts", required=True)
    parser.add_argument("--output", required=True)
    parser.add_argument("--work", default="/tmp/vision")
    parser.add_argument("--seconds", type=float, default=560)
    parser.add_argument("--processes", type=int, default=max(1, (os.cpu_count() or 2) - 2))
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--large", action="store_true")
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--read", type=Path)
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.loaders = max(1, options.processes - 3)  # the trainer wants its core
    size = TINY if options.tiny else LARGE if options.large else FULL
    run = Run(options, size, Path(options.work))
    if not options.read:  # the export may lie there
        shutil.rmtree(run.work, ignore_errors=True)
    Path(options.output).mkdir(parents=True, exist_ok=True)
    benchmark(run)
    print(json.dumps(run.results))


def benchmark(run: Run) -> None:
    size, options = run.size, run.options
    training_rows, held_out = vision_pages.read(options.documents)
    render = {
        "fonts": (options.fonts, "package:models/fonts"),
        "families": "training",
        "min_characters": 3,
        "paper": {"width": size.tile, "height": size.tile, "max_columns": 1, **size.paper},
        "max_pages": None,
    }
    multiprocessing.set_forkserver_preload(
        ["torch", "corpusmill.vision.build", "corpusmill.benchmarks.vision_pages"]
    )
    context = multiprocessing.get_context("forkserver")
    if options.read:
        with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
            sets = held_out_sets(run, pool, held_out, render)
            held = {name: future.result() for name, future in sets.items()}
        read(run, options.read, held)
        return
    if shutil.disk_usage("/dev/shm").free < SHARED_BYTES:
        options.loaders = 0  # batches of other processes come through there
    some_text = [row["text"] for row in held_out[:TEXTS]]
    tokenizer = make_tokenizer(run, training_rows)
    drawing = Drawing(render, tokenizer, run.tiling, size.longest + 1, size.characters)
    folders = vision_pages.shards(training_rows, size.shards, drawing, run.work / "shards")
    run.note(
        "documents",
        {
            "training": len(training_rows),
            "characters": sum(len(row["text"]) for row in training_rows),
            "held_out": len(held_out),
            "parameters": parameter_counts(
                HybridConfig(**run.model), VisionConfig(**run.tiling, **size.vision)
            ),
            "loader_processes": options.loaders,
            "torch": torch.__version__,
            "card": torch.cuda.get_device_name(0) if torch.cuda.is_available() else "CPU",
        },
    )
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        texts = pack_texts(run, pool, training_rows, tokenizer)
        sets = held_out_sets(run, pool, held_out, render)
        cut = list(vision_pages.pieces(training_rows[:300], 12 * size.characters))
        timed = pool.submit(vision_pages.renderer_speed, cut, render, min(1000, len(cut) // 2))
        drawer = Drawer(pool, folders, drawing)
        trained = train_text(run, [path for future in texts for path in future.result()])
        text = export_text(trained, Path(tokenizer), run.work / "text-start", "float32")
        kept = export_text(trained, Path(tokenizer), run.work / "text-export", "bfloat16")
        measure_text(run, "text", checkpoint.load_model(trained)[0], some_text)
        shards = drawer.stop_at(DRAWING_SHARE * options.seconds)
        held = {name: future.result() for name, future in sets.items()}
        speed = timed.result()
    counts = count_rows(shards)
    drawn = time.monotonic() - drawer.begun
    run.note(
        "pages",
        {
            **counts,
            "shards": f"{len(shards)} of {len(folders)}",
            "seconds": round(drawn, 1),
            "pages_s_of_all_processes": round(counts["rows_with_image"] / drawn, 1),
            "pages_s_of_a_core": round(speed, 1),
        },
    )
    *shards, unseen = shards
    warm_up = LETTERS_SHARE * (run.left - READING_SHARE * options.seconds)
    letters = train_phase(run, "letters", shards, warm_up)
    measure_letters(run, "letters", letters, unseen)
    projected = train_phase(run, "projector", shards, 0.0, init_from=text, init_vision_from=letters)
    measure_text(run, "projector", load_model(projected)[0], some_text)
    everything = train_phase(
        run,
        "all",
        shards,
        run.left - READING_SHARE * options.seconds,
        init_from=text,
        init_vision_from=projected,
    )
    measure_letters(run, "all", everything, unseen)
    measure_text(run, "all", load_model(everything)[0], some_text)
    packed = shards[0].parent.parent / "tokenizer"
    exported = export_checkpoint(everything, packed, run.work / "export", "bfloat16")
    packing = pack_up([exported, kept], Path(options.output))
    read(run, exported, held)
    if packing.wait():
        raise RuntimeError("tar, xz or split failed on the exports")
    run.note("seconds", round(time.monotonic() - run.begun, 1))


def read(run: Run, exported: Path, sets: dict[str, Any]) -> None:
    """Read the sets with the export. Scores and pictures are on disk after each of them."""
    gpu = torch.cuda.is_available()
    device, dtype = ("cuda", torch.bfloat16) if gpu else ("cpu", torch.float32)
    reader = PageReader.load(exported, slots=128, device=device, dtype=dtype)
    output = Path(run.options.output)
    texts: dict[str, list[str]] = {}
    for name, held in sets.items():
        begun = time.monotonic()
        if name in CHARTS:
            texts[name] = vision_charts.answers(reader, held, [chart.image for chart in held])
            scores = vision_charts.scores_by_kind(texts[name], held)
        else:
            images = [page.image for page in held]
            texts[name] = vision_reading.read_all(reader, images, run.size.most)
            scores = vision_reading.score(texts[name], held)
        seconds = time.monotonic() - begun
        run.note_in("reading", name, {**scores, "images_s": round(len(held) / seconds, 1)})
        vision_reading.keep(sets, texts, output / "pages.tar")
        vision_reading.keep_pictures(twenty(sets, texts), output / "twenty.tar")
        controls = {}
        if name == "documents":
            controls = vision_reading.controls(reader, held, texts[name], run.size.most)
        elif name == "charts":
            controls = vision_charts.controls(reader, held[: run.size.charts // 2])
        for control, scores in controls.items():
            run.note_in("reading", f"{name}, {control}", scores)


def twenty(sets: dict[str, Any], texts: dict[str, list[str]]) -> list[tuple[Held, str]]:
    """The last images of the sets in held-out fonts that are read already: 14 pages, 6 charts.

    Nobody chose them.
    """
    return [
        seen
        for name, count in (("fonts", 14), ("chart fonts", 6))
        if name in texts
        for seen in list(zip(sets[name], texts[name], strict=True))[-count:]
    ]


if __name__ == "__main__":
    main()
