"""StyleGAN2's layers against their definitions, w's mean, truncation, mixing, noise, presets, the two lazy penalties."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.networks import stylegan2 as stylegan2_nets
from ganloom.networks.equalised import Conv, Dense
from ganloom.nn.layers import Fir
from ganloom.recipes import stylegan2
from ganloom.recipes.base import style_based
from ganloom.training import optimizers
from ganloom.training.trainer import TrainConfig, Trainer


def upfirdn(x: Tensor, up: int, down: int, before: int, after: int, gain: float) -> Tensor:
    """The definition: zeros put between the pixels, the border padded, filtered, every so many kept."""
    n, c, h, w = x.shape
    stuffed = torch.zeros(n, c, h * up, w * up, dtype=x.dtype)
    stuffed[:, :, ::up, ::up] = x
    padded = F.pad(stuffed, (before, after, before, after))
    row = torch.tensor([1.0, 3.0, 3.0, 1.0], dtype=x.dtype) / 8
    rows = padded.unfold(3, 4, 1) @ row.flip(0)
    both = rows.unfold(2, 4, 1) @ row.flip(0)
    return both[:, :, ::down, ::down] * gain


def test_fir_is_upfirdn() -> None:
    x, fir = torch.randn(2, 3, 6, 10), Fir()
    torch.testing.assert_close(fir.doubled(x), upfirdn(x, 2, 1, 2, 1, 4.0), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(fir.halved(x), upfirdn(x, 1, 2, 1, 1, 1.0), atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(fir(x, 2, gain=4.0), upfirdn(x, 1, 1, 2, 2, 4.0), atol=1e-6, rtol=1e-6)
    flat = torch.full((1, 1, 8, 8), 0.7)
    assert torch.allclose(fir.doubled(flat)[:, :, 2:-2, 2:-2], torch.tensor(0.7))  # brightness is kept
    assert not fir.state_dict()


@pytest.mark.parametrize("up", [False, True])
def test_modulated_is_the_grouped_form(up: bool) -> None:
    """One weight and scaled maps give what a weight of its own for each sample gives."""
    torch.manual_seed(0)
    layer = stylegan2_nets.StyledConv(5, 7, 6, (16, 16) if up else (8, 8), up, None)
    with torch.no_grad():
        layer.strength.fill_(0.3)
        layer.bias.normal_()
    x, w = torch.randn(3, 5, 8, 8), torch.randn(3, 6)
    s = layer.affine(w)
    weight = layer.weight[None] * s[:, None, :, None, None]
    weight = weight * (weight.square().sum((2, 3, 4), keepdim=True) + 1e-8).rsqrt()
    one = x.reshape(1, -1, 8, 8)
    if up:
        turned = weight.transpose(1, 2).reshape(-1, 7, 3, 3)
        y = F.conv_transpose2d(one, turned, stride=2, groups=3).view(3, 7, 17, 17)
        y = upfirdn(y, 1, 1, 1, 1, 4.0)
    else:
        y = F.conv2d(one, weight.reshape(-1, 5, 3, 3), padding=1, groups=3).view(3, 7, 8, 8)
    y = F.leaky_relu(y + 0.3 * layer.noise + layer.bias[:, None, None], 0.2) * math.sqrt(2)
    torch.testing.assert_close(layer(x, w, "const"), y, atol=1e-6, rtol=1e-5)


def test_equalised_layers_are_what_they_say() -> None:
    x, conv = torch.randn(2, 4, 8, 8), Conv(4, 6, 3, down=True, clamp=0.4)
    y = F.conv2d(upfirdn(x, 1, 1, 2, 2, 1.0), conv.weight / 6, stride=2)
    y = (F.leaky_relu(y, 0.2) * math.sqrt(2) * 0.5).clamp(-0.2, 0.2)
    torch.testing.assert_close(conv(x, 0.5), y, atol=1e-6, rtol=1e-5)
    assert float(y.detach().abs().max()) == pytest.approx(0.2)
    dense = Dense(9, 5, lr_mul=0.01, active=True)
    h = torch.randn(3, 9)
    expected = F.leaky_relu(h @ (dense.weight.t() * 0.01 / 3), 0.2) * math.sqrt(2)
    torch.testing.assert_close(dense(h), expected, atol=1e-6, rtol=1e-5)
    assert float(dense.weight.detach().std()) > 50


def build(size: int = 16, **changes: object) -> stylegan2.StyleGAN2:
    torch.manual_seed(0)
    fields = {"shape": (1, size, size), "z_dim": 6, "width": 8, "batch_size": 8} | changes
    return stylegan2.StyleGAN2(stylegan2.Config(**fields))


def test_parameters_of_config_f() -> None:
    """The published counts at 1024 px: 30.37 M in G, 29.01 M in D (Karras et al. 2019, app. B and the authors' code)."""
    with torch.device("meta"):
        gan = stylegan2.StyleGAN2(stylegan2.Config(shape=(3, 1024, 1024), preset="stylegan2"))
    count = lambda net: sum(p.numel() for p in net.parameters())
    assert (count(gan.G), count(gan.D)) == (30_370_060, 29_012_513)
    assert gan.G.synthesis.n_layers == 18


def test_truncation_and_cutoff() -> None:
    gan = build().eval()
    with torch.no_grad():
        gan.G.mapping.w_mean.normal_()
    z, mean = torch.randn(4, 6), gan.G.mapping.w_mean
    ws = gan.mapping(z)
    assert ws.shape == (4, 6, 6) and (ws == ws[:, :1]).all()
    torch.testing.assert_close(gan.mapping(z, truncation=0.3), mean + 0.3 * (ws - mean))
    part = gan.mapping(z, truncation=0.3, cutoff=2)
    torch.testing.assert_close(part[:, :2], mean + 0.3 * (ws[:, :2] - mean))
    assert torch.equal(part[:, 2:], ws[:, 2:])
    x = gan.generate(2, truncation=0.0)
    assert torch.equal(x[0], x[1]) and not torch.equal(x, gan.generate(2, truncation=0.0, cutoff=1))
    torch.testing.assert_close(gan.generate(3, seed=2), gan.synthesis(gan.mapping(gan_z(gan, 3, 2))).clamp(-1, 1))
    for wrong, said in (
        (lambda: gan.generate(1, noise="loud"), "noise"),
        (lambda: gan.generate(1, cutoff=9), "cutoff"),
    ):
        with pytest.raises(BadInput, match=said):
            wrong()


def test_truncation_pulls_towards_the_mean_of_the_label() -> None:
    gan = build(n_classes=3).eval()
    with torch.no_grad():
        gan.G.mapping.w_mean.normal_()
    z, c = torch.randn(6, 6), torch.tensor([0, 1, 2, 0, 1, 2])
    at = gan.mapping(z, c, truncation=0.0)[:, 0]
    assert torch.equal(at[:3], at[3:]) and not torch.allclose(at[0], at[1])
    many = gan.mapping(torch.randn(4000, 6), torch.zeros(4000, dtype=torch.long))[:, 0].mean(0)
    assert (at[0] - many).abs().max() < 0.15 < (at[1] - many).abs().max()
    mixed = gan.mapping(z[:1], torch.tensor([[0.5, 0.5, 0.0]]), truncation=0.0)[0, 0]
    torch.testing.assert_close(mixed, (at[0] + at[1]) / 2)
    with torch.no_grad():  # what is kept follows the weights
        gan.G.mapping.embed.weight.add_(torch.randn_like(gan.G.mapping.embed.weight))
    assert not torch.allclose(gan.mapping(z, c, truncation=0.0)[:, 0], at)
    other = build(n_classes=3, centre="all").eval()
    ws = other.mapping(z, c, truncation=0.0)
    assert torch.equal(ws, other.G.mapping.w_mean.expand_as(ws))


def gan_z(gan: stylegan2.StyleGAN2, n: int, seed: int) -> Tensor:
    return torch.cat([torch.randn(1, 6, generator=torch.Generator().manual_seed(seed + i)) for i in range(n)])


def test_noise_modes() -> None:
    gan = build().eval()
    with torch.no_grad():
        for module in gan.modules():
            if isinstance(module, stylegan2_nets.StyledConv):
                module.strength.fill_(0.5)
    ws = gan.mapping(torch.randn(1, 6)).expand(2, -1, -1)
    const, random, none = (gan.synthesis(ws, noise) for noise in style_based.NOISES)
    assert torch.allclose(const[0], const[1], atol=1e-6) and torch.allclose(none[0], none[1], atol=1e-6)
    assert not torch.allclose(random[0], random[1], atol=1e-2) and not torch.allclose(const, none, atol=1e-2)
    assert torch.equal(gan.generate(2, noise="random"), gan.generate(2, noise="random"))


def test_styles_are_mixed_from_each_samples_layer_on() -> None:
    gan = build(mixing=0.5)
    z, c, mixed = gan.z(64), None, gan.mixed(64, 6)
    other, start = mixed
    ws, w, v = gan.G.mixed_ws(z, c, mixed), gan.G.mapping(z), gan.G.mapping(other)
    for i in range(64):
        for layer in range(6):
            assert torch.allclose(ws[i, layer], (w if layer < start[i] else v)[i], atol=1e-6)
    assert set(start.tolist()) == {1, 2, 3, 4, 5, 6} and 20 <= int((start == 6).sum()) <= 44
    assert build(mixing=0.0).mixed(4, 6) is None


def test_the_mean_of_w_follows_what_was_seen() -> None:
    gan = build()
    w = gan.G.mapping(torch.randn(8, 6))
    gan.G.mapping(torch.randn(8, 6), track=False)
    gan.G.mapping.eval()(torch.randn(8, 6))
    with torch.no_grad():
        gan.G.mapping.move_mean()
        torch.testing.assert_close(gan.G.mapping.w_mean, 0.005 * w.mean(0))
        gan.G.mapping.move_mean()  # nothing was seen since
    torch.testing.assert_close(gan.G.mapping.w_mean, 0.005 * w.mean(0))


def test_path_lengths_against_finite_differences() -> None:
    """|J^T y| of one sample by moving w number by number, and the mean that follows."""
    gan = build(mixing=0.0)
    gan.G.eval()
    batch = ganloom.Batch(torch.zeros(2, 1, 16, 16))
    torch.manual_seed(3)
    terms = gan.g_reg(batch)
    torch.manual_seed(3)
    ws = gan.G.ws(gan.z(1))
    gan.G.synthesis(ws, "random")  # draws its noise
    y = gan.randn(1, 1, 16, 16) / 16
    slopes = torch.autograd.functional.jacobian(lambda v: (gan.G.synthesis(v, "none") * y).sum(), ws)
    length = float(slopes.square().sum(2).mean(1).sqrt())
    assert float(terms["length"]) == pytest.approx(length, rel=1e-4)
    assert float(terms["path_length"].detach()) == pytest.approx(2 * (0.99 * length) ** 2, rel=1e-4)
    with torch.no_grad():
        gan.after_update(gan.phases()[-1])
    assert float(gan.pl_mean) == pytest.approx(0.01 * length, rel=1e-4) and not gan.pl_sums.any()


def test_presets_and_the_rule_auto() -> None:
    with_defaults = lambda size, **more: stylegan2.with_defaults(stylegan2.Config(shape=(3, size, size), **more))
    sizes = {32: (32, 16384, 2.5e-3), 128: (32, 16384, 2.5e-3), 256: (16, 16384, 2.5e-3), 512: (8, 32768, 2.5e-3),
             1024: (4, 32768, 2e-3)}  # fmt: skip
    for size, (batch, base, lr) in sizes.items():
        cfg = with_defaults(size)
        assert (cfg.batch_size, cfg.base, cfg.g_opt.lr, cfg.layers, cfg.group) == (batch, base, lr, 2, 4)
        assert cfg.gamma == pytest.approx(2e-4 * size**2 / batch) and cfg.ema_kimg == batch * 10 / 32
    cifar = with_defaults(32, preset="cifar")
    assert (cifar.gamma, cifar.mixing, cifar.path_length, cifar.residual, cifar.group) == (0.01, 0, 0, False, 32)
    full = with_defaults(1024, preset="stylegan2", gamma=3.0)
    assert (full.gamma, full.layers, full.g_opt.lr, full.batch_size) == (3.0, 8, 2e-3, 32)
    assert stylegan2.with_defaults(full) == full
    assert len(stylegan2.StyleGAN2(stylegan2.Config(shape=(1, 16, 16), width=8, preset="cifar")).phases()) == 3
    for wrong in ({"gamma": -1.0}, {"mixing": 2.0}, {"clamp": 0.0}, {"layers": 0}):
        with pytest.raises(BadInput, match=f"--{next(iter(wrong))}"):
            stylegan2.Config(**wrong)


def test_lazy_phases_are_paced_as_in_the_paper() -> None:
    gan = build()
    run = Trainer(gan, testing.make_data(), TrainConfig())
    rates = {keyed[0]: o.param_groups[0]["lr"] for keyed, o in run.optimizers.items()}
    assert rates == pytest.approx({"D": 2.5e-3 * 16 / 17, "G": 2.5e-3 * 4 / 5})
    gains = [run.windows.gains[i] for i, _ in run.active]
    assert gains == [1, 16, 1, 4]
    assert all(isinstance(optimizers.resolve(gan, p), ganloom.gan.Adam) for p in gan.phases())


def test_labels_count() -> None:
    gan = build(n_classes=3).eval()
    z = torch.randn(3, 6)
    a, b = gan.generate(z=z, c=0), gan.generate(z=z, c=2)
    assert not torch.allclose(a, b)
    x, c = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0])
    assert gan.D(x, c).shape == (4,) and not torch.allclose(gan.D(x, c), gan.D(x, c.flip(0)))
    soft = torch.tensor([[0.5, 0.5, 0.0]]).expand(3, -1)
    assert torch.isfinite(gan.generate(z=z, c=soft)).all()


