"""Weights under the names and in the layouts of Megatron-Core's hybrid model, and back.

    python -m corpusmill.trainer.megatron to OUT/export FILE.pt
    python -m corpusmill.trainer.megatron from FILE.pt OUT/export NEW_FOLDER

FILE.pt is a checkpoint of one rank (`model_optim_rng.pt` without optimiser): no tensor or pipeline
parallelism; Megatron's own tools split it. The second command takes configuration and tokenizer
from a folder of the same shape.

What differs but for names: the norm in front of a layer belongs to the linear map behind it
(Transformer Engine fuses both); q, k and v are one matrix, ordered by key/value head: its queries,
its key, its value, then the next; Megatron pads the vocabulary. The rows of in_proj have the same
order (z, x, B, C, dt) as long as one rank holds them all.

Sources: Megatron-LM (`megatron/core/models/hybrid`, `ssm/mamba_mixer.py`); Megatron-Bridge
(`models/nemotronh/nemotron_h_bridge.py`), August 2026. Older spellings are read too.
"""

import argparse
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from pickle import UnpicklingError

import torch
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.manifests.model_files import TOKENIZER_FILES
from corpusmill.trainer.importing import (
    CONFIG,
    EMBEDDING,
    HEAD,
    TIED,
    WEIGHTS,
    read_config,
    read_shape,
    weight_files,
)
from corpusmill.trainer.shape import HybridConfig
from safetensors.torch import load_file, save_file
from torch import Tensor

OUTER = {
    "backbone.embeddings.weight": "embedding.word_embeddings.weight",
    "backbone.norm_f.weight": "decoder.final_norm.weight",
    "lm_head.weight": "output_layer.weight",
}
# Symbol of a layer -> our name below `backbone.layers.N.` -> theirs below `decoder.layers.N.`
INNER = {
    "M": {
        "norm.weight": "mixer.in_proj.layer_norm_weight",
        "mixer.in_proj.weight": "mixer.in_proj.weight",
        "mixer.conv1d.weight": "mixer.conv1d_weight",
        "mixer.conv1d.bias": "mixer.conv1d_bias",
        "mixer.A_log": "mixer.A_log",
        "mixer.D": "mixer.D",
        "mixer.dt_bias": "mixer.dt_bias",
        "mixer.norm.weight": "mixer.norm.weight",
        "mixer.out_proj.weight": "mixer.out_proj.weight",
    },
    "-": {
        "norm.weight": "mlp.linear_fc1.layer_norm_weight",
        "mixer.up_proj.weight": "mlp.linear_fc1.weight",
        "mixer.down_proj.weight": "mlp.linear_fc2.weight",
    },
    "*": {
        "norm.weight": "self_attention.linear_qkv.layer_norm_weight",
        "mixer.o_proj.weight": "self_attention.linear_proj.weight",
    },
}
FUSED = "self_attention.linear_qkv.weight"
QKV = tuple(f"mixer.{letter}_proj.weight" for letter in "qkv")
# Their name today -> others that it has had, or has without Transformer Engine.
SPELLINGS = {
    "decoder.final_norm.weight": ("decoder.final_layernorm.weight",),
    "mixer.conv1d_weight": ("mixer.conv1d.weight",),
    "mixer.conv1d_bias": ("mixer.conv1d.bias",),
    "mixer.in_proj.layer_norm_weight": ("norm.weight",),
    "mlp.linear_fc1.layer_norm_weight": ("pre_mlp_layernorm.weight",),
    "self_attention.linear_qkv.layer_norm_weight": ("input_layernorm.weight",),
}
PADDED = ("backbone.embeddings.weight", "lm_head.weight")


def to_megatron(weights: Mapping[str, Tensor], config: HybridConfig) -> dict[str, Tensor]:
    """Megatron's state of weights under the published names."""
    state = {theirs: weights[ours] for ours, theirs in OUTER.items()}
    for number, symbol in enumerate(config.pattern):
        layer, target = f"backbone.layers.{number}.", f"decoder.layers.{number}."
        for ours, theirs in INNER[symbol].items():
            state[target + theirs] = weights[layer + ours]
        if symbol == "*":
            q, k, v = (weights[layer + name] for name in QKV)
            state[target + FUSED] = fuse(q, k, v, config)
    return state


