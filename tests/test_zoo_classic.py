"""The classic recipes: what each paper adds, against its own words, closed forms and counts."""

import dataclasses
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ganloom import penalties, testing
from ganloom.core.batch import Batch
from ganloom.core.errors import BadInput
from ganloom.losses import least_squares_coded
from ganloom.networks import autoencoder
from ganloom.nn.layers import crop
from ganloom.recipes import acgan, began, cnn_gan, ebgan, infogan, lsgan, relativistic, unrolled, wgan
from ganloom.training.trainer import TrainConfig, Trainer


def batch_of(gan: Any, n: int = 8, **kwargs: Any) -> Batch:
    return Batch(torch.rand(n, *gan.cfg.shape) * 2 - 1, **kwargs)


class Call(nn.Module):
    """A function as a network."""

    def __init__(self, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


def convolutions(network: nn.Module) -> list[tuple[int, int, int, int]]:
    """(inputs, outputs, kernel, stride) of each convolution, in order."""
    found = [m for m in network.modules() if isinstance(m, nn.Conv2d | nn.ConvTranspose2d)]
    return [(m.in_channels, m.out_channels, m.kernel_size[0], m.stride[0]) for m in found]


# --------------------------------------------------------------------------------------------------------------- cgan


@pytest.mark.parametrize("phase", ["d_loss", "g_loss"])
def test_cgan_draws_the_labels_of_fakes_evenly(phase: str) -> None:
    """Whatever the labels of the batch are; D gets each fake with the label that G made it from."""
    gan = testing.build("cgan")
    classes, to_g, to_d = gan.cfg.n_classes, [], []
    gan.G.register_forward_pre_hook(lambda module, args: to_g.append(args[1]))
    gan.D.register_forward_pre_hook(lambda module, args: to_d.append(args[1]))
    batch = batch_of(gan, 900, c=torch.zeros(900, dtype=torch.int64))
    torch.manual_seed(0)
    getattr(gan, phase)(batch)
    (labels,) = to_g
    torch.manual_seed(0)
    assert torch.equal(labels, gan.c(900))
    assert torch.equal(to_d[-1], labels)
    assert phase == "g_loss" or torch.equal(to_d[0], batch.c)
    share = labels.bincount(minlength=classes) / 900
    assert float((share - 1 / classes).abs().max()) < 4 * (1 / classes / 900) ** 0.5


# ------------------------------------------------------------------------------------------------------ least squares


@pytest.mark.parametrize("codes", [(0.0, 1.0, 1.0), (-1.0, 1.0, 0.0)])
def test_least_squares_codes(codes: tuple[float, float, float]) -> None:
    a, b, c = codes
    loss = least_squares_coded(a, b, c)
    real, fake = torch.tensor([2.0, 0.0]), torch.tensor([0.5, 3.0])
    assert loss.d(real, fake).item() == pytest.approx(((2 - b) ** 2 + b**2) / 4 + ((0.5 - a) ** 2 + (3 - a) ** 2) / 4)
    assert loss.g(None, fake).item() == pytest.approx(((0.5 - c) ** 2 + (3 - c) ** 2) / 4)
    level = torch.full((8,), (a + b) / 2)
    assert (loss.d(level, level).item(), loss.g(None, level).item()) == pytest.approx(loss.equilibrium)


def test_lsgan_has_the_layers_of_figure_3() -> None:
    gan = lsgan.LSGAN(lsgan.Config())
    assert gan.G.project.in_features == 1024 and gan.G.base == (256, 7, 7)
    assert convolutions(gan.G) == [
        (256, 256, 5, 2), (256, 256, 5, 1), (256, 256, 5, 2), (256, 256, 5, 1),
        (256, 128, 5, 2), (128, 64, 5, 2), (64, 3, 5, 1),
    ]  # fmt: skip
    assert convolutions(gan.D) == [(3, 64, 5, 2), (64, 128, 5, 2), (128, 256, 5, 2), (256, 512, 5, 2)]
    assert gan.D.out.in_features == 512 * 7 * 7


# --------------------------------------------------------------------------------------------------------------- wgan


def test_the_critics_updates_follow_the_authors_program() -> None:
    """8 updates in each of the first 3 steps and in every 5th, 3 in the others; each weight clipped after each."""
    gan = testing.build("wgan", n_critic=3)
    made: list[str] = []
    after = gan.after_update

    def count(phase: Any) -> None:
        after(phase)
        made.append(phase.net)
        if phase.net == "D":
            assert all(float(p.abs().max()) <= gan.cfg.clip for p in gan.D.parameters())

    gan.after_update = count  # type: ignore[method-assign]
    run = Trainer(gan, testing.make_data(), TrainConfig())
    counts, draws = [], []
    for _ in range(12):
        drawn = run.draws
        made.clear()
        run.train_step()
        counts.append(made.count("D"))
        draws.append(run.draws - drawn)
        assert made[-1] == "G" and made.count("G") == 1
    assert counts == [8, 8, 8, 3, 3, 8, 3, 3, 3, 3, 8, 3]
    assert draws == [c - (c > 3) for c in counts]  # the departure that the file names
    for optimizer in run.optimizers.values():  # no gain and no shortened steps for the rare phase
        assert all(group["lr"] == 5e-5 for group in optimizer.param_groups)
    assert all(gain == 1.0 for gain in run.windows.gains.values())


def test_wgans_default_is_the_papers() -> None:
    gan = wgan.WGAN(wgan.Config())
    first, warm, later, g = gan.phases()
    assert (first.repeat, warm.repeat, later.repeat, later.lazy) == (5, 95, 95, 500)
    assert warm.kimg == (0.0, 25 * 99 * 64 / 1000) and later.kimg[0] == warm.kimg[1] and g.net == "G"
    plain = wgan.WGAN(wgan.Config(warm_steps=0))
    assert [(p.net, p.repeat) for p in plain.phases()] == [("D", 5), ("G", 1)]
    with pytest.raises(BadInput, match="--warm-critic"):
        wgan.Config(warm_critic=5)


# ------------------------------------------------------------------------------------------------- penalties, pairings


def test_dragan_goes_around_the_data_and_not_to_the_fakes() -> None:
    """A critic with slope 1 near the data and another slope elsewhere has no penalty."""
    gan = testing.build("dragan", gp_weight=10.0)
    gan.D = Call(lambda x: torch.where(x.flatten(1)[:, 0] > 0, x.flatten(1)[:, 0], 7 * x.flatten(1)[:, 0]))
    real = torch.rand(8, 1, 16, 16) * 0.5 + 0.5
    gan.G = Call(lambda z: -torch.ones(len(z), 1, 16, 16))
    assert gan.d_loss(Batch(real))["gp"].item() == pytest.approx(0.0, abs=1e-6)
    assert gan.d_loss(Batch(-real - 1))["gp"].item() == pytest.approx(360.0, rel=1e-4)


@pytest.mark.parametrize("pairing", ["average", "paired"])
def test_relativistic_losses_know_only_differences(pairing: str) -> None:
    gan = testing.build("relativistic", pairing=pairing)
    shift = [0.0]
    inner = gan.D

    class Shifted(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            out: Tensor = inner(x) + shift[0]
            return out

    gan.D = Shifted()
    batch = batch_of(gan)
    values = []
    for shift[0] in (0.0, 3.0):
        torch.manual_seed(0)
        values.append((gan.d_loss(batch)["adv"].item(), gan.g_loss(batch)["adv"].item()))
    assert values[0] == pytest.approx(values[1], rel=1e-4)


def test_relativistic_with_r1_and_r2_has_no_batchnorm_in_d() -> None:
    plain, r3 = testing.build("relativistic"), testing.build("relativistic", pairing="paired", gamma=2.0)
    norms = lambda net: [m for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms(plain.D) and not norms(r3.D)
    terms = r3.d_loss(batch_of(r3))
    assert set(terms) >= {"r1", "r2"} and "r1" not in plain.d_loss(batch_of(plain))
    assert relativistic.Config().pairing == "average"


# ------------------------------------------------------------------------------------------------- tutorials, classes


def test_the_tutorials_network() -> None:
    """Layers and counts that the page prints: G 2,330,944 + 1 with BatchNorm's running numbers, D 212,865."""
    gan = cnn_gan.CNNGAN(cnn_gan.Config())
    assert convolutions(gan.G) == [(256, 128, 5, 1), (128, 64, 5, 2), (64, 1, 5, 2)] and gan.G.base == (256, 7, 7)
    assert convolutions(gan.D) == [(1, 64, 5, 2), (64, 128, 5, 2)]
    running = sum(b.numel() for n, b in gan.G.named_buffers() if n.endswith(("running_mean", "running_var")))
    assert sum(p.numel() for p in gan.G.parameters()) + running == 2_330_944 + 1  # ours has a bias at the end
    assert sum(p.numel() for p in gan.D.parameters()) == 212_865
    assert not [m for m in cnn_gan.CNNGAN(cnn_gan.Config(norm=False)).G.modules() if "BatchNorm" in type(m).__name__]


def test_acgan_has_the_layers_of_table_2() -> None:
    gan = acgan.ACGAN(acgan.Config())
    assert gan.G.project.in_features == 110 and gan.G.base == (384, 4, 4)
    assert convolutions(gan.G) == [(384, 192, 5, 2), (192, 96, 5, 2), (96, 3, 5, 2)]
    strides = [(c[1], c[3]) for c in convolutions(gan.D)]
    assert strides == [(16, 2), (32, 1), (64, 2), (128, 1), (256, 2), (512, 1)]
    assert gan.D.source.in_features == gan.D.classes.in_features == 512 * 4 * 4
    with pytest.raises(BadInput, match="at least 2 classes"):
        acgan.Config(n_classes=0)


def test_acgans_class_loss() -> None:
    """A D that is certain of the right class on reals and knows nothing of fakes pays ln(classes)."""
    gan = testing.build("acgan")
    c = torch.tensor([0, 1, 2] * 2)
    real = torch.zeros(6, 1, 16, 16)

    class Known(nn.Module):
        def forward(self, x: Tensor, classes: bool = False) -> tuple[Tensor, Tensor]:
            sure = 50 * torch.eye(3)[c] if torch.equal(x, real) else torch.zeros(len(x), 3)
            return torch.zeros(len(x)), sure

    gan.D = Known()
    terms = gan.d_loss(Batch(real, c))
    assert terms["class"].item() == pytest.approx(math.log(3), rel=1e-4)
    assert terms["adv"].item() == pytest.approx(2 * math.log(2)) and terms["accuracy_real"].item() == 1.0
    assert gan.g_loss(Batch(real, c))["class"].item() == pytest.approx(math.log(3), rel=1e-4)


# ------------------------------------------------------------------------------------------------------------ infogan


def test_infogans_networks_and_latents() -> None:
    gan = infogan.InfoGAN(infogan.Config())
    z = gan.z(200)
    noise, hot, codes = z.split([62, 10, 2], 1)
    assert z.shape == (200, 74) and set(hot.sum(1).tolist()) == {1.0} and (hot.sum(0) > 5).all()
    assert noise.abs().max() <= 1 and codes.abs().max() <= 1 and codes.std().item() == pytest.approx(3**-0.5, abs=0.1)
    assert convolutions(gan.G) == [(128, 64, 4, 2), (64, 1, 4, 2)] and gan.G.base == (128, 7, 7)
    assert convolutions(gan.D) == [(1, 64, 4, 2), (64, 128, 4, 2)]
    dense = [(m.in_features, m.out_features) for m in gan.D.modules() if isinstance(m, nn.Linear)]
    assert dense == [(128 * 49, 1024), (1024, 1), (1024, 128), (128, 12)]


def test_infogans_bound_by_hand() -> None:
    gan = infogan.InfoGAN(dataclasses.replace(infogan.Config(), z_dim=1, categories=(2,), continuous=2, width=2))
    z = torch.tensor([[0.3, 1.0, 0.0, 0.5, -1.0]])
    q = torch.tensor([[2.0, 0.0, 0.0, 1.0]])
    terms = gan._information(z, q)
    assert terms["category"].item() == pytest.approx(math.log(1 + math.exp(-2)))
    assert terms["continuous"].item() == pytest.approx((0.25 + 4) / 2)
    moved = gan.coded(z, category=1, continuous=(0.0, 0.25))
    assert moved[0].tolist() == pytest.approx([0.3, 0.0, 1.0, 0.0, 0.25]) and z[0, 1] == 1
    shorter = gan.sample(torch.cat([z, moved]), truncation=0.0)
    assert shorter.shape == (2, 1, 28, 28)


def test_infogan_q_learns_in_ds_step_and_reaches_g() -> None:
    gan = testing.build("infogan")
    batch = batch_of(gan)
    terms = gan.d_loss(batch)
    of_q = torch.autograd.grad(terms["category"] + terms["continuous"], gan.D.features[0].weight, retain_graph=True)
    assert of_q[0].abs().sum() > 0  # the trunk is shared
    terms = gan.g_loss(batch)
    for name in ("category", "continuous"):
        (grad,) = torch.autograd.grad(terms[name], gan.G.start[0].weight, retain_graph=True)
        assert grad.abs().sum() > 0
    with pytest.raises(BadInput, match="--categories"):
        infogan.Config(categories=(1,))


# ----------------------------------------------------------------------------------------------------------- unrolled


class Point(nn.Module):
    """Dirac-GAN's generator: all samples at one place."""

    def __init__(self, at: float) -> None:
        super().__init__()
        self.at = nn.Parameter(torch.tensor(at))

    def forward(self, z: Tensor) -> Tensor:
        return self.at.expand(len(z), 1)


class Slope(nn.Module):
    """Dirac-GAN's discriminator: psi x."""

    def __init__(self, psi: float) -> None:
        super().__init__()
        self.psi = nn.Parameter(torch.tensor(psi))

    def forward(self, x: Tensor) -> Tensor:
        return self.psi * x.flatten()


def dirac(theta: float = 1.0, psi: float = 0.5, **changes: Any) -> unrolled.Unrolled:
    gan = unrolled.Unrolled(unrolled.Config(shape=(1,), z_dim=1, inner_lr=0.3, **changes))
    gan.G, gan.D = Point(theta), Slope(psi)
    return gan


def g_gradient(gan: unrolled.Unrolled) -> float:
    loss = gan.g_loss(Batch(torch.zeros(4, 1)))["adv"]
    (grad,) = torch.autograd.grad(loss, gan.G.at)
    return float(grad)


@pytest.mark.parametrize("steps", [0, 1, 3])
@pytest.mark.parametrize("second_order", [True, False])
@pytest.mark.parametrize("form", ["minimax", "nonsaturating"])
def test_unrolled_gradient_on_a_dirac(steps: int, second_order: bool, form: str) -> None:
    """Real mass at 0, fakes at theta, D = psi x: f = -ln 2 - softplus(theta psi), and psi's steps are known."""
    sigmoid = lambda t: 1 / (1 + math.exp(-t))

    def unroll(theta: float, at: float) -> float:
        psi = 0.5
        for _ in range(steps):
            psi -= 0.3 * at * sigmoid(at * psi)
        return psi

    def objective(theta: float, at: float) -> float:
        inner = unroll(theta, at) * theta
        return -math.log1p(math.exp(inner)) if form == "minimax" else math.log1p(math.exp(-inner))

    h = 1e-5
    moved = lambda t: objective(t, t if second_order else 1.0)
    expected = (moved(1 + h) - moved(1 - h)) / (2 * h)
    found = g_gradient(dirac(steps=steps, second_order=second_order, g_loss=form))
    assert found == pytest.approx(expected, rel=1e-3)


def test_second_order_differs_from_first_order() -> None:
    both = {"steps": 3, "g_loss": "minimax"}
    full, first = g_gradient(dirac(**both)), g_gradient(dirac(**both, second_order=False))
    # Theory: d theta psi_K = psi_K + theta dpsi_K/dtheta, and psi answers a move of theta against it.
    assert abs(full - first) > 0.05 and full > first


@pytest.mark.parametrize("inner", ["sgd", "adam"])
def test_nothing_leaks_out_of_the_inner_steps(inner: str) -> None:
    gan = testing.build("unrolled", inner=inner, inner_lr=0.1, steps=3)
    gan.train()
    before = {name: value.clone() for name, value in gan.D.state_dict().items()}
    batch = batch_of(gan)
    gan.g_loss(batch)["adv"].backward()
    assert all(torch.equal(value, before[name]) for name, value in gan.D.state_dict().items())
    assert all(p.grad is None for p in gan.D.parameters())
    assert all(p.grad is not None and p.grad.isfinite().all() for p in gan.G.parameters())
    fake = gan.G(gan.z(8))
    moved = gan.unroll(batch.x, fake)
    assert all(not torch.equal(moved[name], p) for name, p in gan.D.named_parameters())


def test_unrolling_makes_d_better() -> None:
    gan = testing.build("unrolled", steps=5, inner_lr=0.05)
    batch, fake = batch_of(gan), gan.G(gan.z(8)).detach()
    loss = lambda weights: unrolled.minimax.d(gan._with(weights, batch.x).flat, gan._with(weights, fake).flat).item()
    assert loss(gan.unroll(batch.x, fake)) < loss(dict(gan.D.named_parameters())) - 0.01


def test_unrolled_takes_points(tmp_path: Path) -> None:
    gan = unrolled.Unrolled(unrolled.Config(shape=(2,)))
    linear = [(m.in_features, m.out_features) for m in gan.G.modules() if isinstance(m, nn.Linear)]
    assert linear == [(256, 128), (128, 128), (128, 2)]
    gan.g_loss(Batch(torch.randn(8, 2)))["adv"].backward()


# ---------------------------------------------------------------------------------------------------------- energies


def test_began_k_follows_the_energies() -> None:
    """k moves by lambda (gamma L(x) - L(G)), over the whole batch whatever its parts, and stays in [0, 1]."""
    gan = testing.build("began", k_rate=0.1, gamma=0.5)
    energies = {"real": 0.8, "fake": 0.2}

    class Fixed(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return -torch.full((len(x),), energies["real" if float(x.mean()) == 1 else "fake"], requires_grad=True)

    gan.D = Fixed()
    gan.G = nn.Identity()
    d, g = gan.phases()
    batch = Batch(torch.ones(6, 1, 16, 16))
    terms = gan.d_loss(batch)
    assert (terms["real"].item(), terms["fake"].item()) == pytest.approx((0.8, 0.0))
    gan.after_update(d)
    assert gan.k.item() == 0
    for part in (4, 2):
        terms = gan.g_loss(Batch(batch.x[:part]))
    assert terms["measure"].item() == pytest.approx(0.8 + abs(0.4 - 0.2))
    gan.after_update(g)
    assert gan.k.item() == pytest.approx(0.1 * (0.4 - 0.2)) and gan.sums.abs().sum() == 0
    assert gan.d_loss(batch)["fake"].item() == pytest.approx(-0.02 * 0.2)
    energies["fake"] = 30.0
    gan.g_loss(batch)
    gan.after_update(g)
    assert gan.k.item() == 0.0


def test_began_with_dcgans_networks() -> None:
    torch.manual_seed(0)
    gan = began.BEGAN(began.Config((1, 28, 28), body="dcgan", z_dim=6, width=8, smallest=3))
    x = torch.rand(4, 1, 28, 28) * 2 - 1
    with torch.no_grad():
        rebuilt = crop(gan.D.decoder(gan.D.encoder(nn.functional.pad(x, gan.D.pad))), 28, 28)
        torch.testing.assert_close(gan.D.train()(x), -(rebuilt - x).abs().mean((1, 2, 3)))
    assert gan.splits_by is None and gan.G.base[1:] == (4, 4) and gan.generate(2).shape == (2, 1, 28, 28)


def test_began_halves_the_rate() -> None:
    opt = began.Config().g_opt
    assert [opt.factor(kimg) for kimg in (0, 1599, 1601, 3300, 9999)] == pytest.approx([1, 1, 0.5, 0.25, 0.0625])


@pytest.mark.parametrize("shape", [(1, 28, 28), (3, 33, 50), (4, 5, 7), (2, 3, 3), (1, 64, 48)])
def test_autoencoders_rebuild_any_shape(shape: tuple[int, int, int]) -> None:
    x = torch.rand(2, *shape) * 2 - 1
    for net in (autoencoder.Rebuilder(shape, 5, 3), autoencoder.Rebuilder(shape, 5, 3, skip=False)):
        assert net.rebuild(x).shape == x.shape
        expected = -(net.rebuild(x) - x).abs().mean((1, 2, 3))
        torch.testing.assert_close(net(x), expected)
    energies, codes = autoencoder.ConvRebuilder(shape, 4)(x, codes=True)
    assert energies.shape == (2,) and (energies < 0).all() and len(codes) == 2


def test_ebgans_networks_and_margin() -> None:
    gan = ebgan.EBGAN(ebgan.Config())
    assert [c[1] for c in convolutions(gan.D.encoder)] == [64, 128, 256]
    assert [c[1] for c in convolutions(gan.D.decoder)] == [128, 64, 3]
    assert gan.G.base[0] == 1024 and [c[1] for c in convolutions(gan.G)] == [512, 256, 128, 3]
    assert gan.margin == 20 and ebgan.EBGAN(ebgan.Config(shape=(3, 32, 32))).margin == 10
    sd = gan.D.encoder[2].weight.std().item()
    assert sd == pytest.approx(0.002, rel=0.05)


def test_ebgans_hinge_stops_at_the_margin() -> None:
    gan = testing.build("ebgan", margin=1.0)
    gan.D = Call(lambda x: -x.flatten(1).norm(dim=1))
    far, near = torch.full((4, 1, 16, 16), 0.5), torch.full((4, 1, 16, 16), 0.025)
    for fakes, hinge in ((far, 0.0), (near, 0.6)):
        gan.G = Call(lambda z, fakes=fakes: fakes)
        terms = gan.d_loss(Batch(near))
        assert terms["fake"].item() == pytest.approx(hinge, abs=1e-6) and terms["real"].item() == pytest.approx(0.4)


def test_pulling_away() -> None:
    apart, same = torch.eye(4) * 3, torch.ones(4, 5)
    assert penalties.pulling_away(apart).item() == pytest.approx(0.0)
    assert penalties.pulling_away(same).item() == pytest.approx(1.0)
    assert penalties.pulling_away(-same).item() == pytest.approx(1.0)
    pair = torch.tensor([[1.0, 0.0], [3.0, 4.0]])
    assert penalties.pulling_away(pair).item() == pytest.approx(0.36)


# ---------------------------------------------------------------------------------------------------- conditional GAN


@pytest.mark.parametrize("g_condition", ["concat", "norm"])
@pytest.mark.parametrize("d_condition", ["concat", "projection"])
def test_cgan_conditions(g_condition: str, d_condition: str, tmp_path: Path) -> None:
    """Each way of conditioning keeps the suite, and the label matters in both networks."""

    def make(shape: tuple[int, ...], classes: int) -> Any:
        return testing.build("cgan", shape, g_condition=g_condition, d_condition=d_condition, n_classes=classes)

    for check in ("shapes", "phases", "resume", "generate", "storage"):
        (tmp_path / check).mkdir()
        testing.CHECKS[check](make, tmp_path / check)
    gan = make((1, 16, 16), 3)
    z, c = torch.randn(6, 6), torch.tensor([0, 1, 2] * 2)
    gan.G(z, c), gan.eval()
    assert not torch.allclose(gan.G(z, c), gan.G(z, c.flip(0)))
    x = torch.randn(6, 1, 16, 16)
    assert not torch.equal(gan.D(x, c), gan.D(x, c.flip(0)))


def test_projection_is_linear_in_the_features() -> None:
    gan = testing.build("cgan", d_condition="projection").eval()
    x, zero = torch.randn(4, 1, 16, 16), torch.zeros(4, dtype=torch.int64)
    plain = gan.D.out(gan.D.body(x).flatten(1)).flatten()
    h = gan.D.body(x).sum((2, 3))
    expected = plain + h @ gan.D.classes.weight[:, 0]
    torch.testing.assert_close(gan.D(x, zero), expected)
    assert next(gan.D.body.parameters()).shape[1] == 1  # no maps beside the image
    with pytest.raises(BadInput, match="--body conv"):
        testing.build("cgan", body="dense", d_condition="projection")
