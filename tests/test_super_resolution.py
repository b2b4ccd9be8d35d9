"""The super-resolution recipes: both stages, their data, the degradation, and their evaluation."""

import dataclasses
import functools
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.data import degradations as dg
from ganloom.gan import Batch
from ganloom.recipes.base import upscaler
from ganloom.training.config import TrainConfig
from ganloom.training.trainer import Trainer

NAMES = [name for name, module in ganloom.RECIPES.items() if module.MODEL.upscales]


def photographs(folder: Path, count: int = 3, side: int = 96) -> Path:
    """Smooth pictures with edges."""
    folder.mkdir()
    y, x = np.mgrid[:side, :side] / side
    for i in range(count):
        planes = [np.sin((7 + i) * x + j) * np.cos((5 + j) * y) + (x * (i + 1) + y > 1) for j in range(3)]
        pixels = np.clip(np.stack(planes, 2) * 80 + 100, 0, 255).astype(np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    return folder


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("check", ["phases", "resume", "splits", "nan", "storage"])
def test_the_pixel_stage(name: str, check: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The conformance suite of all recipes leaves out the pixel stage; here it is the whole training."""
    monkeypatch.setattr(testing, "build", functools.partial(testing.build, pixel_kimg=100.0))
    testing.CHECKS[check](name, tmp_path)


@pytest.mark.parametrize("name", NAMES)
def test_stages_follow_the_clock(name: str) -> None:
    gan = testing.build(name, (3, 32, 32), pixel_kimg=0.016)
    run = Trainer(gan, testing.make_data((3, 32, 32), gan=gan), TrainConfig())
    nets = []
    for _ in range(4):
        nets.append([phase.net for _, phase in run.active])
        run.train_step()
    assert nets == [["G"], ["G"], ["D", "G"], ["D", "G"]]


def test_the_terms_and_their_weights() -> None:
    plain = testing.build("real-esrgan", (3, 32, 32), perceptual=0.0, adversarial=0.0, pixel_kimg=0.0)
    assert [phase.net for phase in plain.phases()] == ["G"] and not any("D." in key for key in plain.state_dict())
    gan = testing.build("esrgan", (3, 32, 32), pixel=0.5, perceptual=2.0, adversarial=0.1)
    batch = gan.draw(testing.make_data((3, 32, 32), gan=gan), Rng(0))
    terms = gan.g_loss(batch)
    fake = gan.direct(batch.c)
    assert set(terms) == {"adv", "pixel", "perceptual"}
    assert float(terms["pixel"].detach()) == pytest.approx(
        0.25 * float((fake - batch.x).abs().mean().detach()), rel=1e-4
    )
    for wrong in ({"scale": 3, "net": "rrdb"}, {"shape": (3, 30, 32)}, {"pixel": -1.0},
                  {"pixel": 0.0, "perceptual": 0.0, "adversarial": 0.0}):  # fmt: skip
        with pytest.raises(BadInput, match="--"):
            testing.build("srgan", **{"shape": (3, 32, 32), "net": "compact", **wrong})


def test_the_grid_term_is_the_pattern_on_flat_areas() -> None:
    gan = testing.build("esrgan", (3, 32, 32), perceptual=0.0, adversarial=0.0, pattern=0.5)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    x[:, :, :16] = 0.25  # half of the blocks are flat
    y, z = torch.meshgrid(torch.arange(32), torch.arange(32), indexing="ij")
    pattern = torch.nn.Parameter(torch.tensor(2 / 127.5))  # 2 levels
    gan.direct = lambda c: x + pattern * ((y + z) % 2 * 2 - 1)
    terms = gan.g_loss(Batch(x, gan.degraded(x, Rng(0), slice(None))))
    assert set(terms) == {"pixel", "pattern"} and float(terms["pattern"].detach()) == pytest.approx(0.5 * 4, rel=1e-3)
    terms["pattern"].backward()
    assert float(pattern.grad) == pytest.approx(0.5 * 2 * 2 * 127.5, rel=1e-3)
    with pytest.raises(BadInput, match="--pattern"):
        testing.build("esrgan", (3, 8, 8), pattern=1.0)
    flat_less = Batch(torch.rand(1, 3, 32, 32), torch.rand(1, 3, 8, 8))
    gan.direct = lambda c: flat_less.x * 0.5
    assert float(gan.g_loss(flat_less)["pattern"]) == 0


def test_small_copies_are_those_of_pillow() -> None:
    rng = np.random.default_rng(0)
    pixels = np.asarray(Image.fromarray(rng.integers(0, 256, (8, 8, 3), dtype=np.uint8)).resize((64, 64)))
    ours = upscaler.smaller(torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1, 4)
    theirs = np.asarray(Image.fromarray(pixels).resize((16, 16), Image.Resampling.BICUBIC))
    assert np.abs((ours[0].permute(1, 2, 0).numpy() + 1) * 127.5 - theirs).max() <= 1.01


def test_draws_are_keyed_and_shared_by_processes() -> None:
    for name in NAMES:
        gan = testing.build(name, (3, 32, 32))
        data = testing.make_data((3, 32, 32), gan=gan)
        whole = gan.draw(data, Rng(1, 2, 16))
        assert torch.equal(whole.c, gan.draw(data, Rng(1, 2, 16)).c)
        assert not torch.equal(whole.c, gan.draw(data, Rng(1, 3, 24)).c)
        parts = [gan.draw(data, Rng(1, 2, 16, rank, 2)) for rank in (0, 1)]
        for field in ("x", "c"):
            joined = torch.stack([getattr(part, field) for part in parts], 1).flatten(0, 1)
            assert torch.equal(joined, getattr(whole, field)), f"{name}: {field}"
        assert torch.equal(gan.inputs(data, [3, 1])[1:], gan.inputs(data, [1]))


def test_turns_are_the_eight_symmetries() -> None:
    x = torch.arange(9.0).view(1, 1, 3, 3).expand(8, -1, -1, -1)
    turned = {tuple(image.flatten().tolist()) for image in upscaler.turned(x, torch.arange(8))}
    assert len(turned) == 8
    wide = torch.arange(6.0).view(1, 1, 2, 3).expand(8, -1, -1, -1)
    assert len({tuple(image.flatten().tolist()) for image in upscaler.turned(wide, torch.arange(8))}) == 4


# ---------------------------------------------------------------------------------------------------- the degradation


def test_kernels_have_sum_1_and_the_right_width() -> None:
    for kernel in (dg.gaussian_kernel(21, 2.0, 2.0, 0.0), dg.gaussian_kernel(21, 3.0, 0.5, 0.7, 2.0),
                   dg.gaussian_kernel(15, 1.0, 2.0, 0.3, 1.5, plateau=True), dg.sinc_kernel(math.pi / 3, 21)):  # fmt: skip
        assert float(kernel.sum()) == pytest.approx(1, abs=1e-5)
        assert torch.allclose(kernel, kernel.flip(0, 1), atol=1e-6)
    at = torch.arange(21.0) - 10
    round_ = dg.gaussian_kernel(21, 2.0, 2.0, 0.0)
    assert float((round_.sum(0) * at.square()).sum()) == pytest.approx(4.0, rel=0.01)
    long_ = dg.gaussian_kernel(21, 2.0, 0.5, 0.0)
    assert float((long_.sum(0) * at.square()).sum()) > 10 * float((long_.sum(1) * at.square()).sum())
    assert float(dg.sinc_kernel(math.pi / 2, 21).min()) < 0, "it rings"


def test_the_probabilities_are_those_of_the_paper() -> None:
    draws = dg.Draws(torch.Generator().manual_seed(0))
    kinds = np.bincount([draws.one_of(6, dg.KIND_SHARES) for _ in range(4000)], minlength=6) / 4000
    assert np.abs(kinds - dg.KIND_SHARES).max() < 0.03
    ways = [dg._factor(draws, dg.FIRST) for _ in range(2000)]
    assert np.mean([w > 1 for w in ways]) == pytest.approx(0.2, abs=0.03)
    assert np.mean([w < 1 for w in ways]) == pytest.approx(0.7, abs=0.03)
    assert 0.15 <= min(ways) < 0.2 and 1.45 < max(ways) <= 1.5
    assert dg.SECOND.resize == (0.3, 0.4, 0.3) and dg.SECOND.factor == (0.3, 1.2) and dg.SECOND.sigma == (0.2, 1.5)
    rings = sum(float(dg.blur_kernel(draws, (0.2, 3.0)).min()) < -1e-4 for _ in range(600)) / 600
    assert 0.05 < rings <= 0.12


def test_the_settings_are_those_of_the_published_options() -> None:
    """options/train_realesrgan_x4plus.yml of Real-ESRGAN."""
    first = dict(resize=(0.2, 0.7, 0.1), factor=(0.15, 1.5), gaussian=0.5, noise=(1, 30), poisson=(0.05, 3), jpeg=(30, 95),
                 sigma=(0.2, 3), blur=1.0)  # fmt: skip
    second = dict(resize=(0.3, 0.4, 0.3), factor=(0.3, 1.2), gaussian=0.5, noise=(1, 25), poisson=(0.05, 2.5), jpeg=(30, 95),
                  sigma=(0.2, 1.5), blur=0.8)  # fmt: skip
    assert dataclasses.asdict(dg.FIRST) == first and dataclasses.asdict(dg.SECOND) == second
    assert (dg.GREY, dg.SINC, dg.FINAL_SINC) == (0.4, 0.1, 0.8)
    assert (dg.GENERALIZED, dg.PLATEAU) == ((0.5, 4), (1, 2)), "betag_range and betap_range"
    shares = {"iso": 0.45, "aniso": 0.25, "generalized_iso": 0.12, "generalized_aniso": 0.03, "plateau_iso": 0.12,
              "plateau_aniso": 0.03}  # fmt: skip
    assert dict(zip(dg.KINDS, dg.KIND_SHARES, strict=True)) == shares
    assert (
        dg.SIZES == (7, 9, 11, 13, 15, 17, 19, 21)
        and dg.KERNEL == 21
        and set(dg.MODES) == {"area", "bilinear", "bicubic"}
    )


def test_exponents_are_drawn_from_the_published_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of the exponents are below 1 where the range reaches below it; sigmas and angles have their ranges too."""
    found: dict[bool, list[float]] = {False: [], True: []}
    plain, round_kernels = dg.gaussian_kernel, 0

    def record(
        size: int, first: float, second: float, angle: float, exponent: float = 1.0, plateau: bool = False
    ) -> Tensor:
        nonlocal round_kernels
        assert size in dg.SIZES and 0.2 <= min(first, second) and max(first, second) < 1.5 and abs(angle) <= math.pi
        round_kernels += first == second
        found[plateau].append(exponent)
        return plain(size, first, second, angle, exponent, plateau)

    monkeypatch.setattr(dg, "gaussian_kernel", record)
    draws = dg.Draws(torch.Generator().manual_seed(0))
    for _ in range(3000):
        dg.blur_kernel(draws, dg.SECOND.sigma)
    general, plateau = np.array(found[False]), np.array(found[True])
    drawn = general[general != 1]
    assert len(plateau) / 3000 == pytest.approx(0.9 * 0.15, abs=0.02) and len(drawn) / 3000 == pytest.approx(
        0.9 * 0.15, abs=0.02
    )
    assert 0.5 <= drawn.min() < 0.55 and 3.8 < drawn.max() < 4 and np.mean(drawn < 1) == pytest.approx(0.5, abs=0.08)
    assert plateau.min() == 1 and 1.9 < plateau.max() < 2 and np.mean(plateau == 1) == pytest.approx(0.5, abs=0.08)
    assert round_kernels / 3000 == pytest.approx(0.9 * 0.69, abs=0.03)


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_damage_is_keyed_and_damages(channels: int) -> None:
    y, x = np.mgrid[:48, :40] / 40
    image = torch.from_numpy(np.stack([np.sin(9 * x * (i + 1)) / 2 + y / 3 + 0.3 for i in range(channels)])).float()[
        None
    ]
    image = image.clamp(0, 1)
    made = [dg.degrade(image, 4, torch.Generator().manual_seed(seed)) for seed in (0, 0, 1, 2, 3)]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])
    small = torch.nn.functional.interpolate(image, (12, 10), mode="bicubic", antialias=True)
    for small_image in made:
        assert small_image.shape == (1, channels, 12, 10) and 0 <= small_image.min() and small_image.max() <= 1
        assert torch.equal((small_image * 255).round() / 255, small_image)
        assert 0.005 < float((small_image - small).abs().mean()) < 0.35


