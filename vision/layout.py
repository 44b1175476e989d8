"""The InternVL layout on disk: names of weights, config.json and the processor's settings.

Stock transformers and stock vLLM read it as `InternVLForConditionalGeneration`.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from corpusmill.manifests.errors import ModelError
from corpusmill.vision.config import JOINED, VisionConfig
from corpusmill.vision.encoder import LAYER_SCALE
from corpusmill.vision.pixels import MEAN, STANDARD_DEVIATION

MODEL_TYPE = "internvl"
# Beginnings of names: ours, and on disk.
STORED = {"backbone.": "language_model.model.", "lm_head.": "language_model.lm_head."}


def name_on_disk(name: str) -> str:
    """The name of a weight in an export."""
    for ours, stored in STORED.items():
        if name.startswith(ours):
            return stored + name.removeprefix(ours)
    return name


def name_here(stored: str) -> str:
    """The name that the model here has for a weight of an export."""
    for ours, theirs in STORED.items():
        if stored.startswith(theirs):
            return ours + stored.removeprefix(theirs)
    return stored


def model_config(
    vision: VisionConfig, text: dict[str, Any], image_token: int, dtype: str
) -> dict[str, Any]:
    """The config.json of the folder. text: the language model's own."""
    return {
        "architectures": ["InternVLForConditionalGeneration"],
        "model_type": MODEL_TYPE,
        "dtype": dtype,
        "downsample_ratio": 1 / JOINED,
        "image_seq_length": vision.tokens_per_tile,
        "image_token_id": image_token,
        "projector_hidden_act": "relu2",
        "text_config": text,
        "tie_word_embeddings": False,
        # Ours: stock tools write no tags before tiles, and leave the number of tiles to processors.
        "corpusmill_tiling": {"max_tiles": vision.max_tiles, "tile_tags": vision.tile_tags},
        "vision_feature_layer": -1,
        "vision_feature_select_strategy": "default",
        "vision_config": {
            "model_type": "internvl_vision",
            "attention_bias": True,
            "hidden_act": "gelu",
            "hidden_size": vision.hidden_size,
            "image_size": [vision.tile_size, vision.tile_size],
            "intermediate_size": vision.ffn_size,
            "layer_norm_eps": vision.norm_epsilon,
            "layer_scale_init_value": LAYER_SCALE,
            "norm_type": "layer_norm",
            "num_attention_heads": vision.heads,
            "num_channels": 3,
            "num_hidden_layers": vision.layers,
            "patch_size": [vision.patch_size, vision.patch_size],
            "use_absolute_position_embeddings": True,
            "use_mask_token": False,
            "use_mean_pooling": True,
            "use_qk_norm": False,
        },
    }


def image_processor(vision: VisionConfig) -> dict[str, Any]:
    """The settings of the stock processor that tiles images as we do."""
    return {
        "image_processor_type": "GotOcr2ImageProcessor",
        "crop_to_patches": vision.max_tiles > 1,
        "min_patches": 1,
        "max_patches": vision.max_tiles,
        "size": {"height": vision.tile_size, "width": vision.tile_size},
        "do_resize": True,
        "do_rescale": True,
        "do_normalize": True,
        "do_convert_rgb": True,
        "image_mean": list(MEAN),
        "image_std": list(STANDARD_DEVIATION),
    }


def read_vision(found: Mapping[str, Any], folder: Path) -> VisionConfig:
    """The image side of a config.json. Raises ModelError if a field is missing.

    Without our own note on tiles, an image has 12 at most, and no tags.
    """
    try:
        shape = found["vision_config"]
        return VisionConfig(
            tile_size=shape["image_size"][0],
            patch_size=shape["patch_size"][0],
            hidden_size=shape["hidden_size"],
            layers=shape["num_hidden_layers"],
            heads=shape["num_attention_heads"],
            ffn_size=shape["intermediate_size"],
            norm_epsilon=shape["layer_norm_eps"],
            **found.get("corpusmill_tiling", {"tile_tags": False}),
        )
    except (KeyError, TypeError) as error:
        raise ModelError(
            f"the config.json of {folder} lacks {error} of the image side", "export the model again"
        ) from error
