"""The trainings of `benchmarks/vision.py`, and what is measured of each."""

import argparse
import json
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from corpusmill.benchmarks import vision_reading
from corpusmill.benchmarks.vision_sizes import Size
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.settings import build_settings
from corpusmill.trainer import train as training
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.flops import peak_flops
from corpusmill.trainer.parts import TEXT
from corpusmill.trainer.records import read_records
from corpusmill.vision.build import load_model, parts
from corpusmill.vision.config import VisionTrainConfig
from corpusmill.vision.flops import row_flops

SPARE = 0.95  # of the steps that fit
LETTER_WEIGHT = 0.5


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
        return {
            "tile_size": self.size.tile,
            "patch_size": self.size.patch,
            "max_tiles": 1,
            "tile_tags": False,
        }

    @property
    def model(self) -> dict[str, Any]:
        return {**self.size.model, "vocab_size": self.size.vocabulary}

    def note(self, name: str, value: Any) -> None:
        """Keep a result on disk at once: what follows may fail."""
        self.results[name] = value
        self._tell(name, value)

    def note_in(self, group: str, name: str, value: Any) -> None:
        """Keep one result of several in a group."""
        self.results.setdefault(group, {})[name] = value
        self._tell(f"{group}, {name}", value)

    def _tell(self, name: str, value: Any) -> None:
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
    """One phase, as long as `seconds` allow at the speed of a short run before. Its checkpoint.

    The projector's phase has its own number of steps: it is too short to measure its speed. Without
    a CUDA graph a step takes as long with twice the rows, so it has them.
    """
    graph, batch = run.graph, run.size.batch * (1 if run.graph else 2)
    settings = {
        **run.settings(phase),
        "vision": {**run.tiling, **run.size.vision},
        "learns": phase,
        "letter_weight": 0.0 if phase == "letters" else LETTER_WEIGHT,
        "pack": "pad",
        "sequence_length": run.size.longest,
        "batch_size": batch,
        "shuffle_window": 4,
        "loader_processes": run.options.loaders,
        **{name: str(folder) for name, folder in start.items() if folder is not None},
    }
    begun, begin_seconds = time.monotonic(), None
    if phase == "projector":
        steps = run.size.projector_steps
    else:
        probe = run.size.probe
        tried_config = config_of({**settings, "steps": probe, "warmup_steps": probe // 2})
        tried = graphed(run, tried_config, shards, run.work / f"{phase}-probe")
        if run.graph != graph:
            return train_phase(run, phase, shards, seconds - (time.monotonic() - begun), **start)
        rows = rows_per_second(tried.log, run.size.longest)
        begin_seconds = round(time.monotonic() - begun - probe * batch / rows, 1)
        left = seconds - (time.monotonic() - begun) - begin_seconds
        steps = max(int(SPARE * left * rows / batch), 2 * probe)
    config = config_of({**settings, "steps": steps, "warmup_steps": min(200, steps // 10)})
    result = graphed(run, config, shards, run.work / phase)
    records = read_records(result.log)
    rows = rows_per_second(result.log, run.size.longest)
    assert config.vision is not None
    tiles = run.results["pages"]["rows_with_image"] / run.results["pages"]["rows"]
    letters = config.letter_weight > 0
    shape = config.vision, config.model, run.size.longest
    work = row_flops(*shape, tiles, config.learns, letters)
    peak = peak_flops(torch.device(0)) if torch.cuda.is_available() else None
    losses = [record.loss for record in records]
    run.note(
        phase,
        {
            "steps": steps,
            "images": round(steps * batch * tiles),
            "images_s": round(rows * tiles, 1),
            "gflop_a_row": round(work / 1e9, 2),
            "mfu": peak and round(rows * work / peak, 4),
            "memory_gb": records[-1].memory_gb,
            "seconds_to_first_step": begin_seconds,
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


def measure_text(run: Run, name: str, model: Any, texts: Sequence[str]) -> None:
    """Bits per byte of held-out text."""
    from tokenizers import Tokenizer as Loaded

    tokenizer = Loaded.from_file(str(run.work / "tokenizer" / "tokenizer.json"))
    model = ready(model)
    bits = vision_reading.bits_per_byte(model, texts, tokenizer, run.size.window)
    run.note_in("bits_per_byte", name, round(bits, 5))


def measure_letters(run: Run, name: str, folder: Path, shard: Path) -> None:
    """What the encoder of a checkpoint knows of the letters on pages that nothing learnt from."""
    import pyarrow.parquet as pq

    model = ready(load_model(folder)[0])
    rows = pq.read_table(shard, columns=["image", "letters", "letter_x", "letter_y"]).to_pylist()
    pages = [row for row in rows if row["image"] is not None]
    known = vision_reading.letters_known(model, pages)
    run.note_in("letters_known", name, known)


def ready(model: Any) -> Any:
    """The model on the GPU in bfloat16, if there is one."""
    gpu = torch.cuda.is_available()
    model.compute_dtype = torch.bfloat16 if gpu else torch.float32
    return model.to("cuda" if gpu else "cpu").eval()
