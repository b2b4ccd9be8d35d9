"""ADA against the authors' code at fixed draws, its derivatives, its probabilities, its strength, and in recipes.

``figures/ada.npz`` was computed once by stylegan2-ada-pytorch d72cc7d (its ``debug_percentile``, which fixes each draw at one
quantile; torch 2.13, CPU): up to 150 numbers of each transformation, of blits, geometry and colours together, and of all.
"""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from made_weights import inputs
from torch import Tensor, nn

from ganloom import penalties, testing
from ganloom.augment import ada, warp
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.recipes import r3gan, stylegan2

FIGURES = np.load(Path(__file__).parent / "figures" / "ada.npz")
SINGLE = [name for names in ada.PARTS.values() for name in names]


class Fixed(ada.Ada):
    """The authors' fixed draw leaves out the second of two rotations."""

    rotations = 0

    def _draw(self, name: str, value: Tensor, idle: float, chance: Tensor | None = None) -> Tensor:
        self.rotations += name == "rotate"
        return (
            torch.zeros_like(value)
            if self.rotations == 2 and name == "rotate"
            else super()._draw(name, value, idle, chance)
        )


@pytest.fixture
def at(monkeypatch: pytest.MonkeyPatch):
    """Every draw at one quantile."""

    def fix(q: float) -> None:
        normal = float(torch.erfinv(torch.tensor(q * 2 - 1)))
        monkeypatch.setattr(randomness, "rand", lambda n, *shape, device="cpu": torch.full((n, *shape), q))
        monkeypatch.setattr(randomness, "randn", lambda n, *shape, device="cpu": torch.full((n, *shape), normal))

    return fix


