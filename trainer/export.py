"""A checkpoint as a folder that stock transformers and vLLM load as NemotronHForCausalLM.

The weights already have the published names. So the export chooses a dtype, writes the
configuration in all spellings that readers look for, and copies the tokenizer. Reasons for the odd
entries:

- vLLM and older readers take `hybrid_override_pattern`. transformers 5 writes `layers_block_type`.
  `head_dim` is read; `attention_head_dim` is its name in the first release.
- `time_step_min` is tiny. transformers uses it as a floor for dt at run time. Neither training here
  nor vLLM has such a floor. Zero would do the same, but nobody could then initialise a fresh model
  from this configuration (log of 0).
- `time_step_limit` is left out. Its default (0, infinity) is right, and infinity has no common JSON
  spelling.
- A_log, D and dt_bias stay fp32 at every dtype. They are exponentiated, and the error of a rounded
  decay rate adds up over the sequence.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.manifests.model_files import TOKENIZER, TOKENIZER_FILES, TOKENIZER_SETTINGS
from corpusmill.trainer import checkpoint
from corpusmill.trainer.averaging import Earlier, average
from corpusmill.trainer.model import HybridModel
from corpusmill.trainer.shape import HybridConfig
from safetensors.torch import save_file
from torch import Tensor

ALWAYS_FP32 = ("A_log", "D", "dt_bias")
LAYER_TYPES = {"M": "linear_attention", "*": "full_attention", "-": "mlp"}
TIME_STEP_MIN = 1e-9
SPECIAL = ("bos_token", "eos_token", "pad_token")


@dataclass(frozen=True)
class TokenizerFacts:
    """What packing knew of its tokenizer. Ids are None where it has no such token.

    size: one more than the largest id. spelled: the tokens' texts, by the names of SPECIAL.
    """

    size: int
    bos: int | None
    eos: int | None
    pad: int | None
    spelled: Mapping[str, str] = field(default_factory=dict)

    def ids(self) -> dict[str, int | None]:
        """By the names that a model's configuration has for them."""
        return {"bos_token_id": self.bos, "eos_token_id": self.eos, "pad_token_id": self.pad}


def export(
    checkpoint_folder: Path,
    tokenizer_folder: Path,
    output_folder: Path,
    dtype: Literal["bfloat16", "float32"] = "bfloat16",
    context_length: int | None = None,
    facts: TokenizerFacts | None = None,
    earlier: Earlier | None = None,
) -> Path:
    """Write model, configuration and tokenizer into `output_folder`, and return it.

    The folder is made if needed. Equal inputs give equal bytes. checkpoint_folder: one checkpoint,
    or a training output, of which the latest checkpoint is taken. tokenizer_folder: as packing
    copied it. context_length: what readers take as the longest input; by default the length of
    training. The model has no position embedding, so longer inputs run. facts: what packing knew of
    the tokenizer, so that readers end a text where packing ended documents; if not given,
    tokenizer.json and tokenizer_config.json tell. earlier: a model to average with. Raises
    ModelError if a folder does not hold what it should, or if the tokenizer has more tokens than
    the model.
    """
    chosen = checkpoint_folder
    if not (chosen / "state.json").exists():
        chosen = checkpoint.latest(checkpoint_folder / "checkpoints") or checkpoint_folder
    model, config = checkpoint.load_model(chosen)
    if earlier is not None:
        average(model, earlier, tokenizer_folder)
    context = config.sequence_length if context_length is None else context_length
    return write_model(model, tokenizer_folder, output_folder, dtype, context, facts)


def write_model(
    model: HybridModel,
    tokenizer_folder: Path,
    output_folder: Path,
    dtype: Literal["bfloat16", "float32"],
    context_length: int,
    facts: TokenizerFacts | None = None,
) -> Path:
    """The same for a model in memory."""
    facts = facts or read_facts(tokenizer_folder)
    if facts.size > model.config.vocab_size:
        raise ModelError(
            f"the tokenizer in {tokenizer_folder} has {facts.size} tokens, "
            f"the model only {model.config.vocab_size}",
            "give the tokenizer that the training data was made with",
        )
    special = facts.ids()

    output_folder.mkdir(parents=True, exist_ok=True)
    config = huggingface_config(model.config, special, dtype, context_length)
    write_weights_and_config(dict(model.named_parameters()), config, special, dtype, output_folder)
    for name in TOKENIZER_FILES:
        if (tokenizer_folder / name).exists():
            shutil.copyfile(tokenizer_folder / name, output_folder / name)
    _name_special_tokens(output_folder / TOKENIZER_SETTINGS, facts)
    return output_folder


