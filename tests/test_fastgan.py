"""FastGAN: both sizes, the decoders, excitation, fixed noise in eval mode."""

import pytest
import torch

from ganloom.core.errors import BadInput
from ganloom.networks import fastgan as networks
from ganloom.nn.layers import Noise, SkipExcitation
from ganloom.recipes import fastgan


def build(size: int, width: int = 64) -> fastgan.FastGAN:
    with torch.device("meta"):
        return fastgan.FastGAN(fastgan.Config((3, size, size), width=width))


def test_layout_at_256() -> None:
    """The authors' code: excitation 4 to 64, 8 to 128, 16 to 256; small images of 128; 5 x 5 patches at both sizes."""
    gan = build(256)
    assert len(gan.G.skips) == 3 and gan.G.gap == 4 and len(gan.D.skips) == 3 and gan.D.gap == 3
    assert [s.main[3].in_channels for s in gan.G.skips] == [128, 64, 32]
    assert [level.main[0].out_channels for level in gan.D.levels] == [32, 64, 128, 256, 512]
    fake = gan.G(torch.empty(2, 256, device="meta"), both=True)
    assert fake.x.shape == (2, 3, 256, 256) and fake.small.shape == (2, 3, 128, 128)
    judged = gan.D(fake.x, small=fake.small, part=torch.zeros(2, dtype=torch.long, device="meta"), full=True)
    assert judged.logits.shape == (2, 50)
    assert judged.whole.shape == judged.small.shape == judged.part.shape == (2, 3, 128, 128)


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 64, 48), (2, 17, 33), (1, 8, 8), (4, 5, 9)])
def test_any_size(shape: tuple[int, int, int]) -> None:
    gan = fastgan.FastGAN(fastgan.Config(shape, z_dim=6, width=8))
    fake = gan.G(gan.z(4), both=True)
    judged = gan.D(fake.x, small=fake.small, part=torch.arange(4), full=True)
    assert fake.x.shape == (4, *shape) and fake.small.shape[2:] == networks.small_size(*shape[1:])
    assert judged.logits.dim() == 2 and gan.D(fake.x).shape == (4,)


def test_decoders_learn_to_repaint() -> None:
    torch.manual_seed(0)
    gan = fastgan.FastGAN(fastgan.Config((1, 16, 16), z_dim=6, width=8, policy=()))
    x = (torch.rand(8, 1, 2, 2) * 2 - 1).repeat_interleave(8, 2).repeat_interleave(8, 3)
    batch = fastgan.Batch(x)
    optimizer = torch.optim.Adam(gan.D.parameters(), 3e-3)
    losses = []
    for _ in range(40):
        loss = gan.d_loss(batch)["recon"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_quarter() -> None:
    x = torch.arange(36.0).view(1, 1, 6, 6).expand(4, -1, -1, -1)
    q = networks.quarter(x, torch.arange(4))
    assert q[:, 0, 0, 0].tolist() == [0, 3, 18, 21] and q.shape == (4, 1, 3, 3)


def test_excitation_and_noise() -> None:
    coarse, fine = torch.randn(2, 3, 7, 5), torch.randn(2, 6, 28, 20)
    weights = SkipExcitation(3, 6)(coarse, fine) / fine
    torch.testing.assert_close(weights, weights[:, :, :1, :1].expand_as(weights), atol=1e-4, rtol=1e-3)
    assert 0 < float(weights.min().detach()) and float(weights.max().detach()) < 1
    layer, x = Noise(4, 4), torch.zeros(3, 2, 4, 4)
    assert torch.equal(layer(x), x)
    with torch.no_grad():
        layer.weight.fill_(1.0)
    assert not torch.equal(layer(x), layer(x))
    layer.eval()
    assert torch.equal(layer(x), layer(x)) and torch.equal(layer(x)[0, 0], layer(x)[2, 1])


def test_d_has_a_width_of_its_own() -> None:
    same, wider = (fastgan.FastGAN(fastgan.Config((1, 28, 28), z_dim=8, width=2, d_width=d)) for d in (None, 4))
    assert wider.G.out.in_channels == same.G.out.in_channels
    assert wider.D.out[0].in_channels == 2 * same.D.out[0].in_channels
    assert wider.D(wider.generate(2)).shape == (2,)


def test_bad_fields_are_named() -> None:
    with pytest.raises(BadInput, match="--policy"):
        fastgan.Config(policy=("color",))
    with pytest.raises(BadInput, match="--recon"):
        fastgan.Config(recon=-1.0)
