"""What a training run is told: the shape of the model and how to train it. No torch here, so recipes can be checked fast.

Defaults are the published values where there are any: Nemotron-H, arXiv 2504.03624, table 1 and section 2.4.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Mapping
from typing import Any, Literal

from corpusmill.manifests.config import as_plain, config
from corpusmill.manifests.errors import RecipeError

Schedule = Literal["cosine", "wsd"]
Packing = Literal["concat", "pad"]

# Fields that change neither the weights nor the data order: a resumed run may bring other values.
FREE_ON_RESUME = ("checkpoint_every", "keep", "log_every", "threads", "device", "compile")


@config
class HybridConfig:
    """The shape of a hybrid model. Defaults are what all published Nemotron-H sizes share.

    pattern: one symbol a layer: M Mamba-2, - FFN, * attention. hidden_size: width of the residual stream.
    ffn_size: width inside an FFN. attention_heads: query heads. key_value_heads: of grouped-query attention; divides attention_heads.
    mamba_heads: of a Mamba-2 layer. mamba_state: values of state kept for each channel. mamba_head_dim: channels in a Mamba head.
    mamba_groups: sets of B and C; divides mamba_heads. head_dim: of an attention head. conv_kernel: tokens that a convolution sees.
    vocab_size: rows of the embedding and of the head; at least the tokenizer's. norm_epsilon: of every RMS norm.
    """

    pattern: str
    hidden_size: int
    ffn_size: int
    attention_heads: int
    key_value_heads: int
    mamba_heads: int
    mamba_state: int = 128
    mamba_head_dim: int = 64
    mamba_groups: int = 8
    head_dim: int = 128
    conv_kernel: int = 4
    chunk_size: int = 128  # speed only, the result does not depend on it
    vocab_size: int = 131072
    norm_epsilon: float = 1e-5
    init_std: float | None = None  # null: 0.014 * sqrt(4096 / hidden_size), 0.014 for the 8B

    def __post_init__(self) -> None:
        unknown = sorted(set(self.pattern) - set("M-*"))
        if unknown:
            raise RecipeError(
                f"the layer pattern {self.pattern!r} holds {unknown}",
                "use M (Mamba-2), - (FFN) and * (attention) only",
            )
        if "*" not in self.pattern:
            raise RecipeError(
                f"the layer pattern {self.pattern!r} has no attention layer",
                "put at least one * into it: other tools cannot load a NemotronH model without one",
            )
        sizes = (
            "hidden_size",
            "ffn_size",
            "vocab_size",
            "attention_heads",
            "key_value_heads",
            "head_dim",
        )
        mamba_sizes = (
            "mamba_heads",
            "mamba_groups",
            "mamba_head_dim",
            "mamba_state",
            "conv_kernel",
            "chunk_size",
        )
        for name in sizes + mamba_sizes:
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is {getattr(self, name)}", "give a positive number")
        if self.attention_heads % self.key_value_heads:
            raise RecipeError(
                f"{self.attention_heads} attention heads cannot share {self.key_value_heads} key/value heads evenly",
                "make attention_heads a multiple of key_value_heads",
            )
        if self.mamba_heads % self.mamba_groups:
            raise RecipeError(
                f"{self.mamba_heads} Mamba heads do not divide into {self.mamba_groups} groups",
                "make mamba_heads a multiple of mamba_groups",
            )

    @property
    def mamba_inner(self) -> int:
        """Width of the Mamba mixer between its projections."""
        return self.mamba_heads * self.mamba_head_dim

    @property
    def conv_channels(self) -> int:
        """Channels of the causal convolution: x, B and C."""
        return self.mamba_inner + 2 * self.mamba_groups * self.mamba_state

    @property
    def standard_deviation(self) -> float:
        """Spread of the initial weights."""
        return (
            0.014 * math.sqrt(4096 / self.hidden_size) if self.init_std is None else self.init_std
        )


@config
class TrainConfig:
    """One training run: the model, the data's form, the length of the run and the optimiser.

    Exactly one of `steps`, `tokens` and `epochs` sets the length.

    steps: length in optimiser steps. tokens: length in training tokens. epochs: length in passes over the data, also parts of one.
    schedule: cosine (warm up, then fall) or wsd (warm up, stay, fall at the end). warmup_steps: in which the rate rises from 0 to the peak.
    weight_decay: of matrices only. beta1, beta2, epsilon: of AdamW. seed: of the first weights and of the data order.
    dtype: of the computation; auto is bfloat16 on GPUs and float32 on CPUs. Master weights are float32 always.
    threads: of the CPU; a fixed number makes CPU runs reproducible to the bit on one kind of machine.
    """

    model: HybridConfig
    sequence_length: int = 8192  # tokens of a training sequence
    batch_size: int = 768  # sequences per optimiser step
    micro_batch_size: int | None = None  # sequences in memory at a time; null: the whole batch
    steps: int | None = None
    tokens: int | None = None
    epochs: float | None = None

    pack: Packing = "concat"  # concat: documents end to end; pad: every document on its own row
    reset_at_documents: bool = False  # no layer reads across a document boundary
    shuffle_window: int = 8  # row groups whose documents are mixed
    eval_fraction: float = 0.0  # of the documents, held out of training
    eval_every: int | None = None  # steps between evaluations; null: only after the last one
    eval_sequences: int = 256  # of the held out, evaluated at most

    learning_rate: float = 8e-4  # the peak
    schedule: Schedule = "cosine"
    warmup_steps: int = 100
    floor: float = 0.01  # last learning rate, as a fraction of the peak
    decay_fraction: float = 0.2  # wsd: part of the steps in which the rate falls
    weight_decay: float = 0.1
    beta1: float = 0.9
    beta2: float = 0.95
    epsilon: float = 1e-8
    clip: float = 1.0  # largest gradient norm

    seed: int = 0
    device: str = "auto"  # auto: the first GPU, else the CPU
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    compile: bool = False  # torch.compile every layer: fast on GPUs, needs a C++ compiler on CPUs
    threads: int | None = None
    checkpoint_every: int = 1000  # steps between checkpoints
    keep: int = 2  # checkpoints that stay
    log_every: int = 10  # steps between writes of the log; every step has its record

    def __post_init__(self) -> None:
        lengths = [
            name for name in ("steps", "tokens", "epochs") if getattr(self, name) is not None
        ]
        if len(lengths) != 1:
            found = " and ".join(lengths) or "none of them"
            raise RecipeError(
                f"training length: {found} given", "set exactly one of steps, tokens and epochs"
            )
        positive = (
            *lengths,
            "sequence_length",
            "batch_size",
            "shuffle_window",
            "eval_sequences",
            "learning_rate",
        )
        for name in (*positive, "clip", "checkpoint_every", "keep", "log_every"):
            if getattr(self, name) <= 0:
                raise RecipeError(f"{name} is {getattr(self, name)}", "give a positive number")
        for name in ("micro_batch_size", "eval_every", "threads"):
            if getattr(self, name) is not None and getattr(self, name) < 1:
                raise RecipeError(
                    f"{name} is {getattr(self, name)}", "give a positive number or leave it out"
                )
        if self.batch_size % (self.micro_batch_size or self.batch_size):
            raise RecipeError(
                f"micro_batch_size {self.micro_batch_size} does not divide batch_size {self.batch_size}",
                "choose a divisor",
            )
        for name in ("warmup_steps", "seed", "weight_decay"):
            if not getattr(self, name) >= 0:
                raise RecipeError(f"{name} is {getattr(self, name)}", "give 0 or more")
        for name in ("eval_fraction", "floor", "decay_fraction"):
            if not 0 <= getattr(self, name) <= 1:
                raise RecipeError(
                    f"{name} is {getattr(self, name)}", "give a fraction between 0 and 1"
                )
        if self.steps is not None or self.tokens is not None:
            self.refuse_long_warmup(self.step_count(0))
        if self.eval_every is not None and self.eval_fraction == 0:
            raise RecipeError(
                "eval_every is set but nothing is held out", "set eval_fraction, say to 0.01"
            )

    def refuse_long_warmup(self, steps: int) -> None:
        """Raises RecipeError if the learning rate would still be rising in the last of so many steps."""
        if self.warmup_steps >= steps > 1:
            raise RecipeError(
                f"warmup_steps {self.warmup_steps} leaves nothing of {steps} steps",
                "lower warmup_steps or train longer",
            )

    @property
    def rows_in_memory(self) -> int:
        """Sequences of one forward pass."""
        return self.micro_batch_size or self.batch_size

    def step_count(self, epoch_rows: int) -> int:
        """Optimiser steps of the run, given how many rows one epoch of the data fills. At least 1."""
        if self.steps is not None:
            return self.steps
        if self.tokens is not None:
            return math.ceil(self.tokens / (self.batch_size * self.sequence_length))
        assert self.epochs is not None
        return max(1, math.ceil(self.epochs * epoch_rows / self.batch_size))


def train_config_from(mapping: Mapping[str, Any]) -> TrainConfig:
    """Build a TrainConfig from plain data, as YAML or JSON give it. Raises RecipeError naming the wrong key."""
    return _build(TrainConfig, mapping, "")


def differences(stored: Mapping[str, Any], now: TrainConfig) -> list[str]:
    """What differs between a stored configuration (plain data) and today's, fields free on resume left out."""
    return list(_differences(stored, as_plain(now), ""))


