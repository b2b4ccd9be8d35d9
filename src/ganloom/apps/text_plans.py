"""Reduced settings with which each text recipe trains in minutes on a CPU: `ganloom text train RECIPE DATA --small`."""

from dataclasses import dataclass, fields, replace
from types import ModuleType
from typing import Any

from ganloom.recipes import presets

STAGES = ("pretrain_kimg", "d_pretrain_kimg", "mixed_kimg", "anneal_kimg")
"""Settings of a recipe that are durations of a part of the run."""
_LSTM: dict[str, Any] = {"embedding": 64, "hidden": 128}
_LIKELIHOOD: dict[str, Any] = {"lr": 5e-3, "schedule": ((100.0, 1.0), (200.0, 0.05))}
_CRITIC: dict[str, Any] = {
    "filters": ((2, 64), (3, 64), (4, 64), (5, 64)), "d_embedding": 32, "d_l2": 0.0, "d_opt.lr": 1e-3,
}  # fmt: skip


def _pretrained(**options: Any) -> dict[str, Any]:
    return {
        "pretrain_kimg": 200.0, **{f"pretrain_opt.{name}": value for name, value in _LIKELIHOOD.items()}, **options,
    }  # fmt: skip


SMALL: dict[str, dict[str, Any]] = {
    "mle": {**_LSTM, **{f"g_opt.{name}": value for name, value in _LIKELIHOOD.items()}, "total_kimg": 200.0},
    "seqgan": _pretrained(
        **_LSTM, **_CRITIC, **{"d_pretrain_kimg": 30.0, "d_updates": 5, "rollouts": 4, "baseline": True, "g_opt.lr": 1e-3},
        total_kimg=278.0,
    ),
    "maligan": _pretrained(
        **_LSTM, **_CRITIC, d_pretrain_kimg=30.0, d_updates=3, completions=4, mixed_kimg=40.0, total_kimg=278.0
    ),
    "relgan": _pretrained(
        embedding=64, head_size=64, d_embedding=64, views=8, filters=_CRITIC["filters"], beta_max=20.0, anneal_kimg=64.0,
        d_updates=2, total_kimg=264.0, **{"d_opt.lr": 3e-4},
    ),
    "residual-energy": _pretrained(**_LSTM, check_every=50, total_kimg=300.0),
}  # fmt: skip
"""Recipe -> settings. A dot selects a field of an optimizer."""


@dataclass(frozen=True)
class Settings:
    """The settings of a training.

    Attributes:
        config: The recipe's config.
        total_kimg: Length of the run, in thousands of texts.
    """

    config: Any
    total_kimg: float


def settings(
    name: str, module: ModuleType, own: dict[str, Any], *, small: bool = False, total_kimg: float | None = None
) -> Settings:
    """The settings of a recipe for texts.

    Args:
        name: The recipe.
        module: Its module.
        own: Fields of the config that are given, with those that come from the texts.
        small: Begin with the reduced settings instead of the paper's.
        total_kimg: Length of the run. The durations of its parts are stretched to it, unless they are given.

    Raises:
        BadInput: A setting is out of range.
    """
    options = dict(SMALL[name]) if small else {}
    length = float(options.pop("total_kimg", module.KIMG))
    chosen = presets.keywords(module, options) | own
    if total_kimg is not None:
        times = total_kimg / length
        config = module.Config(**chosen)
        names = {field.name for field in fields(config)}
        for stage in STAGES:
            if stage in names and stage not in own:
                chosen[stage] = getattr(config, stage) * times
        for opt in ("g_opt", "pretrain_opt"):
            knots = getattr(getattr(config, opt, None), "schedule", ())
            if knots and opt not in own:
                chosen[opt] = replace(
                    getattr(config, opt), schedule=tuple((at * times, factor) for at, factor in knots)
                )
        length = total_kimg
    return Settings(module.Config(**chosen), length)
