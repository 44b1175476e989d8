"""The published sizes of Nemotron-H, as configurations.

Sources: arXiv 2504.03624, table 1 and section 3.5 (4B and 47B are compressed from 8B and 56B).
Layer patterns are as released.
"""

from corpusmill.trainer.shape import HybridConfig

_PATTERN_52 = "M-M-M-M*-" + "M-M-M-M-M*-" * 3 + "M-M-M-M-M-"

NEMOTRON_H_8B = HybridConfig(
    pattern=_PATTERN_52,
    hidden_size=4096,
    ffn_size=21504,
    attention_heads=32,
    key_value_heads=8,
    mamba_heads=128,
)
NEMOTRON_H_4B = HybridConfig(
    pattern=_PATTERN_52,
    hidden_size=3072,
    ffn_size=12288,
    attention_heads=32,
    key_value_heads=8,
    mamba_heads=112,
)
NEMOTRON_H_56B = HybridConfig(
    pattern="M-M-M-M*-" + "M-M-M-M-M*-" * 9 + "M-M-M-M-M-",
    hidden_size=8192,
    ffn_size=32768,
    attention_heads=64,
    key_value_heads=8,
    mamba_heads=256,
    mamba_state=256,
)
NEMOTRON_H_47B = HybridConfig(
    pattern="M-M-M-M-M-M-M-M-M*-M-M-M-M-M-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-"
    "M-M-M-M-M-M-M---MM---M-M*-M-M-M-M-M-",
    hidden_size=8192,
    ffn_size=30720,
    attention_heads=64,
    key_value_heads=8,
    mamba_heads=256,
    mamba_state=256,
)
