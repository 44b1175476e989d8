"""A BERT on a GPU at the speed of its matrix products: texts in a row, without padding.

A batch is one long row of tokens. Each text attends to itself alone, so the row needs no padding
and no mask. Three more things save time. Query, key and value come from one product. torch.compile
joins what lies between the products into few kernels. And where only the first token's vector is
wanted (`cls`), the last layer computes only that.

It takes the weights and modules of a transformers model: BERT and RoBERTa with its relatives, which
are most published scorers. Others run as transformers has them (`encoder`).

Shapes: T tokens of N texts, H width, A heads, D = H / A.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from corpusmill.classifiers.compiled import Compiled
from corpusmill.classifiers.encoder import Pooling
from corpusmill.classifiers.tokenising import Ids
from torch import Tensor
from torch.nn import functional
from torch.nn.attention import SDPBackend, sdpa_kernel

# What positions go by: BERT counts from 0. RoBERTa counts from the padding token's id plus 1, and a
# padding token in a text has that id as its position and is not counted.
FIRST_POSITION = {"bert": "zero", "roberta": "padding", "xlm-roberta": "padding"}
# The fastest kernel for texts of one length comes first.
KERNELS = [SDPBackend.CUDNN_ATTENTION, SDPBackend.FLASH_ATTENTION, SDPBackend.MATH]


@dataclass(frozen=True)
class Packed:
    """Texts in a row.

    ids, positions: int64 [T]. starts: int32 [N + 1], where each text begins, and T. longest: tokens
    that no text exceeds. length: the tokens of every text, if they are alike and there are many
    batches of this shape, for which kernels are chosen once.
    """

    ids: Tensor
    positions: Tensor
    starts: Tensor
    longest: int
    length: int | None


def packed(
    texts: Sequence[Ids], padding: int | None, longest: int, device: str, *, alike: bool
) -> Packed:
    """The batch on the device. On CUDA the copy runs beside what the GPU computes.

    padding: the padding token's id if positions go by it, as RoBERTa's do. alike: all texts have
    the same length, and most batches are of this shape.
    """
    lengths = np.array([len(text) for text in texts])
    starts = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate(texts)
    if padding is None:
        positions = np.arange(len(ids)) - np.repeat(starts[:-1], lengths)
    else:  # as transformers' create_position_ids_from_input_ids
        counted = np.concatenate([[0], np.cumsum(ids != padding)])
        in_text = counted[1:] - np.repeat(counted[starts[:-1]], lengths)
        positions = in_text * (ids != padding) + padding

    def moved(values: np.typing.NDArray[Any], dtype: torch.dtype) -> Tensor:
        made = torch.from_numpy(values).to(dtype)
        return made.pin_memory().to(device, non_blocking=True) if device == "cuda" else made

    return Packed(
        ids=moved(ids, torch.int64),
        positions=moved(positions, torch.int64),
        starts=moved(starts, torch.int32),
        longest=longest,
        length=int(lengths[0]) if alike else None,
    )


class PackedEncoder:
    """The layers of a transformers model, for packed texts.

    body: a `BertModel` or `RobertaModel` in evaluation mode, on its device. compiled: by
    torch.compile, which takes some seconds for a shape once a process. joined_gelu: GELU in the
    product before it, by its tanh formula (off by 5e-4 at most, less than bfloat16 rounds an input
    of 2 to). alike: texts of one length by PyTorch's own attention, which is faster than that for
    mixed lengths.
    """

    def __init__(
        self,
        body: Any,
        *,
        compiled: bool = True,
        joined_gelu: bool = True,
        alike: bool = True,
    ) -> None:
        config = body.config
        self.body, self.heads, self.alike = body, config.num_attention_heads, alike
        self.joined_gelu = joined_gelu and config.hidden_act == "gelu"
        self._after = _compiled_after() if compiled else _after_attention
        self._embeddings = _compiled_embedded() if compiled else _embedded
        by_padding = FIRST_POSITION[config.model_type] == "padding"
        self.padding: int | None = config.pad_token_id if by_padding else None
        first_position = 0 if self.padding is None else self.padding + 1
        self.most_tokens = config.max_position_embeddings - first_position
        self._joined = [joined_map(layer.attention.self) for layer in body.encoder.layer]

    def pooled(self, batch: Packed, pooling: Pooling) -> Tensor:
        """One vector for each text, float32 [N, H]: the mean of its tokens, or its first token."""
        layers = len(self.body.encoder.layer)
        if pooling == "cls":
            return self._first_tokens(self._through(batch, layers - 1), batch).float()
        x_TH = self._through(batch, layers)
        if batch.length is not None:
            return x_TH.view(-1, batch.length, x_TH.shape[-1]).mean(1, dtype=torch.float32)
        return torch.segment_reduce(x_TH.float(), "mean", offsets=batch.starts.long(), unsafe=True)

    def _through(self, batch: Packed, layers: int) -> Tensor:
        """The tokens behind so many layers, [T, H]."""
        x_TH: Tensor = self._embeddings(self.body.embeddings, batch.ids, batch.positions)
        for layer, joined in zip(self.body.encoder.layer[:layers], self._joined, strict=False):
            attended = self._attended(functional.linear(x_TH, *joined), batch)
            x_TH = self._after(layer, x_TH, attended, self.joined_gelu)
        return x_TH

    def _attended(self, joined_T3H: Tensor, batch: Packed) -> Tensor:
        """From query, key and value of all tokens, [T, 3H], to [T, H]."""
        q, k, v = self._split(joined_T3H, 3)
        return self._attend(q, k, v, batch, batch.starts)

    def _first_tokens(self, x_TH: Tensor, batch: Packed) -> Tensor:
        """The last layer's output for the first token of each text, [N, H]."""
        layer, (weight, bias) = self.body.encoder.layer[-1], self._joined[-1]
        width = x_TH.shape[-1]
        first_NH = x_TH[batch.starts[:-1]]
        (q,) = self._split(functional.linear(first_NH, weight[:width], bias[:width]), 1)
        k, v = self._split(functional.linear(x_TH, weight[width:], bias[width:]), 2)
        ones = torch.arange(len(batch.starts), dtype=torch.int32, device=x_TH.device)
        attended = self._attend(q, k, v, batch, ones)
        return _after_attention(layer, first_NH, attended, self.joined_gelu)

    def _split(self, x: Tensor, parts: int) -> tuple[Tensor, ...]:
        return x.view(len(x), parts, self.heads, -1).unbind(1)

    def _attend(
        self, q_TAD: Tensor, k_TAD: Tensor, v_TAD: Tensor, batch: Packed, starts_q: Tensor
    ) -> Tensor:
        """Attention within each text, [T, H]. starts_q: where each text's queries begin."""
        if batch.length is not None and self.alike:
            texts = len(batch.starts) - 1
            q, k, v = (
                part.view(texts, -1, *part.shape[1:]).transpose(1, 2)
                for part in (q_TAD, k_TAD, v_TAD)
            )
            with sdpa_kernel(KERNELS, set_priority=True):
                found = functional.scaled_dot_product_attention(q, k, v)
            return found.transpose(1, 2).reshape(len(q_TAD), -1)
        if q_TAD.is_cuda:
            from torch.nn.attention.varlen import varlen_attn

            most = batch.longest if len(q_TAD) == len(k_TAD) else 1
            mixed = varlen_attn(q_TAD, k_TAD, v_TAD, starts_q, batch.starts, most, batch.longest)
            assert isinstance(mixed, Tensor)
            return mixed.flatten(1)
        return _attend_one_by_one(q_TAD, k_TAD, v_TAD, starts_q.tolist(), batch.starts.tolist())


