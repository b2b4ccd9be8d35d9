"""Networks at the papers' sizes have the papers' number of parameters (built without memory, on the meta device)."""

import torch

from ganloom.recipes import progan, sagan, sngan


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