def test_bf16_stays_near(tmp_path: Path) -> None:
    from ganloom.core.precision import autocast_networks

    gan = build().eval()
    z, x = torch.randn(4, 6), torch.randn(4, 1, 16, 16)
    gan.requires_grad_(False)
    exact = gan.G(z), gan.D(x)
    for handle in autocast_networks(gan, "cpu", torch.bfloat16):
        assert handle is not None
    near = gan.G(z), gan.D(x)
    for a, b in zip(exact, near, strict=True):
        assert a.dtype == b.dtype == torch.float32
        assert 0 < float((a - b).abs().max()) < 0.1 * float(a.abs().max())


def test_it_trains_from_the_command(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28, 1), dtype=np.uint8)
    source = tmp_path / "data.npz"
    np.savez(source, images=images, labels=np.arange(60) % 3)
    run = ganloom.train("stylegan2", source, tmp_path / "run", total_kimg=0.2, width=8, z_dim=8, batch_size=8, judge=0)
    gan = ganloom.load(run.path)
    assert gan.cfg.n_classes == 3 and gan.cfg.batch_size == 8 and gan.generate(2, c=1).shape == (2, 1, 28, 28)
    assert {"G/path_length", "D/r1"} <= run.metrics[-1].keys()


def test_without_gradients_the_numbers_are_the_same() -> None:
    """What is written over its input, where no gradient is asked for, equals what is not."""
    gan = build().eval()
    with torch.no_grad():
        for module in gan.modules():
            if isinstance(module, stylegan2_nets.StyledConv):
                module.strength.fill_(0.7)
                module.bias.normal_()
    z = torch.randn(3, 6)
    slow = gan.sample(z).detach()
    with torch.no_grad():
        torch.testing.assert_close(gan.sample(z), slow, atol=2e-6, rtol=1e-5)


