"""Train a reader of pages from nothing, and measure how well it reads what it never saw.

    python benchmarks/vision.py --documents FILE.parquet --fonts FOLDER --output FOLDER
        [--seconds 560] [--processes N] [--compile] [--tiny]

One command, on a machine with one GPU and some cores: train a tokenizer; draw and pack pages on
all cores, while the GPU trains the language model on the same documents' text; then the three
phases (the encoder by letters, the projector, everything); export; read held-out pages.

Steps follow from measured speed and what is left of `--seconds`. Held out are documents (3 %) and
font families (a quarter). The sets: `documents` (unseen documents, seen families), `fonts` (both
unseen), `random` (random letters, seen families), and two controls: a blank page, and the text of
another page. Error rates count edits for each character, after runs of blanks are made one.

The output has results.json, twenty pages as PNG with what was read (twenty.tar), the pages of the
sets with what was read (pages.tar), and the export in parts (model.tar.xz.*). --tiny runs the whole
on a CPU in minutes, and learns little. The last line is JSON.
"""

import argparse
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT.parent))

import torch  # noqa: E402
from corpusmill.benchmarks import vision_pages, vision_reading  # noqa: E402
from corpusmill.benchmarks.vision_pages import Drawing, HeldOutPage  # noqa: E402
from corpusmill.manifests.errors import CorpusmillError  # noqa: E402
from corpusmill.manifests.settings import build_settings  # noqa: E402
from corpusmill.stages.tokenizer.stage import (  # noqa: E402
    Tokenizer,
    tokenizer_files,
    train_bpe,
)
from corpusmill.trainer import checkpoint  # noqa: E402
from corpusmill.trainer import train as training  # noqa: E402
from corpusmill.trainer.config import HybridConfig, TrainConfig  # noqa: E402
from corpusmill.trainer.export import export as export_text  # noqa: E402
from corpusmill.trainer.flops import peak_flops  # noqa: E402
from corpusmill.trainer.parts import TEXT  # noqa: E402
from corpusmill.trainer.records import read_records  # noqa: E402
from corpusmill.vision.build import load_model, parts  # noqa: E402
from corpusmill.vision.config import VisionConfig, VisionTrainConfig  # noqa: E402
from corpusmill.vision.export import export_checkpoint  # noqa: E402
from corpusmill.vision.flops import row_flops  # noqa: E402
from corpusmill.vision.model import parameter_counts  # noqa: E402
from corpusmill.vision.reading import PageReader  # noqa: E402

PART_BYTES = 15_000_000
TWICE = 0.2  # of those documents are cut into passages that stand there twice
SHARED_BYTES = 2 << 30
TEXTS = 200  # held-out documents for bits per byte
DRAWING_SHARE = 0.22  # of the time
TEXT_OF_DOCUMENTS = 0.6  # that the language model reads
READING_SHARE = 0.11
SPARE = 0.95  # of the steps that fit
PHASES = {"letters": 0.24, "projector": 0.08, "all": 0.68}  # of the time for training


@dataclass(frozen=True)
class Size:
    """What differs between the run on a GPU and that on a CPU."""

    tile: int
    vision: dict[str, Any]
    model: dict[str, Any]
    paper: dict[str, Any]
    characters: int  # of a page, about
    vocabulary: int
    longest: int  # tokens of a row
    window: int  # tokens of a row of the language model
    batch: int
    text_batch: int
    text_steps: int
    rates: dict[str, float]
    probe: int  # steps to measure the speed
    shards: int
    pages: int  # of a held-out set
    most: int  # tokens of an answer


