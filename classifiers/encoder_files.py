"""The files of a sentence encoder: where they are, what is missing, their digest."""

import hashlib
import json
import os

from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError

_TOKENIZER_FILES = (
    "tokenizer.json",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
    "tokenizer.model",
)
_WEIGHT_SUFFIXES = (".safetensors", ".bin")
ENCODER = model_files.Kind(
    noun="encoder",
    patterns=("*.json", "*.txt", "*.model", "*.safetensors"),
    mend="name a local folder or a hub name such as ORG/NAME",
)


def encoder_folder(encoder: str, revision: str | None = None) -> str:
    """The local folder of an encoder. One on the hub is fetched, or found in the local cache.

    Raises ModelError.
    """
    return model_files.folder(encoder, ENCODER, revision)


def encoder_digest(encoder: str, revision: str | None = None) -> str:
    """One digest over the encoder's configuration, tokenizer and weights.

    Raises ModelError, which names what is missing.
    """
    folder = encoder_folder(encoder, revision)
    names = sorted(
        name for name in os.listdir(folder) if os.path.isfile(os.path.join(folder, name))
    )
    if "config.json" not in names:
        raise ModelError(
            f"{folder} has no config.json, so it is not an encoder",
            "name the folder of a transformers model",
        )
    if not any(name in names for name in _TOKENIZER_FILES):
        raise ModelError(
            f"{folder} has no tokenizer", "save the encoder's tokenizer there (tokenizer.json)"
        )
    weights = [name for name in names if name.endswith(_WEIGHT_SUFFIXES)]
    if not weights:
        raise ModelError(f"{folder} has no weights", "save the encoder's model.safetensors there")
    read = [
        name
        for name in names
        if name in weights or name.endswith((".txt", ".model")) or _is_setting(name)
    ]
    # The last line end is left out: heads have held this digest since the first release.
    return hashlib.sha256(model_files.listing(folder, read).rstrip("\n").encode()).hexdigest()


def has_classification_head(folder: str) -> bool:
    """Whether the checkpoint classifies sequences with one output.

    Raises ModelError if its config.json is unreadable.
    """
    path = os.path.join(folder, "config.json")
    try:
        with open(path, encoding="utf-8") as file:
            described = json.load(file)
    except ValueError as error:
        raise ModelError(f"{path} is not readable JSON", "save the model again") from error
    labels = described.get("num_labels", len(described.get("id2label") or ("", "")))
    architectures = described.get("architectures") or []
    return labels == 1 and any(
        str(name).endswith("ForSequenceClassification") for name in architectures
    )


def _is_setting(name: str) -> bool:
    return name in (
        "config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "special_tokens_map.json",
        "vocab.json",
    )