def write_weights_and_config(
    weights: Mapping[str, Tensor],
    config: dict[str, Any],
    special: dict[str, int | None],
    dtype: str,
    folder: Path,
) -> None:
    """Write model.safetensors, config.json and generation_config.json.

    weights: by their names on disk. Those of ALWAYS_FP32 stay float32.
    """
    stored = {
        name: value.detach()
        .to(torch.float32 if name.endswith(ALWAYS_FP32) else getattr(torch, dtype))
        .contiguous()
        for name, value in weights.items()
    }
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    write_json(folder / "config.json", config)
    write_json(folder / "generation_config.json", {"_from_model_config": True, **special})


def huggingface_config(
    config: HybridConfig, special: dict[str, int | None], dtype: str, context_length: int
) -> dict[str, Any]:
    """The config.json of a NemotronHForCausalLM of this shape.

    special: bos_token_id, eos_token_id, pad_token_id.
    """
    return {
        "architectures": ["NemotronHForCausalLM"],
        "model_type": "nemotron_h",
        "dtype": dtype,
        "vocab_size": config.vocab_size,
        "hidden_size": config.hidden_size,
        "intermediate_size": config.ffn_size,
        "num_hidden_layers": len(config.pattern),
        "hybrid_override_pattern": config.pattern,
        "layers_block_type": [LAYER_TYPES[symbol] for symbol in config.pattern],
        "num_attention_heads": config.attention_heads,
        "num_key_value_heads": config.key_value_heads,
        "head_dim": config.head_dim,
        "attention_head_dim": config.head_dim,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "mlp_hidden_act": "relu2",
        "mlp_bias": False,
        "mamba_num_heads": config.mamba_heads,
        "mamba_head_dim": config.mamba_head_dim,
        "mamba_hidden_act": "silu",
        "mamba_proj_bias": False,
        "mamba_ssm_cache_dtype": "float32",
        "n_groups": config.mamba_groups,
        "ssm_state_size": config.mamba_state,
        "conv_kernel": config.conv_kernel,
        "chunk_size": config.chunk_size,
        "expand": max(1, round(config.mamba_inner / config.hidden_size)),
        "use_conv_bias": True,
        "use_bias": False,
        "time_step_min": TIME_STEP_MIN,
        "time_step_max": 0.1,
        "time_step_floor": 1e-4,
        "layer_norm_epsilon": config.norm_epsilon,
        "rms_norm_eps": config.norm_epsilon,
        "residual_in_fp32": False,
        "rescale_prenorm_residual": True,
        "hidden_dropout": 0.0,
        "initializer_range": config.standard_deviation,
        "max_position_embeddings": context_length,
        "tie_word_embeddings": False,
        "num_logits_to_keep": 1,
        "use_cache": True,
        "use_mamba_kernels": True,
        **special,
    }


def read_facts(folder: Path) -> TokenizerFacts:
    """What tokenizer.json and tokenizer_config.json of a folder tell. Raises ModelError if the
    first is not there.
    """
    from tokenizers import Tokenizer

    path = folder / TOKENIZER
    if not path.exists():
        raise ModelError(
            f"{folder} holds no {TOKENIZER}",
            "give the tokenizer folder that the pack stage used",
        )
    tokenizer = Tokenizer.from_file(str(path))
    named = _settings(folder / TOKENIZER_SETTINGS)
    ids: list[int | None] = []
    for key in SPECIAL:
        token = named.get(key)
        text = token["content"] if isinstance(token, dict) else token
        ids.append(None if text is None else tokenizer.token_to_id(text))
    bos, eos, pad = ids
    size = 1 + max(tokenizer.get_vocab(with_added_tokens=True).values())
    return TokenizerFacts(size, bos, eos, pad)


def _settings(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    settings: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return settings


def _name_special_tokens(path: Path, facts: TokenizerFacts) -> None:
    """Name the tokens that packing knew and tokenizer_config.json does not name."""
    settings = _settings(path)
    missing = {key: text for key, text in facts.spelled.items() if settings.get(key) is None}
    if missing:
        write_json(path, {**settings, **missing})


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write it with sorted keys, so that equal content has equal bytes."""
    path.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", encoding="utf-8")
