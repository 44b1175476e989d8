"""A student of three layers, and the settings of its runs."""

from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.shape import HybridConfig

VOCABULARY = 64
SHAPE = HybridConfig(
    pattern="M*-",
    hidden_size=32,
    ffn_size=64,
    attention_heads=2,
    key_value_heads=1,
    head_dim=16,
    mamba_heads=4,
    mamba_head_dim=8,
    mamba_groups=2,
    mamba_state=8,
    chunk_size=16,
    vocab_size=VOCABULARY,
)


def config(**changes):
    values = {
        "model": SHAPE,
        "sequence_length": 16,
        "batch_size": 4,
        "steps": 6,
        "warmup_steps": 2,
        "learning_rate": 3e-3,
        "seed": 1,
        "device": "cpu",
        "threads": 1,
        "checkpoint_every": 3,
        "log_every": 1,
        "eval_fraction": 0.2,
        "eval_sequences": 4,
    }
    return TrainConfig(**{**values, **changes})
