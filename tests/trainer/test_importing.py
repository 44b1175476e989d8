"""Training that starts from the weights of another model."""

import json
from typing import Any

import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer import checkpoint
from corpusmill.trainer.export import TokenizerFacts, export
from corpusmill.trainer.importing import load_pretrained, read_shape
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.train import train

FACTS = TokenizerFacts(64, None, 1, None)


@pytest.fixture
def shards(write_shards, random_documents):
    return write_shards(random_documents)


@pytest.fixture
def first(shards, make_config, tmp_path):
    """A trained model."""
    return train(make_config(learning_rate=2e-2, steps=20), shards, tmp_path / "first").checkpoint


@pytest.fixture
def folder(first, tmp_path):
    return export(first, tmp_path, tmp_path / "hf", dtype="float32", facts=FACTS)


def weights(model: HybridModel) -> dict[str, torch.Tensor]:
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def fresh(shape) -> HybridModel:
    model = HybridModel(shape)
    initialise(model, 5)
    return model


def test_an_export_comes_back_as_it_was(first, folder, small_model):
    assert read_shape(folder) == small_model
    model = fresh(small_model)
    load_pretrained(folder, model)
    original, _ = checkpoint.load_model(first)
    for name, value in weights(original).items():
        assert torch.equal(weights(model)[name], value), name


@pytest.mark.parametrize("size", ["5GB", "20KB"])
def test_what_transformers_saves_is_read_in_one_file_or_several(
    folder, small_model, tmp_path, size
):
    from transformers import AutoModelForCausalLM

    theirs: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    theirs.save_pretrained(tmp_path / "saved", max_shard_size=size)
    assert (tmp_path / "saved/model.safetensors.index.json").exists() == (size == "20KB")
    assert read_shape(tmp_path / "saved") == small_model.model_copy(
        update={"init_std": None, "chunk_size": 16}
    )
    model = fresh(small_model)
    load_pretrained(tmp_path / "saved", model)
    tokens = torch.arange(16)[None]
    with torch.no_grad():
        torch.testing.assert_close(model(tokens), theirs(tokens).logits, rtol=1e-4, atol=1e-5)


def test_rows_for_new_tokens_keep_their_first_values(folder, small_model):
    wide = small_model.model_copy(update={"vocab_size": 80})
    model, before, old = fresh(wide), fresh(wide), fresh(small_model)
    load_pretrained(folder, model)
    load_pretrained(folder, old)
    for name in ("backbone.embeddings.weight", "lm_head.weight"):
        assert torch.equal(weights(model)[name][:64], weights(old)[name])
        assert torch.equal(weights(model)[name][64:], weights(before)[name][64:])


def test_a_run_goes_on_from_the_weights_and_resumes(shards, make_config, folder, tmp_path):
    plain = train(make_config(), shards, tmp_path / "plain")
    config = make_config(init_from=str(folder), learning_rate=1e-3)
    whole = train(config, shards, tmp_path / "second")

    def losses(result) -> list[float]:
        return [json.loads(line)["loss"] for line in result.log.read_text().splitlines()]

    assert losses(whole)[0] < losses(plain)[0] - 0.1

    def lost(record):
        if record.step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, shards, tmp_path / "broken", lost)
    assert losses(train(config, shards, tmp_path / "broken")) == losses(whole)
    assert str(folder) not in (whole.checkpoint / "state.json").read_text()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"hidden_size": 48}, "hidden_size is 48, not 32"),
        ({"hybrid_override_pattern": "M*--"}, r"pattern is 'M\*--', not 'M\*-'"),
        ({"vocab_size": 96}, "vocab_size is 96, more than 64"),
        ({"model_type": "llama"}, "a model of type 'llama'"),
        ({"attention_bias": True}, "sets attention_bias"),
        ({"mlp_hidden_act": "silu"}, "has mlp_hidden_act 'silu'; take one with 'relu2'"),
        ({"n_groups": None}, "has no n_groups"),
        ({"hybrid_override_pattern": None, "layers_block_type": ["moe"]}, "layers of kind moe"),
    ],
)
def test_another_model_is_refused_by_name(folder, small_model, changes, message):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    with pytest.raises(ModelError, match=message):
        load_pretrained(folder, fresh(small_model))


def test_a_folder_without_a_model_is_refused(small_model, tmp_path):
    with pytest.raises(ModelError, match=r"holds no config.json; name the output folder of export"):
        load_pretrained(tmp_path, fresh(small_model))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "[1]", r"config.json is damaged \(no mapping\)"),
        ("config.json", "{", "config.json is damaged"),
        ("model.safetensors.index.json", "{", "index.json is damaged"),
        ("model.safetensors.index.json", "{}", "index.json has no weight_map"),
    ],
)
def test_a_damaged_file_is_named(folder, small_model, name, content, message):
    (folder / name).write_text(content)
    with pytest.raises(ModelError, match=message):
        load_pretrained(folder, fresh(small_model))


def test_a_head_that_is_tied_to_the_embedding_begins_as_it(folder, small_model):
    from safetensors.torch import load_file, save_file

    stored = load_file(folder / "model.safetensors")
    stored.pop("lm_head.weight")
    save_file(stored, folder / "model.safetensors")
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "tie_word_embeddings": True}))
    model = fresh(small_model)
    load_pretrained(folder, model)
    assert torch.equal(model.lm_head.weight, stored["backbone.embeddings.weight"].float())
    assert model.lm_head.weight.data_ptr() != model.backbone.embeddings.weight.data_ptr()


def test_a_folder_that_lacks_a_weight_is_refused(folder, small_model):
    from safetensors.torch import load_file, save_file

    stored = load_file(folder / "model.safetensors")
    stored.pop("lm_head.weight")
    save_file(stored, folder / "model.safetensors")
    with pytest.raises(ModelError, match=r"lacks 1 weights, lm_head.weight among them"):
        load_pretrained(folder, fresh(small_model))
