"""Which model a name means: an export, a checkpoint, or what a run made."""

from dataclasses import dataclass
from pathlib import Path

from corpusmill.manifests import model_files
from corpusmill.manifests.errors import ModelError
from corpusmill.stages.engines import embedded, model_folder
from corpusmill.stages.tokenizer import loaded

_EXPORT, _CHECKPOINT = "config.json", "state.json"
# Where a run keeps a tokenizer, from the folder of the run.
_TOKENIZERS = ("", "tokenizer", "pack/tokenizer", "tokenizer/tokenizer")
IMAGE_READER = "internvl"  # what `export` writes for a model that reads images
_NAME_ONE = "name an export, a checkpoint folder, or the OUT folder of a run that trained a model"


@dataclass(frozen=True)
class Chosen:
    """folder, tokenizer: local folders. context: tokens of prompt and answer; None: no limit.
    end_tokens: that the model's files name.
    """

    folder: str
    tokenizer: str
    context: int | None
    end_tokens: frozenset[int]


def choose(name: str, tokenizer: str | None = None, reads_images: bool = False) -> Chosen:
    """The model of that name. tokenizer: its folder, where it does not lie beside the model.
    reads_images: whether it must be a model that reads images, or one of text.

    Raises ModelError if there is no such model, or no tokenizer.
    """
    path = Path(model_files.local_path(name))
    folder = _inside(path) if path.is_dir() else Path(model_folder.local_folder(name))
    if (folder / _EXPORT).exists():
        if not reads_images:
            _refuse_other_architectures(folder)
        return Chosen(
            str(folder),
            tokenizer or _tokenizer(folder, (folder,)),
            model_folder.declared_context(str(folder)),
            frozenset(model_folder.end_tokens(str(folder))),
        )
    from corpusmill.trainer import checkpoint

    state = checkpoint.read_state(folder)
    if state.image_token is not None and not reads_images:
        raise _needs_image(folder)
    near = tokenizer or _tokenizer(folder, (folder, *folder.resolve().parents[:3]))
    return Chosen(str(folder), near, state.config["sequence_length"], frozenset())


def _needs_image(folder: Path) -> ModelError:
    return ModelError(f"the model in {folder} reads images", "name an image with --image")


def _refuse_other_architectures(folder: Path) -> None:
    found = model_folder.declared(str(folder)).get("model_type")
    if found == IMAGE_READER:
        raise _needs_image(folder)
    if found != embedded.ARCHITECTURE:
        raise ModelError(
            f"the model in {folder} is of type {found!r}, and `generate` runs "
            f"{embedded.ARCHITECTURE} alone",
            "name a model that corpusmill trained; transformers or vLLM run this one",
        )


def _inside(folder: Path) -> Path:
    """The export or checkpoint that a folder is or holds. Exports come first."""
    if (folder / _EXPORT).exists() or (folder / _CHECKPOINT).exists():
        return folder
    for pattern in (f"*/{_EXPORT}", f"*/{_CHECKPOINT}", f"*/*/{_CHECKPOINT}"):
        found = sorted(path.parent for path in folder.glob(pattern))
        if len(found) > 1 and len({path.parent for path in found}) == 1 and _step(found[0]):
            found = [max(found, key=_step)]  # the checkpoints of one training
        if len(found) > 1:
            raise ModelError(
                f"{folder} holds several models", f"name one: {', '.join(map(str, found))}"
            )
        if found:
            return found[0]
    raise ModelError(f"{folder} holds no model", _NAME_ONE)


def _step(checkpoint: Path) -> int:
    """The steps in a checkpoint's name; 0 if it names none."""
    number = checkpoint.name.removeprefix("step-")
    return int(number) if number.isdigit() else 0


def _tokenizer(folder: Path, around: tuple[Path, ...]) -> str:
    for base in around:
        for place in _TOKENIZERS if base != folder else ("", "tokenizer"):
            if (base / place).is_dir():
                try:
                    loaded.files_of(str(base / place))
                except ModelError:
                    continue
                return str(base / place)
    raise ModelError(
        f"there is no tokenizer in {folder} or beside it", "name its folder with --tokenizer"
    )