FULL = Size(
    tile=140,
    vision={"hidden_size": 384, "layers": 6, "heads": 6, "ffn_size": 1536},
    model={
        "pattern": "M-M*-M-M*-M-*-",
        "hidden_size": 512,
        "ffn_size": 1536,
        "attention_heads": 8,
        "key_value_heads": 4,
        "head_dim": 64,
        "mamba_heads": 16,
        "mamba_groups": 1,
        "mamba_state": 64,
    },
    paper={"min_font_size": 13, "max_font_size": 19},
    characters=50,
    vocabulary=4096,
    longest=96,
    window=256,
    batch=256,
    text_batch=128,
    text_steps=1000,
    rates={"text": 2e-3, "letters": 1e-3, "projector": 1e-3, "all": 8e-4},
    probe=160,
    shards=900,
    pages=400,
    most=90,
)
TINY = Size(
    tile=112,
    vision={"hidden_size": 128, "layers": 3, "heads": 4, "ffn_size": 512},
    model={
        "pattern": "M*-M*-",
        "hidden_size": 128,
        "ffn_size": 512,
        "attention_heads": 4,
        "key_value_heads": 2,
        "head_dim": 32,
        "mamba_heads": 4,
        "mamba_groups": 1,
        "mamba_state": 32,
    },
    paper={"min_font_size": 16, "max_font_size": 18, "max_noise": 4},
    characters=25,
    vocabulary=512,
    longest=64,
    window=64,
    batch=16,
    text_batch=16,
    text_steps=20,
    rates={"text": 3e-3, "letters": 2e-3, "projector": 2e-3, "all": 1.5e-3},
    probe=4,
    shards=6,
    pages=8,
    most=48,
)


@dataclass
class Run:
    """One run of the benchmark: where, how long, and what was found."""

    options: argparse.Namespace
    size: Size
    work: Path
    begun: float = field(default_factory=time.monotonic)
    results: dict[str, Any] = field(default_factory=dict)
    graph: bool = True  # steps are CUDA graphs

    @property
    def left(self) -> float:
        """Seconds until the end."""
        return float(self.options.seconds) - (time.monotonic() - self.begun)

    @property
    def tiling(self) -> dict[str, Any]:
        return {"tile_size": self.size.tile, "patch_size": 14, "max_tiles": 1, "tile_tags": False}

    @property
    def model(self) -> dict[str, Any]:
        return {**self.size.model, "vocab_size": self.size.vocabulary}

    def note(self, name: str, value: Any) -> None:
        """Keep a result on disk at once: what follows may fail."""
        self.results[name] = value
        seconds = time.monotonic() - self.begun
        print(f"[{seconds:6.1f} s] {name}: {json.dumps(value)}", flush=True)
        (Path(self.options.output) / "results.json").write_text(json.dumps(self.results, indent=1))

    def settings(self, phase: str) -> dict[str, Any]:
        """What all trainings share."""
        return {
            "model": self.model,
            "learning_rate": self.size.rates[phase],
            "weight_decay": 0.05,
            "compile": self.options.compile,
            "cuda_graph": self.graph,
            "device": self.options.device,
            "checkpoint_every": 1 << 30,
            "log_every": 10,
            "keep": 1,
        }


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


def graphed(
    run: Run, config: TrainConfig, shards: Sequence[Path], output: Path
) -> training.TrainResult:
    """Train with the step as a CUDA graph, and without if that fails here."""
    kind = parts(config) if isinstance(config, VisionTrainConfig) else TEXT
    try:
        return training.train(config, shards, output, parts=kind)
    except (CorpusmillError, RuntimeError) as error:
        if not config.cuda_graph:
            raise
        run.graph = False
        run.note("cuda_graph", f"failed: {error}"[:1000])
    shutil.rmtree(output, ignore_errors=True)
    plain = config.model_copy(update={"cuda_graph": False})
    return training.train(plain, shards, output, parts=kind)


def train_text(run: Run, shards: Sequence[Path]) -> Path:
    """The checkpoint of the language model, trained on text alone."""
    steps = run.size.text_steps
    config = build_settings(
        TrainConfig,
        {
            **run.settings("text"),
            "sequence_length": run.size.window,
            "batch_size": run.size.text_batch,
            "steps": steps,
            "warmup_steps": steps // 10,
        },
    )
    result = graphed(run, config, shards, run.work / "text")
    last = read_records(result.log)[-1]
    tokens = steps * run.size.text_batch * run.size.window
    run.note(
        "text",
        {
            "tokens": tokens,
            "loss": round(last.loss, 4),
            "tokens_s": round(last.tokens_per_second),
            "mfu": last.mfu,
        },
    )
    return result.checkpoint


