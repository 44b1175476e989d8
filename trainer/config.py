"""The settings of a training run. The shape of its model is one of them (`trainer.shape`).

This file does not import torch, so recipes can be checked fast. Defaults are the published values
if there are any: Nemotron-H, arXiv 2504.03624, section 2.4.
"""

import importlib.util
import math
from typing import Annotated, ClassVar, Literal, Self

from corpusmill.manifests.errors import CorpusmillError, RecipeError
from corpusmill.manifests.settings import Settings, Share
from corpusmill.trainer.shape import HybridConfig, Kind
from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

Schedule = Literal["cosine", "wsd"]
Packing = Literal["concat", "pad", "best_fit"]
Precision = Literal["plain", "fp8", "fp8_rowwise"]
FP8_MULTIPLE = 16  # of every size of an 8-bit product (torch._scaled_mm)
Decay = Annotated[float, Field(ge=0, lt=1)]  # of a running mean

# Fields that decide no byte of the model. A run may go on with other values of them.
# Ranks only round their sums in another order.
FREE_ON_RESUME = (
    *("checkpoint_every", "keep", "log_every", "track"),
    *("num_workers", "shard_ranks", "gather_weights", "loader_processes", "cuda_graph"),
)


class TrainConfig(Settings):
    """One training run: the model, the data's form, the length of the run and the optimiser.

    Exactly one of `steps`, `tokens` and `epochs` sets the length.

    start_folders: settings that name folders of first weights. They are read at step 0 only.
    """

    start_folders: ClassVar[tuple[str, ...]] = ("init_from",)

    model: HybridConfig
    """The shape of the model."""
    init_from: str | None = None
    """A folder with a model to start from: of export, or any of NemotronHForCausalLM.

    Its shape is that of `model`, but its vocabulary may be smaller. Null: random weights.
    """
    sequence_length: PositiveInt = 8192
    """Tokens of a training sequence."""
    batch_size: PositiveInt = 768
    """Sequences of an optimiser step."""
    micro_batch_size: PositiveInt | None = None
    """Sequences in memory at a time. Divides batch_size. Null: the whole batch."""
    steps: PositiveInt | None = None
    """Length in optimiser steps."""
    tokens: PositiveInt | None = None
    """Length in training tokens."""
    epochs: PositiveFloat | None = None
    """Length in passes over the data. A part of one is allowed."""

    pack: Packing = "concat"
    """concat puts documents end to end. pad puts every document on its own row. best_fit lets
    documents share rows, and cuts none that fits into one. With images: pad or best_fit.
    """
    reset_at_documents: bool = False
    """No layer reads across a document boundary."""
    shuffle_window: PositiveInt = 8
    """Row groups whose documents are mixed."""
    eval_fraction: float = Field(default=0.0, ge=0, lt=1)
    """Share of the documents that is held out of training."""
    eval_every: PositiveInt | None = None
    """Steps between evaluations. Null: only after the last one."""
    eval_sequences: PositiveInt = 256
    """At most so many of the held-out sequences are evaluated."""

    learning_rate: PositiveFloat = 8e-4
    """The peak of the learning rate."""
    schedule: Schedule = "cosine"
    """cosine warms up, then falls. wsd warms up, stays, and falls at the end."""
    warmup_steps: NonNegativeInt | None = None
    """Steps in which the rate rises from 0 to the peak. Null: 100, or a tenth of the steps if that
    is less."""
    floor: Share = 0.01
    """The last learning rate, as a share of the peak."""
    decay_fraction: Share = 0.2
    """Share of the steps in which the rate of wsd falls."""
    optimizer: Literal["adamw", "muon"] = "adamw"
    """muon: Muon for the matrices of the layers, AdamW for all else."""
    momentum: Decay = 0.95
    """Muon's decay of the summed gradients."""
    weight_decay: NonNegativeFloat = 0.1
    """Of matrices only."""
    beta1: Decay = 0.9
    """AdamW's decay of the mean gradient."""
    beta2: Decay = 0.95
    """AdamW's decay of the mean squared gradient."""
    epsilon: PositiveFloat = 1e-8
    """AdamW's epsilon: it is added to the divisor."""
    clip: PositiveFloat = 1.0
    """Largest norm of the gradient."""
    z_loss: NonNegativeFloat = 0.0
    """Weight of the squared log-partition in the loss; 1e-4 keeps logits small."""

    seed: NonNegativeInt = 0
    """Seed of the first weights and of the data order."""
    device: str = Field(
        default="auto",
        pattern=r"^(auto|cpu|cuda(:\d+)?|mps)$",
        examples=["auto", "cpu", "cuda", "cuda:1", "mps"],
    )
    """auto: the first GPU, else the CPU."""
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the computation. auto: bfloat16 on GPUs, float32 on CPUs. Master weights are float32."""
    precision: Precision = "plain"
    """Of the layers' linear maps in training. plain: dtype. fp8: 8 bits, one scale a tensor.

    fp8_rowwise: 8 bits, one scale a row. GPUs need compute capability 8.9 for it.
    """
    fp8_plain_layers: NonNegativeInt = 2
    """With fp8: so many layers at each end of the pattern stay in dtype. The report keeps four
    products at each end, which are two layers of Mamba-2 or FFN."""
    checkpoint_activations: list[Kind] = []
    """Kinds of layers (mamba, attention, ffn) that keep little for the backward, and compute it
    again. Less memory, slower."""
    optimizer_dtype: Literal["float32", "bfloat16"] = "float32"
    """Of the optimiser's running means. bfloat16 halves their memory."""
    cuda_graph: Literal["auto"] | bool = "auto"
    """Launch forward and backward as one CUDA graph, for models so small that a GPU waits for
    launches. Needs a GPU, and the batch of a process in memory at once. auto: up to the largest
    layers whose graph was faster, if the GPU has the memory."""
    deterministic: bool = False
    """Only kernels that give the same bits each time, so that a killed run on a GPU goes on to the
    bit. Slower. A CPU with `threads` set repeats without it."""
    compile: bool = False
    """Run torch.compile on every layer. Fast on GPUs; needs a C++ compiler on CPUs."""
    num_workers: PositiveInt = 1
    """Processes that train together, each on a GPU of its own. They share every batch."""
    shard_ranks: PositiveInt = 1
    """Processes that hold one copy of weights, gradients and optimiser together. Divides their
    number."""
    gather_weights: Literal["layer", "step"] = "layer"
    """With shard_ranks: when the parts of a weight are put together. layer: whenever a layer runs.
    step: once a step. That is faster, and takes up to 2 bytes a parameter more on GPUs."""
    loader_processes: NonNegativeInt = 0
    """Processes that make the batches of each rank. 0: a thread does, which is enough for text.
    Images need about one for 1,000 a second.
    """
    threads: PositiveInt | None = None
    """Threads of the CPU. A fixed number makes CPU runs repeat bit for bit on one machine type."""
    checkpoint_every: PositiveInt = 1000
    """Steps between checkpoints."""
    keep: PositiveInt = 2
    """Checkpoints that stay."""
    log_every: PositiveInt = 10
    """Steps between writes of the log. Every step has its record."""
    track: list[Literal["tensorboard", "wandb"]] = []
    """Where records go besides the log. Each needs the package of its name."""

    @model_validator(mode="after")
    def _can_run(self) -> Self:
        given = {"steps": self.steps, "tokens": self.tokens, "epochs": self.epochs}
        lengths = [name for name, value in given.items() if value is not None]
        if len(lengths) != 1:
            raise RecipeError(
                f"training length: {' and '.join(lengths) or 'none of them'} given",
                "set exactly one of steps, tokens and epochs",
            )
        if self.batch_size % self.rows_in_memory:
            raise RecipeError(
                f"micro_batch_size {self.micro_batch_size} does not divide "
                f"batch_size {self.batch_size}",
                "choose a divisor",
            )
        if self.batch_size % (self.num_workers * self.rows_of_rank(self.num_workers)):
            raise RecipeError(
                f"{self.num_workers} workers cannot share a batch of {self.batch_size} sequences "
                f"in micro-batches of {self.rows_of_rank(self.num_workers)}",
                "make batch_size a multiple of num_workers x micro_batch_size",
            )
        if self.num_workers % self.shard_ranks:
            raise RecipeError(
                f"shard_ranks {self.shard_ranks} does not divide num_workers {self.num_workers}",
                "choose a divisor",
            )
        if self.precision != "plain":
            self._refuse_odd_sizes()
        if self.cuda_graph is True:
            self._refuse_no_graph()
        if self.epochs is None:
            self.refuse_long_warmup(self.step_count(0))
        if self.eval_every is not None and self.eval_fraction == 0:
            raise RecipeError(
                "eval_every is set but nothing is held out", "set eval_fraction, say to 0.01"
            )
        return self

    def _refuse_no_graph(self) -> None:
        """Raises RecipeError if a step cannot be a CUDA graph: one forward pass, without hooks."""
        several = self.passes_of_rank(self.num_workers) > 1
        if self.device in ("cpu", "mps"):
            raise RecipeError(
                f"cuda_graph needs a GPU, and device is {self.device}", "set cuda_graph to false"
            )
        if several or self.shard_ranks > 1 or self.precision != "plain":
            raise RecipeError(
                "a CUDA graph holds one forward pass of a model that is whole and in plain "
                "precision",
                "leave out micro_batch_size, shard_ranks and precision, or set cuda_graph to false",
            )

    def _refuse_odd_sizes(self) -> None:
        """Raises RecipeError if an 8-bit product has a size that GPUs cannot take."""
        model = self.model
        sizes = {
            "hidden_size": model.hidden_size,
            "ffn_size": model.ffn_size,
            "mamba_heads * mamba_head_dim": model.mamba_inner,
            "mamba_heads (with the rows of x, B, C and z)": model.mamba_inner
            + model.conv_channels
            + model.mamba_heads,
            "key_value_heads * head_dim": model.key_value_heads * model.head_dim,
            "micro_batch_size * sequence_length": self.rows_in_memory * self.sequence_length,
        }
        odd = [f"{name} gives {size}" for name, size in sizes.items() if size % FP8_MULTIPLE]
        if odd:
            raise RecipeError(
                f"precision {self.precision} needs multiples of {FP8_MULTIPLE}: {'; '.join(odd)}",
                "change them, or set precision to plain",
            )
        if 2 * self.fp8_plain_layers >= len(model.pattern):
            raise RecipeError(
                f"precision {self.precision} leaves no layer in 8 bits: {self.fp8_plain_layers} "
                f"at each end of {len(model.pattern)} stay as they are",
                "lower fp8_plain_layers, or set precision to plain",
            )

    def warmup(self, steps: int) -> int:
        """Steps in which the learning rate rises, of a run of so many steps."""
        return min(100, steps // 10) if self.warmup_steps is None else self.warmup_steps

    def refuse_long_warmup(self, steps: int) -> None:
        """Raises RecipeError if the learning rate still rises in the last of `steps` steps."""
        warmup = self.warmup(steps)
        if warmup >= steps > 1:
            raise RecipeError(
                f"warmup_steps {warmup} is not less than the {steps} steps of the run",
                "lower warmup_steps or train longer",
            )

    def refuse_missing_packages(self) -> None:
        """Raises CorpusmillError if a package that `track` needs is not installed here."""
        for name in self.track:
            if importlib.util.find_spec(name) is None:
                raise CorpusmillError(
                    f"track names {name}, and the package {name} is not installed",
                    f"pip install {name}, or leave it out",
                )

    @property
    def rows_in_memory(self) -> int:
        """Sequences of one forward pass, if one process trains."""
        return self.micro_batch_size or self.batch_size

    def rows_of_rank(self, ranks: int) -> int:
        """Sequences of one forward pass of one of `ranks` processes."""
        return self.micro_batch_size or max(1, self.batch_size // ranks)

    def passes_of_rank(self, ranks: int) -> int:
        """Forward passes of one of `ranks` processes in a step."""
        return self.batch_size // (ranks * self.rows_of_rank(ranks))

    def step_count(self, epoch_rows: int) -> int:
        """Optimiser steps of the run, at least 1. epoch_rows: rows of one epoch of the data."""
        if self.steps is not None:
            return self.steps
        if self.tokens is not None:
            return math.ceil(self.tokens / (self.batch_size * self.sequence_length))
        assert self.epochs is not None
        return max(1, math.ceil(self.epochs * epoch_rows / self.batch_size))
