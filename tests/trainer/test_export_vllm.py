"""Stock vLLM (its CPU build too) serves an export. Greedy answers are the model's own."""

import json
from pathlib import Path

import pytest
import torch
from corpusmill.trainer import checkpoint
from corpusmill.trainer.__main__ import read_config
from corpusmill.trainer.config import TrainConfig
from corpusmill.trainer.export import export
from corpusmill.trainer.train import train

CONFIGS = Path(__file__).parents[2] / "trainer" / "configs"
CHANGES = [
    "model.vocab_size=64",
    "sequence_length=32",
    "steps=80",
    "eval_fraction=0",
    "checkpoint_every=80",
]


@pytest.fixture
def config() -> TrainConfig:
    return read_config(CONFIGS / "tiny.yaml", CHANGES)


@pytest.mark.vllm
@pytest.mark.timeout(600)
@torch.no_grad()
def test_vllm_continues_as_the_model_does(config, write_shards, tmp_path, monkeypatch):
    from tokenizers import Tokenizer, models

    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    from vllm import LLM, SamplingParams

    cycle = [5, 9, 17, 33, 2, 40, 21, 58]
    with torch.enable_grad():
        run = train(
            config,
            write_shards([[0, *cycle[i:], *(cycle * 5), 1] for i in range(8)]),
            tmp_path / "run",
        )
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    Tokenizer(models.WordLevel({f"t{i}": i for i in range(64)}, unk_token="t2")).save(
        str(folder / "tokenizer.json")
    )
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"})
    )
    exported = export(run.checkpoint, folder, tmp_path / "exported", context_length=128)

    ours, _ = checkpoint.load_model(run.checkpoint)
    prompts = [[0, 5, 9], [17], [0, 40, 21, 58, 5, 9, 17, 33, 2]]
    expected = []
    for prompt in prompts:
        tokens = torch.tensor([prompt])
        for _ in range(20):
            tokens = torch.cat([tokens, ours(tokens)[:, -1:].argmax(-1)], dim=1)
        expected.append(tokens[0, len(prompt) :].tolist())

    engine = LLM(str(exported), dtype="bfloat16", max_num_seqs=4, enforce_eager=True)
    greedy = SamplingParams(temperature=0, max_tokens=20, ignore_eos=True)
    answers = engine.generate([{"prompt_token_ids": prompt} for prompt in prompts], greedy)
    assert [list(answer.outputs[0].token_ids) for answer in answers] == expected