def test_sharpening_leaves_flat_areas_alone() -> None:
    x = torch.zeros(1, 3, 64, 64)
    x[..., 32:] = 0.8
    y = dg.sharpened(x)
    assert float((y - x).abs().max()) > 0.02 and torch.allclose(
        dg.sharpened(torch.full_like(x, 0.4)), torch.full_like(x, 0.4)
    )


# ------------------------------------------------------------------------------------------------------ as a user does


def test_train_evaluate_and_upscale(tmp_path: Path) -> None:
    folder = photographs(tmp_path / "photos")
    run = ganloom.train(
        "srgan", folder, tmp_path / "run", net="compact", width=8, blocks=1, base="bicubic", d_width=4, batch_size=4,
        shape=(3, 32, 32), pixel_kimg=0.02, total_kimg=0.04, judge=0, doctor=False,
    )  # fmt: skip
    resumed = ganloom.resume(run.path, total_kimg=0.06)
    assert resumed.reason == "finished"
    result = ganloom.evaluate(run.path, folder, n=8, write=False)
    rows = result["rows"]
    assert list(rows) == ["generated", "bicubic", "lanczos"]
    assert set(rows["bicubic"]) == {"l1", "psnr", "ssim", "perceptual_random", "features_random"}
    assert any("bicubic" in line for line in result["table"])
    table = "\n".join(result["table"])
    assert "at random places of 3 photographs" in table and "these are the training images" in table
    image = np.zeros((6, 7, 3), np.uint8)
    assert ganloom.upscale(image, model=run.path).shape == (24, 28, 3)
    with pytest.raises(BadInput, match="ganloom upscale"):
        from ganloom.apps.translate import translate_files

        translate_files(run.path, folder, tmp_path / "out")
    other = ganloom.train("dcgan", "fashion-10k", tmp_path / "d", width=4, total_kimg=0.02, batch_size=8, judge=0)
    with pytest.raises(BadInput, match="no super-resolution model"):
        ganloom.upscale(image, model=other.path)


