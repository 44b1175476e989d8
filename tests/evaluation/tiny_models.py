"""Tiny random models in folders, with the tokenizer of models/tiny."""

import json
import shutil
from pathlib import Path

import torch
from corpusmill.manifests.model_files import TOKENIZER_FILES
from corpusmill.manifests.package_data import package_file
from corpusmill.trainer.export import huggingface_config
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.shape import HybridConfig
from safetensors.torch import save_file

TINY = package_file("models", "tiny")
VOCABULARY = int(json.loads((TINY / "config.json").read_text())["vocab_size"])


def add_tokenizer(folder: Path) -> Path:
    for name in TOKENIZER_FILES:
        if (TINY / name).exists():
            shutil.copyfile(TINY / name, folder / name)
    return folder


def hybrid_model() -> HybridModel:
    config = HybridConfig(
        pattern="M-*-M-",
        hidden_size=32,
        ffn_size=64,
        attention_heads=4,
        key_value_heads=2,
        head_dim=8,
        mamba_heads=4,
        mamba_head_dim=16,
        mamba_groups=2,
        mamba_state=8,
        chunk_size=16,
        vocab_size=VOCABULARY,
    )
    model = HybridModel(config)
    initialise(model, 0)
    return model.eval()


def hybrid_folder(folder: Path, tokenizer: bool = True, context: int = 128) -> Path:
    model = hybrid_model()
    special: dict[str, int | None] = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    folder.mkdir(parents=True)
    config = huggingface_config(model.config, special, "float32", context)
    (folder / "config.json").write_text(json.dumps(config))
    save_file(dict(model.state_dict()), folder / "model.safetensors", {"format": "pt"})
    return add_tokenizer(folder) if tokenizer else folder


def llama_folder(folder: Path, context: int = 128) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=VOCABULARY,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        initializer_range=0.2,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return add_tokenizer(folder)
