"""How children are distilled: the settings, and a run of the trainer's loop with a teacher."""

import functools
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from corpusmill.manifests.errors import RecipeError
from corpusmill.manifests.settings import Settings, Share
from corpusmill.manifests.shard import Shard
from corpusmill.manifests.storage import Artifact
from corpusmill.stages.compress.sample import OnParent, local_shards, release_parent
from corpusmill.stages.compress.teacher import release_teacher
from corpusmill.stages.engines.model_folder import local_folder
from corpusmill.trainer.config import Precision, TrainConfig
from corpusmill.trainer.shape import HybridConfig, Kind
from pydantic import NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

if TYPE_CHECKING:
    from corpusmill.trainer.model import HybridModel
    from corpusmill.trainer.parts import Parts

OWN = ("batch_size", "micro_batch_size", "learning_rate", "floor", "warmup_steps", "weight_decay")
RUNNING = (
    *("num_workers", "shard_ranks", "compile", "checkpoint_every"),
    *("checkpoint_activations", "optimizer_dtype"),
)
SHARED = ("sequence_length", "eval_fraction", "seed", "device", "dtype", "threads")


class TargetStoring(Settings):
    """How the teacher's targets are stored."""

    top_k: PositiveInt = 64
    """Most probable next tokens that are stored for each token. They take 6 bytes each."""
    sequences: PositiveInt = 1024
    """Sequences of a shard: what one worker does before it asks for more."""


class Distillation(Settings):
    """Lengths and batch are the paper's (arXiv 2504.03624, section 3).

    It does not give the rates. These are what Model-Optimizer recommends.
    """

    finalists: PositiveInt = 3
    """Children that are distilled: the best rated ones."""
    tokens: PositiveInt = 7_000_000_000
    """Training tokens of each finalist."""
    final_tokens: NonNegativeInt = 63_000_000_000
    """Further training tokens of the winner. 0: none."""
    batch_size: PositiveInt = 768
    """Sequences of an optimiser step."""
    micro_batch_size: PositiveInt | None = None
    """Sequences in memory at a time. Null: the whole batch."""
    learning_rate: PositiveFloat = 1e-4
    """The peak of the learning rate. It warms up, then falls along a cosine."""
    floor: Share = 0.1
    """The last learning rate, as a share of the peak."""
    warmup_steps: NonNegativeInt = 100
    """Steps in which the rate rises."""
    weight_decay: NonNegativeFloat = 0.1
    """Of matrices."""
    num_workers: PositiveInt = 1
    """Processes that train together, each on a GPU of its own, each with a teacher."""
    shard_ranks: PositiveInt = 1
    """Processes that hold one student together. Each has a whole teacher all the same."""
    checkpoint_activations: list[Kind] = []
    """Kinds of layers of the student that compute their activations again in the backward."""
    optimizer_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the optimiser's running means."""
    compile: bool = False
    """Run torch.compile on the layers of student and teacher."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints, from which a stopped run goes on."""
    hidden_loss: NonNegativeFloat = 0.0
    """Weight of the mean squared difference from the teacher's last hidden states."""
    teacher_precision: Precision = "plain"
    """Of the teacher's linear maps. plain: dtype. fp8, fp8_rowwise: 8 bits, as in training."""
    targets: TargetStoring | None = None
    """Store what the teacher predicts, once for all students, and train without the teacher.
    Null: the teacher reads every batch of every student."""

    def refuse(self, stage: OnParent, parent: HybridConfig, hidden_sizes: Iterable[int]) -> None:
        """Raises RecipeError if the settings do not fit together, or not this parent.

        hidden_sizes: of the children that are tried.
        """
        if self.hidden_loss and {*hidden_sizes} != {parent.hidden_size}:
            raise RecipeError(
                "distillation.hidden_loss compares hidden states of one width, and "
                f"space.hidden_size has other widths than the parent's {parent.hidden_size}",
                "set hidden_loss to 0, or leave space.hidden_size out",
            )
        if self.targets is not None:
            self._refuse_targets(parent)
        folder = Path(local_folder(stage.parent))
        for tokens in filter(None, (self.tokens, self.final_tokens)):
            config = self.training(stage, parent, folder, tokens)
            TrainConfig(**{**config.model_dump(), "precision": self.teacher_precision})

    def _refuse_targets(self, parent: HybridConfig) -> None:
        assert self.targets is not None
        if self.hidden_loss:
            raise RecipeError(
                "distillation.hidden_loss needs the teacher's hidden states, "
                "and distillation.targets stores its predictions alone",
                "set hidden_loss to 0, or leave targets out",
            )
        if self.targets.top_k > parent.vocab_size:
            raise RecipeError(
                f"distillation.targets.top_k is {self.targets.top_k}, "
                f"and the vocabulary has {parent.vocab_size} tokens",
                "lower top_k; 64 is usual",
            )

    def rows(self, sequence_length: int) -> int:
        """Training sequences that the longest run reads. All runs begin with the first."""
        steps = -(-max(self.tokens, self.final_tokens) // (self.batch_size * sequence_length))
        return steps * self.batch_size

    def training(
        self, stage: OnParent, shape: HybridConfig, init_from: Path, tokens: int
    ) -> TrainConfig:
        """The trainer's settings. Raises RecipeError if they do not fit together."""
        return TrainConfig(
            model=shape,
            init_from=str(init_from),
            tokens=tokens,
            eval_sequences=self.micro_batch_size or self.batch_size,  # for the log only
            **{name: getattr(self, name) for name in (*OWN, *RUNNING)},
            **{name: getattr(stage, name) for name in SHARED},
        )


def distil(
    stage: OnParent,
    settings: Distillation,
    shard: Shard,
    packed: tuple[Artifact, ...],
    targets: tuple[Artifact, ...],
    start: Path,
    tokens: int,
) -> "HybridModel":
    """The model of the folder `start`, distilled, in fp32 on the CPU.

    targets: the teacher's, if they are stored. Checkpoints lie in the shard's scratch folder, so an
    interrupted run goes on from the last one.
    """
    from corpusmill.trainer import checkpoint
    from corpusmill.trainer.importing import read_shape
    from corpusmill.trainer.records import StepRecord
    from corpusmill.trainer.workers import run

    def on_step(record: StepRecord) -> None:
        shard.report(record.step, record.steps, f"steps, KL {record.loss:.3f}")

    release_parent()  # the teacher is loaded where the student is
    release_teacher()
    config = settings.training(stage, read_shape(start), start, tokens)
    parts = _parts(stage, settings, local_shards(shard, targets, "targets"))
    result = run(config, local_shards(shard, packed), Path(shard.scratch) / "run", on_step, parts)
    model, _ = checkpoint.load_model(result.checkpoint)
    return model


def _parts(stage: OnParent, settings: Distillation, targets: list[Path]) -> "Parts":
    """A run that learns from the teacher, or from what it has stored."""
    from corpusmill.compression.distillation import distillation_loss
    from corpusmill.compression.targets import StoredTargetsLoss, target_reader
    from corpusmill.trainer.parts import Parts

    if settings.targets is not None:
        reader = functools.partial(target_reader, targets, settings.targets.top_k)
        return Parts(make_loss=StoredTargetsLoss, make_extras_reader=reader)
    loss = functools.partial(
        distillation_loss,
        Path(local_folder(stage.parent)),
        hidden_loss=settings.hidden_loss,
        teacher_precision=settings.teacher_precision,
    )
    return Parts(make_loss=loss)
