"""`python -m corpusmill.trainer CONFIG.yaml --data FOLDER --output FOLDER`: train where only torch, pyarrow and PyYAML are installed.

The same run as `corpusmill train`, without the command line's dependencies: for a GPU machine that gets just this folder,
`manifests/` and the token shards.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from corpusmill.manifests.errors import CorpusmillError
from corpusmill.manifests.yaml_text import parse_yaml
from corpusmill.trainer.config import TrainConfig, train_config_from
from corpusmill.trainer.token_shards import find_shards
from corpusmill.trainer.train import StepRecord, train


def read_config(path: Path, changes: Sequence[str] = ()) -> TrainConfig:
    """The configuration in a YAML file, with `KEY=VALUE` changes (dots reach into `model`). Raises CorpusmillError."""
    try:
        mapping = parse_yaml(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CorpusmillError(
            f"{path} cannot be read ({error})", "give a file like trainer/configs/tiny.yaml"
        ) from error
    for change in changes:
        key, equals, value = change.partition("=")
        if not equals:
            raise CorpusmillError(f"--set {change} has no value", "write --set key=value")
        *parents, last = key.split(".")
        inner = mapping
        for parent in parents:
            inner = inner.setdefault(parent, {}) if isinstance(inner, dict) else None
        if not isinstance(inner, dict):
            raise CorpusmillError(
                f"--set {change}: what holds {last!r} is no mapping", "set the whole key instead"
            )
        try:
            inner[last] = parse_yaml(value)
        except ValueError as error:
            raise CorpusmillError(
                f"--set {change} is no readable YAML ({error})", "quote the value"
            ) from error
    return train_config_from(mapping)


def print_record(record: StepRecord) -> None:
    """One status line."""
    held_out = "" if record.held_out_loss is None else f"  held-out {record.held_out_loss:.4f}"
    print(
        f"step {record.step:6d}/{record.steps}  loss {record.loss:.4f}  lr {record.learning_rate:.2e}  "
        f"norm {record.gradient_norm:.3f}  {record.tokens_per_second:,.0f} tok/s{held_out}",
        flush=True,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse, train, report. Returns the exit code: 0, or 1 after an error the user can mend."""
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
    options = parser.parse_args(arguments)
    try:
        config = read_config(options.config, options.set)
        result = train(config, find_shards(options.data), options.output, print_record)
    except CorpusmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"trained {result.steps} steps, {result.tokens:,} tokens: {result.checkpoint}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
