"""Networks at the papers' sizes have the papers' number of parameters (built without memory, on the meta device)."""

from types import ModuleType
from typing import Any

import pytest
import torch

from ganloom.recipes import (
    acgan,
    biggan,
    cgan,
    cnn_gan,
    dcgan,
    dragan,
    ebgan,
    lsgan,
    progan,
    relativistic,
    sagan,
    sngan,
    stylegan,
    unrolled,
    wgan,
    wgan_gp,
)


def count(network: torch.nn.Module) -> int:
    return sum(p.numel() for p in network.parameters())


def model(module, **changes):
    with torch.device("meta"):
        return module.MODEL(module.Config(**changes))


def test_sngan_32() -> None:
    """Layer by layer from table 4 of the paper; the generator is also what torch-mimicry's SNGAN-32 has."""
    gan = model(sngan)
    block = 2 * (2 * 256) + 2 * (256 * 256 * 9 + 256) + (256 * 256 + 256)
    assert count(gan.G) == 128 * 4096 + 4096 + 3 * block + 512 + (256 * 3 * 9 + 3) == 4_276_739
    first = (3 * 128 * 9 + 128) + (128 * 128 * 9 + 128) + (3 * 128 + 128)
    plain = 2 * (128 * 128 * 9 + 128)
    assert count(gan.D) == first + (plain + 128 * 128 + 128) + 2 * plain + 129 == 1_053_825
    labelled = model(sngan, n_classes=10)
    assert count(labelled.G) - count(gan.G) == 9 * 6 * 2 * 256 and count(labelled.D) - count(gan.D) == 10 * 128


def test_sagan_128() -> None:
    gan = model(sagan, n_classes=1000)
    assert gan.G.attention.query.in_channels == 256 and gan.D.attention.query.in_channels == 128  # the 32 x 32 grids
    assert [b.conv1.out_channels for b in gan.G.blocks] == [1024, 512, 256, 128, 64]
    assert gan.G.base == (1024, 4, 4) and len(gan.D.blocks) == 6


def test_progan_1024() -> None:
    """Tables 2 and 3 of the paper: 23.1 M each, with one layer to and from colours."""
    gan = model(progan, shape=(3, 1024, 1024))
    for network in (gan.G, gan.D):
        assert round((count(network) - sum(count(rgb) for rgb in network.rgb[:-1])) / 1e6, 1) == 23.1
    assert [tuple(rgb.weight.shape)[1] for rgb in gan.G.rgb] == [512, 512, 512, 512, 256, 128, 64, 32, 16]


def test_biggan_128() -> None:
    """Table 1 and table 11 of the paper: 70.4 M and 88.0 M; BigGAN-deep 50.4 M and 34.6 M."""
    gan = model(biggan, n_classes=1000)
    assert count(gan.G) == 70_433_988 and count(gan.D) == 87_982_370
    assert [round(count(net) / 1e6, 1) for net in (gan.G, gan.D)] == [70.4, 88.0]
    deep = model(biggan, n_classes=1000, deep=True, z_dim=128, width=128)
    # The paper's figure fits a last layer of ``width`` outputs, of which 3 are used, as in the released weights.
    unused = (128 - 3) * (128 * 9 + 1)
    assert [round(n / 1e6, 1) for n in (count(deep.G) + unused, count(deep.D))] == [50.4, 34.6]
    for one in (gan, deep):  # attention on the 64 x 64 grids
        assert one.G.body.attention.query.in_channels == 2 * one.cfg.width
    assert gan.D.attention.query.in_channels == 96 and deep.D.attention.query.in_channels == 256
    assert gan.G.body.sizes == [20] * 6


@pytest.mark.parametrize(
    ("recipe", "more"),
    [
        *((module, {}) for module in (acgan, biggan, cgan, cnn_gan, dcgan, dragan, ebgan, lsgan)),
        *((module, {}) for module in (relativistic, sagan, sngan, unrolled, wgan, wgan_gp)),
        *((module, {"body": "dcgan"}) for module in (lsgan, wgan_gp)),
        *((module, {"n_classes": 3, "attention": 14}) for module in (sagan, biggan)),
    ],
)
def test_a_smaller_base_grid_gives_28_px_a_third_doubling(recipe: ModuleType, more: dict[str, Any]) -> None:
    torch.manual_seed(0)
    for smallest, side in ((4, 7), (3, 4)):
        gan = recipe.MODEL(recipe.Config(shape=(1, 28, 28), width=8, smallest=smallest, **more))
        assert (gan.G.body if recipe is biggan else gan.G).base[1:] == (side, side)
        labels = torch.tensor([0, 1]) if getattr(gan.cfg, "n_classes", 0) else None
        images = gan.sample(gan.z(2), labels)
        assert images.shape == (2, 1, 28, 28)
        output = gan.D(images, labels)
        assert gan.logits_of(output).shape == (2,)


@pytest.mark.parametrize("recipe", [progan, stylegan])
def test_full_sets_where_the_channels_begin_to_be_halved(recipe: ModuleType) -> None:
    torch.manual_seed(0)
    for full, widths in ((3, [16, 16, 16]), (1, [16, 16, 8]), (0, [16, 8, 4])):
        gan = recipe.MODEL(recipe.Config(shape=(1, 28, 28), z_dim=8, width=16, full=full))
        rgb = gan.G.rgb if recipe is progan else gan.G.synthesis.rgb
        assert [layer.in_channels for layer in rgb] == widths
        assert [layers[0].out_channels for layers in gan.D.rgb] == widths
        images = gan.sample(gan.z(2))
        assert images.shape == (2, 1, 28, 28) and gan.D(images).shape == (2,)
