"""A whole model on the kernels: the same loss and gradients as the plain path, in one graph a
layer.
"""

import pytest
import torch
from corpusmill.trainer import kernels, layers
from corpusmill.trainer.attention import Documents
from corpusmill.trainer.loss import head_loss
from corpusmill.trainer.model import HybridModel, initialise
from corpusmill.trainer.shape import HybridConfig

SHAPE = HybridConfig(
    pattern="M*-",
    hidden_size=32,
    ffn_size=64,
    attention_heads=2,
    key_value_heads=1,
    head_dim=16,
    mamba_heads=4,
    mamba_head_dim=16,
    mamba_groups=2,
    mamba_state=16,
    chunk_size=16,
    vocab_size=64,
)


@pytest.mark.parametrize(
    ("reset", "recompute", "one_pass"),
    [(False, False, True), (True, False, False), (False, True, False), (True, True, True)],
)
def test_layers_compile_without_breaks_and_agree_with_the_plain_path(
    reset, recompute, one_pass, device, monkeypatch
):
    monkeypatch.setattr(layers, "ONE_PASS", one_pass)
    for name in ("conv", "head", "mixer", "norm", "ssd"):
        module = pytest.importorskip(f"corpusmill.trainer.kernels.{name}")
        monkeypatch.setattr(kernels, name, module, raising=False)
    model = HybridModel(SHAPE).to(device)
    initialise(model, 0)
    tokens = torch.randint(0, 64, (2, 101), device=device)
    ids = torch.randint(0, 3, (2, 100), device=device).sort(1).values if reset else None
    counted = torch.rand(2, 100, device=device) < 0.8

    def loss_and_gradients() -> tuple[torch.Tensor, list[torch.Tensor]]:
        hidden = model.hidden(tokens[:, :-1], ids)
        loss = head_loss(hidden, model.lm_head.weight, tokens[:, 1:], counted)
        return loss, list(torch.autograd.grad(loss, list(model.parameters())))

    with monkeypatch.context() as plain:  # attention with a dense mask, whatever the device
        plain.setattr(kernels, "take", lambda tensor: False)
        plain.setattr(Documents, "of", staticmethod(lambda numbers: Documents(numbers, None)))
        loss, gradients = loss_and_gradients()
    monkeypatch.setattr(kernels, "take", lambda tensor: True)
    torch._dynamo.reset()  # the cases share one count of compiled forms, which has a limit
    if recompute:
        model.recompute(["mamba", "attention", "ffn"])
    for layer in model.backbone.layers:
        backend = "inductor" if device.type == "cuda" else "aot_eager"
        layer.forward = torch.compile(layer.forward, backend=backend, fullgraph=True, dynamic=False)
    on_kernels, their_gradients = loss_and_gradients()
    torch.testing.assert_close(on_kernels, loss, rtol=1e-5, atol=0)
    for one, other in zip(their_gradients, gradients, strict=True):
        assert (one - other).norm() < 1e-3 * other.norm()
