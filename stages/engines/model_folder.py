"""A causal language model's files: their folder, a name with a digest, and the declared context."""

import functools
import json
import os
from typing import Any

from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError

LANGUAGE_MODEL = model_files.Kind(
    noun="model",
    patterns=("*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"),
    mend="check the path; a model on the hub is named OWNER/NAME, one that travels with corpusmill "
    "package:models/NAME",
)
_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_IDENTIFYING = ("config.json", "generation_config.json", "tokenizer.json")
_DIGEST_SHOWN = 12


def local_folder(model: str) -> str:
    """The local folder of a model. Raises ModelError, which says what to do."""
    folder = model_files.folder(model, LANGUAGE_MODEL)
    if not os.path.isfile(os.path.join(folder, "config.json")):
        raise ModelError(
            f"{model} holds no config.json",
            "name a folder made by `corpusmill export` or save_pretrained",
        )
    return folder


def identity(model: str) -> str:
    """`NAME@DIGEST`: the folder's name and the first digits of a SHA-256.

    The digest covers configuration, the tokens that end an answer (generation_config.json) and
    weights, but not the path. So a model keeps its name wherever it lies. Hashing reads the weights
    once per process.
    """
    folder = local_folder(model)
    files = sorted(
        name for name in os.listdir(folder) if name.endswith(_WEIGHTS) or name in _IDENTIFYING
    )
    if not any(name.endswith(_WEIGHTS) for name in files):
        raise ModelError(f"{model} holds no weights", "name a folder with *.safetensors")
    digest = model_files.folder_digest(folder, files)
    return f"{model_files.short_name(model)}@{digest[:_DIGEST_SHOWN]}"


def declared(model: str) -> dict[str, Any]:
    """The content of the model's config.json."""
    return _read(local_folder(model), "config.json")


def declared_context(model: str) -> int | None:
    """Tokens of prompt and answer together that the model declares. None: it names no limit."""
    settings = declared(model)
    found = settings.get("text_config", settings).get("max_position_embeddings")
    return int(found) if found else None


def is_hybrid(model: str) -> bool:
    """Whether the model has recurrent layers: its settings name a state-space or linear part."""
    settings = declared(model)
    settings = settings.get("text_config", settings)
    layers = settings.get("layers_block_type") or settings.get("layer_types") or ()
    return any(name.startswith(("mamba", "ssm", "linear_")) for name in (*settings, *layers))


def end_tokens(model: str) -> set[int]:
    """The tokens that end an answer: of generation_config.json, else of config.json."""
    folder = local_folder(model)
    settings = declared(model)
    if os.path.isfile(os.path.join(folder, "generation_config.json")):
        settings = {**settings, **_read(folder, "generation_config.json")}
    found = settings.get("eos_token_id")
    return set(found if isinstance(found, list) else [found]) - {None}


@functools.lru_cache(maxsize=8)
def _read(folder: str, name: str) -> dict[str, Any]:
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        try:
            settings: dict[str, Any] = json.load(file)
        except ValueError as error:
            raise ModelError(
                f"{folder}/{name} is not JSON ({error})", "fetch or export the model again"
            ) from error
    return settings
