"""Start from the weights of a NemotronHForCausalLM folder: of `export`, or any that is published.

The folder has `config.json` and one or several safetensors files. Parameters have the names that
the model here has. The vocabulary may have grown since: rows for new tokens keep their first
values.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer.model import HybridModel, text_parameters
from corpusmill.trainer.shape import HybridConfig
from corpusmill.trainer.sharding import put, whole
from safetensors import SafetensorError, safe_open
from torch import Tensor

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"
SYMBOLS = {
    **dict.fromkeys(("mamba", "mamba2", "linear_attention"), "M"),
    **dict.fromkeys(("attention", "full_attention"), "*"),
    "mlp": "-",
}
# Field of our shape -> its names in config.json, the first that is there counts.
FIELDS = {
    "hidden_size": ("hidden_size",),
    "ffn_size": ("intermediate_size",),
    "attention_heads": ("num_attention_heads",),
    "key_value_heads": ("num_key_value_heads",),
    "head_dim": ("head_dim", "attention_head_dim"),
    "mamba_heads": ("mamba_num_heads",),
    "mamba_head_dim": ("mamba_head_dim",),
    "mamba_groups": ("n_groups",),
    "mamba_state": ("ssm_state_size",),
    "conv_kernel": ("conv_kernel",),
    "norm_epsilon": ("layer_norm_epsilon", "rms_norm_eps"),
    "vocab_size": ("vocab_size",),
}
# What the model here has not, and a folder may have.
UNKNOWN = ("use_bias", "mlp_bias", "attention_bias", "mamba_proj_bias")
ACTIVATIONS = {"mlp_hidden_act": "relu2", "mamba_hidden_act": "silu"}
EMBEDDING, HEAD, TIED = "backbone.embeddings.weight", "lm_head.weight", "tie_word_embeddings"


def read_shape(folder: Path) -> HybridConfig:
    """The shape of the model in a folder. Raises ModelError if it is no model of this kind."""
    return shape_of(read_config(folder), folder)


def read_config(folder: Path) -> dict[str, Any]:
    """The config.json of a folder. Raises ModelError if there is none or it is damaged."""
    try:
        return _read_json(folder / CONFIG)
    except FileNotFoundError as error:
        raise ModelError(
            f"{folder} holds no {CONFIG}", "name the output folder of export, or a published model"
        ) from error


def _read_json(path: Path) -> dict[str, Any]:
    """The mapping in a file. Raises ModelError if it holds something else."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(found, dict):
            raise ValueError("no mapping")
    except ValueError as error:
        raise ModelError(
            f"{path} is damaged ({error})", "fetch or export the model again"
        ) from error
    return found


def shape_of(found: Mapping[str, Any], folder: Path) -> HybridConfig:
    """The shape that a language model's configuration describes. folder: for messages."""
    if found.get("model_type") != "nemotron_h":
        raise ModelError(
            f"{folder} holds a model of type {found.get('model_type')!r}",
            "only nemotron_h models can be trained here",
        )
    odd = [name for name in UNKNOWN if found.get(name)]
    if odd:
        raise ModelError(
            f"the model in {folder} sets {', '.join(odd)}", "take a model without them"
        )
    for name, known in ACTIVATIONS.items():
        if found.get(name, known) != known:
            raise ModelError(
                f"the model in {folder} has {name} {found[name]!r}", f"take one with {known!r}"
            )
    values: dict[str, Any] = {"pattern": _pattern(found, folder)}
    for field, names in FIELDS.items():
        value = next((found[name] for name in names if found.get(name) is not None), None)
        if value is None:
            raise ModelError(
                f"{folder / CONFIG} has no {names[0]}", "fetch or export the model again"
            )
        values[field] = value
    if isinstance(found.get("chunk_size"), int):
        values["chunk_size"] = found["chunk_size"]
    return HybridConfig(**values)


def _pattern(found: Mapping[str, Any], folder: Path) -> str:
    pattern = found.get("hybrid_override_pattern")
    if isinstance(pattern, str) and pattern:
        return pattern
    kinds = found.get("layers_block_type") or []
    unknown = sorted({str(kind) for kind in kinds if kind not in SYMBOLS})
    if unknown or not kinds:
        raise ModelError(
            f"the model in {folder} has layers of kind {', '.join(unknown) or 'nothing'}",
            "only Mamba-2, attention and FFN layers can be trained here",
        )
    return "".join(SYMBOLS[kind] for kind in kinds)


