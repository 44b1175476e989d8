"""Stock vLLM reads a child as the trainer's model does, whatever was pruned."""

import dataclasses
import json

import pytest
import torch
from corpusmill.compression.prune import prune
from corpusmill.compression.ranking import kept_of
from corpusmill.compression.space import Sizes
from corpusmill.trainer.export import write_model

from tests.compression.conftest import SHAPE, measured, random_model
from tests.compression.shards import write_tokenizer

CHANGES = {
    "mamba_layers": 2,
    "attention_layers": 1,
    "ffn_layers": 2,
    "ffn_size": 33,
    "hidden_size": 24,
    "mamba_heads": 6,
    "mamba_head_dim": 4,
}


@pytest.mark.vllm
@pytest.mark.timeout(600)
@torch.no_grad()
def test_vllm_gives_the_childs_log_probabilities(tmp_path, monkeypatch):
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    # With these instructions, the CPU build refuses Mamba in fp32, and odd numbers of channels.
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: False, raising=False)
    from vllm import LLM, SamplingParams

    parent = random_model(SHAPE.model_copy(update={"head_dim": 32}))  # vLLM's least on a CPU
    sizes = dataclasses.replace(Sizes.of(parent.config), **CHANGES)
    kept = kept_of(parent.config, measured(parent), sizes)
    pattern = "".join(parent.config.pattern[number] for number in kept.layers)
    child = prune(parent, kept, sizes.shape(parent.config, pattern))
    tokenizer = write_tokenizer(tmp_path / "tokenizer", 64)
    folder = write_model(child, tokenizer, tmp_path / "child", "float32", 128)

    prompt = [5, 9, 17, 33, 2, 40, 21, 58, 3, 3, 60]
    engine = LLM(str(folder), dtype="float32", max_num_seqs=2, enforce_eager=True)
    asked = SamplingParams(temperature=0, max_tokens=1, prompt_logprobs=0)
    (answer,) = engine.generate([{"prompt_token_ids": prompt}], asked)
    found = [
        step[token].logprob
        for token, step in zip(prompt[1:], answer.prompt_logprobs[1:], strict=True)
    ]
    expected = child(torch.tensor([prompt])).log_softmax(-1)[0, :-1]
    expected = expected.gather(-1, torch.tensor(prompt[1:])[:, None]).squeeze(-1)
    assert found == pytest.approx(expected.tolist(), abs=1e-3)
    assert json.loads((folder / "config.json").read_text())["hybrid_override_pattern"] == pattern
