"""Faults of the optimisers: learning rates, clips, decay, momenta, schedules."""

import dataclasses
from collections.abc import Callable
from typing import Any

from ganloom.bench.doctor.fault import Fault, Kind
from ganloom.gan import SGD


def _optimisers(nets: str, **fields: Any) -> Callable[[Any], dict[str, Any]]:
    """Return settings that change fields of the optimisers of ``nets`` ("d", "g" or "dg")."""
    return lambda cfg: {f"{net}_opt": dataclasses.replace(getattr(cfg, f"{net}_opt"), **fields) for net in nets}


def _rates(nets: str, factor: float) -> Callable[[Any], dict[str, Any]]:
    def settings(cfg: Any) -> dict[str, Any]:
        opts = {net: getattr(cfg, f"{net}_opt") for net in nets}
        return {f"{net}_opt": dataclasses.replace(opt, lr=factor * opt.lr) for net, opt in opts.items()}

    return settings


def _plain(kind: Kind, seed: int) -> dict[str, Any]:
    phases = kind.phases
    return {"phases": lambda self: [dataclasses.replace(p, opt=SGD(1e-4)) for p in phases(self)]}


def _fault(name: str, what: str, named: tuple[str, ...], settings: Any) -> Fault:
    return Fault(name, what, named, settings, family="optimisers", heals=True)


D, G, BOTH, CLIP = "D learning rate", "G learning rate", "learning rates", "gradient clip"
OFF_D, OFF_G = "D not updated", "G not updated"
FAULTS: tuple[Fault, ...] = (
    _fault("D lr 0", "D's learning rate is 0", (D, OFF_D), _optimisers("d", lr=0.0)),
    _fault("G lr 0", "G's learning rate is 0", (G, OFF_G), _optimisers("g", lr=0.0)),
    _fault("D lr /1000", "D's learning rate is a thousandth", (D,), _rates("d", 1e-3)),
    _fault("G lr /1000", "G's learning rate is a thousandth", (G,), _rates("g", 1e-3)),
    _fault("both lr /300", "both learning rates are 300 times too low", (BOTH, G, D), _rates("dg", 1 / 300)),
    _fault("both lr x30", "both learning rates are 30 times too high", (BOTH, G, D), _rates("dg", 30.0)),
    _fault("clips of 1e-7", "both gradients are clipped to 1e-7", (CLIP,), _optimisers("dg", clip=1e-7)),
    _fault("G clip of 1e-6", "G's gradient is clipped to 1e-6", (CLIP,), _optimisers("g", clip=1e-6)),
    _fault("weight decay 0.1", "both networks have a weight decay of 0.1", ("weight decay",),
           _optimisers("dg", weight_decay=0.1)),
    _fault("weight decay of D", "D has a weight decay of 1", ("weight decay",), _optimisers("d", weight_decay=1.0)),
    _fault("eps of 1", "Adam's eps is 1, so that steps are tiny", (BOTH, G, D, "optimiser eps"), _optimisers("dg", eps=1.0)),
    _fault("beta1 0.99", "Adam's momentum is 0.99", ("momentum",), _optimisers("dg", betas=(0.99, 0.999))),
    _fault("schedule ends early", "the learning rates fall to 0 within 2 kimg", (BOTH, G, D, OFF_D, OFF_G),
           _optimisers("dg", schedule=((0.0, 1.0), (2.0, 0.0)))),
    Fault("plain SGD", "SGD with a rate of 1e-4 instead of Adam", (BOTH, G, D), patch=_plain, family="optimisers"),
)  # fmt: skip
