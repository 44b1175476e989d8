"""Activations that are computed again give the same gradients; estimates say what helps."""

import pytest
import torch
from corpusmill.manifests.errors import CorpusmillError
from corpusmill.trainer import memory
from corpusmill.trainer import train as trainer
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.train import train

KINDS = ["mamba", "attention", "ffn"]


def gradients(model: HybridModel, ids: torch.Tensor | None) -> list[torch.Tensor]:
    tokens = torch.arange(32).reshape(2, 16)
    loss = model(tokens, ids).float().square().mean()
    return list(torch.autograd.grad(loss, list(model.parameters())))


@pytest.mark.parametrize("kinds", [*([kind] for kind in KINDS), KINDS])
@pytest.mark.parametrize("fp8", [False, True])
def test_gradients_are_the_same_bits(small_model, kinds, fp8):
    model = HybridModel(small_model)
    initialise(model, 0)
    if fp8:
        model.use_fp8("tensor", plain_layers=0)
    ids = torch.arange(16).div(5, rounding_mode="floor").expand(2, 16)
    plain = gradients(model, ids)
    model.recompute(kinds)
    for one, other in zip(gradients(model, ids), plain, strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize("kind", KINDS)
def test_less_is_kept_for_the_backward(small_model, kind):
    model = HybridModel(small_model)
    initialise(model, 0)

    def kept() -> int:
        sizes: list[int] = []

        def keep(tensor: torch.Tensor) -> torch.Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
            model(torch.arange(32).reshape(2, 16))
        return sum(sizes)

    before = kept()
    model.recompute([kind])
    assert kept() < before


def test_a_run_with_means_in_bf16_stays_near(write_shards, random_documents, make_config, tmp_path):
    shards = write_shards(random_documents)
    full = train(make_config(), shards, tmp_path / "full")
    half = train(make_config(optimizer_dtype="bfloat16"), shards, tmp_path / "half")
    assert full.last
    assert half.last
    assert half.last.loss == pytest.approx(full.last.loss, rel=1e-2)
    sizes = [(run.checkpoint / "optimizer.safetensors").stat().st_size for run in (full, half)]
    assert sizes[1] < 0.6 * sizes[0]


def test_settings_that_are_used_up_are_not_advised(make_config):
    open_ = dict(memory.savings(make_config(), 2))
    assert next(iter(open_)) == max(open_, key=open_.__getitem__)
    assert set(open_) == {
        "micro_batch_size: 1",
        *(f"checkpoint_activations: [{kind}]" for kind in KINDS),
        "optimizer_dtype: bfloat16",
        "shard_ranks: 2",
    }
    gathered = make_config(num_workers=2, shard_ranks=2, gather_weights="step")
    assert "gather_weights: layer" in dict(memory.savings(gathered, 2))
    lean = make_config(micro_batch_size=1, checkpoint_activations=KINDS, optimizer_dtype="bfloat16")
    assert memory.savings(lean, 1) == []


def test_the_error_of_a_full_gpu_names_settings_and_gigabytes(make_config):
    error = memory.too_little_memory(make_config(), 1, torch.device("cpu"))
    assert "micro_batch_size: 2 saves about 0.0 GB" in str(error)
    assert "optimizer_dtype: bfloat16 saves about" in str(error)
    assert "cuda_graph" not in str(error)
    graph = make_config(cuda_graph=True, device="auto")
    error = memory.too_little_memory(graph, 1, torch.device("cpu"))
    assert "cuda_graph: false saves about" in str(error)


def test_a_run_that_finds_no_memory_says_what_would_help(
    write_shards, random_documents, make_config, monkeypatch, tmp_path
):
    def full(*_arguments):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "optimise", full)
    with pytest.raises(CorpusmillError, match=r"too little memory.*micro_batch_size: 2 saves"):
        train(make_config(), write_shards(random_documents), tmp_path / "run")


def test_a_run_by_a_graph_is_told_that_it_may_go_without(
    write_shards, random_documents, make_config, monkeypatch, tmp_path
):
    monkeypatch.setattr(trainer, "decide", lambda *_: (True, ""))

    def full(optimizer, rate, summed_loss, batch, ranks, gradients):
        gradients(batch)
        gradients._made = object()  # as if captured
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(trainer, "optimise", full)
    with pytest.raises(CorpusmillError, match="cuda_graph: false saves"):
        train(make_config(), write_shards(random_documents), tmp_path / "run")


def test_a_cpu_without_memory_says_it_too(
    write_shards, random_documents, make_config, small_model, tmp_path
):
    beyond_any_machine = small_model.model_copy(update={"vocab_size": 1 << 43})
    config = make_config(model=beyond_any_machine)
    with pytest.raises(
        CorpusmillError, match="cpu has too little memory for this run; optimizer_dtype"
    ):
        train(config, write_shards(random_documents), tmp_path / "run")


def test_activations_of_fp32_take_twice_the_memory_of_bf16(make_config):
    rounded, full = (make_config(dtype=dtype) for dtype in ("bfloat16", "float32"))
    assert memory.layers_gb(full, 1) == 2 * memory.layers_gb(rounded, 1)