def train_phase(
    run: Run, phase: str, shards: Sequence[Path], seconds: float, **start: Path | None
) -> Path:
    """One phase, as long as `seconds` allow at the speed of a short run before. Its checkpoint."""
    learns = "all" if phase == "all" else phase
    settings = {
        **run.settings(phase),
        "vision": {**run.tiling, **run.size.vision},
        "learns": learns,
        "pack": "pad",
        "sequence_length": run.size.longest,
        "batch_size": run.size.batch,
        "shuffle_window": 4,
        "loader_processes": run.options.loaders,
        **{name: str(folder) for name, folder in start.items() if folder is not None},
    }
    begun = time.monotonic()
    probe = config_of({**settings, "steps": run.size.probe, "warmup_steps": run.size.probe // 2})
    tried = graphed(run, probe, shards, run.work / f"{phase}-probe")
    settings["cuda_graph"] = run.graph
    rows = rows_per_second(tried.log, run.size.longest)
    begin_seconds = time.monotonic() - begun - run.size.probe * run.size.batch / rows
    left = seconds - (time.monotonic() - begun) - begin_seconds
    steps = int(SPARE * left * rows / run.size.batch)
    steps = max(steps, 2 * run.size.probe)
    config = config_of({**settings, "steps": steps, "warmup_steps": min(200, steps // 10)})
    result = graphed(run, config, shards, run.work / phase)
    records = read_records(result.log)
    rows = rows_per_second(result.log, run.size.longest)
    assert config.vision is not None
    tiles = run.results["pages"]["rows_with_image"] / run.results["pages"]["rows"]
    work = row_flops(config.vision, config.model, run.size.longest, tiles, config.learns)
    peak = peak_flops(torch.device(0)) if torch.cuda.is_available() else None
    losses = [record.loss for record in records]
    run.note(
        phase,
        {
            "steps": steps,
            "images": round(steps * run.size.batch * tiles),
            "images_s": round(rows * tiles, 1),
            "gflop_a_row": round(work / 1e9, 2),
            "mfu": peak and round(rows * work / peak, 4),
            "memory_gb": records[-1].memory_gb,
            "seconds_to_first_step": round(begin_seconds, 1),
            "losses": [
                round(losses[min(round(part * len(losses) / 20), len(losses) - 1)], 4)
                for part in range(21)
            ],
        },
    )
    return result.checkpoint


def config_of(settings: dict[str, Any]) -> VisionTrainConfig:
    return build_settings(VisionTrainConfig, settings)


def rows_per_second(log: Path, length: int) -> float:
    """The median of the second half, without the first steps' compilation."""
    speeds = [record.tokens_per_second for record in read_records(log)]
    later = sorted(speeds[len(speeds) // 2 :])
    return later[len(later) // 2] / length


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
) -> dict[str, Future[list[HeldOutPage]]]:
    """The pages to read: begun, not finished."""
    cut = [
        row for row in vision_pages.pieces(rows, 12 * run.size.characters) if len(row["text"]) > 200
    ]
    random.Random(1).shuffle(cut)
    signs = [
        vision_pages.random_document(f"held out/{number}", 12 * run.size.characters)
        for number in range(2 * run.size.pages)
    ]
    sets = {
        "documents": (cut, "training"),
        "fonts": (cut, "held_out"),
        "random": (signs, "training"),
    }
    return {
        name: pool.submit(
            vision_pages.held_out_pages,
            chosen[: 3 * run.size.pages],
            render,
            families,
            run.size.pages,
        )
        for name, (chosen, families) in sets.items()
    }


def measure_text(run: Run, name: str, model: Any, texts: Sequence[str]) -> None:
    """Bits per byte of held-out text."""
    from tokenizers import Tokenizer as Loaded

    tokenizer = Loaded.from_file(str(run.work / "tokenizer" / "tokenizer.json"))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = model.to(device).eval()
    model.compute_dtype = torch.bfloat16 if device == "cuda" else torch.float32
    bits = vision_reading.bits_per_byte(model, texts, tokenizer, run.size.window)
    run.note("bits_per_byte", {**run.results.get("bits_per_byte", {}), name: round(bits, 5)})


def pack_up(folder: Path, output: Path) -> None:
    """The export as parts that are small enough to travel."""
    command = (
        f"tar -C {folder.parent} -cf - {folder.name} | xz -T0 -3 | split -b {PART_BYTES} -d - "
    )
    subprocess.run(["bash", "-c", command + f"{output}/model.tar.xz."], check=True)


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
    parser.add_argument("--tiny", action="store_true")
    parser.add_argument("--device", default="auto")
    options = parser.parse_args()
    options.loaders = max(1, options.processes // 2)  # the trainer wants its core
    run = Run(options, TINY if options.tiny else FULL, Path(options.work))
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
        "paper": {"width": size.tile, "height": size.tile, "max_columns": 1, **size.paper},
        "max_pages": None,
    }
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
    multiprocessing.set_forkserver_preload(
        ["torch", "corpusmill.vision.build", "corpusmill.benchmarks.vision_pages"]
    )
    context = multiprocessing.get_context("forkserver")
    with ProcessPoolExecutor(options.processes, mp_context=context) as pool:
        texts = pack_texts(run, pool, training_rows, tokenizer)
        sets = held_out_sets(run, pool, held_out, render)
        cut = list(vision_pages.pieces(training_rows[:300], 12 * size.characters))
        timed = pool.submit(vision_pages.renderer_speed, cut, render, min(100, len(cut) // 2))
        drawer = Drawer(pool, folders, drawing)
        trained = train_text(run, [path for future in texts for path in future.result()])
        text = export_text(trained, Path(tokenizer), run.work / "text-export", "float32")
        measure_text(run, "text", checkpoint.load_model(trained)[0], some_text)
        shards = drawer.stop_at(DRAWING_SHARE * options.seconds)
        pages = {name: future.result() for name, future in sets.items()}
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
    share = run.left - READING_SHARE * options.seconds
    seconds = {name: part * share for name, part in PHASES.items()}
    letters = train_phase(run, "letters", shards, seconds["letters"])
    projected = train_phase(
        run, "projector", shards, seconds["projector"], init_from=text, init_vision_from=letters
    )
    measure_text(run, "projector", load_model(projected)[0], some_text)
    everything = train_phase(
        run,
        "all",
        shards,
        run.left - READING_SHARE * options.seconds,
        init_from=text,
        init_vision_from=projected,
    )
    measure_text(run, "all", load_model(everything)[0], some_text)
    packed = shards[0].parent.parent / "tokenizer"
    exported = export_checkpoint(everything, packed, run.work / "export", "bfloat16")
    pack_up(exported, Path(options.output))
    read(run, exported, pages)
    run.note("seconds", round(time.monotonic() - run.begun, 1))


def read(run: Run, exported: Path, pages: dict[str, list[HeldOutPage]]) -> None:
    """Read the sets with the export, and keep scores and pictures."""
    gpu = torch.cuda.is_available()
    device, dtype = ("cuda", torch.bfloat16) if gpu else ("cpu", torch.float32)
    reader = PageReader.load(exported, slots=128, device=device, dtype=dtype)
    begun = time.monotonic()
    scores, texts = vision_reading.evaluate(reader, pages, run.size.most)
    run.note("reading", scores)
    run.note(
        "reading_pages_s", round(sum(map(len, pages.values())) / (time.monotonic() - begun), 1)
    )
    output = Path(run.options.output)
    vision_reading.keep(pages, texts, output / "pages.tar", 150)
    vision_reading.keep_pictures(pages["fonts"][-20:], texts["fonts"][-20:], output / "twenty.tar")


if __name__ == "__main__":
    main()