def test_evaluate_says_which_photographs_it_measured(tmp_path: Path) -> None:
    folder, others = photographs(tmp_path / "photos", 6), photographs(tmp_path / "others", 2, 80)
    run = ganloom.train(
        "srgan", folder, tmp_path / "run", net="compact", width=4, blocks=1, batch_size=4, shape=(3, 32, 32), held_out=0.4,
        pixel_kimg=0.008, total_kimg=0.008, judge=0, doctor=False,
    )  # fmt: skip
    own, given, whole = (
        "\n".join(ganloom.evaluate(run.path, data, n=4, write=False)["table"]) for data in (None, others, folder)
    )
    assert "of 2 photographs (2 images of photos that were held out)" in own and "training images" not in own
    assert "of 2 photographs (others)" in given and "measured on others" in given and "contains" not in given
    assert (
        "of 6 photographs" in whole
        and "photos contains the training images: leave DATA out to measure on the 2" in whole
    )


def test_the_shipped_network_is_better_than_bicubic_on_a_photograph_like_picture(tmp_path: Path) -> None:
    sheet = np.asarray(Image.open(photographs(tmp_path / "p", 1, 256) / "0.png").convert("RGB"))
    low = Image.fromarray(sheet).resize((64, 64), Image.Resampling.BICUBIC)
    ours, cubic = (
        ganloom.upscale(np.asarray(low), model="compact"),
        np.asarray(low.resize((256, 256), Image.Resampling.BICUBIC)),
    )
    errors = [float(np.square(made.astype(float) - sheet).mean()) for made in (ours, cubic)]
    assert errors[0] < 0.95 * errors[1]
