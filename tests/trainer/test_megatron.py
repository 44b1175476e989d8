"""Weights in Megatron-Core's names and layouts, and back."""

import json

import pytest
import torch
from corpusmill.manifests.errors import ModelError
from corpusmill.trainer.export import huggingface_config
from corpusmill.trainer.megatron import from_megatron, fuse, main, to_megatron
from corpusmill.trainer.model import HybridModel, initialise
from safetensors.torch import load_file, save_file


@pytest.fixture
def config(small_model):
    return small_model.model_copy(update={"attention_heads": 6, "key_value_heads": 2})


@pytest.fixture
def weights(config):
    model = HybridModel(config)
    initialise(model, 0)
    return {name: parameter.detach() for name, parameter in model.named_parameters()}


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_there_and_back_gives_the_same_weights(weights, config):
    assert same(from_megatron(to_megatron(weights, config), config), weights)


def test_the_names_are_those_of_the_published_converter(weights, config):
    assert set(to_megatron(weights, config)) == {
        "embedding.word_embeddings.weight",
        "decoder.layers.0.mixer.in_proj.layer_norm_weight",
        "decoder.layers.0.mixer.in_proj.weight",
        "decoder.layers.0.mixer.conv1d_weight",
        "decoder.layers.0.mixer.conv1d_bias",
        "decoder.layers.0.mixer.A_log",
        "decoder.layers.0.mixer.D",
        "decoder.layers.0.mixer.dt_bias",
        "decoder.layers.0.mixer.norm.weight",
        "decoder.layers.0.mixer.out_proj.weight",
        "decoder.layers.1.self_attention.linear_qkv.layer_norm_weight",
        "decoder.layers.1.self_attention.linear_qkv.weight",
        "decoder.layers.1.self_attention.linear_proj.weight",
        "decoder.layers.2.mlp.linear_fc1.layer_norm_weight",
        "decoder.layers.2.mlp.linear_fc1.weight",
        "decoder.layers.2.mlp.linear_fc2.weight",
        "decoder.final_norm.weight",
        "output_layer.weight",
    }


def test_attention_as_megatron_splits_it_has_our_queries_keys_and_values(weights, config):
    q, k, v = (weights[f"backbone.layers.1.mixer.{letter}_proj.weight"] for letter in "qkv")
    x = torch.randn(5, config.hidden_size)
    mixed = (x @ fuse(q, k, v, config).T).view(5, config.key_value_heads, -1)
    dim, shared = config.head_dim, config.attention_heads // config.key_value_heads
    for head in range(config.attention_heads):
        group, place = divmod(head, shared)
        theirs = mixed[:, group, place * dim : (place + 1) * dim]
        assert torch.allclose(theirs, (x @ q.T)[:, head * dim : (head + 1) * dim])
    for group in range(config.key_value_heads):
        keys, values = mixed[:, group, shared * dim :].split(dim, dim=-1)
        assert torch.allclose(keys, (x @ k.T)[:, group * dim : (group + 1) * dim])
        assert torch.allclose(values, (x @ v.T)[:, group * dim : (group + 1) * dim])


def test_older_names_a_padded_vocabulary_and_states_of_fp8_are_read(weights, config):
    state = to_megatron(weights, config)
    renamed = {
        "decoder.layers.0.mixer.conv1d_weight": "decoder.layers.0.mixer.conv1d.weight",
        "decoder.final_norm.weight": "decoder.final_layernorm.weight",
        "decoder.layers.2.mlp.linear_fc1.layer_norm_weight": (
            "decoder.layers.2.pre_mlp_layernorm.weight"
        ),
    }
    state = {renamed.get(name, name): value for name, value in state.items()}
    for name in ("embedding.word_embeddings.weight", "output_layer.weight"):
        state[name] = torch.cat([state[name], torch.zeros(64, config.hidden_size)])
    state["decoder.layers.2.mlp.linear_fc1._extra_state"] = torch.zeros(1)
    assert same(from_megatron(state, config), weights)


def test_a_checkpoint_of_another_shape_is_refused_by_its_keys(weights, config):
    state = to_megatron(weights, config)
    del state["decoder.layers.0.mixer.D"]
    with pytest.raises(ModelError, match=r"has no decoder.layers.0.mixer.D"):
        from_megatron(state, config)
    longer = {**to_megatron(weights, config), "decoder.layers.3.mixer.D": torch.zeros(4)}
    with pytest.raises(ModelError, match=r"more than the model: decoder.layers.3.mixer.D"):
        from_megatron(longer, config)


def test_folders_are_converted_from_the_command_line(weights, config, tmp_path, capsys):
    folder, file = tmp_path / "model", tmp_path / "model.pt"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(huggingface_config(config, {}, "float32", 16)))
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    assert main(["to", str(folder), str(file)]) == 0
    assert main(["from", str(file), str(folder), str(tmp_path / "back")]) == 0
    assert same(load_file(tmp_path / "back" / "model.safetensors"), weights)
    assert (tmp_path / "back" / "config.json").read_bytes() == (folder / "config.json").read_bytes()
    assert main(["to", str(tmp_path / "nothing"), str(file)]) == 1
    assert "holds no config.json" in capsys.readouterr().err
    assert main(["from", str(folder / "config.json"), str(folder), str(tmp_path / "no")]) == 1
    assert "is no checkpoint of Megatron" in capsys.readouterr().err


def test_a_tied_head_is_written_as_one_of_its_own(weights, config, tmp_path):
    file, described = tmp_path / "model.pt", huggingface_config(config, {}, "float32", 16)
    (tmp_path / "config.json").write_text(json.dumps({**described, "tie_word_embeddings": True}))
    del weights["lm_head.weight"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    assert main(["to", str(tmp_path), str(file)]) == 0
    state = torch.load(file, weights_only=True)["model"]
    embedding = weights["backbone.embeddings.weight"]
    assert torch.equal(state["output_layer.weight"], embedding)
    assert main(["from", str(file), str(tmp_path), str(tmp_path / "back")]) == 0
    assert (
        json.loads((tmp_path / "back" / "config.json").read_text())["tie_word_embeddings"] is False
    )
    assert torch.equal(load_file(tmp_path / "back/model.safetensors")["lm_head.weight"], embedding)
