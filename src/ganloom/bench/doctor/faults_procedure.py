"""Faults of the procedure: what is updated when, the EMA, latents, and what D is shown."""

import copy
import dataclasses
from typing import Any

import torch
from torch import Tensor

from ganloom.bench.doctor.fault import Fault, Kind, Patch
from ganloom.bench.doctor.faults_data import drawn
from ganloom.gan import GAN, Phase, Terms
from ganloom.scoring import Generated


def _phases(net: str, **fields: Any) -> Patch:
    """Return a patch of phases() that changes fields of the phases of one network (``repeat``: not of lazy ones)."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        phases = kind.phases

        def changed(self: GAN) -> list[Phase]:
            return [
                dataclasses.replace(p, **fields) if p.net == net and (p.lazy == 1 or "repeat" not in fields) else p
                for p in phases(self)
            ]

        return {"phases": changed}

    return patch


def _seen(net: str) -> Patch:
    """Return a patch after which D sees noise on reals or on fakes only."""

    def patch(kind: Kind, seed: int) -> dict[str, Any]:
        scores: Any = kind.scores  # type: ignore[attr-defined]

        def noisy(self: Any, x: Any, c: Tensor | None) -> Any:
            if isinstance(x, Generated) != (net == "fake"):
                return scores(self, x, c)
            noise = 0.7 * torch.randn_like(x.x if isinstance(x, Generated) else x)
            return scores(self, dataclasses.replace(x, x=x.x + noise) if isinstance(x, Generated) else x + noise, c)

        return {"scores": noisy}

    return patch


def _flat_augmentation(x: Tensor, rng: Any) -> Tensor:
    """Cut a random quarter out of each image and shift its brightness, on reals only."""
    x = x.clone()
    h, w = x.shape[2] // 2, x.shape[3] // 2
    for i, (top, left) in enumerate(torch.randint(0, h + 1, (len(x), 2), generator=rng).tolist()):
        x[i, :, top : top + h, left : left + w] = 0.0
    return (x + 0.4 * (torch.rand(len(x), 1, 1, 1, generator=rng) - 0.5)).clamp(-1, 1)


def _same_latents(kind: Kind, seed: int) -> dict[str, Any]:
    """Training draws the same 16 latents in each step; samples get fresh ones."""
    fakes: Any = kind.fakes  # type: ignore[attr-defined]
    draw = kind.z

    def few(self: Any, n: int, batch: Any) -> Any:
        generator = torch.Generator().manual_seed(seed)
        some = torch.randn(16, *draw(self, 1).shape[1:], generator=generator)

        def z(count: int) -> Tensor:
            return some[torch.arange(count) % len(some)]

        object.__setattr__(self, "z", z)
        try:
            return fakes(self, n, batch)
        finally:
            object.__delattr__(self, "z")

    return {"fakes": few}


def _old_fakes(kind: Kind, seed: int) -> dict[str, Any]:
    """D is trained on fakes of G as it was before the first step."""
    init: Any = kind.__init__
    d_loss: Any = kind.d_loss  # type: ignore[attr-defined]

    def constructor(self: Any, cfg: Any) -> None:
        init(self, cfg)
        object.__setattr__(self, "first_g", copy.deepcopy(self.G))

    def old(self: Any, batch: Any) -> Terms:
        present = self._modules["G"]
        self._modules["G"] = self.first_g.to(self.device)
        try:
            terms: Terms = d_loss(self, batch)
        finally:
            self._modules["G"] = present
        return terms

    return {"__init__": constructor, "d_loss": old}


def _forgetful(kind: Kind, seed: int) -> dict[str, Any]:
    """D's weights are drawn again every 20 updates."""
    after = kind.after_update

    def again(self: Any, phase: Phase) -> None:
        after(self, phase)
        count = self.__dict__.get("updates_of_d", 0) + (phase.net == "D")
        object.__setattr__(self, "updates_of_d", count)
        if phase.net == "D" and count % 20 == 0:
            for module in self.D.modules():
                if hasattr(module, "reset_parameters"):
                    module.reset_parameters()

    return {"after_update": again}


def _fault(name: str, what: str, named: tuple[str, ...], **more: Any) -> Fault:
    return Fault(name, what, named, family="procedure", **more)


SEEN, UPDATES, OFF_D, OFF_G = "inputs differ", "update ratio", "D not updated", "G not updated"
FAULTS: tuple[Fault, ...] = (
    _fault("D stops", "D is trained for 4 kimg only", (OFF_D,), patch=_phases("D", kimg=(0.0, 4.0))),
    _fault("G stops", "G is trained for 2 kimg only", (OFF_G,), patch=_phases("G", kimg=(0.0, 2.0))),
    _fault("G never trained", "there is no phase of G", (OFF_G,),
           patch=lambda kind, seed: {"phases": lambda self, phases=kind.phases: [p for p in phases(self) if p.net == "D"]}),
    _fault("30 steps of D", "D takes 30 steps per step of G", (UPDATES,), patch=_phases("D", repeat=30)),
    _fault("12 steps of G", "G takes 12 steps per step of D", (UPDATES,), patch=_phases("G", repeat=12)),
    _fault("EMA of 1e5 kimg", "the EMA hardly moves", ("EMA lags",),
           patch=lambda kind, seed: {"average_kimg": lambda self: 1e5}),
    _fault("reals augmented", "only reals are augmented", ("images changed", SEEN), patch=drawn(_flat_augmentation)),
    _fault("noise on reals", "D sees noise on reals only", (SEEN,), patch=_seen("real")),
    _fault("noise on fakes", "D sees noise on fakes only", (SEEN,), patch=_seen("fake")),
    _fault("16 latents", "training uses the same 16 latents", ("latents repeated", "mode collapse"), patch=_same_latents),
    _fault("old fakes", "D is trained on fakes of the untrained G", (SEEN, "fakes differ"), patch=_old_fakes),
    _fault("D forgets", "D's weights are drawn again every 20 updates", ("D weights jump", "D too weak"), patch=_forgetful),
)  # fmt: skip
