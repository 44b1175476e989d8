"""InternViT: the encoder that turns a tile into one vector for each patch.

Parameters carry the names of transformers' `InternVLVisionModel`, so an export needs no converter.
Published InternViT folders have other names: see `vision.internvit`. Master weights are
fp32 and are cast where they are used; norms run in fp32. Source of the shape: InternVL 2.5 (arXiv
2412.05271); the class token takes part, and its output is dropped. Letters in tensor names: N
tiles, L patches (with the class token), D width, H heads, P head dim.
"""

import torch
import torch.nn.functional as F
from corpusmill.vision.config import JOINED, VisionConfig
from torch import Tensor, nn

CHANNELS = 3
LAYER_SCALE = 0.1  # first value of the factor of a residual branch


class Linear(nn.Linear):
    """A linear map with bias, its master weights in fp32, computed in the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight.to(x.dtype), self.bias.to(x.dtype))


class LayerNorm(nn.LayerNorm):
    """A layer norm in fp32 whatever the dtype of its input."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.float()).to(x.dtype)


class Attention(nn.Module):
    """Every patch attends to every patch."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        width = config.hidden_size
        self.heads = config.heads
        self.q_proj = Linear(width, width)
        self.k_proj = Linear(width, width)
        self.v_proj = Linear(width, width)
        self.projection_layer = Linear(width, width)

    def forward(self, x_NLD: Tensor) -> Tensor:
        q, k, v = (
            proj(x_NLD).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        y_NHLP = F.scaled_dot_product_attention(q, k, v)
        y_NLD: Tensor = self.projection_layer(y_NHLP.transpose(1, 2).flatten(-2))
        return y_NLD


class FeedForward(nn.Module):
    """fc2(gelu(fc1(x)))."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.fc1 = Linear(config.hidden_size, config.ffn_size)
        self.fc2 = Linear(config.ffn_size, config.hidden_size)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.fc2(F.gelu(self.fc1(x)))
        return y


class Layer(nn.Module):
    """Attention and FFN, each behind a norm and before a learned factor for every channel."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layernorm_before = LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.attention = Attention(config)
        self.lambda_1 = nn.Parameter(torch.full((config.hidden_size,), LAYER_SCALE))
        self.layernorm_after = LayerNorm(config.hidden_size, eps=config.norm_epsilon)
        self.mlp = FeedForward(config)
        self.lambda_2 = nn.Parameter(torch.full((config.hidden_size,), LAYER_SCALE))

    def forward(self, x_NLD: Tensor) -> Tensor:
        x_NLD = x_NLD + self.attention(self.layernorm_before(x_NLD)) * self.lambda_1.to(x_NLD.dtype)
        return x_NLD + self.mlp(self.layernorm_after(x_NLD)) * self.lambda_2.to(x_NLD.dtype)


class PatchEmbeddings(nn.Module):
    """One vector for each patch of pixels, by a convolution whose stride is its width."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.projection = nn.Conv2d(CHANNELS, config.hidden_size, kernel_size=size, stride=size)

    def forward(self, pixels: Tensor) -> Tensor:
        weight = self.projection.weight.to(pixels.dtype)
        # The same product as a convolution: patches do not overlap.
        size = weight.shape[-1]
        patches = pixels.unfold(2, size, size).unfold(3, size, size)
        rows_NLK = patches.permute(0, 2, 3, 1, 4, 5).flatten(3).flatten(1, 2)
        assert self.projection.bias is not None
        return F.linear(rows_NLK, weight.flatten(1), self.projection.bias.to(pixels.dtype))


class Embeddings(nn.Module):
    """Class token and patches, each with the embedding of its place."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.hidden_size))
        self.patch_embeddings = PatchEmbeddings(config)
        places = config.patches_per_side**2 + 1
        self.position_embeddings = nn.Parameter(torch.zeros(1, places, config.hidden_size))

    def forward(self, pixels: Tensor) -> Tensor:
        patches_NLD = self.patch_embeddings(pixels)
        first = self.cls_token.to(patches_NLD.dtype).expand(len(pixels), -1, -1)
        x_NLD = torch.cat([first, patches_NLD], dim=1)
        return x_NLD + self.position_embeddings.to(x_NLD.dtype)


class Layers(nn.Module):
    """The layers under the name that checkpoints give them."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.layer = nn.ModuleList(Layer(config) for _ in range(config.layers))


class InternViT(nn.Module):
    """Tiles to patch vectors."""

    def __init__(self, config: VisionConfig) -> None:
        super().__init__()
        self.embeddings = Embeddings(config)
        self.encoder = Layers(config)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, tile_size, tile_size) normalised pixels -> (N, patches, D), row by row."""
        x_NLD = self.embeddings(pixels)
        for layer in self.encoder.layer:
            x_NLD = layer(x_NLD)
        return x_NLD[:, 1:]


def join_patches(x_NLD: Tensor) -> Tensor:
    """Four neighbouring patches become one token: (N, L, D) -> (N, L / 4, 4 D).

    Channels of a token: upper left, upper right, lower left, lower right patch. This is InternVL's
    pixel shuffle in its second version.
    """
    side = round(x_NLD.shape[1] ** 0.5)
    half = side // JOINED
    x = x_NLD.unflatten(1, (half, JOINED, half, JOINED)).transpose(2, 3)
    return x.flatten(3).flatten(1, 2)
