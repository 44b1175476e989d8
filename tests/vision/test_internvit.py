"""A folder under the names of the published InternViT gives the encoder that stock classes have."""

from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.vision.encoder import InternViT
from corpusmill.vision.internvit import load_encoder
from safetensors.torch import save_file

D, FFN, LAYERS, PLACES = 32, 64, 2, 17


@pytest.fixture
def published():
    """Random weights under the published names (InternVL's `modeling_intern_vit.py`)."""
    generator = torch.Generator().manual_seed(0)
    shapes = {
        "embeddings.class_embedding": (1, 1, D),
        "embeddings.position_embedding": (1, PLACES, D),
        "embeddings.patch_embedding.weight": (D, 3, 14, 14),
        "embeddings.patch_embedding.bias": (D,),
    }
    for layer in range(LAYERS):
        at = f"encoder.layers.{layer}"
        shapes |= {
            f"{at}.attn.qkv.weight": (3 * D, D),
            f"{at}.attn.qkv.bias": (3 * D,),
            f"{at}.attn.proj.weight": (D, D),
            f"{at}.attn.proj.bias": (D,),
            f"{at}.mlp.fc1.weight": (FFN, D),
            f"{at}.mlp.fc1.bias": (FFN,),
            f"{at}.mlp.fc2.weight": (D, FFN),
            f"{at}.mlp.fc2.bias": (D,),
            f"{at}.ls1": (D,),
            f"{at}.ls2": (D,),
        }
        for norm in ("norm1", "norm2"):
            shapes |= {f"{at}.{norm}.weight": (D,), f"{at}.{norm}.bias": (D,)}
    return {name: torch.randn(shape, generator=generator) for name, shape in shapes.items()}


@pytest.mark.parametrize("prefix", ["", "vision_model."])
def test_every_weight_finds_its_place(published, vision, tmp_path, prefix):
    save_file(
        {prefix + name: value for name, value in published.items()}, tmp_path / "model.safetensors"
    )
    encoder = InternViT(vision)
    load_encoder(tmp_path, encoder)
    layers: Any = encoder.encoder.layer
    attention = layers[1].attention
    # The published layer computes q, k and v as the thirds of one product.
    x = torch.randn(5, D)
    joined = x @ published["encoder.layers.1.attn.qkv.weight"].T
    joined += published["encoder.layers.1.attn.qkv.bias"]
    with torch.no_grad():
        ours = torch.cat([attention.q_proj(x), attention.k_proj(x), attention.v_proj(x)], dim=-1)
    assert torch.allclose(ours, joined, atol=1e-5)
    assert torch.equal(
        encoder.embeddings.cls_token.detach(), published["embeddings.class_embedding"]
    )
    assert torch.equal(layers[0].lambda_2.detach(), published["encoder.layers.0.ls2"])


def test_a_missing_weight_is_named(published, vision, tmp_path):
    published.pop("encoder.layers.1.ls1")
    save_file(published, tmp_path / "model.safetensors")
    with pytest.raises(ModelError, match=r"encoder\.layer\.1\.lambda_1"):
        load_encoder(tmp_path, InternViT(vision))


def test_another_shape_is_refused(published, vision, tmp_path):
    save_file(published, tmp_path / "model.safetensors")
    wider = vision.model_copy(update={"ffn_size": 96})
    with pytest.raises(ModelError, match="shape"):
        load_encoder(tmp_path, InternViT(wider))