@pytest.mark.parametrize("case", FIGURES.files)
def test_each_transformation_is_the_authors(case: str, at) -> None:
    name, q, channels = case.split("/")
    rates = {"bgc": dict.fromkeys(ada.BGC, 1.0), "all": dict.fromkeys([p for p in ada.PARTS if p != "noise"], 1.0)}
    x = inputs(2, 3, 48, 40).tanh() if channels == "3" else inputs(2, 1, 32, 32).tanh()
    at(float(q))
    y = Fixed(rates.get(name, {name: 1.0}), 1.0)(x)
    flat = y.flatten()
    np.testing.assert_allclose(flat[:: len(flat) // 150][:150].numpy(), FIGURES[case], atol=5e-5)
    still = (name, q) in {("flip", "0.2"), ("flip", "0.45"), ("invert", "0.2"), ("invert", "0.45"), ("quarter", "0.2")}
    assert torch.equal(x, y) == still


@pytest.mark.parametrize("name", SINGLE)
@pytest.mark.parametrize("shape", [(6, 1, 28, 28), (6, 2, 16, 16), (6, 3, 9, 33), (6, 4, 48, 32)])
def test_any_shape_and_the_chance(name: str, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.rand(shape) * 2 - 1
    y = ada.Ada({name: 1.0}, 1.0)(x)
    assert y.shape == x.shape and torch.isfinite(y).all()
    grey = shape[1] in (1, 2) and name in ("hue", "saturation")
    assert torch.equal(x, y) == grey
    if shape[1] in (2, 4) and name in ada.PARTS["colour"]:
        assert torch.equal(x[:, -1], y[:, -1])  # alpha
    assert torch.equal(x, ada.Ada({name: 1.0}, 0.0)(x)) or name == "filter"
    assert torch.allclose(x, ada.Ada({name: 1.0}, 0.0)(x), atol=1e-5)


def test_images_are_changed_with_probability_p_times_the_rate() -> None:
    torch.manual_seed(0)
    x = torch.rand(2000, 1, 4, 4)
    for name, rate, p, expected in (("brightness", 0.5, 0.6, 0.3), ("rotate", 1.0, 0.4, 0.4), ("flip", 1.0, 0.6, 0.3),
                                    ("slide", 1.0, 1.5, 1.0)):  # fmt: skip
        changed = (ada.Ada({name: rate}, p)(x) != x).flatten(1).any(1).float().mean()
        assert float(changed) == pytest.approx(expected, abs=0.04), name


def test_sampling_is_differentiable_twice() -> None:
    torch.manual_seed(0)
    x = torch.randn(2, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    grid = torch.rand(2, 4, 3, 2, dtype=torch.float64) * 2.4 - 1.2
    assert torch.autograd.gradcheck(lambda x: warp.sampled(x, grid).sin(), x)
    assert torch.autograd.gradgradcheck(lambda x: warp.sampled(x, grid).sin(), x)


def test_r1_goes_through_the_whole_pipeline() -> None:
    """D(T x) = w . T x: R1 is |A^T w|^2 / 2 with A the derivative of T, and its slope in w is A A^T w."""
    pipe, w = ada.Ada(dict.fromkeys(ada.PARTS, 1.0), 1.0), torch.randn(48, requires_grad=True)
    x = torch.randn(1, 3, 4, 4)

    def seen(x: Tensor) -> Tensor:
        torch.manual_seed(5)
        return pipe(x).flatten(1)

    slopes = torch.autograd.functional.jacobian(seen, x).reshape(48, 48)
    value = penalties.r1(lambda x: seen(x) @ w, x)
    value.backward()
    torch.testing.assert_close(value.detach(), (slopes.T @ w.detach()).square().sum() / 2, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(w.grad, slopes @ slopes.T @ w.detach(), atol=1e-4, rtol=1e-4)
    assert float(slopes.abs().sum()) > 1


def test_the_strength_follows_the_signs() -> None:
    pipe = ada.Ada({"flip": 1.0}, 0.2)
    logits = torch.tensor([1.0, 2.0, 0.1, -1.0] * 8)  # r_t = 0.5
    for i in range(4):
        assert float(pipe.p) == pytest.approx(0.2)
        pipe.note(logits)
        pipe.move(target=0.4, kimg=1.28, every=4)
        pipe.move(target=0.4, kimg=1.28, every=4)  # G's update: nothing was noted, but what was is kept
        if i < 1:
            assert pipe.signs.tolist() == [16.0, 32.0]
    assert float(pipe.p) == pytest.approx(0.2 + 128 / 1280) and not pipe.signs.any()


def test_the_strength_never_is_negative_and_counts_updates() -> None:
    pipe = ada.Ada({"flip": 1.0}, 0.01)
    for _ in range(8):
        pipe.note(-torch.ones(32))
        pipe.move(kimg=1.0)
    assert float(pipe.p) == 0.0


def built(**more: object):
    def make(shape: tuple[int, ...], classes: int) -> stylegan2.StyleGAN2:
        fields = {"augment": "ada", "ada_p": 0.4, "ada_kimg": 1.0, "ada_target": 0.0} | more
        return testing.build("stylegan2", shape, n_classes=classes, **fields)

    return make


@pytest.mark.parametrize("check", ["shapes", "resume", "generate", "nan"])
def test_stylegan2_with_ada_keeps_the_suite(check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](built(ada_parts=tuple(ada.PARTS)) if check == "shapes" else built(), tmp_path)


def test_the_strength_moves_in_training_and_is_state() -> None:
    run = testing.trainer(built())
    for _ in range(8):
        run.train_step()
    assert float(run.gan.ada.p) not in (0.0, pytest.approx(0.4))
    assert "ada.p" in run.tensors()["gan"] and "D/ada_p" in run.stats.collect()


def test_r3gan_by_the_clock(tmp_path: Path) -> None:
    def make(shape: tuple[int, ...], classes: int) -> r3gan.R3GAN:
        return testing.build("r3gan", shape, n_classes=classes, augment="ada", decay_kimg=0.05)

    testing.check_resume(make, tmp_path)
    run = testing.trainer(make)
    for _ in range(10):
        run.train_step()
    assert float(run.gan.ada.p) == pytest.approx(0.55)


def test_bad_fields_are_one_line() -> None:
    for wrong in ({"ada_parts": ("blit", "geometri")}, {"ada_target": 2.0}, {"ada_kimg": 0.0}, {"ada_p": 1.5}):
        with pytest.raises(BadInput, match="--" + next(iter(wrong)).replace("_", "-")):
            stylegan2.Config(**wrong)
    with pytest.raises(BadInput, match="--augment-p"):
        r3gan.Config(augment_p=-1.0)
    with pytest.raises(BadInput, match=r'did you mean "shift".*blit \(flip, quarter, shift\)'):
        stylegan2.Config(ada_parts=("shfit",))
    single = stylegan2.StyleGAN2(
        stylegan2.Config(shape=(1, 8, 8), base=64, augment="ada", ada_parts=("shift", "colour"))
    )
    assert single.ada is not None and set(single.ada.rates) == {"shift", *ada.PARTS["colour"]}


def test_mirrored_borders() -> None:
    x = torch.arange(12.0).view(1, 1, 3, 4)
    torch.testing.assert_close(warp.reflected(x, 2, 3, 1, 2), nn.functional.pad(x, (2, 3, 1, 2), mode="reflect"))
    assert warp.reflected(x, 20, 20, 20, 20).shape == (1, 1, 43, 44) and math.isclose(float(x.sum()), 66)
