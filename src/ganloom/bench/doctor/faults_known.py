"""The twelve faults with which the first thresholds were set. They are strong, and all of them are in the tuning half."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom import losses
from ganloom.bench.doctor.fault import Fault, Kind
from ganloom.core.randomness import Rng
from ganloom.gan import GAN
from ganloom.recipes.base.adversarial import Adversarial
from ganloom.scoring import Generated


def _frozen(kind: Kind, seed: int) -> dict[str, Any]:
    draw = kind.z

    def z(self: GAN, n: int) -> Tensor:
        shape = draw(self, 1).shape[1:]
        one = torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed)).to(self.device)
        return one.expand(n, *shape).clone()

    return {"z": z}


def _silent(kind: Kind, seed: int) -> dict[str, Any]:
    draw = kind.z
    return {"z": lambda self, n: torch.zeros_like(draw(self, n))}


def _dropped(kind: Kind, seed: int) -> dict[str, Any]:
    """Replace the rows of one class by other rows of the batch."""
    draw = kind.draw

    def without(self: GAN, data: Any, rng: Any) -> Any:
        batch: Any = draw(self, data, rng)
        keep = torch.nonzero(batch.c != seed % data.n_classes).flatten()
        rows = keep[torch.arange(len(batch.x), device=keep.device) % len(keep)]
        return type(batch)(*(None if v is None else v[rows] for v in batch))

    return {"draw": without}


def _scaled(kind: Kind, seed: int) -> dict[str, Any]:
    draw = kind.draw
    ways: list[Callable[[Tensor], Tensor]] = [lambda x: (x + 1) / 2, lambda x: 127.5 * (x + 1), lambda x: 0.1 * x]

    def scaled(self: GAN, data: Any, rng: Any) -> Any:
        batch: Any = draw(self, data, rng)
        return batch._replace(x=ways[seed % 3](batch.x))

    return {"draw": scaled}


def _shuffled(kind: Kind, seed: int) -> dict[str, Any]:
    draw = kind.draw

    def shuffled(self: GAN, data: Any, rng: Any) -> Any:
        batch: Any = draw(self, data, rng)
        return batch._replace(c=batch.c[torch.randperm(len(batch.c), generator=rng)])

    return {"draw": shuffled}


def _stuck(kind: Kind, seed: int) -> dict[str, Any]:
    draw = kind.draw
    return {"draw": lambda self, data, rng: draw(self, data, Rng(seed, 0, 0))}


def _perfect(kind: Kind, seed: int) -> dict[str, Any]:
    """G's loss saturates, D has no penalty, and real and fake images differ in a row of pixels that G cannot change.

    Their supports are disjoint, so that a perfect D exists (Arjovsky & Bottou 2017, arXiv:1701.04862, theorem 2.1).
    """
    phases, draw, sample = kind.phases, kind.draw, kind.sample

    def marked(x: Tensor, value: float) -> Tensor:
        x = x.clone()
        x[..., 0, :] = value
        return x

    def fakes(self: Any, n: int, batch: Any) -> tuple[Generated, Tensor | None]:
        fake, c = Adversarial.fakes(self, n, batch)
        return dataclasses.replace(fake, x=marked(fake.x, -1.0)), c

    def marked_batch(self: GAN, data: Any, rng: Any) -> Any:
        batch: Any = draw(self, data, rng)
        return batch._replace(x=marked(batch.x, 1.0))

    return {
        "loss": losses.minimax,
        "d_loss": Adversarial.d_loss,
        "phases": lambda self: [p for p in phases(self) if p.lazy == 1],
        "fakes": fakes,
        "draw": marked_batch,
        "sample": lambda self, z, c=None: marked(sample(self, z, c), -1.0),
    }


def _times(factor: float, *nets: str) -> Callable[[Any], dict[str, Any]]:
    def settings(cfg: Any) -> dict[str, Any]:
        opts = {net: getattr(cfg, f"{net}_opt") for net in nets}
        return {f"{net}_opt": dataclasses.replace(opt, lr=opt.lr * factor) for net, opt in opts.items()}

    return settings


def _penalty(cfg: Any) -> str:
    return next((name for name in ("gamma", "gp_weight") if hasattr(cfg, name)), "")


FEW = 300
FAULTS: tuple[Fault, ...] = (
    Fault("frozen latent", "z() draws one latent for all samples", ("mode collapse", "z ignored"), patch=_frozen),
    Fault("class dropped", "batches never contain one of the classes", ("class missing",), patch=_dropped),
    Fault("D lr x30", "D's learning rate is 30 times the recipe's", ("D learning rate",), _times(30, "d"), heals=True),
    Fault("G lr x30", "G's learning rate is 30 times the recipe's", ("G learning rate",), _times(30, "g"), heals=True),
    Fault(
        "gamma 0",
        "the recipe's penalty on D's gradient is off",
        ("penalty off",),
        lambda cfg: {_penalty(cfg): 0.0},
        heals=True,
        fits=lambda cfg: bool(_penalty(cfg)),
    ),
    Fault(
        "perfect D",
        "a saturating loss, no penalty, and a row of pixels that shows which images are fake",
        ("vanishing gradients", "D too strong", "inputs differ", "images changed"),
        patch=_perfect,
    ),
    Fault("data scaled", "batches in [0, 1], [0, 255] or [-0.1, 0.1]", ("data range",), patch=_scaled),
    Fault("labels shuffled", "the labels of each batch in random order", ("labels shuffled",), patch=_shuffled),
    Fault(
        "few images",
        f"{FEW} images, no augmentation",
        ("few images", "D memorises"),
        data=lambda data, seed: data.split(FEW, seed)[0],
        heals=True,
    ),
    Fault(
        "NaN",
        "both learning rates are 100,000 times the recipe's",
        ("diverged", "learning rates"),
        _times(1e5, "d", "g"),
        heals=True,
    ),
    Fault("no noise", "z() draws zeros", ("z ignored", "mode collapse"), patch=_silent),
    Fault("repeated batch", "the same batch each time", ("repeated batch",), patch=_stuck),
)
