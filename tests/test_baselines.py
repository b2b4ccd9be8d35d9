"""The baselines: the recipes' conformance suite, and that each computes what its paper says."""

import itertools
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import ganloom
import ganloom.data
from ganloom import recipes, testing
from ganloom.baselines import BASELINES, autoregressive, ddpm, vae
from ganloom.baselines.likelihood import bits, discretised_logistic, quantise
from ganloom.core.errors import BadInput
from ganloom.training.trainer import TrainConfig, Trainer


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("baseline", list(BASELINES))
def test_baseline(baseline: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](baseline, tmp_path)


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_one_file_each_apart_from_the_recipes(baseline: str) -> None:
    module = BASELINES[baseline]
    assert recipes.find(baseline) is module and recipes.find(baseline.upper()) is module
    assert baseline not in ganloom.RECIPES
    assert set(recipes.LISTED) == {*ganloom.RECIPES, *BASELINES, *recipes.TABLES, *recipes.TEXTS}
    assert float(module.KIMG) > 0


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_a_run_can_be_trained_resumed_loaded_and_measured(baseline: str, tmp_path: Path) -> None:
    data = testing.make_data((1, 16, 16), 60)
    run = ganloom.train(baseline, data, tmp_path / "run", total_kimg=0.1, judge=0, grid=4, width=8)
    run = ganloom.resume(run.path, total_kimg=0.2)
    gan = ganloom.load(run.path)
    assert gan.cfg.n_classes == 3 and gan.kimg >= 0.2
    found = run.evaluate(n=20, k=2, features="random", intervals=False)
    assert {"generated", "noise"} <= set(found["rows"])


def test_slow_sampling_says_how_far_it_is() -> None:
    from ganloom.apps import sample

    lines: list[str] = []
    steps = sample._Steps(2, lambda what, done=0, total=0: lines.append(f"{what} {done}/{total}"))
    for _ in range(2):
        testing.build("ddpm", sampler_steps=3).generate(2, progress=steps)
    assert lines == [f"steps of sampling {i}/6" for i in range(1, 7)]


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_samples_are_written(baseline: str, tmp_path: Path) -> None:
    from ganloom.apps.sample import write_samples

    run = ganloom.train(baseline, testing.make_data(), tmp_path / "run", total_kimg=0.05, judge=0, grid=4, batch_size=8)
    assert len(write_samples(run.path, n=2, c="all").files) == 6


@pytest.mark.parametrize("shape", [(1, 4, 4), (1, 5, 7), (3, 1, 9), (4, 17, 2)])
@pytest.mark.parametrize("baseline", list(BASELINES))
def test_odd_shapes(baseline: str, shape: tuple[int, ...]) -> None:
    run = testing.trainer(baseline, shape)
    run.train_step()
    assert run.ema.generate(2).shape == (2, *shape)


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_labels_are_heard(baseline: str) -> None:
    gan = testing.build(baseline)
    assert gan.cfg.n_classes == 3
    run = testing.trainer(baseline)
    for _ in range(3):
        run.train_step()
    a, b = (run.gan.generate(4, seed=0, c=c) for c in (0, 1))
    assert not torch.equal(a, b)
    unlabelled = testing.build(baseline, n_classes=0)
    assert unlabelled.generate(2).shape == (2, 1, 16, 16)
    with pytest.raises(BadInput, match="without labels"):
        unlabelled.generate(2, c=1)


@pytest.mark.parametrize("baseline", list(BASELINES))
def test_each_learns_what_a_class_looks_like(baseline: str) -> None:
    """Grey squares, a shade a class: after some steps the loss has fallen and each class is drawn in its own shade."""
    rng = np.random.default_rng(0)
    labels = np.arange(90) % 3
    shades = (40 + 85 * labels)[:, None, None, None] + rng.integers(-15, 16, (90, 8, 8, 1))
    data = ganloom.data.open(shades.astype(np.uint8), labels=labels, shape=(1, 8, 8))
    gan = testing.build(baseline, (1, 8, 8), batch_size=16)
    run = Trainer(gan, data, TrainConfig(), ema_kimg=0.2)
    losses = []
    for _ in range(6):
        for _ in range(40):
            run.train_step()
        losses.append(run.stats.collect()["G/loss"])
    assert losses[-1] < 0.8 * losses[0], losses
    means = [float(run.ema.generate(12, seed=0, c=c).mean()) for c in range(3)]
    assert means[1] - means[0] > 0.3 and means[2] - means[1] > 0.3, means  # 0.67 in the data


