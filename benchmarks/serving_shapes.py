"""The shapes that `serving.py` compares, as config.json, and what they need by their widths."""

from pathlib import Path
from typing import Any


def dense(layers: int, hidden: int, ffn: int, heads: int, vocabulary: int, **more: Any) -> Any:
    """The configuration of a Llama-like model with 8 or fewer key-value heads."""
    return {
        "architectures": ["LlamaForCausalLM"],
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": 8,
        "head_dim": 128,
        "vocab_size": vocabulary,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-5,
        "rope_theta": 500000.0,
        "max_position_embeddings": 131072,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "bos_token_id": 1,
        "eos_token_id": 2,
        **more,
    }


QWEN = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "rms_norm_eps": 1e-6}
# Sizes as in the models' published config.json.
DENSE = {
    "llama-3.1-8b": dense(32, 4096, 14336, 32, 128256),
    "qwen2.5-7b": dense(28, 3584, 18944, 28, 152064, num_key_value_heads=4, **QWEN),
    "llama-3.1-70b": dense(80, 8192, 28672, 64, 128256),
    "qwen2.5-72b": dense(80, 8192, 29568, 64, 152064, **QWEN),
}
HYBRID = {
    "nemotron-h-8b": "NEMOTRON_H_8B",
    "nemotron-h-47b": "NEMOTRON_H_47B",
    "nemotron-h-56b": "NEMOTRON_H_56B",
}
WIDTHS = {
    "hidden_size": 768,
    "attention_heads": 12,
    "key_value_heads": 4,
    "head_dim": 64,
    "mamba_heads": 24,
    "vocab_size": 32768,
}
# Parent and child of `benchmarks/compression.py --size 160M`, as docs/compression.md has them.
COMPRESSED: dict[str, dict[str, Any]] = {
    "parent-177m": {**WIDTHS, "pattern": "M-M-M-M*-M-M-M-M*-M-M-M-M-", "ffn_size": 3328},
    "child-132m": {**WIDTHS, "pattern": "M-M-MMMM-M-M*-M-M--M-", "ffn_size": 1664},
}
NAMES = (*DENSE, *HYBRID, *COMPRESSED)


def configuration(shape: str, context: int) -> dict[str, Any]:
    """The config.json of a shape, for inputs and outputs of at most `context` tokens together."""
    if shape in DENSE:
        return {**DENSE[shape], "max_position_embeddings": max(131072, context)}
    from corpusmill.trainer import importing, presets
    from corpusmill.trainer.export import huggingface_config
    from corpusmill.trainer.shape import HybridConfig

    special: dict[str, int | None] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    if shape in HYBRID:
        model = getattr(presets, HYBRID[shape])
    elif shape in COMPRESSED:
        model = HybridConfig(**COMPRESSED[shape])
    else:
        config = importing.read_config(Path(shape))
        if config.get("model_type") != "nemotron_h":
            head_dim = config["hidden_size"] // config["num_attention_heads"]
            return {"head_dim": head_dim, **config, "max_position_embeddings": context}
        model = importing.shape_of(config, Path(shape))
    return huggingface_config(model, special, "bfloat16", context)


def is_hybrid(config: dict[str, Any]) -> bool:
    return "hybrid_override_pattern" in config


def parameters(config: dict[str, Any]) -> int:
    """Parameters of a shape, by its widths."""
    hidden, ffn = config["hidden_size"], config["intermediate_size"]
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    attention = hidden * config["head_dim"] * (2 * heads + 2 * kv)
    embeddings = (1 if config.get("tie_word_embeddings") else 2) * config["vocab_size"] * hidden
    pattern = config.get("hybrid_override_pattern")
    if pattern is None:
        return embeddings + config["num_hidden_layers"] * (attention + 3 * hidden * ffn)
    inner = config["mamba_num_heads"] * config["mamba_head_dim"]
    row = 2 * inner + 2 * config["n_groups"] * config["ssm_state_size"] + config["mamba_num_heads"]
    each = {"M": hidden * (row + inner), "*": attention, "-": 2 * hidden * ffn}
    return embeddings + sum(each[symbol] for symbol in pattern)


def sequence_bytes(config: dict[str, Any], tokens: int) -> int:
    """What one sequence keeps in BF16: keys and values, and fp32 Mamba states."""
    pattern = config.get("hybrid_override_pattern", "*" * config["num_hidden_layers"])
    keys = 2 * tokens * config["num_key_value_heads"] * config["head_dim"] * 2
    state = 0
    if "M" in pattern:
        inner = config["mamba_num_heads"] * config["mamba_head_dim"]
        channels = inner + 2 * config["n_groups"] * config["ssm_state_size"]
        state = inner * config["ssm_state_size"] * 4 + 3 * channels * 2
    return pattern.count("*") * keys + pattern.count("M") * state
