"""An export is the same model in stock transformers."""

import json
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError, ModelError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.averaging import Earlier, average
from corpusmill.trainer.export import TokenizerFacts, export, write_model
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.train import train
from safetensors.torch import load_file
from tokenizers import Tokenizer, models

WEIGHTS = "model.safetensors"


@pytest.fixture
def tokenizer(tmp_path):
    """A tokenizer of 64 tokens whose first two begin and end a document."""
    folder = tmp_path / "tokenizer"
    folder.mkdir()
    vocabulary = {"<s>": 0, "</s>": 1, **{f"t{i}": i for i in range(2, 64)}}
    Tokenizer(models.WordLevel(vocabulary, unk_token="t2")).save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<s>",
        "eos_token": {"__type": "AddedToken", "content": "</s>"},
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    return folder


@pytest.fixture
def run(write_shards, random_documents, make_config, tmp_path):
    """The output of a short training run, with weights well away from their initial values."""
    return train(
        make_config(learning_rate=2e-2, steps=20), write_shards(random_documents), tmp_path / "run"
    )


def load(folder):
    from transformers import AutoModelForCausalLM

    loaded: Any = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    model, info = loaded
    assert not info["missing_keys"]
    assert not info["unexpected_keys"]
    assert not info["mismatched_keys"]
    return model.eval()


@torch.no_grad()
def test_transformers_gives_the_same_logits_at_any_length(run, tokenizer, tmp_path):
    folder = export(run.checkpoint, tokenizer, tmp_path / "hf", dtype="float32")
    theirs, (ours, _) = load(folder), checkpoint.load_model(run.checkpoint)
    assert type(theirs).__name__ == "NemotronHForCausalLM"
    for length in (1, 3, 16, 37, 100):  # chunks are 16 long
        tokens = torch.randint(0, 64, (2, length), generator=torch.Generator().manual_seed(length))
        expected = ours(tokens)
        scale = expected.abs().max()
        for use_cache in (False, True):
            found = theirs(tokens, use_cache=use_cache).logits
            assert (found - expected).abs().max() / scale < 1e-4, (length, use_cache)


@torch.no_grad()
def test_transformers_generates_the_models_own_greedy_continuation(run, tokenizer, tmp_path):
    theirs = load(export(run.checkpoint, tokenizer, tmp_path / "hf", dtype="float32"))
    ours, _ = checkpoint.load_model(run.checkpoint)
    prompt = torch.tensor([[0, 5, 9, 33]])
    expected = prompt
    for _ in range(12):
        expected = torch.cat([expected, ours(expected)[:, -1:].argmax(-1)], dim=1)
    everything = torch.ones_like(prompt)  # token 0 is no padding here
    found = theirs.generate(
        prompt, attention_mask=everything, max_new_tokens=12, do_sample=False, eos_token_id=None
    )
    assert found.tolist() == expected.tolist()


def test_small_time_steps_are_not_clamped(run, tokenizer, tmp_path):
    config = json.loads(
        (export(run.checkpoint, tokenizer, tmp_path / "hf") / "config.json").read_text()
    )
    assert 0 < config["time_step_min"] <= 1e-6


def test_the_configuration_speaks_every_readers_dialect(run, tokenizer, tmp_path):
    config = json.loads(
        (export(run.checkpoint, tokenizer, tmp_path / "hf") / "config.json").read_text()
    )
    assert config["hybrid_override_pattern"] == "M*-"
    assert config["layers_block_type"] == ["linear_attention", "full_attention", "mlp"]
    assert config["head_dim"] == config["attention_head_dim"] == 16
    assert config["layer_norm_epsilon"] == config["rms_norm_eps"] == 1e-5
    assert config["mamba_ssm_cache_dtype"] == "float32"
    assert config["tie_word_embeddings"] is False
    assert config["max_position_embeddings"] == 16
    assert (config["bos_token_id"], config["eos_token_id"], config["pad_token_id"]) == (0, 1, None)
    assert config["architectures"] == ["NemotronHForCausalLM"]


def test_bf16_rounds_matrices_but_keeps_time_constants(run, tokenizer, tmp_path):
    weights = load_file(export(run.checkpoint, tokenizer, tmp_path / "hf") / "model.safetensors")
    exact = load_file(run.checkpoint / "model.safetensors")
    for name, weight in weights.items():
        kept = name.endswith(("A_log", ".D", "dt_bias"))
        assert weight.dtype == (torch.float32 if kept else torch.bfloat16), name
        assert torch.equal(weight, exact[name] if kept else exact[name].bfloat16()), name


