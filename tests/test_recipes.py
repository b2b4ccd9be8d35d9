"""Every listed recipe keeps the conformance suite; so does a class of a user's own."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import ganloom
from ganloom import testing
from ganloom.core.errors import BadInput
from ganloom.gan import GAN, Adam, Phase
from ganloom.losses import LOSSES
from ganloom.training import optimizers


@pytest.mark.parametrize("check", list(testing.CHECKS))
@pytest.mark.parametrize("recipe", list(ganloom.RECIPES))
def test_recipe(recipe: str, check: str, tmp_path: Path) -> None:
    testing.CHECKS[check](recipe, tmp_path)


@pytest.mark.parametrize(("labels", "said", "classes"), [(True, {}, 3), (False, {}, 0), (True, {"n_classes": 0}, 0)])
def test_the_default_uses_labels_where_they_are(labels: bool, said: dict, classes: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 16, 16, 1), dtype=np.uint8)
    source = tmp_path / "data.npz"
    np.savez(source, images=images, **({"labels": np.arange(60) % 3} if labels else {}))
    run = ganloom.train("default", source, tmp_path / "run", total_kimg=0.2, width=8, **said)
    gan = ganloom.load(run.path)
    assert gan.cfg.n_classes == classes
    if classes:
        z = torch.randn(4, gan.cfg.z_dim)
        drawn = [gan.generate(c=c, z=z) for c in range(classes)]
        assert not torch.equal(drawn[0], drawn[1])
        mixed = torch.tensor([[0.5, 0.5, 0.0]]).expand(4, -1)
        assert torch.isfinite(gan.generate(c=mixed, z=z)).all()
    else:
        with pytest.raises(BadInput, match="without labels"):
            gan.generate(2, c=1)


def test_each_class_has_its_own_logit() -> None:
    gan = testing.build("default")
    x, c = torch.randn(6, 1, 16, 16), torch.tensor([0, 1, 2, 0, 1, 2])
    picked = gan.D(x, c)
    every = torch.stack([gan.D(x, torch.full((6,), k)) for k in range(3)], 1)
    assert torch.allclose(picked, every[torch.arange(6), c], atol=1e-6)
    assert (every[:, 0] != every[:, 1]).all()


@pytest.mark.parametrize("recipe", ["default", "gan", "wgan-gp", "dragan"])
def test_gradients_lie_as_their_weights_do(recipe: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fused Adam on a CPU reads a gradient in the weight's own order of memory, whatever its strides say."""
    step, seen = optimizers.step, 0

    def looking(optimizer: torch.optim.Optimizer, refuse: torch.Tensor | None) -> None:
        nonlocal seen
        for p in (p for group in optimizer.param_groups for p in group["params"]):
            axes = [i for i in range(p.dim()) if p.shape[i] > 1]
            assert p.grad is None or [p.stride(i) for i in axes] == [p.grad.stride(i) for i in axes]
            seen += p.grad is not None
        step(optimizer, refuse)

    monkeypatch.setattr(optimizers, "step", looking)
    run = testing.trainer(recipe)
    for _ in range(2):
        run.train_step()
    assert seen > 8


@dataclass(frozen=True)
class OwnConfig:
    shape: tuple[int, ...]
    z_dim: int = 4
    batch_size: int = 8
    g_opt: Adam = Adam(1e-3)
    d_opt: Adam = Adam(1e-3)


class Own(GAN):
    """What a user writes: no registration, plain layers."""

    def __init__(self, cfg: OwnConfig) -> None:
        super().__init__()
        self.cfg = cfg
        n = int(torch.tensor(cfg.shape).prod())
        self.G = nn.Sequential(
            nn.Linear(cfg.z_dim, 16), nn.ReLU(), nn.Linear(16, n), nn.Tanh(), nn.Unflatten(1, cfg.shape)
        )
        self.D = nn.Sequential(nn.Flatten(), nn.Linear(n, 16), nn.LeakyReLU(0.2), nn.Linear(16, 1))

    def phases(self):
        return [Phase("D", self.d_loss, repeat=2), Phase("G", self.g_loss)]

    def d_loss(self, batch):
        fake = self.G(self.z(len(batch.x))).detach()
        return {"adv": LOSSES["hinge"].d(self.D(batch.x), self.D(fake))}

    def g_loss(self, batch):
        return {"adv": LOSSES["hinge"].g(None, self.D(self.G(self.z(len(batch.x)))))}


def test_own_class(tmp_path: Path) -> None:
    testing.check_recipe(lambda shape, classes: Own(OwnConfig(shape)), tmp_path)


class Leaky(Own):
    """Draws noise from Python's own generator: a resumed run would see other numbers."""

    def g_loss(self, batch):
        import random

        return {"adv": self.D(self.G(self.z(len(batch.x)))).mean() * random.random()}


def test_unkeyed_randomness_fails_resume(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="differs"):
        testing.check_resume(lambda shape, classes: Leaky(OwnConfig(shape)), tmp_path)


class Thief(Own):
    """Changes D in G's phase."""

    def after_update(self, phase):
        if phase.net == "G":
            next(self.D.parameters()).add_(1.0)


def test_touching_another_network_fails_phases(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match='phase "G" changed D'):
        testing.check_phases(lambda shape, classes: Thief(OwnConfig(shape)), tmp_path)


class Unsplit(Own):
    """A loss of the batch's own spread, declared as splitting by one sample."""

    def g_loss(self, batch):
        return {"spread": self.D(self.G(self.z(len(batch.x)))).std()}


def test_wrong_split_is_found(tmp_path: Path) -> None:
    with pytest.raises(AssertionError, match="micro-batches"):
        testing.check_splits(lambda shape, classes: Unsplit(OwnConfig(shape)), tmp_path)
