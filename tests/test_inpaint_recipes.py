"""The recipes lama and context-encoder: losses by hand, holes, the residual on a smooth fill."""

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.core.randomness import Rng
from ganloom.doctor.callback import read_rows
from ganloom.gan import Batch
from ganloom.lint.rules import lint
from ganloom.nn import biharmonic
from ganloom.recipes import context_encoder, lama, presets

LN2 = math.log(2)


def batch_of(gan: Any, n: int = 4) -> Batch:
    shape = gan.cfg.shape
    x = torch.rand(n, *shape, generator=torch.Generator().manual_seed(0)) * 2 - 1
    mask = torch.zeros(n, 1, *shape[1:])
    mask[:, :, 4:12, 4:12] = 1
    return Batch(x, gan.condition(x, mask))


def test_settings_are_those_of_the_authors() -> None:
    cfg = lama.Config()
    assert (cfg.width, cfg.downs, cfg.blocks, cfg.ratio, cfg.layers, cfg.d_width) == (64, 3, 9, 0.75, 4, 64)
    assert not cfg.perceptual_jitter and not cfg.normalised
    assert (cfg.l1_known, cfg.l1_missing, cfg.adversarial, cfg.matching_weight, cfg.perceptual) == (10, 0, 10, 100, 30)
    assert (cfg.g_opt.lr, cfg.d_opt.lr, cfg.batch_size, cfg.r1, cfg.g_opt.clip) == (1e-3, 1e-4, 10, 0.001, 1.0)


def test_losses_of_lama_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = testing.build("lama", (1, 16, 16), perceptual=0.0, matching_weight=0.0)
    batch = batch_of(gan)
    monkeypatch.setattr(gan, "predict", lambda c: batch.x + 0.4)
    logits = torch.full((4, 1, 4, 4), 2.0)
    monkeypatch.setattr(gan.D, "forward", lambda x, features=False: (logits, []) if features else logits)
    terms = gan.g_loss(batch)
    assert float(terms["l1"].detach()) == pytest.approx(10 * 0.2 * 0.75, rel=1e-4), (
        "images in [0, 1]; a quarter is in the hole"
    )
    softplus = math.log1p(math.exp(-2.0))
    assert float(terms["adv"]) == pytest.approx(10 * softplus, rel=1e-5)
    true, fake = softplus, 0.25 * math.log1p(math.exp(2.0)) + 0.75 * softplus
    monkeypatch.setattr(gan.cfg.__class__, "r1", 0.0, raising=False)
    object.__setattr__(gan.cfg, "r1", 0.0)
    assert float(gan.d_loss(batch)["adv"].detach()) == pytest.approx(true + fake, rel=1e-5)


def test_r1_is_that_of_images_in_0_1() -> None:
    gan = testing.build("lama", (1, 16, 16), r1=0.5)
    gan.eval()
    batch = batch_of(gan)
    images = ((batch.x + 1) / 2).requires_grad_(True)
    (gradient,) = torch.autograd.grad(gan.D(images * 2 - 1).sum(), images)
    expected = 0.5 * gradient.flatten(1).square().sum(1).mean()
    assert float(gan.d_loss(batch)["r1"].detach()) == pytest.approx(float(expected), rel=1e-4)