# ---------------------------------------------------------------------------------------------------------- likelihood


@pytest.mark.parametrize("levels", [2, 3, 16, 256])
@pytest.mark.parametrize("log_scale", [-9.0, -5.0, -1.0, 2.0])
def test_a_discretised_logistic_is_a_distribution(levels: int, log_scale: float) -> None:
    x = torch.linspace(-1, 1, levels, dtype=torch.float64)
    for mean in (-3.0, -0.999, 0.1, 0.7, 5.0):
        args = torch.tensor(mean, dtype=torch.float64), torch.tensor(log_scale, dtype=torch.float64)
        mass = discretised_logistic(x, *args, levels)
        assert mass.exp().sum().item() == pytest.approx(1.0, abs=1e-9)
        assert bool(mass.isfinite().all()), "far tails have a log, not minus infinity"


def test_a_discretised_logistic_is_the_difference_of_sigmoids() -> None:
    x, mean, log_scale = torch.tensor(51 / 127.5 - 1), torch.tensor(-0.5), torch.tensor(-2.0)
    edges = [((x + side / 255 - mean) / log_scale.exp()).sigmoid() for side in (1, -1)]
    found = discretised_logistic(x, mean, log_scale)
    assert found.item() == pytest.approx(math.log(edges[0] - edges[1]), rel=1e-4)


def test_quantising_keeps_the_levels_and_the_ends() -> None:
    eight = torch.arange(256) / 127.5 - 1
    assert torch.allclose(quantise(eight, 256), eight, atol=1e-6)
    assert quantise(torch.tensor([-1.0, -0.6, -0.1, 0.1, 1.0]), 3).tolist() == [-1.0, -1.0, 0.0, 0.0, 1.0]
    assert bits(torch.tensor(math.log(2) * 8), 4).item() == pytest.approx(2.0)


def images(shape: tuple[int, int, int], levels: int) -> torch.Tensor:
    """Every image of that shape on so many levels."""
    values = torch.linspace(-1, 1, levels).tolist()
    every = list(itertools.product(values, repeat=math.prod(shape)))
    return torch.tensor(every).view(-1, *shape)


@pytest.mark.parametrize(("shape", "levels"), [((1, 1, 2), 2), ((1, 2, 1), 2), ((1, 3, 2), 3), ((3, 1, 2), 2)])
def test_the_autoregressive_probabilities_of_all_images_sum_to_1(shape: tuple[int, int, int], levels: int) -> None:
    torch.manual_seed(3)
    cfg = autoregressive.Config(shape=shape, n_classes=2, width=6, mixtures=3, levels=levels, dilations=(1, 2))
    model = autoregressive.Autoregressive(cfg)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.7)
    every = images(shape, levels)
    for label in (0, 1):
        c = torch.full((len(every),), label)
        p = torch.exp(-model.nats(every, c).double())
        assert p.sum().item() == pytest.approx(1.0, abs=1e-4) and p.max() < 0.999
        dims = math.prod(shape)
        assert torch.allclose(model.bits_per_dim(every, c).double(), -p.log2() / dims, atol=1e-4)


def test_autoregressive_samples_come_with_their_probabilities() -> None:
    torch.manual_seed(0)
    model = autoregressive.Autoregressive(
        autoregressive.Config(shape=(2, 1, 2), width=6, mixtures=2, levels=2, dilations=(1,))
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.6)
    every = images((2, 1, 2), 2)
    drawn = model.sample(torch.randn(20_000, 8))
    counts = (drawn[:, None] == every[None]).flatten(2).all(2).double().mean(0)
    expected = torch.exp(-model.nats(every)).detach().double()
    assert counts.sum() == 1.0
    assert torch.allclose(counts, expected, atol=4 * 0.5 / 20_000**0.5)