def from_megatron(state: Mapping[str, Tensor], config: HybridConfig) -> dict[str, Tensor]:
    """Weights under the published names, without padding of the vocabulary.

    Raises ModelError if a weight is missing or too many are there.
    """
    left = {name: value for name, value in state.items() if "_extra_state" not in name}  # of FP8

    def take(prefix: str, name: str) -> Tensor:
        for spelling in (name, *SPELLINGS.get(name, ())):
            if prefix + spelling in left:
                return left.pop(prefix + spelling)
        raise ModelError(
            f"the Megatron checkpoint has no {prefix}{name}",
            "give a checkpoint of one rank, and a folder of the same shape",
        )

    weights = {ours: take("", theirs) for ours, theirs in OUTER.items()}
    for name in PADDED:
        weights[name] = weights[name][: config.vocab_size]
    for number, symbol in enumerate(config.pattern):
        layer, source = f"backbone.layers.{number}.", f"decoder.layers.{number}."
        for ours, theirs in INNER[symbol].items():
            weights[layer + ours] = take(source, theirs)
        if symbol == "*":
            for name, part in zip(QKV, split(take(source, FUSED), config), strict=True):
                weights[layer + name] = part
    if left:
        raise ModelError(
            f"the Megatron checkpoint has more than the model: {', '.join(sorted(left)[:3])}",
            "give a folder of the same shape",
        )
    return weights


def fuse(q: Tensor, k: Tensor, v: Tensor, config: HybridConfig) -> Tensor:
    """q, k and v (rows of heads x head_dim) as one matrix, ordered by key/value head."""
    groups = (config.key_value_heads, -1)
    parts = [matrix.unflatten(0, groups) for matrix in (q, k, v)]
    return torch.cat(parts, dim=1).flatten(0, 1)


def split(fused: Tensor, config: HybridConfig) -> tuple[Tensor, Tensor, Tensor]:
    """The inverse of `fuse`."""
    queries = config.attention_heads // config.key_value_heads * config.head_dim
    sizes = [queries, config.head_dim, config.head_dim]
    q, k, v = fused.unflatten(0, (config.key_value_heads, sum(sizes))).split(sizes, dim=1)
    return q.flatten(0, 1), k.flatten(0, 1), v.flatten(0, 1)


def write_checkpoint(folder: Path, file: Path) -> None:
    """A model folder as Megatron's checkpoint of one rank. A tied head becomes one of its own."""
    shape = read_shape(folder)
    weights: dict[str, Tensor] = {}
    for path in weight_files(folder):
        weights |= load_file(path)
    if HEAD not in weights and read_config(folder).get(TIED):
        weights[HEAD] = weights[EMBEDDING].clone()
    torch.save({"model": to_megatron(weights, shape), "checkpoint_version": 3.0}, file)


def read_checkpoint(file: Path, like: Path, folder: Path) -> None:
    """Megatron's checkpoint of one rank as a model folder, else the same as `like`.

    A tied head of `like` becomes one of its own.
    """
    try:
        state = torch.load(file, map_location="cpu", weights_only=True)["model"]
    except (OSError, RuntimeError, KeyError, UnpicklingError) as error:
        raise ModelError(
            f"{file} is no checkpoint of Megatron ({type(error).__name__}: {error})",
            "give a file like model_optim_rng.pt with only weights in it",
        ) from error
    weights = from_megatron(state, read_shape(like))
    folder.mkdir(parents=True, exist_ok=True)
    contiguous = {name: value.contiguous() for name, value in weights.items()}
    save_file(contiguous, folder / WEIGHTS, metadata={"format": "pt"})
    for name in (CONFIG, "generation_config.json", *TOKENIZER_FILES):
        if (like / name).exists():
            shutil.copyfile(like / name, folder / name)
    config = read_config(like)
    if config.get(TIED):  # the head that was read is one of its own
        text = json.dumps({**config, TIED: False}, indent=2) + "\n"
        (folder / CONFIG).write_text(text, encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 0, or 1 after an error that users can mend."""
    parser = argparse.ArgumentParser(prog="python -m corpusmill.trainer.megatron")
    directions = parser.add_subparsers(dest="direction", required=True)
    to = directions.add_parser("to", help="a model folder into Megatron's checkpoint")
    to.add_argument("folder", type=Path)
    to.add_argument("file", type=Path)
    back = directions.add_parser("from", help="Megatron's checkpoint into a model folder")
    back.add_argument("file", type=Path)
    back.add_argument("like", type=Path, help="a model folder of the same shape")
    back.add_argument("folder", type=Path)
    options = parser.parse_args(arguments)
    try:
        if options.direction == "to":
            write_checkpoint(options.folder, options.file)
        else:
            read_checkpoint(options.file, options.like, options.folder)
    except CorpusmillError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