def test_feature_matching_and_perceptual_terms_vanish_for_a_perfect_image(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = testing.build("lama", (3, 16, 16))
    gan.eval()
    batch = batch_of(gan)
    perfect = {name: float(v) for name, v in (_terms(gan, batch, batch.x, monkeypatch)).items()}
    assert perfect["features"] == perfect["perceptual"] == perfect["l1"] == 0
    other = _terms(gan, batch, batch.x.flip(3), monkeypatch)
    assert float(other["features"]) > 0 and float(other["perceptual"]) > 0


def _terms(gan: Any, batch: Batch, made: torch.Tensor, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setattr(gan, "predict", lambda c: made)
    with torch.no_grad():
        return gan.g_loss(batch)


@pytest.mark.parametrize("name", ["lama", "context-encoder"])
def test_the_input_does_not_show_what_is_in_the_hole(name: str) -> None:
    gan = testing.build(name, (3, 16, 16))
    batch = batch_of(gan)
    mask = batch.c[:, -1:]
    other = torch.where(mask > 0.5, torch.rand_like(batch.x), batch.x)
    assert torch.equal(gan.condition(other, mask), batch.c) and torch.equal(
        batch.c[:, :-1][(mask < 0.5).expand_as(batch.x)], batch.x[(mask < 0.5).expand_as(batch.x)]
    )
    filled = gan.eval().inpaint(batch.x, mask)
    known = (mask < 0.5).expand_as(batch.x)
    assert torch.equal(torch.as_tensor(filled)[known], batch.x[known]) and filled.shape == batch.x.shape


@pytest.mark.parametrize("net", ["ffc", "gated"])
def test_a_residual_starts_as_the_smooth_fill(net: str) -> None:
    gan = testing.build("lama", (3, 16, 16), fill="biharmonic", net=net).eval()
    batch = batch_of(gan)
    smooth = biharmonic.fill(batch.x, batch.c[:, -1:], tolerance=1e-5)
    assert float((gan.inpaint(batch.x, batch.c[:, -1:]) - smooth).abs().max()) < 1e-5
    run = testing.Trainer(gan, testing.make_data((3, 16, 16), gan=gan), testing.TrainConfig())
    run.train_step()
    run.train_step()
    assert float((run.gan.eval().inpaint(batch.x, batch.c[:, -1:]) - smooth).abs().max()) > 1e-4


def test_holes_of_a_batch_are_keyed_and_sliced_by_process() -> None:
    gan = testing.build("lama", (1, 16, 16))
    data = testing.make_data(gan=gan)
    whole = gan.draw(data, Rng(3, 2, 16))
    assert torch.equal(whole.c, gan.draw(data, Rng(3, 2, 16)).c)
    parts = [gan.draw(data, Rng(3, 2, 16, rank, 2)) for rank in range(2)]
    assert not torch.equal(parts[0].c[:, -1:], parts[1].c[:, -1:])


def test_without_adversarial_terms_no_discriminator_is_trained() -> None:
    gan = testing.build("lama", (1, 16, 16), adversarial=0.0, matching_weight=0.0)
    assert [phase.net for phase in gan.phases()] == ["G"]


def test_settings_without_effect_are_warned_of() -> None:
    off: dict[str, Any] = {"net": "gated", "adversarial": 0.0, "matching_weight": 0.0, "perceptual": 0.0}
    gan = testing.build("lama", (1, 16, 16), downs=2, r1=0.5, perceptual_net="fashion", **off)
    found = [str(finding) for finding in lint(gan) if "has no effect" in str(finding)]
    assert len(found) == 3 and "--downs has no effect without --net ffc. Add --net ffc, or omit --downs" in found[0]
    assert "--r1 has no effect without --adversarial or --matching-weight" in found[1]
    assert "--perceptual-net has no effect without --perceptual" in found[2]
    assert not testing.build("lama", (1, 16, 16), downs=2, r1=0.5, perceptual_net="fashion").settings_without_effect()
    plan = presets.keywords(lama, {k: v for k, v in presets.plan("lama").options.items() if k != "total_kimg"})
    assert not testing.build("lama", (1, 16, 16), **plan).settings_without_effect()


def test_context_encoder_by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    gan = testing.build("context-encoder", (3, 32, 32), overlap=8)
    assert gan.band == 2 and gan.box == (slice(8, 24), slice(8, 24))
    mask = gan.draw_masks(1, np.random.default_rng(0))[0]
    assert mask.sum() == 12 * 12 and mask[10:22, 10:22].all()
    x = torch.zeros(4, 3, 32, 32)
    batch = Batch(x, gan.condition(x, torch.from_numpy(mask)[None, None].float().expand(4, -1, -1, -1)))
    assert batch.c[0, :3, 16, 16].add(1).mul(127.5).round().tolist() == [117, 104, 123]
    monkeypatch.setattr(gan.G, "forward", lambda x: torch.full((4, 3, 16, 16), 0.5))
    monkeypatch.setattr(gan.D, "forward", lambda x: torch.zeros(4))
    terms = gan.g_loss(batch)
    inner, whole = 12 * 12, 16 * 16
    assert float(terms["l2"]) == pytest.approx(0.999 * 0.25 * (inner + 10 * (whole - inner)) / whole, rel=1e-5)
    assert float(terms["adv"]) == pytest.approx(0.001 * LN2, rel=1e-3)
    assert float(gan.d_loss(batch)["adv"].detach()) == pytest.approx(2 * LN2, rel=1e-5)


def test_context_encoder_refuses_holes_elsewhere_and_takes_any_size() -> None:
    gan = testing.build("context-encoder", (3, 32, 32)).eval()
    x, mask = torch.rand(1, 3, 50, 70), torch.zeros(1, 1, 50, 70)
    mask[:, :, 20:30, 30:40] = 1
    assert gan.inpaint(x, mask).shape == x.shape
    mask[:, :, 0, 0] = 1
    with pytest.raises(BadInput, match="fills only the middle"):
        gan.inpaint(x, mask)
    anywhere = testing.build("context-encoder", (3, 32, 32), region="random").eval()
    assert anywhere.inpaint(x, mask).shape == x.shape


@pytest.mark.parametrize("shape", [(128, 128), (32, 48), (16, 16), (4, 5)])
def test_blobs_cover_a_quarter(shape: tuple[int, int]) -> None:
    shares = [context_encoder.blobs(*shape, np.random.default_rng(seed)).mean() for seed in range(10)]
    assert 0.19 < min(shares) and max(shares) < 0.31


@pytest.mark.parametrize("recipe", ["lama", "context-encoder"])
def test_a_run_trains_and_fills(recipe: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 16, 16, 3), dtype=np.uint8)
    small = {"width": 4, "d_width": 4, "batch_size": 8, "judge": 0, "total_kimg": 0.03}
    more = {"bottleneck": 8} if recipe == "context-encoder" else {"blocks": 1, "fill": "biharmonic"}
    run = ganloom.train(recipe, images, tmp_path / "run", **small, **more)
    assert (run.path / "samples" / "input.png").is_file() and run.reason == "finished"
    mask = np.zeros((20, 24), bool)
    mask[8:12, 9:15] = True
    picture = rng.integers(0, 256, (20, 24, 3), dtype=np.uint8)
    out = ganloom.inpaint(picture, mask, model=run.path)
    assert np.array_equal(out[~mask], picture[~mask]) and not np.array_equal(out, picture)


@pytest.mark.parametrize(("recipe", "more"), [("lama", {"adversarial": 0.0, "matching_weight": 0.0}), ("srgan", {})])
def test_a_stage_without_d_is_no_fault(recipe: str, more: dict[str, Any], tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (24, 16, 16, 3), dtype=np.uint8)
    small = {"shape": (3, 16, 16), "width": 4, "d_width": 4, "blocks": 1, "batch_size": 8, "judge": 0}
    run = ganloom.train(recipe, images, tmp_path / "run", total_kimg=0.03, kimg_per_tick=0.008, **small, **more)
    lights = [row["doctor"] for row in read_rows(run.path) if "doctor" in row]
    assert lights and not any("not updated" in line for line in lights)


def test_points_are_refused() -> None:
    with pytest.raises(BadInput, match="fills holes in images"):
        ganloom.train("lama", "ring", total_kimg=0.01)