def test_no_pixel_sees_itself_or_what_comes_later_and_none_before_it_is_missed() -> None:
    torch.manual_seed(1)
    net = autoregressive.PixelNet(autoregressive.Config(shape=(1, 7, 6), width=8, dilations=(1, 2, 1, 2)))
    x = torch.randn(1, 1, 7, 6, requires_grad=True)
    features = net(x)
    for place in range(7 * 6):
        (gradient,) = torch.autograd.grad(features[0, :, place // 6, place % 6].sum(), x, retain_graph=True)
        seen = gradient.flatten().nonzero().flatten().tolist()
        assert all(other < place for other in seen), f"pixel {place} sees {seen}"
        near = [p for p in range(place) if place // 6 - p // 6 <= 3 and abs(place % 6 - p % 6) <= 3]
        assert set(near) <= set(seen), f"pixel {place} does not see {sorted(set(near) - set(seen))}"


def test_channels_see_the_earlier_ones_alone() -> None:
    torch.manual_seed(1)
    model = testing.build("autoregressive", (3, 4, 4))
    features, values = torch.randn(5, 16), torch.randn(5, 3)
    moved = values.clone()
    moved[:, 1] += 1
    for k, same in ((0, True), (1, True), (2, False)):
        a, b = (model.G.mixture(features, v[:, :k]).means for v in (values, moved))
        assert torch.equal(a, b) == same


def test_sampling_pixel_by_pixel_is_the_network_itself() -> None:
    """What the walk keeps from pixel to pixel gives the features of a whole pass over the image that it made."""
    torch.manual_seed(2)
    model = testing.build("autoregressive", (2, 6, 5))
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    c, z = torch.tensor([0, 2, 1]), torch.randn(3, 2 * 60)
    heard: list[tuple[int, int]] = []
    with torch.no_grad():
        x = model.sample(z, c, progress=lambda done, rows: heard.append((done, rows)))
        whole = model.G(x, c)
        walk = autoregressive.Walk(model.G, 3, 6, 5, c)
        walk.x[:, 2:, 2:-1] = x.permute(0, 2, 3, 1)
        for i in range(6):
            walk.begin_row(i)
            for j in range(5):
                assert torch.allclose(walk.features(i, j), whole[:, :, i, j], atol=1e-5), (i, j)
    assert heard == [(i + 1, 6) for i in range(6)]
    assert torch.equal(x, quantise(x, 256)) and len(x.unique()) > 20


def test_the_vae_bound_is_below_the_true_likelihood_and_touches_it_where_q_is_exact() -> None:
    """One latent, one pixel of 256 levels: the integral over z is a sum."""
    torch.manual_seed(0)
    model = vae.VAE(vae.Config(shape=(1, 1, 1), z_dim=1, width=4))
    grid = torch.linspace(-8, 8, 4001)[:, None]
    x = torch.linspace(-1, 1, 16)[torch.linspace(0, 15, 16).long()]
    x = quantise(x, 256).view(-1, 1, 1, 1)
    with torch.no_grad():
        log_p = discretised_logistic(x[:, None], model.G(grid)[None], model.G.log_scale)[:, :, 0, 0, 0]
        prior = -grid[:, 0].square() / 2 - 0.5 * math.log(2 * math.pi) + math.log(16 / 4000)
        true = torch.logsumexp(log_p + prior, 1) / math.log(2)
        bound = -torch.stack([model.bits_per_dim(x) for _ in range(2000)]).mean(0)
    assert bool((bound <= true + 0.02).all()) and bool((bound < true - 0.01).any())
    with torch.no_grad():  # a decoder that does not look at z, and q = prior: the bound is the likelihood
        model.G.project.weight.zero_()
        model.E.out.weight.zero_()
        model.E.out.bias.zero_()
        true = discretised_logistic(x, model.G(torch.zeros(1, 1)), model.G.log_scale).flatten() / math.log(2)
        assert torch.allclose(-model.bits_per_dim(x), true, atol=1e-5)


def test_the_vae_kl_is_the_gaussians() -> None:
    model = testing.build("vae", (1, 8, 8))
    x, c = torch.randn(4, 1, 8, 8).clamp(-1, 1), torch.tensor([0, 1, 2, 0])
    mean, log_variance = model.E(x, c)
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    kl = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(model.parts(x, c)[1], kl / (64 * math.log(2)), atol=1e-5)


# ----------------------------------------------------------------------------------------------------------- diffusion


def test_edm_preconditioning() -> None:
    """Table 1's identities: the network's input and target have variance 1 at each noise level, errors weigh alike."""
    model = testing.build("ddpm")
    sigma = torch.tensor([0.002, 0.1, 0.5, 1.0, 80.0], dtype=torch.float64)
    data = model.cfg.sigma_data
    skip, out, into, noise = model.scalings(sigma)
    ones = torch.ones_like(sigma)
    assert torch.allclose(into.square() * (sigma**2 + data**2), ones)
    # (y - c_skip (y + s n)) / c_out, y and n apart with variances sd^2 and 1
    assert torch.allclose((data**2 * (1 - skip) ** 2 + skip**2 * sigma**2) / out**2, ones)
    weight = (sigma**2 + data**2) / (sigma * data) ** 2
    assert torch.allclose(weight * out**2, ones)
    assert torch.allclose(noise, sigma.log() / 4)


def test_edm_levels_fall_from_most_to_least_and_then_to_0() -> None:
    model = testing.build("ddpm")
    levels = model.levels(18)
    assert len(levels) == 19 and levels[-1] == 0
    assert levels[0].item() == pytest.approx(80.0) and levels[-2].item() == pytest.approx(0.002)
    assert bool((levels[:-1] > levels[1:]).all())


class Known(ddpm.EDM):
    """The exact denoiser of data N(mean, spread^2 I)."""

    mean, spread = 0.3, 0.2

    def denoise(self, x, sigma, c=None):  # type: ignore[no-untyped-def]
        s = sigma[:, None, None, None].to(x.dtype) ** 2
        return (self.spread**2 * x + s * self.mean) / (self.spread**2 + s)


def test_the_sampler_maps_noise_to_the_data_of_a_known_denoiser() -> None:
    """For a Gaussian the flow is linear, x = mean + spread z but for what s_max leaves, and Heun's error goes as 1 / N^2."""
    model = Known(ddpm.Config(shape=(1, 2, 2), width=8))
    z = torch.randn(64, 4, generator=torch.Generator().manual_seed(0)).clamp(-2, 2)
    exact = (0.3 + 0.2 * (80 * z - 0.3) / (80**2 + 0.2**2) ** 0.5).view(-1, 1, 2, 2)
    errors = [float((model.sample(z, steps=steps) - exact).abs().max()) for steps in (18, 36, 72)]
    assert errors[0] < 0.05 and errors[0] > 3 * errors[1] > 9 * errors[2]


def test_the_sampler_is_a_function_of_the_seed() -> None:
    run = testing.trainer("ddpm")
    run.train_step()
    z = run.ema.z(3)
    assert torch.equal(run.ema.generate(z=z, c=1, seed=0), run.ema.generate(z=z, c=1, seed=5)), "no noise but z"
    assert not torch.equal(run.ema.generate(3, seed=0, c=1), run.ema.generate(3, seed=1, c=1))


def test_the_untrained_denoiser_costs_about_1() -> None:
    torch.manual_seed(0)
    model = testing.build("ddpm")
    with torch.no_grad():
        model.G.out[2].weight.zero_()
        model.G.out[2].bias.zero_()
    x = torch.randn(2000, 1, 16, 16) * model.cfg.sigma_data
    loss = model.loss(ganloom.Batch(x, torch.zeros(2000).long()))
    assert loss["loss"].item() == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: vae.Config(levels=1), "--levels"),
        (lambda: autoregressive.Config(levels=300), "--levels"),
        (lambda: autoregressive.Config(dilations=()), "--dilations"),
        (lambda: autoregressive.Config(mixtures=0), "--mixtures"),
        (lambda: ddpm.Config(sigma_min=90.0), "--sigma-min"),
        (lambda: ddpm.Config(sampler_steps=0), "--sampler-steps"),
        (lambda: ddpm.Config(sigma_data=0.0), "--sigma-data"),
        (lambda: recipes.find("autoregresive"), 'did you mean "autoregressive"'),
    ],
)
def test_bad_settings_are_one_line(make, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(BadInput, match=words) as caught:
        make()
    assert "\n" not in str(caught.value)
