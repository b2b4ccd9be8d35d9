"""StyleGAN: sizes of the published networks, growth from 8 x 8, what a window trains, AdaIN written out."""

import math

import pytest
import torch
import torch.nn.functional as F

from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.networks import stylegan as networks
from ganloom.networks.progressive import Blur
from ganloom.recipes import stylegan
from ganloom.training.trainer import TrainConfig, Trainer


def build(size: int = 32, **changes: object) -> stylegan.StyleGAN:
    torch.manual_seed(0)
    fields = {"shape": (1, size, size), "z_dim": 6, "width": 8, "batch_size": 4, "most_batch": 8, "stage_kimg": 0.04}
    return stylegan.StyleGAN(stylegan.Config(**(fields | changes)))


def test_parameters_at_1024_px() -> None:
    """G has 26.2 M (Karras et al. 2018, sec. 2.1), D 23.1 M as in ProGAN."""
    with torch.device("meta"):
        gan = stylegan.StyleGAN(stylegan.Config(shape=(3, 1024, 1024)))
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert (count(gan.G), count(gan.D)) == (26_219_627, 23_087_249)
    assert gan.G.synthesis.n_layers == 18


def test_a_layer_written_out() -> None:
    torch.manual_seed(0)
    layer = networks.Layer(torch.nn.Identity(), 3, 5, (4, 6))
    with torch.no_grad():
        layer.strength.normal_()
        layer.bias.normal_()
    x, w = torch.randn(2, 3, 4, 6), torch.randn(2, 5)
    y = F.leaky_relu(x + layer.noise * layer.strength[:, None, None] + layer.bias[:, None, None], 0.2)
    y = (y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), keepdim=True, unbiased=False) + 1e-5).sqrt()
    style = w @ layer.norm.style.weight.t() / math.sqrt(5)
    y = y * (1 + style[:, :3, None, None]) + style[:, 3:, None, None]
    torch.testing.assert_close(layer(x, w, "const"), y, atol=1e-5, rtol=1e-5)
    kernel = torch.outer(torch.tensor([1.0, 2, 1]), torch.tensor([1.0, 2, 1])) / 16
    soft = F.conv2d(x, kernel.expand(3, 1, 3, 3), padding=1, groups=3)
    torch.testing.assert_close(Blur()(x), soft)


@pytest.mark.parametrize(("kimg", "level"), [(0, 1), (0.04, 1), (0.06, 1.5), (0.08, 2), (0.14, 2.5), (0.16, 3), (9, 3)])
def test_it_grows_from_8_x_8(kimg: float, level: float) -> None:
    gan = build()
    gan.kimg = kimg
    assert gan.level == pytest.approx(level) and gan.windows()[-1][0][0] == pytest.approx(0.16)
    x = gan.generate(2)
    cells = 4 << math.ceil(level)
    blocks = x.unflatten(3, (cells, -1)).unflatten(2, (cells, -1))
    assert x.shape == (2, 1, 32, 32) and (blocks == blocks[:, :, :, :1, :, :1]).all()


def test_growing_is_continuous() -> None:
    gan, ws, x = build(), torch.randn(2, 8, 6), torch.randn(4, 1, 32, 32)
    for level in (1, 2):
        for near, at in ((level + 1e-5, level), (level + 1 - 1e-5, level + 1)):
            near_x, at_x = gan.G.synthesis(ws, "none", near), gan.G.synthesis(ws, "none", at)
            torch.testing.assert_close(near_x, at_x, atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(gan.D(x, None, near), gan.D(x, None, at), atol=1e-3, rtol=1e-3)


def test_windows_train_the_mapping_and_what_is_in_use() -> None:
    run = Trainer(build(), testing.make_data((1, 32, 32)), TrainConfig())
    before = {n: p.detach().clone() for n, p in run.gan.named_parameters()}
    while run.nimg < 40:
        run.train_step()
    moved = {n for n, p in run.gan.named_parameters() if not torch.equal(p, before[n])}
    assert any(n.startswith("G.mapping") for n in moved) and any("levels.1" in n for n in moved)
    assert not any("levels.2" in n or "levels.3" in n or "rgb.0" in n for n in moved)
    assert float(run.gan.G.mapping.w_mean.abs().sum()) > 0
    while run.nimg < 170:
        run.train_step()
    moved = {n for n, p in run.gan.named_parameters() if not torch.equal(p, before[n])}
    assert any("G.synthesis.levels.3" in n for n in moved) and "D.rgb.3.0.bias" in moved


@pytest.mark.parametrize("wrong", [{"mixing": -0.1}, {"gamma": -1.0}, {"stage_kimg": 0.0}, {"layers": 0}, {"full": -1}])
def test_bad_fields_are_one_line(wrong: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="--" + next(iter(wrong)).replace("_", "-")):
        stylegan.Config(**wrong)
