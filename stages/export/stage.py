"""Export a trained model as a stage: a folder that transformers and vLLM load."""

import hashlib
import tempfile
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal, Self

from corpusmill.manifests import model_files, storage
from corpusmill.manifests.errors import ModelError, RecipeError
from corpusmill.manifests.model_files import TOKENIZER, TOKENIZER_FILES
from corpusmill.manifests.receipt import Counts
from corpusmill.manifests.shard import Shard
from corpusmill.stages.contract import Account, GlobalStage, Inputs, Pass, Passes, Reads
from pydantic import Field, PositiveInt, model_validator
from safetensors import safe_open

if TYPE_CHECKING:
    from corpusmill.trainer.averaging import Earlier
    from corpusmill.trainer.export import TokenizerFacts

EARLIER = model_files.Kind(
    "model",
    ("*.safetensors", "*.safetensors.index.json", "config.json", TOKENIZER),
    "set average_with to an export of the language model before its last training",
)
SHARE = 0.2  # of the earlier model: more makes a reader forget its letters (docs/vision.md)
WEIGHTS = "model.safetensors"
SHARDED = ".metadata"  # of a checkpoint of several ranks, beside their files


class Export(GlobalStage):
    """Write a checkpoint as a folder that transformers and vLLM load as NemotronHForCausalLM.

    A model that reads images becomes an InternVLForConditionalGeneration.
    """

    name: ClassVar[str] = "export"
    version: ClassVar[int] = 3
    reads: ClassVar[Reads] = Reads.CHECKPOINT
    account: ClassVar[Account] = Account.MANY_TO_ONE
    unit: ClassVar[str] = "tensors"

    tokenizer: str
    """The folder of the tokenizer that the data was packed with, as in step:pack/tokenizer."""
    dtype: Literal["bfloat16", "float32"] = "bfloat16"
    """Of the weights that are written."""
    context_length: PositiveInt | None = None
    """The longest input that readers expect, in tokens. Null: the sequence length of training."""
    average_with: str | None = None
    """The folder of the language model before its last training: an export of the same shape and
    tokenizer, as in step:language-export. Its weights and those of now are averaged, so that less
    is lost of what it knew (Wortsman et al. 2022, arXiv 2109.01903). Tokens that are new since, and
    the image parts, keep their weights. Null: no average."""
    average_share: float = Field(default=SHARE, gt=0, lt=1)
    """The part of the earlier model in that average."""

    @model_validator(mode="after")
    def _share_has_a_model(self) -> Self:
        if self.average_with is None and self.average_share != SHARE:
            raise RecipeError(
                "average_share is set, and average_with is not",
                "set average_with to the model before, or leave out average_share",
            )
        return self

    def depends_on(self) -> str:
        files = self.tokenizer_files()
        if self.average_with is not None:
            earlier = model_files.folder(self.average_with, EARLIER)
            files += sorted(str(p) for name in EARLIER.patterns for p in Path(earlier).glob(name))
        return hashlib.sha256("".join(map(storage.digest_of, files)).encode()).hexdigest()

    def tokenizer_files(self) -> list[str]:
        """The tokenizer's files that exist. Raises ModelError if there are none."""
        files = [storage.join(self.tokenizer, name) for name in TOKENIZER_FILES]
        found = [path for path in files if storage.exists(path)]
        if not found:
            raise ModelError(
                f"{self.tokenizer} holds no tokenizer",
                "name the folder of the tokenizer that packed the data",
            )
        return found

    def earlier(self) -> "Earlier | None":
        from corpusmill.trainer.averaging import Earlier

        if self.average_with is None:
            return None
        folder = Path(model_files.folder(self.average_with, EARLIER))
        return Earlier(folder, self.average_share, EARLIER.mend)

    def passes(self, inputs: Inputs) -> Passes:
        yield Pass(
            name="export",
            shards={"model": inputs.documents},
            work=partial(_export, self),
            final=True,
        )


def _export(settings: Export, shard: Shard) -> list[Counts]:
    from corpusmill.trainer import checkpoint as checkpoints
    from corpusmill.trainer.export import export
    from corpusmill.vision.build import LETTER_HEAD
    from corpusmill.vision.export import export_checkpoint

    state = [artifact.path for artifact in shard.inputs if artifact.name == "state.json"]
    if len(state) != 1:
        raise ModelError(
            "the input of export holds no checkpoint", "name the output folder of train"
        )
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        checkpoint = work / "checkpoint"
        for artifact in shard.inputs:
            storage.local_copy(artifact.path, checkpoint)
        tokenizer = work / "tokenizer"
        for path in settings.tokenizer_files():
            storage.local_copy(path, tokenizer)
        reads_images = checkpoints.read_state(checkpoint).image_token is not None
        write = export_checkpoint if reads_images else export
        write(
            checkpoint,
            tokenizer,
            work / "model",
            settings.dtype,
            settings.context_length,
            _facts(tokenizer),
            settings.earlier(),
        )
        for file in sorted((work / "model").iterdir()):
            shard.keep(file, "")
        account = Counts("export", kept=len(_tensors(work / "model" / WEIGHTS)))
        for artifact in shard.inputs:
            if artifact.name not in (WEIGHTS, SHARDED):
                continue
            sharded = artifact.name == SHARDED
            found = _sharded_tensors(checkpoint) if sharded else _tensors(checkpoint / WEIGHTS)
            shard.count_rows(artifact, len(found))
            if heads := sum(name.startswith(LETTER_HEAD) for name in found):
                account.unused["letter_head"] = heads
    account.rows_in = shard.rows_read
    return [account]


def _facts(folder: Path) -> "TokenizerFacts":
    """The special tokens as packing found them, wherever the tokenizer keeps them."""
    from corpusmill.stages.tokenizer import loaded
    from corpusmill.trainer.export import SPECIAL, TokenizerFacts

    tokenizer = loaded.load(str(folder))
    ids = (tokenizer.bos, tokenizer.eos, tokenizer.pad)
    spelled = {
        name: tokenizer.decode([number])
        for name, number in zip(SPECIAL, ids, strict=True)
        if number is not None
    }
    return TokenizerFacts(tokenizer.vocabulary_size, *ids, spelled)


def _sharded_tensors(checkpoint: Path) -> list[str]:
    """The names of a model's tensors in a checkpoint of several ranks."""
    from corpusmill.trainer.checkpoint import MODEL
    from torch.distributed.checkpoint import FileSystemReader

    names = FileSystemReader(checkpoint).read_metadata().state_dict_metadata
    return [name.removeprefix(f"{MODEL}.") for name in names if name.startswith(f"{MODEL}.")]


def _tensors(weights: Path) -> list[str]:
    """The names of the tensors in a safetensors file."""
    with safe_open(weights, framework="numpy") as file:
        return list(file.keys())
