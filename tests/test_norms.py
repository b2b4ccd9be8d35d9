"""Spectral norm, equalised rate and norms against what they stand for."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganloom import penalties
from ganloom.nn import norms
from ganloom.nn.layers import DownsampleConv, SelfAttention, UpsampleConv, attention_level


def sigma(weight: torch.Tensor, axis: int = 0) -> float:
    return float(torch.linalg.matrix_norm(weight.transpose(0, axis).flatten(1), 2))


LAYERS = [
    (lambda: nn.Conv2d(5, 7, 3, padding=1), 0),
    (lambda: UpsampleConv(5, 7), 0),
    (lambda: DownsampleConv(5, 7), 0),
    (lambda: nn.ConvTranspose2d(5, 7, 4, 2, 1), 1),
    (lambda: nn.Linear(5, 7), 0),
    (lambda: nn.Embedding(5, 7), 0),
]


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(("make", "axis"), LAYERS)
def test_spectral_norm_divides_by_the_largest_singular_value(make, axis: int, last: bool) -> None:
    torch.manual_seed(0)
    layer = make()
    if last and layer.weight.dim() == 4:
        layer.to(memory_format=torch.channels_last)
    raw = layer.weight.detach().clone()
    norms.spectral_norm(layer)
    for _ in range(1000):
        weight = layer.weight
    assert sigma(raw, axis) != pytest.approx(1.0, abs=0.05)
    torch.testing.assert_close(weight, raw / sigma(raw, axis), atol=1e-4, rtol=1e-3)


def test_the_power_iteration_runs_in_training_only_and_eval_needs_no_unit_vector() -> None:
    layer = norms.spectral_norm(nn.Linear(6, 8))
    u = layer.parametrizations.weight[0].u
    for _ in range(200):
        layer(torch.randn(2, 6))
    kept = u.clone()
    layer.eval()
    whole = layer.weight.detach().clone()
    assert torch.equal(u, kept)
    u.mul_(0.3)  # as an average of directions is
    torch.testing.assert_close(layer.weight, whole)
    layer.train()
    _ = layer.weight
    assert not torch.equal(u, kept * 0.3)
    assert set(layer.state_dict()) == {"bias", "parametrizations.weight.original", "parametrizations.weight.0.u"}


def test_spectral_norm_copies_and_differentiates_twice() -> None:
    net = norms.spectral_norm(nn.Sequential(nn.Linear(4, 16), nn.Softplus(), nn.Linear(16, 1)))
    twin = copy.deepcopy(net)
    assert twin[0].weight.shape == (16, 4) and torch.equal(
        twin[0].parametrizations.weight.original, net[0].parametrizations.weight.original
    )
    x, y = torch.randn(8, 4), torch.randn(8, 4)
    loss = net(x).mean() - net(y).mean() + penalties.wgan_gp(net, x, y)  # passes in a row, and through the gradient
    loss.backward()
    assert all(
        p.grad is not None and bool(p.grad.isfinite().all()) for n, p in net.named_parameters() if "bias" not in n
    )


def test_gradient_of_the_normalised_weight_is_the_closed_form() -> None:
    """dL/dW = (G - <G, W_hat> u v^T) / sigma (Miyato et al. 2018, eq. 10)."""
    torch.manual_seed(0)
    layer = norms.spectral_norm(nn.Linear(5, 4, bias=False))
    for _ in range(1000):
        _ = layer.weight
    raw = layer.parametrizations.weight.original
    up = torch.randn(4, 5)
    (grad,) = torch.autograd.grad((layer.weight * up).sum(), [raw])
    u, s, v = torch.linalg.svd(raw.detach())
    hat = raw.detach() / s[0]
    expected = (up - (up * hat).sum() * torch.outer(u[:, 0], v[0])) / s[0]
    torch.testing.assert_close(grad, expected, atol=1e-3, rtol=1e-3)


def test_spectral_norm_stays_float32_under_autocast() -> None:
    layer = norms.spectral_norm(nn.Linear(32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        out = layer(torch.randn(2, 32))
        weight = layer.weight
    assert out.dtype == torch.bfloat16 and weight.dtype == torch.float32
    assert layer.parametrizations.weight[0].u.dtype == torch.float32


def test_but_leaves_modules_out() -> None:
    net = norms.spectral_norm(
        nn.Sequential(nn.Conv2d(2, 4, 1), norms.ConditionalBatchNorm(4, 3)), but=(norms.ConditionalBatchNorm,)
    )
    assert sum("parametrizations" in name for name, _ in net.named_parameters()) == 1


def test_equalised_is_he_at_run_time() -> None:
    torch.manual_seed(0)
    layer = norms.equalised(nn.Conv2d(64, 64, 3))
    raw = layer.parametrizations.weight.original
    assert float(raw.detach().std()) == pytest.approx(1.0, abs=0.02) and float(layer.bias.detach().abs().max()) == 0
    torch.testing.assert_close(layer.weight, raw * (2 / (64 * 9)) ** 0.5)


def test_conditional_batch_norm() -> None:
    layer, plain = norms.ConditionalBatchNorm(4, 3), nn.BatchNorm2d(4)
    x, c = torch.randn(9, 4, 5, 5), F.one_hot(torch.arange(9) % 3, 3).float()
    torch.testing.assert_close(layer(x, c), plain(x))
    with torch.no_grad():
        layer.gain.weight[:, 1] += 1.0
        layer.bias.weight[:, 2] += 5.0
    y, was = layer(x, c), plain(x)
    torch.testing.assert_close(y[0::3], was[0::3])
    torch.testing.assert_close(y[1::3], 2 * was[1::3])
    torch.testing.assert_close(y[2::3], was[2::3] + 5)


def test_adaptive_instance_norm_takes_its_statistics_from_the_style() -> None:
    norm, x, w = norms.AdaptiveInstanceNorm(3, 5), torch.randn(4, 3, 8, 8) * 7 + 2, torch.randn(4, 5)
    torch.testing.assert_close(norm(x, w), nn.functional.instance_norm(x))
    nn.init.normal_(norm.style.weight)
    y, (gain, bias) = norm(x, w), norm.style(w).chunk(2, 1)
    torch.testing.assert_close(y.mean((2, 3)), bias, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(y.std((2, 3), correction=0), (1 + gain).abs(), atol=1e-3, rtol=1e-3)


def test_pixel_norm() -> None:
    y = norms.PixelNorm()(torch.randn(2, 16, 3, 3) * 7)
    torch.testing.assert_close(y.square().mean(1), torch.ones(2, 3, 3), atol=1e-4, rtol=1e-4)


def test_standing_statistics_are_the_mean_of_the_batches() -> None:
    net = nn.Sequential(nn.BatchNorm2d(3)).eval()
    batches = [torch.randn(8, 3, 4, 4) * 3 + i for i in range(4)]
    with norms.standing_statistics(net):
        for x in batches:
            net(x)
    expected = torch.stack([x.mean((0, 2, 3)) for x in batches]).mean(0)
    torch.testing.assert_close(net[0].running_mean, expected)
    assert net[0].momentum == 0.1 and not net[0].training


def test_attention_is_a_weighted_mean_over_places() -> None:
    layer, x = SelfAttention(16), torch.randn(2, 16, 6, 4)
    assert torch.equal(layer(x), x)  # gamma begins at 0
    with torch.no_grad():
        layer.gamma.fill_(1.0)
        layer.query.weight.zero_()  # equal weights: every place receives the mean
    added = layer(x) - x
    torch.testing.assert_close(added, added[:, :, :1, :1].expand_as(added), atol=1e-5, rtol=1e-4)
    mean = F.max_pool2d(layer.value(x), 2).mean((2, 3), keepdim=True)
    torch.testing.assert_close(added[:, :, :1, :1], layer.out(mean), atol=1e-5, rtol=1e-4)
    assert layer(torch.randn(1, 16, 1, 5)).shape == (1, 16, 1, 5)


@pytest.mark.parametrize(
    ("size", "grid", "level"), [(128, 32, 3), (128, 64, 4), (32, 32, 2), (28, 32, 1), (128, 0, 0), (8, 32, 0)]
)
def test_where_attention_stands(size: int, grid: int, level: int) -> None:
    assert attention_level(size, size, grid) == level
