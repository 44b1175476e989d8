"""Folders of models: the one that an input names, and one with a tokenizer beside the model."""

import functools
import json
from pathlib import Path

from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.tokenizer.loaded import LoadedTokenizer, files_of

MARKERS = ("config.json", "state.json")  # of a model folder, of a checkpoint
_READER = "internvl"  # the architecture of an export that reads images
_FILES = model_files.Kind("model", ("*",), "check the URL")


@functools.lru_cache(maxsize=2)
def model_folder(paths: tuple[str, ...]) -> Path:
    """A local folder with the model whose files are given. Remote files are fetched once a process.

    Raises ModelError if they are no model, or several.
    """
    found = {path.rpartition("/")[0] for path in paths if storage.name_of(path) in MARKERS}
    # Published models have further forms of themselves in folders below, as for ONNX.
    least = min((folder.count("/") for folder in found), default=0)
    folders = {folder for folder in found if folder.count("/") == least}
    if len(folders) != 1:
        raise ModelError(
            f"the input holds {len(folders) or 'no'} {'models' if folders else 'model'} "
            f"(no folder, or several, with {' or '.join(MARKERS)})",
            "name one folder: of train, of export, one checkpoint, or one of save_pretrained",
        )
    (folder,) = folders
    if not storage.is_remote(folder):
        return Path(storage.local(folder))
    return Path(model_files.folder(folder, _FILES))


def refuse_reader(folder: Path) -> None:
    """Raises ModelError if the model in a folder, an export or a checkpoint, reads images."""
    for name in MARKERS:
        if (folder / name).is_file():
            found = json.loads((folder / name).read_text(encoding="utf-8"))
            if found.get("model_type") == _READER or found.get("image_token") is not None:
                raise ModelError(
                    f"the model in {folder} reads images; evaluate measures language models",
                    "give the export of its language model",
                )


def with_tokenizer(folder: Path, tokenizer: LoadedTokenizer, work: Path) -> Path:
    """A folder with the model and the tokenizer, which engines load together. It is `folder`, or
    `work` with links.
    """
    if Path(tokenizer.folder).resolve() == folder.resolve():
        return folder
    files = [*folder.iterdir(), *map(Path, files_of(tokenizer.folder))]
    for name, path in {path.name: path for path in files if path.is_file()}.items():
        (work / name).symlink_to(path.resolve())
    return work
