"""StyleGAN2 and R3GAN by their authors' operations: the same numbers as ours on the same weights, loss by loss."""

from typing import Any

import pytest
import torch
from torch import Tensor

from ganloom import penalties
from ganloom.bench.step import author_operations, author_run, benchmark, contenders, table
from ganloom.bench.step.author_run import STYLED, StyledRun
from ganloom.bench.step.peer_models import Ready
from ganloom.core import randomness
from ganloom.core.errors import BadInput
from ganloom.gan import Batch
from ganloom.recipes import r3gan, stylegan2


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Models of few channels and batches of 4."""

    def ours(name: str, seed: int = 0) -> Any:
        randomness.seed_all(seed)
        shape = STYLED[name].shape
        if name.startswith("stylegan2"):
            gan: Any = stylegan2.StyleGAN2(
                stylegan2.Config(shape, z_dim=8, width=8, base=256, batch_size=4, mixing=0.0)
            )
            for level in gan.G.synthesis.levels:
                for layer in (level.conv0, level.conv1):
                    if layer is not None:
                        torch.nn.init.constant_(layer.strength, 0.3)
                        torch.nn.init.normal_(layer.bias)
            return gan
        gan = r3gan.R3GAN(r3gan.Config(shape, z_dim=8, width=16, group=4, batch_size=4))
        for block in gan.modules():
            if hasattr(block, "branch"):
                torch.nn.init.normal_(block.branch[-1].weight, 0.0, 0.1)
                torch.nn.init.normal_(block.branch[0].bias, 0.0, 0.1)
        return gan

    monkeypatch.setattr(author_run, "ours", ours)
    monkeypatch.setattr(author_run, "STYLED", {name: peer for name, peer in STYLED.items()})


def gradients(loss: Tensor, network: torch.nn.Module) -> Tensor:
    found = torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)
    return torch.cat([g.flatten() for g in found if g is not None])


def assert_near(a: Tensor, b: Tensor) -> None:
    """Two gradients as vectors: rounding in one small number is no difference."""
    assert a.shape == b.shape and float((a - b).norm()) < 1e-4 * float(a.norm())


@pytest.mark.parametrize("name", ["stylegan2-32", "stylegan2-64"])
def test_stylegan2_is_ours_in_other_steps(name: str, small: None) -> None:
    run, x = StyledRun(name), torch.randn(4, *STYLED[name].shape)
    gan = run.gan.requires_grad_(True)
    z = torch.randn(4, 8)
    ws = gan.G.ws(z)
    torch.testing.assert_close(author_operations.mapped(gan.G, z), ws, atol=1e-5, rtol=1e-5)
    own, theirs = gan.G.synthesis(ws, "const"), author_operations.synthesised(gan.G, ws, "const")
    torch.testing.assert_close(theirs, own, atol=2e-5, rtol=1e-4)
    torch.testing.assert_close(author_operations.judged(gan.D, x), gan.D(x), atol=1e-5, rtol=1e-4)
    a, b = (gradients(f(ws).square().mean(), gan.G.synthesis) for f in (
        lambda ws: gan.G.synthesis(ws, "const"), lambda ws: author_operations.synthesised(gan.G, ws, "const")))  # fmt: skip
    assert_near(a, b)
    r1 = gan.cfg.gamma * penalties.r1(lambda x: gan.D(x), x)
    theirs_r1 = gan.cfg.gamma / 2 * author_operations.slope(lambda x: author_operations.judged(gan.D, x), x).mean()
    torch.testing.assert_close(r1, theirs_r1, atol=1e-6, rtol=1e-4)
    assert_near(gradients(r1, gan.D), gradients(theirs_r1, gan.D))


def test_path_lengths_are_ours(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    run = StyledRun("stylegan2-32")
    gan, ws = run.gan, run.gan.G.ws(torch.randn(2, 8)).detach().requires_grad_(True)
    y = torch.randn(2, 3, 32, 32)
    monkeypatch.setattr(run, "_fakes", lambda n: (author_operations.synthesised(gan.G, ws, "const"), ws))
    monkeypatch.setattr(torch, "randn_like", lambda x: y)
    found = run.path_lengths(2)
    (slopes,) = torch.autograd.grad((gan.G.synthesis(ws, "const") * y / 32).sum(), ws)
    lengths = slopes.flatten(1).norm(dim=1) / ws.shape[1] ** 0.5
    mean = 0.01 * lengths.mean()
    torch.testing.assert_close(found, (lengths - mean).square().mean(), atol=1e-6, rtol=1e-3)
    torch.testing.assert_close(gan.pl_mean, mean, atol=1e-6, rtol=1e-3)


@pytest.mark.parametrize("name", ["r3gan-32", "r3gan-64"])
def test_r3gan_is_ours_in_other_steps(name: str, small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    run, x = StyledRun(name), torch.randn(4, *STYLED[name].shape)
    gan, z = run.gan, torch.randn(4, 8)
    gan.requires_grad_(True)
    gan.kimg = 0.0
    torch.testing.assert_close(run.generated(z), gan.G(z), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(run._critic(x), gan.D(x), atol=1e-5, rtol=1e-4)
    monkeypatch.setattr(gan, "z", lambda n: z)
    terms = gan.d_loss(Batch(x))
    own = torch.stack([t for t in terms.values() if t.requires_grad]).sum()
    torch.testing.assert_close(run.r3gan_d(x, z), own, atol=1e-5, rtol=1e-4)
    assert_near(gradients(run.r3gan_d(x, z), gan.D), gradients(own, gan.D))


@pytest.mark.parametrize("name", ["stylegan2-32", "r3gan-32"])
def test_a_step_updates_both_and_the_average(name: str, small: None) -> None:
    run = StyledRun(name)
    nets = {net: [p.detach().clone() for p in getattr(run.gan, net).parameters()] for net in ("G", "D")}
    for _ in range(2):
        losses = run.step()
    assert all(abs(loss) < 1e3 for loss in losses)
    for net, before in nets.items():
        moved = [not torch.equal(a, b) for a, b in zip(before, getattr(run.gan, net).parameters(), strict=True)]
        assert sum(moved) > 0.8 * len(moved), net
    assert any(not torch.equal(a, b) for a, b in zip(run.averaged, nets["G"], strict=True))
    assert run.sample().shape == (64, *STYLED[name].shape)


def test_measured_in_turns_by_name(small: None, monkeypatch: pytest.MonkeyPatch) -> None:
    assert contenders.NAMES[-4:] == ("stylegan2-32", "stylegan2-64", "r3gan-32", "r3gan-64")
    with pytest.raises(BadInput, match='did you mean "stylegan2-32"'):
        benchmark.measure([], ["stylegan2-3"], benchmark.Options())
    assert contenders.cycle("stylegan2-32") == [1, 16, 1, 4] and contenders.cycle("gan") == [1]
    trained = benchmark.trainer_of(contenders.ours("stylegan2-32"), Ready((3, 32, 32), 4, "cpu"), "cpu", "float32")
    trained.train_step()
    assert trained.nimg == 4
    assert "reference operations" in " ".join(table._HEADS["peer"].split())
