"""Faults of the losses: wrong signs, missing or dominating terms."""

import dataclasses
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ganloom.bench.doctor.fault import Fault, Kind, Patch
from ganloom.gan import Terms
from ganloom.losses import Loss, minimax
from ganloom.recipes.base.adversarial import Adversarial
from ganloom.scoring import Scores


def _terms(side: str, change: Callable[[Any, Any, Terms], Terms]) -> Patch:
    """Return a patch of "d_loss" or "g_loss": ``change(model, batch, terms)`` returns the new terms."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        loss: Any = getattr(kind, side)
        return {side: lambda self, batch: change(self, batch, loss(self, batch))}

    return patch


def _times(factor: float) -> Callable[[Any, Any, Terms], Terms]:
    return lambda gan, batch, terms: terms | {"adv": factor * terms["adv"]}


def _d_formula(formula: Callable[[Loss, Tensor, Tensor], Tensor]) -> Patch:
    """Return a patch of D's adversarial formula: ``formula(loss, real logits, fake logits)``."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        adversarial = kind.d_adversarial

        def changed(self: Any, loss: Loss, real: Scores, fake: Scores, **more: Any) -> Terms:
            return adversarial(self, loss, real, fake, **more) | {"adv": formula(loss, real.flat, fake.flat)}

        return {"d_adversarial": changed}

    return patch


def _half(loss: Loss, logits: Tensor, real: bool) -> Tensor:
    """Return D's loss of one side only; the other side's part is a constant without a gradient."""
    return loss.d(logits, logits.detach()) if real else loss.d(logits.detach(), logits)


def _detached(kind: Kind, seed: int) -> dict[str, Any]:
    """G's step detaches the fakes. A term without effect keeps the loss differentiable."""
    fakes: Any = Adversarial.fakes
    g_loss: Any = kind.g_loss  # type: ignore[attr-defined]

    def cut(self: Any, batch: Any) -> Terms:
        with torch.no_grad():
            terms: Terms = g_loss(self, batch)
        anchor = sum(p.sum() for p in self.G.parameters())
        return terms | {"adv": terms["adv"] + 0.0 * anchor}

    return {"g_loss": cut, "fakes": fakes}


def _pixels(gan: Any, batch: Any, terms: Terms) -> Terms:
    """Add a pixel loss that outweighs D."""
    fake, _ = gan.fakes(len(batch.x), batch)
    return terms | {"pixels": 100.0 * (fake.x - batch.x).square().mean()}


def _wrong_penalty(kind: Kind, seed: int) -> dict[str, Any]:
    phases = kind.phases

    def negative(loss: Callable[[Any], Terms]) -> Callable[[Any], Terms]:
        return lambda batch: {name: -v if name in ("gp", "r1") else v for name, v in loss(batch).items()}

    return {"phases": lambda self: [dataclasses.replace(p, loss=negative(p.loss)) for p in phases(self)]}


def _penalty_times(factor: float) -> Callable[[Any], dict[str, Any]]:
    usual = {"gamma": 0.1, "gp_weight": 10.0}
    return lambda cfg: {name: factor * value for name, value in usual.items() if hasattr(cfg, name)}


def _fault(name: str, what: str, named: tuple[str, ...], **more: Any) -> Fault:
    return Fault(name, what, named, family="losses", **more)


SIGN, SCALE = "wrong sign", "loss scale"
FAULTS: tuple[Fault, ...] = (
    _fault("D's sign", "D's loss has the wrong sign", (SIGN,), patch=_terms("d_loss", _times(-1.0))),
    _fault("G's sign", "G's loss has the wrong sign", (SIGN,), patch=_terms("g_loss", _times(-1.0))),
    _fault("reals and fakes swapped", "D is trained with swapped targets", (SIGN,),
           patch=_d_formula(lambda loss, real, fake: loss.d(fake, real))),
    _fault("reals taken for fakes", "D's loss calls reals fake too", (SIGN, "loss term missing"),
           patch=_d_formula(lambda loss, real, fake: _half(loss, fake, False) + _half(loss, real, False))),
    _fault("D sees no fakes", "D's loss has no term of fakes", ("loss term missing",),
           patch=_d_formula(lambda loss, real, fake: _half(loss, real, True))),
    _fault("D sees no reals", "D's loss has no term of reals", ("loss term missing",),
           patch=_d_formula(lambda loss, real, fake: _half(loss, fake, False))),
    _fault("fakes detached", "G's step detaches the fakes", ("G not updated",), patch=_detached),
    _fault("pixel term", "a pixel loss outweighs D in G's loss", ("other term dominates",), patch=_terms("g_loss", _pixels)),
    _fault("logits held at 0", "a term on D's logits outweighs its loss", ("other term dominates", SCALE, "bounded logits"),
           patch=_d_formula(lambda loss, real, fake: loss.d(real, fake) + 1e3 * (real.square() + fake.square()).mean())),
    _fault("penalty x1e4", "the penalty is 10,000 times too strong", ("penalty too strong",), settings=_penalty_times(1e4),
           heals=True),
    _fault("negative penalty", "the penalty has the wrong sign", (SIGN, "penalty off"), patch=_wrong_penalty),
    _fault("smoothed to a half", "D's target for reals is 0.5", (SCALE, "label smoothing", "bounded logits"),
           settings=lambda cfg: {"label_smoothing": 0.49}, heals=True),
    _fault("minimax without a floor", "the saturating loss of G", ("vanishing gradients",),
           patch=lambda kind, seed: {"loss": minimax}),
)  # fmt: skip
