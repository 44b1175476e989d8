"""A packed encoder whose large products are in 8 bits (`fp8`), for GPUs that have them.

Three products of a layer are in 8 bits: query, key and value, and both of the feed-forward part.
Rounding their inputs costs no pass of its own: torch.compile joins it with the LayerNorm or the
GELU in front. The product behind attention has nothing in front to join, and is too small to pay
for a pass, so it stays in bfloat16. So does all that the last layer does for `cls`.
"""

from functools import cache
from typing import Any, NamedTuple

from corpusmill.classifiers.compiled import Compiled
from corpusmill.classifiers.fp8 import Fp8Linear, most_of_map, most_of_norm
from corpusmill.classifiers.packed_encoder import Packed, PackedEncoder, joined_map
from torch import Tensor


class Maps(NamedTuple):
    """The maps of a layer: query, key and value; into and out of the feed-forward part."""

    joined: Fp8Linear
    inner: Fp8Linear
    outer: Fp8Linear


class Fp8Encoder(PackedEncoder):
    """The layers of a transformers model, for packed texts. See `PackedEncoder`."""

    def __init__(self, body: Any, *, compiled: bool = True) -> None:
        super().__init__(body, compiled=compiled)
        self._embedded8 = _compiled_embedded() if compiled else _embedded
        self._after8 = _compiled_after() if compiled else _after_attention
        before = body.embeddings.LayerNorm
        self._maps: list[Maps] = []
        for layer in body.encoder.layer:
            self._maps.append(_maps(layer, before))
            before = layer.output.LayerNorm

    def _through(self, batch: Packed, layers: int) -> Tensor:
        following = [maps.joined for maps in self._maps]
        x_TH, x8_TH = self._embedded8(
            self.body.embeddings, following[0], batch.ids, batch.positions
        )
        for place in range(layers):
            layer, maps = self.body.encoder.layer[place], self._maps[place]
            attended = self._attended(maps.joined(x8_TH), batch)
            next_joined = following[min(place + 1, len(following) - 1)]
            x_TH, x8_TH = self._after8(layer, maps.inner, maps.outer, next_joined, x_TH, attended)
        assert isinstance(x_TH, Tensor)
        return x_TH


def _maps(layer: Any, before: Any) -> Maps:
    """before: the LayerNorm that the layer's input comes from."""
    norm, inner, outer = layer.attention.output.LayerNorm, layer.intermediate.dense, layer.output
    return Maps(
        joined=Fp8Linear(*joined_map(layer.attention.self), most_of_norm(before)),
        inner=Fp8Linear(inner.weight, inner.bias, most_of_norm(norm)),
        # GELU, and whatever else is usual there, brings nothing further from zero.
        outer=Fp8Linear(outer.dense.weight, outer.dense.bias, most_of_map(norm, inner)),
    )


def _embedded(
    embeddings: Any, following: Fp8Linear, ids: Tensor, positions: Tensor
) -> tuple[Tensor, Tensor]:
    x_TH: Tensor = embeddings(input_ids=ids[None], position_ids=positions[None])[0]
    return x_TH, following.rounded(x_TH)


def _after_attention(
    layer: Any,
    inner: Fp8Linear,
    outer: Fp8Linear,
    following: Fp8Linear,
    x: Tensor,
    attended: Tensor,
) -> tuple[Tensor, Tensor]:
    """What a layer does behind its attention, [T, H], and the same in 8 bits for the next layer."""
    x = layer.attention.output(attended, x)
    hidden = layer.intermediate.intermediate_act_fn(inner(inner.rounded(x)))
    x = layer.output.LayerNorm(outer(outer.rounded(hidden)) + x)
    return x, following.rounded(x)


# Compiled once a process: all layers and models of one shape share the code.
@cache
def _compiled_after() -> Compiled:
    return Compiled(_after_attention)


@cache
def _compiled_embedded() -> Compiled:
    return Compiled(_embedded)
