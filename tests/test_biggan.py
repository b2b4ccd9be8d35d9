"""BigGAN: parts of z, truncation by quantiles, standing statistics that leave no trace, orthogonal regularisation."""

from pathlib import Path

import pytest
import torch

import ganloom
from ganloom import penalties, testing
from ganloom.apps.sample import write_samples
from ganloom.core.errors import BadInput
from ganloom.recipes import biggan


def test_each_block_has_its_own_part_of_z() -> None:
    gan = testing.build("biggan", (1, 16, 16))
    z, c = torch.randn(1, 6), torch.tensor([1])
    seen: list[torch.Tensor] = []
    for block in gan.G.body.blocks:
        block.register_forward_hook(lambda m, args, out: seen.append(args[1][0, :-128]))
    gan.G.eval()(z, c)
    assert gan.G.body.sizes == [2, 2, 2]
    assert torch.equal(torch.cat([z[0, :2], *seen]), z[0])


def test_uneven_z_is_used_whole_and_too_short_a_z_is_named() -> None:
    gan = testing.build("biggan", (4, 48, 32))
    assert gan.G.body.sizes == [2, 2, 1, 1]
    with pytest.raises(BadInput, match="--z-dim"):
        biggan.Config(z_dim=5)
    biggan.Config(z_dim=5, deep=True)


def test_the_class_and_every_number_of_z_matter() -> None:
    for deep in (False, True):
        gan = testing.build("biggan", (1, 16, 16), deep=deep)
        z = torch.randn(1, 6)
        same = gan.generate(c=0, z=z)
        assert not torch.equal(same, gan.generate(c=1, z=z))
        for i in range(6):
            other = z.clone()
            other[0, i] += 1
            assert not torch.equal(same, gan.generate(c=0, z=other))


def test_truncation_is_the_cut_normal_distribution() -> None:
    torch.manual_seed(0)
    z = torch.randn(100_000)
    cut = biggan.truncated(z, 1.0)
    assert float(cut.abs().max()) <= 1.0
    assert float(cut.std()) == pytest.approx(0.5396, abs=0.005)  # sd of the standard normal cut at +-1
    order = z.argsort()
    assert bool((cut[order].diff() >= 0).all())  # monotone: a seed keeps its image
    assert float((biggan.truncated(z, 8.0) - z).abs().max()) < 1e-3
    assert float(biggan.truncated(z, 0.0).abs().max()) == 0
    gan = testing.build("biggan")
    assert not torch.equal(gan.generate(2, truncation=0.3), gan.generate(2))


def test_truncation_is_the_share_of_normal_numbers_within_the_threshold() -> None:
    """The paper's thresholds of figure 2 are at these truncations; 1 has none."""
    for truncation, bound in {0.9545: 2.0, 0.6827: 1.0, 0.3829: 0.5, 0.0319: 0.04}.items():
        assert biggan.threshold(truncation) == pytest.approx(bound, rel=1e-3)
    assert (biggan.threshold(0.0), biggan.threshold(1.0)) == (0.0, float("inf"))


def test_truncation_is_continuous_at_1() -> None:
    gan = testing.build("biggan")
    z, c = torch.randn(200, 6, generator=torch.Generator().manual_seed(0)), torch.zeros(200, dtype=torch.int64)
    plain, gap = gan.generate(z=z, c=c), {}
    assert torch.equal(plain, gan.generate(z=z, c=c, truncation=1.5))
    for truncation in (0.999999, 0.9999, 0.999, 0.99, 0.9, 0.5):
        gap[truncation] = float((gan.generate(z=z, c=c, truncation=truncation) - plain).abs().mean())
    assert list(gap.values()) == sorted(gap.values())
    assert gap[0.999999] < 1e-5 and gap[0.999] < 0.02 * gap[0.5]


def test_a_smaller_truncation_gives_a_smaller_spread() -> None:
    gan = testing.build("biggan").eval()
    latents: list[torch.Tensor] = []
    gan.G.register_forward_pre_hook(lambda module, args: latents.append(args[0]))
    z = torch.randn(2_000, 6, generator=torch.Generator().manual_seed(0))
    for truncation in (1.0, 0.999, 0.95, 0.9, 0.7, 0.5, 0.3, 0.1, 0.0):
        gan.sample(z[:, :6], torch.zeros(len(z), dtype=torch.int64), truncation=truncation)
    spread = [float(x.std()) for x in latents]
    assert all(a > b for a, b in zip(spread, spread[1:], strict=False)) and spread[-1] == 0
    assert torch.equal(latents[0], z) and spread[1] > 0.99 * spread[0]


def test_standing_statistics_change_samples_and_leave_no_trace() -> None:
    run = testing.trainer("biggan")
    run.train_step()
    before = {n: t.clone() for n, t in run.ema.state_dict().items()}
    plain, standing = run.ema.generate(4), run.ema.generate(4, standing=3)
    assert not torch.allclose(plain, standing, atol=1e-3)
    assert torch.equal(standing, run.ema.generate(4, standing=3)) and torch.equal(plain, run.ema.generate(4))
    assert all(torch.equal(t, before[n]) for n, t in run.ema.state_dict().items())
    with pytest.raises(BadInput, match="standing"):
        run.ema.generate(1, standing=-1)


def test_orthogonal_regularisation_is_the_same_by_rows_and_columns() -> None:
    torch.manual_seed(0)
    tall = torch.nn.Linear(5, 40)
    w = tall.weight.detach().double()
    off = (w @ w.T) * (1 - torch.eye(40, dtype=torch.float64))
    assert float(penalties.orthogonal(tall).detach()) == pytest.approx(float(off.square().sum()), rel=1e-4)
    gan = testing.build("biggan")
    terms = gan.g_loss(testing.make_data().draw(8, biggan.randomness.Rng(0)))
    assert 0 <= float(terms["ortho"].detach()) < 1 and gan.G.classes.weight.shape == (128, 3)


@pytest.mark.parametrize("check", ["shapes", "phases", "generate"])
def test_deep(check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](
        lambda shape, classes: biggan.BigGAN(
            biggan.Config(shape, classes, deep=True, z_dim=6, c_dim=4, width=8, batch_size=8)  # type: ignore[arg-type]
        ),
        tmp_path,
    )


def test_sample_with_standing_statistics_and_truncation(tmp_path: Path) -> None:
    small = {"width": 4, "z_dim": 6, "c_dim": 4, "batch_size": 16, "attention": 0, "ortho": 0.0}
    once = {"total_kimg": 0.1, "judge": 0, "grid": 4}
    run = ganloom.train("biggan", "fashion-10k", tmp_path / "run", **once, **small)
    images = [
        write_samples(run.path, n=4, **options).grid.read_bytes()
        for options in ({}, {"standing": 2}, {"truncation": 0.3}, {"truncation": 0.3, "standing": 2})
    ]
    assert len(set(images)) == 4
    again = write_samples(run.path, n=4, standing=2, out=tmp_path / "again").grid.read_bytes()
    assert again == images[1]
    plain = ganloom.train("gan", "fashion-10k", tmp_path / "plain", **once)
    with pytest.raises(BadInput, match="--standing"):
        write_samples(plain.path, n=4, standing=2)
    with pytest.raises(BadInput, match="--standing"):
        write_samples(run.path, n=4, standing=-1)