def refuse_other_shape(folder: Path, wanted: HybridConfig) -> None:
    """Raises ModelError if the folder's model has another shape than `wanted`, but for a smaller
    vocabulary.
    """
    there = read_shape(folder)
    changed = [
        f"{name} is {getattr(there, name)!r}, not {getattr(wanted, name)!r}"
        for name in ("pattern", *FIELDS)
        if name != "vocab_size" and getattr(there, name) != getattr(wanted, name)
    ]
    if there.vocab_size > wanted.vocab_size:
        changed.append(f"vocab_size is {there.vocab_size}, more than {wanted.vocab_size}")
    if changed:
        raise ModelError(
            f"the model in {folder} has another shape: {'; '.join(changed)}",
            "set the keys of `model` to its values",
        )


def load_folder(folder: Path, dtype: torch.dtype = torch.float32) -> HybridModel:
    """The model of a folder on the CPU, its weights in float32. dtype: of the computation.

    Raises ModelError if the folder holds no model of this kind.
    """
    with torch.device("meta"):
        model = HybridModel(read_shape(folder), dtype)
    model.to_empty(device="cpu")
    load_pretrained(folder, model)
    return model


@torch.no_grad()
def load_pretrained(folder: Path, model: HybridModel) -> None:
    """Copy a folder's weights into a model of its shape, sharded or not.

    Raises ModelError if the shapes differ or a weight is not there.
    """
    refuse_other_shape(folder, model.config)
    wanted = text_parameters(model)
    missing = set(wanted)
    for name, value in _stored(folder):
        if name not in wanted:
            raise ModelError(
                f"{folder} has a weight {name} that the model has not",
                "take a model of Mamba-2, attention and FFN layers without biases",
            )
        parameter = wanted[name]
        value = value.to(torch.float32)
        if value.shape != parameter.shape:
            value = _grown(name, value, parameter, folder)
        put(parameter, value)
        missing.discard(name)
    if missing == {HEAD} and read_config(folder).get(TIED):
        put(wanted[HEAD], whole(wanted[EMBEDDING]))  # from here on they learn apart
        return
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights, {min(missing)} among them",
            "fetch or export the model again",
        )


def _grown(name: str, value: Tensor, parameter: Tensor, folder: Path) -> Tensor:
    """A matrix with rows for new tokens, which keep what the parameter has."""
    if (
        value.ndim != 2
        or value.shape[1] != parameter.shape[1]
        or value.shape[0] > parameter.shape[0]
        or ".layers." in name
    ):
        raise ModelError(
            f"{name} in {folder} is {tuple(value.shape)}, not {tuple(parameter.shape)}",
            "fetch or export the model again",
        )
    rows = whole(parameter).detach()
    return torch.cat([value.to(rows.device), rows[value.shape[0] :]])


def _stored(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every stored weight, under the name that the model here has for it."""
    for name, value in stored_tensors(folder):
        yield (f"backbone.{name[6:]}" if name.startswith("model.") else name), value


def stored_tensors(folder: Path) -> Iterator[tuple[str, Tensor]]:
    """Every weight in a folder's safetensors files, by its name there. Raises ModelError if a file
    is damaged or missing.
    """
    for file in weight_files(folder):
        try:
            with safe_open(file, framework="pt") as tensors:
                for name in tensors.keys():  # noqa: SIM118, it is no dict
                    yield name, tensors.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise ModelError(
                f"{file} is damaged ({error})", "fetch or export the model again"
            ) from error


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files of a model folder. Raises ModelError if there are none, or if the
    index of several is damaged.
    """
    index = folder / INDEX
    if index.exists():
        places = _read_json(index).get("weight_map")
        if not isinstance(places, dict):
            raise ModelError(f"{index} has no weight_map", "fetch or export the model again")
        return [folder / name for name in sorted(set(places.values()))]
    if not (folder / WEIGHTS).exists():
        raise ModelError(f"{folder} holds no {WEIGHTS}", "name a folder with safetensors weights")
    return [folder / WEIGHTS]
