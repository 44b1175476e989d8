"""How much each part of a model matters, from forward passes over calibration sequences.

| part | score | source |
|---|---|---|
| layer, `mse` | mean squared change of the last hidden state without the layer | MiniPuzzle |
| layer, `kl` | KL divergence of the logits without the layer | Minitron-SSM |
| layer, `cosine` | 1 - cosine of the layer's input and output | Model-Optimizer |
| FFN neuron | input of down_proj | Minitron |
| hidden channel | output of the norms before the mixers, summed over the norms | Minitron |
| Mamba channel | x rows of in_proj's output | Minitron-SSM |
| attention head | input of o_proj | Minitron |

All but the layers' scores are: the mean of the absolute value over a sequence, and the root of the
sum of its squares over sequences. They come from plain forward passes. A layer that is left out
costs the layers behind it once more: for all layers, half as many passes as there are layers.

What is stored of a piece of the data are sums, so pieces can be measured on several machines.
Letters in tensor names: B sequences, T time, D hidden, C channels, L layers.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch
from corpusmill.compression.distillation import chunk_tokens, logits_of
from corpusmill.compression.ranking import Importance, LayerScore
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer.layers import AttentionMixer, FeedForwardMixer, MambaMixer
from corpusmill.trainer.model import Block, HybridModel
from corpusmill.trainer.shape import HybridConfig
from torch import Tensor, nn

if TYPE_CHECKING:
    from numpy.typing import NDArray

LAYER, RANK = "layer", "layer_rank"
HIDDEN, FFN, MAMBA, ATTENTION = "hidden", "ffn", "mamba", "attention"
WHOLE = -1  # in place of a layer's number, for parts of the whole model
# layer: of the parent, or WHOLE. index: within the layer; for part layer and layer_rank, the layer.
SCHEMA = pa.schema(
    [
        ("part", pa.string()),
        ("layer", pa.int32()),
        ("index", pa.int32()),
        ("score", pa.float64()),
    ]
)
Parts = Mapping[tuple[str, int], "NDArray[np.float64]"]  # (part, layer) -> scores by index


@contextmanager
def _watching(model: HybridModel) -> Iterator[dict[tuple[str, int], Tensor]]:
    """Within the block, forward passes add to the sums of squares: (part, layer) -> (C,)."""
    sums: dict[tuple[str, int], Tensor] = {}
    hooks: list[Any] = []

    def add(part: str, layer: int, x_BTC: Tensor) -> None:
        mean_BC = torch.linalg.vector_norm(x_BTC, 1, dim=1, dtype=torch.float32) / x_BTC.shape[1]
        squares = mean_BC.square().sum(0)
        key = (part, layer)
        sums[key] = sums[key] + squares if key in sums else squares

    def watch_input(module: nn.Module, part: str, layer: int) -> None:
        hooks.append(
            module.register_forward_pre_hook(lambda _, inputs: add(part, layer, inputs[0]))
        )

    def watch_output(module: nn.Module, part: str, layer: int, rows: slice) -> None:
        hooks.append(
            module.register_forward_hook(
                lambda _, inputs, output: add(part, layer, output[..., rows])
            )
        )

    inner = model.config.mamba_inner
    for number, layer in enumerate(model.backbone.layers):
        assert isinstance(layer, Block)
        watch_output(layer.norm, HIDDEN, number, slice(None))
        mixer = layer.mixer
        if isinstance(mixer, FeedForwardMixer):
            watch_input(mixer.down_proj, FFN, number)
        elif isinstance(mixer, AttentionMixer):
            watch_input(mixer.o_proj, ATTENTION, number)
        elif isinstance(mixer, MambaMixer):
            watch_output(mixer.in_proj, MAMBA, number, slice(inner, 2 * inner))
    try:
        yield sums
    finally:
        for hook in hooks:
            hook.remove()


def layer_scores(model: HybridModel, tokens_BT: Tensor, score: LayerScore) -> Tensor:
    """(B, L): the score of every layer for every sequence."""
    layers = list(model.backbone.layers)
    states = [model.backbone.embeddings(tokens_BT).to(model.compute_dtype)]
    for layer in layers:
        states.append(layer(states[-1], None))
    if score == "cosine":
        pairs = itertools.pairwise(states)
        return torch.stack([_cosine(after, before) for before, after in pairs], 1)
    weight = model.lm_head.weight
    reference_BTD = model.backbone.norm_f(states[-1])
    found = []
    for number in range(len(layers)):
        x_BTD = states[number]
        for layer in layers[number + 1 :]:
            x_BTD = layer(x_BTD, None)
        hidden_BTD = model.backbone.norm_f(x_BTD)
        if score == "mse":
            found.append((hidden_BTD.float() - reference_BTD.float()).square().mean((1, 2)))
        else:
            found.append(mean_kl(hidden_BTD, weight, reference_BTD, weight))
    return torch.stack(found, 1)


def mean_kl(
    hidden_BTD: Tensor, weight: Tensor, reference_BTE: Tensor, reference_weight: Tensor
) -> Tensor:
    """(B,): the mean over time of KL(reference || other) of the next tokens, in nats."""
    size = chunk_tokens(weight.shape[0])
    rows = []
    for hidden_TD, reference_TE in zip(hidden_BTD, reference_BTE, strict=True):
        parts = []
        for start in range(0, hidden_TD.shape[0], size):
            part = slice(start, start + size)
            wanted = logits_of(reference_TE[part], reference_weight).log_softmax(-1)
            found = logits_of(hidden_TD[part], weight).log_softmax(-1)
            parts.append((wanted.exp() * (wanted - found)).sum(-1))
        rows.append(torch.cat(parts).mean())
    return torch.stack(rows)


def _cosine(one_BTD: Tensor, other_BTD: Tensor) -> Tensor:
    alike = nn.functional.cosine_similarity(one_BTD.float(), other_BTD.float(), dim=-1)
    return 1 - alike.mean(1)


@torch.no_grad()
def measure_widths(model: HybridModel, batches: Iterable[Tensor]) -> Parts:
    """For every part but layers, the sum over sequences of its squared mean.

    batches: inputs (B, T).
    """
    with _watching(model) as sums:
        for tokens_BT in batches:
            model.hidden(tokens_BT)
    return {key: values.cpu().double().numpy() for key, values in sums.items()}


@torch.no_grad()
def measure_layers(model: HybridModel, batches: Iterable[Tensor], score: LayerScore) -> Parts:
    """For every layer, the sums over sequences of its score and of its rank.

    The rank is the layer's place among all layers of one sequence, 0 for the lowest score.
    """
    layers = len(model.config.pattern)
    totals, ranks = np.zeros(layers), np.zeros(layers)
    for tokens_BT in batches:
        scores_BL = layer_scores(model, tokens_BT, score).cpu().double().numpy()
        totals += scores_BL.sum(0)
        ranks += scores_BL.argsort(1, kind="stable").argsort(1).sum(0)
    return {(LAYER, WHOLE): totals, (RANK, WHOLE): ranks}


def merge(pieces: Iterable[Parts], layer_sequences: int) -> Parts:
    """The scores, from the sums of all pieces. layer_sequences: those that scored layers.

    Raises ModelError if one is no number.
    """
    sums: dict[tuple[str, int], NDArray[np.float64]] = {}
    for piece in pieces:
        for key, values in piece.items():
            sums[key] = sums[key] + values if key in sums else values
    scores = {}
    for (part, layer), values in sums.items():
        if part in (LAYER, RANK):
            scores[part, layer] = values / layer_sequences
        elif part == HIDDEN:
            scores[part, WHOLE] = scores.get((part, WHOLE), 0.0) + np.sqrt(values)
        else:
            scores[part, layer] = np.sqrt(values)
    if not all(np.isfinite(values).all() for values in scores.values()):
        raise ModelError(
            "the parent computes something else than numbers",
            "check its weights; what overflows in bfloat16 may fit into float32 (`dtype`)",
        )
    return scores


def to_table(parts: Parts) -> pa.Table:
    """The parts as a table (SCHEMA), sorted by part and layer."""
    tables = []
    for (part, layer), values in sorted(parts.items()):
        count = len(values)
        columns = [
            pa.array([part] * count),
            pa.array(np.full(count, layer)),
            pa.array(np.arange(count)),
            pa.array(values),
        ]
        tables.append(pa.table(columns, names=SCHEMA.names).cast(SCHEMA))
    return pa.concat_tables(tables)


def from_table(table: pa.Table) -> Parts:
    """The parts that `to_table` wrote."""
    part, layer, score = (
        table[name].combine_chunks().to_numpy(zero_copy_only=False)
        for name in ("part", "layer", "score")
    )
    starts = np.flatnonzero((part[1:] != part[:-1]) | (layer[1:] != layer[:-1])) + 1
    begins = np.concatenate([[0], starts]).astype(int)
    return {
        (str(part[begin]), int(layer[begin])): values
        for begin, values in zip(begins, np.split(score, starts), strict=True)
    }


def importance_of(parts: Parts, shape: HybridConfig) -> Importance:
    """Merged scores in the form that pruning takes. shape: of the model that was measured."""
    return Importance(
        layer_ranks=parts[RANK, WHOLE],
        layer_scores=parts[LAYER, WHOLE],
        hidden=parts[HIDDEN, WHOLE],
        ffn={layer: values for (part, layer), values in parts.items() if part == FFN},
        mamba={
            layer: values.reshape(shape.mamba_heads, shape.mamba_head_dim)
            for (part, layer), values in parts.items()
            if part == MAMBA
        },
        attention={
            layer: np.linalg.norm(values.reshape(shape.attention_heads, shape.head_dim), axis=1)
            for (part, layer), values in parts.items()
            if part == ATTENTION
        },
    )