def test_exports_are_equal_to_the_byte(run, tokenizer, tmp_path):
    one, two = (export(run.checkpoint, tokenizer, tmp_path / name) for name in ("one", "two"))
    names = sorted(path.name for path in one.iterdir())
    assert names == [
        "config.json",
        "generation_config.json",
        "model.safetensors",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    for name in names:
        assert (one / name).read_bytes() == (two / name).read_bytes(), name


def test_the_tokenizer_comes_along(run, tokenizer, tmp_path):
    from transformers import AutoTokenizer

    loaded = AutoTokenizer.from_pretrained(export(run.checkpoint, tokenizer, tmp_path / "hf"))
    assert loaded.eos_token_id == 1
    assert loaded.decode([5, 9]) == "t5 t9"


def test_a_training_output_stands_for_its_latest_checkpoint(run, tokenizer, tmp_path):
    one = export(run.checkpoint, tokenizer, tmp_path / "one")
    two = export(run.checkpoint.parents[1], tokenizer, tmp_path / "two")
    assert (one / "model.safetensors").read_bytes() == (two / "model.safetensors").read_bytes()


def test_a_tokenizer_larger_than_the_model_is_refused(run, tokenizer, tmp_path):
    larger = Tokenizer(models.WordLevel({f"t{i}": i for i in range(65)}, unk_token="t2"))
    larger.save(str(tokenizer / "tokenizer.json"))
    with pytest.raises(ModelError, match="has 65 tokens, the model only 64"):
        export(run.checkpoint, tokenizer, tmp_path / "hf")


def test_a_folder_without_tokenizer_is_refused(run, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no tokenizer.json; give the tokenizer folder"):
        export(run.checkpoint, tmp_path / "empty", tmp_path / "hf")
    assert not (tmp_path / "hf").exists()


def test_a_folder_without_checkpoint_is_refused(tokenizer, tmp_path):
    with pytest.raises(CorpusmillError, match="is not a checkpoint"):
        export(tmp_path, tokenizer, tmp_path / "hf")


def test_ids_that_packing_knew_end_a_text_wherever_the_tokenizer_keeps_them(
    run, tokenizer, tmp_path
):
    from transformers import AutoTokenizer

    settings = {"tokenizer_class": "PreTrainedTokenizerFast", "pad_token": "t9"}
    (tokenizer / "tokenizer_config.json").write_text(json.dumps(settings))
    facts = TokenizerFacts(64, bos=None, eos=1, pad=9, spelled={"eos_token": "</s>"})
    folder = export(run.checkpoint, tokenizer, tmp_path / "hf", facts=facts)
    for name in ("config.json", "generation_config.json"):
        written = json.loads((folder / name).read_text())
        assert (written["eos_token_id"], written["pad_token_id"]) == (1, 9)
    assert AutoTokenizer.from_pretrained(folder).eos_token_id == 1
    unchanged = export(run.checkpoint, tokenizer, tmp_path / "none")
    assert json.loads((unchanged / "config.json").read_text())["eos_token_id"] is None


def test_a_tokenizer_without_tokenizer_json_comes_along(run, tmp_path):
    from transformers import AutoTokenizer

    folder = tmp_path / "bytes"
    folder.mkdir()
    settings = {"tokenizer_class": "ByT5Tokenizer", "eos_token": "</s>", "pad_token": "<pad>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    facts = TokenizerFacts(64, bos=None, eos=1, pad=0)
    out = export(run.checkpoint, folder, tmp_path / "hf", facts=facts)
    assert AutoTokenizer.from_pretrained(out)("a").input_ids == [100, 1]


def test_an_export_can_be_the_average_with_an_earlier_model(run, tokenizer, tmp_path):
    before, config = checkpoint.load_model(run.checkpoint)
    initialise(before, 5)
    write_model(before, tokenizer, tmp_path / "before", "float32", config.sequence_length)
    now = load_file(export(run.checkpoint, tokenizer, tmp_path / "now", "float32") / WEIGHTS)
    folder = export(
        run.checkpoint,
        tokenizer,
        tmp_path / "average",
        "float32",
        earlier=Earlier(tmp_path / "before", 0.25),
    )
    old = load_file(tmp_path / "before" / WEIGHTS)
    for name, value in load_file(folder / WEIGHTS).items():
        torch.testing.assert_close(value, 0.75 * now[name] + 0.25 * old[name])


def test_tokens_that_the_earlier_model_lacks_keep_their_weights(run, tokenizer, tmp_path):
    now, config = checkpoint.load_model(run.checkpoint)
    rows = 60  # of 64
    before = HybridModel(now.config.model_copy(update={"vocab_size": rows}))
    initialise(before, 5)
    facts = TokenizerFacts(rows, bos=0, eos=1, pad=None)
    write_model(before, tokenizer, tmp_path / "before", "float32", config.sequence_length, facts)
    average(now, Earlier(tmp_path / "before", 0.25), tmp_path)
    after, (trained, _) = dict(now.named_parameters()), checkpoint.load_model(run.checkpoint)
    for name in ("backbone.embeddings.weight", "lm_head.weight"):
        own, old = (dict(model.named_parameters())[name] for model in (trained, before))
        assert torch.equal(after[name][rows:], own[rows:])
        torch.testing.assert_close(after[name][:rows], 0.75 * own[:rows] + 0.25 * old)


def test_an_earlier_model_of_another_kind_shape_or_tokenizer_is_refused(run, tokenizer, tmp_path):
    model, config = checkpoint.load_model(run.checkpoint)
    folder = tmp_path / "before"
    earlier = Earlier(folder, 0.25, mend="take another")
    write_model(model, tokenizer, folder, "float32", config.sequence_length)
    average(model, earlier, tokenizer)
    settings = folder / "config.json"
    reader = {"model_type": "internvl", "text_config": json.loads(settings.read_text())}
    wide = HybridModel(model.config.model_copy(update={"ffn_size": 24}))
    with pytest.raises(ModelError, match="ffn_size is 64, not 24; take another"):
        average(wide, earlier, tokenizer)
    moved = Tokenizer(models.WordLevel({f"t{i}": i for i in range(64)}, unk_token="t2"))
    moved.save(str(folder / "tokenizer.json"))
    with pytest.raises(ModelError, match=r"2 tokens have another id or none, 't0'.*; take another"):
        average(model, earlier, tokenizer)
    settings.write_text(json.dumps(reader))
    with pytest.raises(ModelError, match="type 'internvl'; take another"):
        average(model, earlier, tokenizer)
