"""Layers against the operations they stand for."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from ganloom.networks import dcgan, dense, resnet
from ganloom.nn.layers import DownsampleConv, Fir, MinibatchStddev, UpsampleConv, crop, plan_sizes, pointwise


@pytest.mark.parametrize("bias", [True, False])
def test_upsample_conv_is_nearest_then_convolution(bias: bool) -> None:
    layer, x = UpsampleConv(5, 6, bias=bias), torch.randn(2, 5, 7, 9)
    expected = F.conv2d(F.interpolate(x, scale_factor=2.0), layer.weight, layer.bias, padding=1)
    torch.testing.assert_close(layer(x), expected, atol=2e-6, rtol=1e-5)


@pytest.mark.parametrize("size", [(8, 10), (7, 9)])
def test_downsample_conv_is_convolution_then_mean(size: tuple[int, int]) -> None:
    layer, x = DownsampleConv(5, 6), torch.randn(2, 5, *size)
    expected = F.avg_pool2d(F.conv2d(x, layer.weight, layer.bias, padding=1), 2)
    torch.testing.assert_close(layer(x), expected, atol=2e-6, rtol=1e-5)


def test_gradients_of_the_fused_convolutions() -> None:
    for layer, slow in (
        (UpsampleConv(2, 3), lambda m, x: F.conv2d(F.interpolate(x, scale_factor=2.0), m.weight, m.bias, padding=1)),
        (DownsampleConv(2, 3), lambda m, x: F.avg_pool2d(F.conv2d(x, m.weight, m.bias, padding=1), 2)),
    ):
        x = torch.randn(2, 2, 4, 4)
        fast = torch.autograd.grad(layer(x).square().sum(), list(layer.parameters()))
        slow_grads = torch.autograd.grad(slow(layer, x).square().sum(), list(layer.parameters()))
        for a, b in zip(fast, slow_grads, strict=True):
            torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)


def test_minibatch_stddev() -> None:
    layer = MinibatchStddev(4)
    same = torch.ones(8, 3, 2, 2)
    assert layer(same).shape == (8, 4, 2, 2)
    assert layer(same)[:, 3].abs().max() < 1e-3
    spread = same.clone()
    spread[4] = 5.0  # group 0 is samples 0, 2, 4, 6
    maps = layer(spread)[:, 3, 0, 0]
    assert maps[0] == pytest.approx(3**0.5, rel=1e-3) and maps[1] < 1e-3
    assert layer(torch.randn(6, 3, 2, 2)).shape == (6, 4, 2, 2)  # a batch that is no multiple of the group


def test_minibatch_stddev_of_a_strided_slice_is_the_global_one() -> None:
    x, layer = torch.randn(16, 3, 2, 2), MinibatchStddev(4)
    for rank in range(2):
        torch.testing.assert_close(layer(x)[rank::2], layer(x[rank::2]))


@pytest.mark.parametrize("size", [(28, 28), (64, 64), (48, 32), (33, 50), (256, 256), (5, 7), (3, 3), (100, 8)])
def test_plan_reaches_the_image(size: tuple[int, int]) -> None:
    h, w, doublings = plan_sizes(*size)
    assert h * 2**doublings >= size[0] and w * 2**doublings >= size[1]
    assert (h - 1) * 2**doublings < size[0] and (w - 1) * 2**doublings < size[1]
    assert crop(torch.zeros(1, 1, h * 2**doublings, w * 2**doublings), *size).shape[2:] == size


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 64), (4, 48, 32), (2, 33, 50), (1, 8, 8), (1, 5, 7), (3, 3, 3)])
@pytest.mark.parametrize("family", [dcgan, resnet, dense])
@pytest.mark.parametrize("classes", [0, 3])
def test_networks_take_any_shape(family: object, shape: tuple[int, int, int], classes: int) -> None:
    torch.manual_seed(0)  # four channels can be dead from the start
    widths = {"widths": (8,)} if family is dense else {"width": 4}
    G = family.Generator(shape, 6, **widths, n_classes=classes)
    D = family.Discriminator(shape, **widths, n_classes=classes)
    c = torch.tensor([0, 2]) if classes else None
    x = G(torch.randn(2, 6), c)
    assert x.shape == (2, *shape) and x.abs().max() <= 1
    assert D(x, c).shape == (2,)
    if classes:
        other = torch.tensor([1, 1])
        assert not torch.equal(D(x, c), D(x, other)) and not torch.equal(
            G.eval()(torch.ones(2, 6), c), G(torch.ones(2, 6), other)
        )


def test_the_tutorials_dense_gan() -> None:
    G, D = dense.Generator((1, 28, 28)), dense.Discriminator((1, 28, 28))
    linear = lambda net: [(m.in_features, m.out_features) for m in net.modules() if isinstance(m, nn.Linear)]
    assert linear(G) == [(100, 256), (256, 512), (512, 1024), (1024, 784)]
    assert linear(D) == [(784, 512), (512, 256), (256, 1)]


def test_dcgan_parameter_counts() -> None:
    """The counts of the well-known 64 px architecture with 64 channels: G 3.6 M, D 2.8 M."""
    G, D = dcgan.Generator((3, 64, 64)), dcgan.Discriminator((3, 64, 64))
    count = lambda net: sum(p.numel() for p in net.parameters())
    # Ours has biases in G's last and D's first and last layer where the tutorial has none.
    assert count(G) == 3_576_704 + 3
    assert count(D) == 2_765_568 + 64 + 1


@pytest.mark.parametrize("size", [(8, 8), (7, 7), (10, 6)])
def test_a_mean_and_a_smaller_filter_halve_as_the_filter_does(size: tuple[int, int]) -> None:
    """bf16 on a CPU takes two steps; in float32 they equal the one to rounding, and so do their gradients."""
    fir, x = Fir(), torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    fir.double()
    assert fir.binomial is not None
    one = fir(x, padding=1, stride=2)
    two = F.avg_pool2d(F.conv2d(x, fir.binomial.repeat(3, 1, 1, 1), padding=1, groups=3), 2)
    assert torch.allclose(one, two, atol=1e-7)
    y = torch.randn_like(one)
    slopes = [torch.autograd.grad(out, x, y)[0] for out in (one, two)]
    assert torch.allclose(*slopes, atol=1e-7)
    half = Fir().halved(x.detach().bfloat16())
    assert half.dtype == torch.bfloat16 and (half.double() - one).abs().max() < 0.05


@pytest.mark.parametrize("channels", [1, 3])
def test_a_pointwise_convolution_answers_channels_last(channels: int) -> None:
    x = torch.randn(2, channels, 5, 6).contiguous(memory_format=torch.channels_last)
    weight, bias = torch.randn(4, channels, 1, 1).contiguous(memory_format=torch.channels_last), torch.randn(4)
    y = pointwise(x, weight, bias)
    assert torch.allclose(y, F.conv2d(x, weight, bias), atol=1e-6)
    assert y.is_contiguous(memory_format=torch.channels_last)


def test_minibatch_stddev_in_several_maps() -> None:
    layer, x = MinibatchStddev(4, maps=2), torch.ones(8, 4, 2, 2)
    x[4, 2:] = 5.0  # of group 0, in the second half of the channels
    found = layer(x)
    assert found.shape == (8, 6, 2, 2)
    assert (
        found[0, 5, 0, 0] == pytest.approx(3**0.5, rel=1e-3) and found[0, 4].max() < 1e-3 and found[1, 4:].max() < 1e-3
    )
    y = torch.randn(8, 4, 2, 2)
    assert torch.allclose(layer(y)[:, 4:].mean(1), MinibatchStddev(4)(y)[:, 4])