def _attend_one_by_one(
    q: Tensor, k: Tensor, v: Tensor, starts_q: list[int], starts: list[int]
) -> Tensor:
    """The same on a CPU, which has no kernel for mixed lengths."""
    found = []
    for text in range(len(starts) - 1):
        queries, keys = slice(*starts_q[text : text + 2]), slice(*starts[text : text + 2])
        one = functional.scaled_dot_product_attention(
            q[queries].transpose(0, 1), k[keys].transpose(0, 1), v[keys].transpose(0, 1)
        )
        found.append(one.transpose(0, 1))
    return torch.cat(found).flatten(1)


def joined_map(attention: Any) -> tuple[Tensor, Tensor]:
    """Weight [3H, H] and bias [3H] of query, key and value."""
    parts = (attention.query, attention.key, attention.value)
    return (
        torch.cat([part.weight.detach() for part in parts]),
        torch.cat([part.bias.detach() for part in parts]),
    )


def _embedded(embeddings: Any, ids: Tensor, positions: Tensor) -> Tensor:
    found: Tensor = embeddings(input_ids=ids[None], position_ids=positions[None])
    return found[0]


def _after_attention(layer: Any, x: Tensor, attended: Tensor, joined_gelu: bool) -> Tensor:
    """What a layer does behind its attention: [T, H] -> [T, H]."""
    x = layer.attention.output(attended, x)
    if joined_gelu:
        dense = layer.intermediate.dense
        inner = torch._addmm_activation(dense.bias, x, dense.weight.t(), use_gelu=True)
    else:
        inner = layer.intermediate(x)
    found: Tensor = layer.output(inner, x)
    return found


# Compiled once a process: all layers and models of one shape share the code.
@cache
def _compiled_after() -> Compiled:
    return Compiled(_after_attention)


@cache
def _compiled_embedded() -> Compiled:
    return Compiled(_embedded)
