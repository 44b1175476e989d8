"""`python -m corpusmill.trainer CONFIG.yaml --data FOLDER --output FOLDER`: few dependencies.

The run is the same as with `corpusmill train`. It is for a GPU machine that has only this folder,
`manifests/`, the token shards, torch, numpy, pyarrow, safetensors, pydantic and PyYAML. The
settings and `--set` are those of the verb, and so is what may change before a run goes on.
"""

import argparse
import sys
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from corpusmill.manifests.assignments import assigned, read_assignment
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.settings import build_settings
from corpusmill.manifests.yaml_text import parse_yaml
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.on_ray import run_on_ray
from corpusmill.trainer.records import StepRecord
from corpusmill.trainer.token_shards import find_shards
from corpusmill.trainer.workers import run


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainConfig:
    """The configuration of a YAML file, with `KEY=VALUE` changes. Raises CorpusmillError."""
    example = "give a file like trainer/configs/tiny.yaml"
    try:
        settings = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusmillError(f"{path} cannot be read ({error})", example) from error
    if not isinstance(settings, dict):
        raise CorpusmillError(f"{path} holds no settings", example)
    for change in changes:
        settings = assigned(settings, *read_assignment(change))
    of_images = sorted({"vision", "learns", "init_vision_from"} & settings.keys())
    if of_images:
        raise CorpusmillError(
            f"{path} sets {', '.join(of_images)}, and this command trains on text alone",
            "train models that read images with `corpusmill train`",
        )
    return build_settings(TrainConfig, settings)


def print_record(record: StepRecord) -> None:
    """One status line, and one for a note."""
    held_out = "" if record.held_out_loss is None else f"  held-out {record.held_out_loss:.4f}"
    mfu = "" if record.mfu is None else f"  MFU {record.mfu:.1%}"
    memory = "" if record.memory_gb is None else f"  {record.memory_gb} GB"
    note = "" if record.note is None else f"{record.note}\n"
    left = timedelta(seconds=round(record.seconds_left or 0))
    sys.stdout.write(  # Ray Train shows what `print` writes twice
        f"{note}step {record.step:6d}/{record.steps}  loss {record.loss:.4f}  "
        f"lr {record.learning_rate:.2e}  "
        f"norm {record.gradient_norm:.3f}  {record.tokens_per_second:,.0f} tok/s{mfu}{memory}  "
        f"{left} left{held_out}\n"
    )
    sys.stdout.flush()


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, train, report. Returns the exit code: 0, or 1 after an error that users can mend."""
    parser = argparse.ArgumentParser(
        prog="python -m corpusmill.trainer", description="Pre-train a hybrid model on token shards."
    )
    parser.add_argument(
        "config", type=Path, help="YAML file, for example trainer/configs/small-12m.yaml"
    )
    parser.add_argument("--data", type=Path, required=True, help="output folder of the pack stage")
    parser.add_argument(
        "--output", type=Path, required=True, help="folder for checkpoints and the log"
    )
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="change one value"
    )
    parser.add_argument(
        "--ray", action="store_true", help="num_workers are workers of Ray Train (RAY_ADDRESS)"
    )
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config, options.set)
        shards = find_shards(options.data)
        if options.ray:
            print(f"trained: {run_on_ray(config, shards, options.output, print_record)}")
            return 0
        result = run(config, shards, options.output, print_record)
    except CorpusmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"trained {result.steps} steps, {result.tokens:,} tokens: {result.checkpoint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
