"""Progressive growing: the level follows the clock, windows train what is in use, growing is continuous."""

from pathlib import Path

import pytest
import torch

from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.networks import progressive
from ganloom.recipes import progan
from ganloom.runs import checkpoint
from ganloom.training.trainer import TrainConfig, Trainer


def build(stage_kimg: float = 0.04, size: int = 16) -> progan.ProGAN:
    torch.manual_seed(0)
    return progan.ProGAN(
        progan.Config((1, size, size), z_dim=6, width=8, batch_size=4, most_batch=8, stage_kimg=stage_kimg)
    )


def trainer(seed: int = 0) -> Trainer:
    torch.manual_seed(seed)
    return Trainer(build(), testing.make_data(), TrainConfig(), ema_kimg=0.05)


@pytest.mark.parametrize(
    ("kimg", "level"),
    [(0, 0), (599, 0), (900, 0.5), (1200, 1), (1799, 1), (2100, 1.5), (2400, 2), (9e9, 2), (float("inf"), 2)],
)
def test_the_level_follows_the_clock(kimg: float, level: float) -> None:
    gan = build(600.0)
    gan.kimg = kimg
    assert gan.level == pytest.approx(level)


def test_a_image_is_as_coarse_as_its_level() -> None:
    gan = build()
    z = torch.randn(2, 6)
    for level in (0, 1, 2):
        y, x = gan.G(z, None, level), progressive.at_level(torch.randn(2, 1, 16, 16), level)
        for images in (y, x):
            side = 4 * 2**level
            blocks = images.unflatten(3, (side, -1)).unflatten(2, (side, -1))
            assert (blocks == blocks[:, :, :, :1, :, :1]).all(), "pixels of one cell differ"
            assert images.shape == (2, 1, 16, 16) and images.std() > 0


@pytest.mark.parametrize("size", [16, 18])
def test_growing_is_continuous(size: int) -> None:
    """Just after a fade begins and just before it ends the networks are what they are outside it."""
    gan, eps = build(size=size), 1e-5
    z, x = torch.randn(2, 6), torch.randn(4, 1, size, size)
    for level in (0, 1):
        for near, at in ((level + eps, level), (level + 1 - eps, level + 1)):
            torch.testing.assert_close(gan.G(z, None, near), gan.G(z, None, at), atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(gan.D(x, None, near), gan.D(x, None, at), atol=1e-3, rtol=1e-3)
            torch.testing.assert_close(progressive.at_level(x, near), progressive.at_level(x, at), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(gan.G(z, None, 0.5), gan.G(z, None, 1), atol=1e-2)


def test_windows_train_the_levels_in_use_and_batches_shrink() -> None:
    run = trainer()
    sizes, live = [], set()
    while run.nimg < 200:
        before = {n: p.detach().clone() for n, p in run.gan.named_parameters()}
        newest, drawn, optimizers = int(-(-run.gan.level // 1)), run.nimg, {id(o) for o in run.optimizers.values()}
        run.train_step()
        live |= optimizers
        sizes.append(run.nimg - drawn)
        moved = {n.split(".")[2] for n, p in run.gan.named_parameters() if not torch.equal(before[n], p)}
        assert max(map(int, moved)) <= newest
        assert len(run.optimizers) == 2
    assert moved == {"0", "1", "2"} and run.gan.level == 2
    assert sizes[0] == 8 and sizes[-1] == 4
    assert {name.split("/")[0] for name in run.stats.collect()} == {"G", "D"}


def test_resume_across_every_window(tmp_path: Path) -> None:
    whole, cuts = trainer(), []
    while whole.nimg < 200:
        whole.train_step()
        cuts.append({f"{a}/{n}": t.clone() for a, ts in whole.tensors().items() for n, t in ts.items()})
    for cut in range(3, len(cuts), 4):
        first = trainer()
        for _ in range(cut):
            first.train_step()
        path = checkpoint.save(tmp_path / str(cut), checkpoint.name_of(first.nimg), first.tensors(), first.state())
        loaded, second = checkpoint.read(path), trainer(1)
        second.load_state(loaded.tensors, loaded.state)
        for _ in range(3):
            second.train_step()
        now = {f"{a}/{n}": t for a, ts in second.tensors().items() for n, t in ts.items()}
        last = cuts[min(cut + 2, len(cuts) - 1)]
        if cut + 3 <= len(cuts):
            assert now.keys() == last.keys() and all(torch.equal(now[n], last[n]) for n in now)


def test_a_finished_model_has_full_size_and_bad_fields_are_named() -> None:
    gan = build()
    assert gan.level == 2 and gan.generate(2).shape == (2, 1, 16, 16)
    with pytest.raises(BadInput, match="--stage-kimg"):
        progan.Config(stage_kimg=0.0)
    with pytest.raises(BadInput, match="--most-batch"):
        progan.Config(batch_size=256)
    with pytest.raises(BadInput, match="--full"):
        progan.Config(full=-1)