def test_samples_in_bf16() -> None:
    gan = build().eval()
    exact, near = gan.generate(4), gan.generate(4, precision="bf16")
    assert near.dtype == torch.float32 and not torch.equal(exact, near)
    assert (exact - near).abs().mean() < 0.03
    assert torch.equal(gan.generate(4), exact)  # nothing is left behind
    with pytest.raises(BadInput, match="float32 or bf16"):
        gan.generate(1, precision="fp8")


def test_a_bounded_generator_is_the_same_one_through_tanh() -> None:
    fields = {"shape": (1, 16, 16), "z_dim": 8, "width": 16, "batch_size": 4}
    free, bound = (stylegan2.StyleGAN2(stylegan2.Config(**fields, tanh=tanh)) for tanh in (False, True))
    bound.load_state_dict(free.state_dict())
    z = 3 * torch.randn(4, 8)
    x = free.G(z, noise="const")
    torch.testing.assert_close(bound.G(z, noise="const"), x.tanh())
    torch.testing.assert_close(bound.sample(z), x.tanh())


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 24, 40)])
def test_a_dense_base_varies_each_place_by_itself(shape: tuple[int, int, int]) -> None:
    fields = {"shape": shape, "z_dim": 8, "width": 16, "batch_size": 4}
    plain, dense = (stylegan2.StyleGAN2(stylegan2.Config(**fields, dense_base=on)) for on in (False, True))
    extra = set(dense.state_dict()) - set(plain.state_dict())
    assert extra == {"G.synthesis.place.weight", "G.synthesis.place.bias"}
    z = torch.randn(2, 8)
    for gan in (plain, dense):
        w = gan.G.mapping(z, None)
        base = gan.G.synthesis.base(w).detach()
        assert base.shape[1:] == gan.G.synthesis.const.shape and gan.G(z).shape == (2, *shape)
        assert torch.equal(base[0], base[1]) == (gan is plain)
        at_mean = gan.G.synthesis(gan.G.ws(z, truncation=0.0), "const")
        torch.testing.assert_close(at_mean[0], at_mean[1])  # the mean has no sample of its own left
    dense.G.synthesis.place.weight.data.zero_()
    dense.G.synthesis.place.bias.data.zero_()
    dense.load_state_dict(plain.state_dict(), strict=False)
    torch.testing.assert_close(dense.G(z, noise="const"), plain.G(z, noise="const"))


