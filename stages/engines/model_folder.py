"""A causal language model's files: a local folder, or a snapshot fetched from the hub; and a name that says which weights."""

import functools
import hashlib
import json
import os

from corpusmill.manifests import storage
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.package_data import package_file

_WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".gguf")
_DIGEST_SHOWN = 12


def local_folder(model: str) -> str:
    """`model` if it is a folder with a config.json; else the hub's snapshot of that name. Raises ModelError with the mend."""
    path = _path(model)
    if os.path.isdir(path):
        if not os.path.isfile(os.path.join(path, "config.json")):
            raise ModelError(
                f"{model} holds no config.json",
                "name a folder made by `corpusmill export` or save_pretrained",
            )
        return path
    if storage.is_remote(model) or path.startswith((".", "/", "~")) or path.count("/") != 1:
        raise ModelError(
            f"there is no model folder {model}",
            "check the path; a model on the hub is named OWNER/NAME, one that travels with corpusmill package:models/NAME",
        )
    return _snapshot(model)


def identity(model: str) -> str:
    """`NAME@DIGEST`: the folder's own name and the first digits of a SHA-256 over its configuration and weights.

    The path does not enter, so that a model keeps its name wherever it lies. Hashing reads the weights once per process.
    """
    folder = local_folder(model)
    files = sorted(
        name
        for name in os.listdir(folder)
        if name.endswith(_WEIGHTS) or name in ("config.json", "tokenizer.json")
    )
    if not any(name.endswith(_WEIGHTS) for name in files):
        raise ModelError(f"{model} holds no weights", "name a folder with *.safetensors")
    stamps = tuple(_stamp(os.path.join(folder, name)) for name in files)
    name = os.path.basename(os.path.abspath(folder)) if os.path.isdir(_path(model)) else model
    return f"{name}@{_digest(folder, tuple(files), stamps)[:_DIGEST_SHOWN]}"


def declared_context(model: str) -> int | None:
    """Tokens of prompt and answer together that the model's configuration allows, if it names a limit."""
    return _declared_context(local_folder(model))


@functools.lru_cache(maxsize=8)
def _declared_context(folder: str) -> int | None:
    with open(os.path.join(folder, "config.json"), encoding="utf-8") as file:
        try:
            settings = json.load(file)
        except ValueError as error:
            raise ModelError(
                f"{folder}/config.json is not JSON ({error})", "fetch or export the model again"
            ) from error
    declared = settings.get("text_config", settings).get("max_position_embeddings")
    return int(declared) if declared else None


def _path(model: str) -> str:
    """A recipe's `package:` references arrive resolved; the default of a setting does not."""
    if model.startswith("package:"):
        room, _, inner = model.removeprefix("package:").partition("/")
        return str(package_file(room, inner))
    return storage.local(model)


def _stamp(path: str) -> tuple[int, int]:
    status = os.stat(path)
    return status.st_size, status.st_mtime_ns


@functools.lru_cache(maxsize=8)
def _digest(folder: str, files: tuple[str, ...], stamps: tuple[tuple[int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name in files:
        digest.update(f"{name} {storage.digest_of(os.path.join(folder, name))}\n".encode())
    return digest.hexdigest()


@functools.lru_cache(maxsize=8)
def _snapshot(model: str) -> str:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    try:
        return str(
            snapshot_download(
                model, allow_patterns=["*.json", "*.safetensors", "*.jinja", "*.model", "*.txt"]
            )
        )
    except (HfHubHTTPError, LocalEntryNotFoundError, OSError, ValueError) as error:
        raise ModelError(
            f"{model} is neither a folder here nor a model that the hub gives ({str(error).splitlines()[0]})",
            "check the name, log in to the hub if the model is gated, or fill its cache beforehand",
        ) from error
