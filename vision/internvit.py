"""Weights of a published InternViT folder under the names of our encoder.

| published | here |
|---|---|
| `embeddings.class_embedding` | `embeddings.cls_token` |
| `embeddings.position_embedding` | `embeddings.position_embeddings` |
| `embeddings.patch_embedding` | `embeddings.patch_embeddings.projection` |
| `encoder.layers.N.attn.qkv` | `encoder.layer.N.attention.{q,k,v}_proj`, thirds of the rows |
| `encoder.layers.N.attn.proj` | `encoder.layer.N.attention.projection_layer` |
| `ls1`, `ls2` | `lambda_1`, `lambda_2` |
| `norm1`, `norm2` | `layernorm_before`, `layernorm_after` |

Folders of whole InternVL models have the same names behind `vision_model.`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer.importing import stored_tensors
from corpusmill.vision.encoder import InternViT
from torch import Tensor

PREFIX = "vision_model."
RENAMED = (
    ("embeddings.class_embedding", "embeddings.cls_token"),
    ("embeddings.position_embedding", "embeddings.position_embeddings"),
    ("embeddings.patch_embedding.", "embeddings.patch_embeddings.projection."),
    ("encoder.layers.", "encoder.layer."),
    (".attn.proj.", ".attention.projection_layer."),
    (".ls1", ".lambda_1"),
    (".ls2", ".lambda_2"),
    (".norm1.", ".layernorm_before."),
    (".norm2.", ".layernorm_after."),
)
QKV = re.compile(r"(.*)\.attn\.qkv\.(weight|bias)")


def renamed(name: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """A published weight as one or three of ours."""
    for published, ours in RENAMED:
        name = name.replace(published, ours)
    joined = QKV.fullmatch(name)
    if joined is None:
        yield name, value
        return
    for letter, third in zip("qkv", value.chunk(3), strict=True):
        yield f"{joined[1]}.attention.{letter}_proj.{joined[2]}", third


def encoder_weights(stored: str, value: Tensor) -> Iterator[tuple[str, Tensor]]:
    """The encoder's weights in one stored weight of a folder; none if it is of another part."""
    name = stored.removeprefix(PREFIX)
    if name.startswith(("embeddings.", "encoder.")):
        yield from renamed(name, value)


@torch.no_grad()
def load_encoder(folder: Path, encoder: InternViT) -> None:
    """Copy all weights of a published folder into an encoder of its shape.

    Raises ModelError if a weight is missing, unknown or of another shape.
    """
    wanted = dict(encoder.named_parameters())
    missing = set(wanted)
    for stored, value in stored_tensors(folder):
        for name, part in encoder_weights(stored, value):
            if name not in wanted:
                raise ModelError(
                    f"{folder} has a weight {stored} that the encoder has not",
                    "set vision.layers to the folder's number of layers",
                )
            if part.shape != wanted[name].shape:
                raise ModelError(
                    f"{stored} in {folder} has the shape {tuple(part.shape)}, "
                    f"the encoder's {name} {tuple(wanted[name].shape)}",
                    "set the keys of `vision` to the folder's config.json",
                )
            wanted[name].copy_(part)
            missing.discard(name)
    if missing:
        raise ModelError(
            f"{folder} lacks {len(missing)} weights of the encoder, {min(missing)} among them",
            "fetch the folder again, or lower vision.layers",
        )