def test_groups_of_one_label_and_their_deviation_in_several_maps() -> None:
    fields = {"shape": (1, 16, 16), "z_dim": 8, "width": 16, "batch_size": 8}
    rng = np.random.default_rng(0)
    rows = ganloom.data.open(rng.integers(0, 256, (60, 16, 16, 1), np.uint8), labels=np.arange(60) % 3)
    gan = stylegan2.StyleGAN2(stylegan2.Config(**fields, n_classes=3, alike=True, group_maps=4))
    batch = gan.draw(rows, Rng(0, 0, 0))
    assert all(len(set(batch.c[i::2].tolist())) == 1 for i in range(2)) and gan.D.conv.weight.shape[1] == 16 + 4
    assert gan.D(batch.x, batch.c).shape == (8,)
    plain = stylegan2.StyleGAN2(stylegan2.Config(**fields, n_classes=3))
    assert torch.equal(plain.draw(rows, Rng(0, 0, 0)).x, rows.draw(8, Rng(0, 0, 0)).x)
    blind = stylegan2.StyleGAN2(stylegan2.Config(**fields, alike=True))  # its fakes would not be alike
    assert torch.equal(blind.draw(rows, Rng(0, 0, 0)).x, rows.draw(8, Rng(0, 0, 0)).x)
    with pytest.raises(BadInput, match="--group-maps must divide"):
        stylegan2.StyleGAN2(stylegan2.Config(**fields, group_maps=3))