def _differences(stored: Any, now: Any, name: str) -> typing.Iterator[str]:
    if isinstance(stored, Mapping) and isinstance(now, Mapping):
        for key in sorted({*stored, *now} - (set() if name else set(FREE_ON_RESUME))):
            yield from _differences(stored.get(key), now.get(key), f"{name}.{key}" if name else key)
    elif stored != now:
        yield f"{name} was {stored!r} and is now {now!r}"


def _build(kind: type, mapping: Any, name: str) -> Any:
    if not isinstance(mapping, Mapping):
        raise RecipeError(
            f"{name or 'the training configuration'} is not a mapping", "write key: value lines"
        )
    hints = typing.get_type_hints(kind)
    fields = {field.name: field for field in dataclasses.fields(kind)}
    prefix = f"{name}." if name else ""
    for key in mapping:
        if key not in fields:
            raise RecipeError(f"{prefix}{key} is not a known key", f"known are {', '.join(fields)}")
    for key, field in fields.items():
        if key not in mapping and field.default is dataclasses.MISSING:
            raise RecipeError(f"{prefix}{key} is missing", "add it")
    return kind(
        **{key: _checked(hints[key], value, prefix + key) for key, value in mapping.items()}
    )


def _checked(hint: Any, value: Any, name: str) -> Any:
    """`value` if it is of the declared type (a whole number counts as a float)."""
    origin = typing.get_origin(hint)
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        return _build(hint, value, name)
    if origin is types.UnionType:
        if value is None:
            return None
        (hint,) = (part for part in typing.get_args(hint) if part is not type(None))
        return _checked(hint, value, name)
    if origin is Literal:
        if value not in typing.get_args(hint):
            raise RecipeError(
                f"{name} is {value!r}",
                f"choose one of {', '.join(map(str, typing.get_args(hint)))}",
            )
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, hint) or (isinstance(value, bool) and hint is not bool):
        raise RecipeError(
            f"{name} is {value!r}", f"give a value of type {hint.__name__} (numbers like 3.0e-4)"
        )
    return value
