"""The fused mixer against its three operators' plain twins."""

import pytest
import torch
from corpusmill.trainer import kernels
from corpusmill.trainer.attention import Documents
from corpusmill.trainer.layers import MambaMixer
from corpusmill.trainer.shape import HybridConfig

mixer = pytest.importorskip("corpusmill.trainer.kernels.mixer")

SHAPE = HybridConfig(
    pattern="M*",
    hidden_size=24,
    ffn_size=8,
    attention_heads=2,
    key_value_heads=1,
    mamba_heads=4,
    mamba_head_dim=16,
    mamba_groups=2,
    mamba_state=32,
    chunk_size=16,
)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("step", [-5.0, 0.0, 15.0])
def test_the_fused_mixer_equals_the_plain_one_in_double_precision(reset, step, device, monkeypatch):
    """step: what dt_bias is around; softplus is tiny, curved, or the identity there."""
    fused = MambaMixer(SHAPE).to(device)
    for parameter in fused.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    with torch.no_grad():
        fused.dt_bias.add_(step)
        fused.A_log.sub_(max(step, 0.0))
    plain = MambaMixer(SHAPE).to(device).double()
    plain.load_state_dict(fused.state_dict())
    x = torch.randn(2, 100, 24, device=device, requires_grad=True)
    exact = x.detach().double().requires_grad_()
    ids = torch.randint(0, 4, (2, 100), device=device).sort(1).values
    documents = Documents(ids, None) if reset else None
    dy = torch.randn(2, 100, 24, device=device)

    monkeypatch.setattr(kernels, "take", lambda tensor: False)
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)  # the plain path's fp32 steps
    expected = plain(exact, documents)
    expected_gradients = torch.autograd.grad(expected, [exact, *plain.parameters()], dy.double())
    monkeypatch.undo()

    monkeypatch.setattr(kernels, "take", lambda tensor: True)
    monkeypatch.setattr(kernels, "mixer", mixer, raising=False)
    monkeypatch.setattr(
        kernels, "ssd", pytest.importorskip("corpusmill.trainer.kernels.ssd"), raising=False
    )
    y = fused(x, documents)
    gradients = torch.autograd.grad(y, [x, *fused.parameters()], dy)
    names = ["x", *(name for name, _ in fused.named_parameters())]
    for name, one, other in zip(
        ["y", *names], [y, *gradients], [expected, *expected_gradients], strict=True
    ):
        assert (one.double() - other).norm() < 1e-4 * other.norm(), name


def test_the_operator_is_registered_as_pytorch_wants_it(device):
    inner, channels, heads = 64, 192, 4
    sizes = [(2, 9, inner + channels + heads), (channels, 4), (channels,), (heads,), (heads,)]
    tensors = [
        torch.randn(size, device=device, requires_grad=True)
        for size in (*sizes, (heads,), (inner,))
    ]
    with torch.no_grad():
        tensors[4].abs_().neg_()
    torch.library.opcheck(
        mixer.mamba_inner,
        (*tensors, None, 2, 32, 1e-5),
        test_utils=("test_schema", "test_faketensor", "test_autograd_registration"),
    )
