"""What a run keeps in memory, by estimate, and which settings lower it.

An estimate counts what lies in memory between forward and backward, where the peak is. It is there
to rank the settings; docs/lab-log.md has measured peaks.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.model import parameter_count
from corpusmill.trainer.ranks import Ranks, compute_dtype
from corpusmill.trainer.shape import KINDS, Kind

SCAN_CHUNK = 64  # tokens for which the scan keeps one state (trainer.kernels.launch)
GB = 1e9


def activation_bytes(config: TrainConfig, kind: Kind, recompute: bool) -> int:
    """Bytes that a layer of this kind keeps for one token. dtype `auto` counts as bfloat16."""
    model, size = config.model, 4 if config.dtype == "float32" else 2
    row = model.mamba_inner + model.conv_channels + model.mamba_heads
    states = model.mamba_inner * model.mamba_state // SCAN_CHUNK
    heads = 2 * (model.attention_heads + model.key_value_heads) * model.head_dim
    kept = {
        "mamba": row + (0 if recompute else model.conv_channels + 2 * model.mamba_inner + states),
        "attention": 0 if recompute else heads,
        "ffn": 0 if recompute else 2 * model.ffn_size,
    }
    stream = model.hidden_size * (1 if recompute and kind != "mamba" else 2)
    return size * (kept[kind] + stream)


def layers_gb(config: TrainConfig, ranks: int, kinds: set[Kind] | None = None) -> float:
    """Of all layers' activations. kinds: those that recompute; by default the settings'."""
    chosen = set(config.checkpoint_activations) if kinds is None else kinds
    tokens = config.rows_of_rank(ranks) * config.sequence_length
    return (
        tokens
        * sum(activation_bytes(config, KINDS[s], KINDS[s] in chosen) for s in config.model.pattern)
        / GB
    )


def means_gb(config: TrainConfig, dtype: str) -> float:
    """Of the optimiser's two running means."""
    size = torch.finfo(getattr(torch, dtype)).bits // 8
    return 2 * size * parameter_count(config.model) / config.shard_ranks / GB


def savings(config: TrainConfig, ranks: int, in_graph: bool = False) -> list[tuple[str, float]]:
    """What each setting that is still open would save, as (advice, GB), the largest first.

    in_graph: whether steps are a CUDA graph.
    """
    found: list[tuple[str, float]] = []
    activations = layers_gb(config, ranks)
    rows = config.rows_of_rank(ranks)
    if rows > 1:
        smaller = max(n for n in range(1, rows) if rows % n == 0)
        share = 1 - smaller / rows
        found.append((f"micro_batch_size: {smaller}", activations * share))
    present = {KINDS[symbol] for symbol in config.model.pattern}
    done = set(config.checkpoint_activations)
    for kind in sorted(present - done):
        every = f"checkpoint_activations: [{', '.join(sorted(done | {kind}))}]"
        found.append((every, activations - layers_gb(config, ranks, done | {kind})))
    if config.optimizer_dtype == "float32":
        saved = means_gb(config, "float32") - means_gb(config, "bfloat16")
        found.append(("optimizer_dtype: bfloat16", saved))
    if config.shard_ranks > 1 and config.gather_weights == "step":
        found.append(("gather_weights: layer", 2 * parameter_count(config.model) / GB))
    if in_graph or config.cuda_graph is True:
        found.append(("cuda_graph: false", activations))  # the graph shares its memory with nothing
    if ranks > config.shard_ranks:
        held = 8 * parameter_count(config.model) / config.shard_ranks / GB
        held += means_gb(config, config.optimizer_dtype)
        found.append((f"shard_ranks: {ranks}", held * (1 - config.shard_ranks / ranks)))
    return sorted(found, key=lambda item: -item[1])


def ran_out(error: BaseException) -> bool:
    """Whether an error says that there is no memory left, on a GPU or on a CPU."""
    of_cpu = isinstance(error, RuntimeError) and "can't allocate memory" in str(error)
    return of_cpu or isinstance(error, torch.OutOfMemoryError | MemoryError)


@contextmanager
def explained(
    config: TrainConfig, ranks: Ranks, in_graph: Callable[[], bool] = lambda: False
) -> Iterator[None]:
    """Within the block, an error of too little memory becomes one that says what would help.

    in_graph: whether steps are a CUDA graph by now.
    """
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        if not ran_out(error):
            raise
        raise too_little_memory(config, ranks.count, ranks.device, in_graph()) from error


def too_little_memory(
    config: TrainConfig, ranks: int, device: torch.device, in_graph: bool = False
) -> CorpusmillError:
    """The error of a run that found no memory, with what would help and by how much."""
    dtype = str(compute_dtype(config.dtype, device)).removeprefix("torch.")
    config = config.model_copy(update={"dtype": dtype})
    has = torch.cuda.get_device_properties(device).total_memory / GB if device.type == "cuda" else 0
    open_ = [
        f"{advice} saves about {saved:.1f} GB" for advice, saved in savings(config, ranks, in_graph)
    ]
    return CorpusmillError(
        f"{device} has too little memory for this run" + (f" ({has:.0f} GB)" if has else ""),
        "; ".join(open_) if open_ else "take a smaller model or a shorter sequence_length",
    )
