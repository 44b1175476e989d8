"""The shape of a model that reads images and trains in seconds."""

TILING = {"tile_size": 112, "patch_size": 14, "max_tiles": 1, "tile_tags": False}
VISION = {**TILING, "hidden_size": 32, "layers": 1, "heads": 2, "ffn_size": 64}
MODEL = {
    "pattern": "M*-",
    "hidden_size": 32,
    "ffn_size": 64,
    "attention_heads": 2,
    "key_value_heads": 1,
    "head_dim": 16,
    "mamba_heads": 4,
    "mamba_head_dim": 16,
    "mamba_groups": 1,
    "mamba_state": 16,
    "vocab_size": 512,
    "chunk_size": 32,
}
