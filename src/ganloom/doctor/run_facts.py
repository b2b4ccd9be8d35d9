"""Facts of a run before its first step: learning rates, sizes of weights, updates per step, the penalty and its usual weight."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch

from ganloom.core.config import replace
from ganloom.core.errors import BadInput
from ganloom.doctor import Facts
from ganloom.doctor import statistics as st
from ganloom.doctor.queries import REFUSALS
from ganloom.gan import net_names
from ganloom.recipes.presets import plan
from ganloom.stabilisers.apply import parts_of
from ganloom.training import optimizers

PENALTIES = ("gamma", "gp_weight")
"""Config fields that hold the weight of a penalty on D's gradient."""
Figures = dict[str, float]


def facts_of(trainer: Any, described: dict[str, Any], arguments: tuple[str, ...] = ()) -> Facts:
    """Collect the facts of a run.

    Args:
        trainer: The trainer, with its model and data.
        described: The run's config.json.
        arguments: Words of the command that started the run, after "ganloom train".

    Returns:
        The facts; ``sizes`` is left to the caller.
    """
    gan, data = trainer.gan, trainer.data
    cfg, parts = getattr(gan, "cfg", None), parts_of(gan)
    loss = getattr(gan, "loss", None)
    adversarial = hasattr(loss, "equilibrium")
    # "gamma" means something else in recipes whose loss is not one of ``losses`` (BEGAN).
    field = next((name for name in PENALTIES if hasattr(cfg, name) and (adversarial or name == "gp_weight")), "")
    penalty_now = _weight(gan, field) if field else None
    if parts.penalty != "none" and not penalty_now:  # a penalty of the stabilisers takes its place
        field, penalty_now = "", None
    recipe_augments = getattr(cfg, "policy", ()) or getattr(cfg, "augment", "none") != "none"
    augmented = bool(parts.diff_augment or parts.adaptive or data.flip or recipe_augments)
    return Facts(
        recipe=str(described.get("recipe", type(gan).__name__)),
        data=str(described.get("data", {}).get("name", data.name)),
        total_kimg=trainer.cfg.total_kimg,
        size=len(data),
        classes=int(data.n_classes),
        conditional=bool(getattr(cfg, "n_classes", 0)),
        augmented=augmented,
        bounded=data.kind == "images",
        rates=usual_rates(gan, plan(str(described["recipe"])).options if described.get("small") else {}),
        lr=rates(trainer),
        updates=updates(trainer.phases),
        optimisers=settings(trainer),
        penalty=field,
        penalty_now=penalty_now,
        penalty_usual=_usual_weight(gan, field) if field else None,
        arguments=arguments,
        own_class="" if "recipe" not in described or described.get("defaults") else type(gan).__name__,
        signed=adversarial and bool(getattr(loss, "signed", False)),
        equilibrium=tuple(loss.equilibrium) if adversarial else None,  # type: ignore[union-attr]
    )


def _weight(gan: Any, field: str) -> float | None:
    value = getattr(gan.cfg, field)
    value = getattr(gan, field, None) if value is None else value
    return None if value is None else float(value)


def _usual_weight(gan: Any, field: str) -> float | None:
    """Return the penalty weight of the recipe's defaults. If it depends on the shape, read it from a model on the meta device."""
    usual = next((f.default for f in dataclasses.fields(gan.cfg) if f.name == field), None)
    if usual is None:
        try:
            with torch.device("meta"), torch.random.fork_rng(devices=[]):
                usual = getattr(type(gan)(replace(gan.cfg, {field: None})), field, None)
        except REFUSALS:  # not constructed from its config alone, or not on the meta device
            return None
    return None if usual is None or usual is dataclasses.MISSING else float(usual)


def sizes(gan: Any, trained: set[str]) -> Figures:
    """Return the root mean square of each trained network's weight matrices."""
    rms_by_net = {}
    for net in sorted(trained):
        matrices = [p.detach() for p in optimizers.find(gan, net).parameters() if p.dim() > 1]
        if matrices:
            rms_by_net[net] = st.rms(matrices)
    return rms_by_net


def updates(phases: list[Any]) -> dict[str, int]:
    """Return each network's updates per step, from its first phase that runs every step."""
    counts: dict[str, int] = {}
    for phase in phases:
        if phase.lazy == 1:
            counts.setdefault(phase.net.split()[0].split(".")[0], phase.repeat)
    return counts


def rates(trainer: Any) -> Figures:
    """Return each network's learning rate without schedules."""
    rates_by_net: Figures = {}
    for (net, _, _), optimizer in trainer.optimizers.items():
        letter = net.split()[0].split(".")[0]
        rates_by_net[letter] = max(
            rates_by_net.get(letter, 0.0), *(float(group["base_lr"]) for group in optimizer.param_groups)
        )
    return rates_by_net


def usual_rates(gan: Any, small: Mapping[str, Any]) -> Figures:
    """Return the recipe's own learning rates by network; empty if its config has no defaults.

    Args:
        gan: The model.
        small: The settings of the recipe's small plan if the run uses it, which may have other rates; else empty.
    """
    try:
        defaults = type(gan.cfg)()
    except (AttributeError, TypeError, BadInput):
        return {}
    rates_by_net = {}
    for letter in ("G", "D"):
        field = f"{letter.lower()}_opt"
        rate = small.get(f"{field}.lr", getattr(getattr(defaults, field, None), "lr", 0))
        if rate > 0:
            rates_by_net[letter] = float(rate)
    return rates_by_net


def nets_trained(trainer: Any) -> set[str]:
    """Return the names of the networks that some phase trains."""
    return {name.split(".")[0] for phase in trainer.phases for name in net_names(phase)}


def settings(trainer: Any) -> dict[str, dict[str, float]]:
    """Return the optimizers' settings by network: clip, weight_decay, beta1 and norm of the weights' decay."""
    found: dict[str, dict[str, float]] = {}
    for phase in trainer.phases:
        net = phase.net.split()[0].split(".")[0]
        if phase.lazy > 1 or net in found:
            continue
        opt = optimizers.resolve(trainer.gan, phase)
        values = {"weight_decay": float(opt.weight_decay), "lr": float(opt.lr)}
        if opt.clip is not None:
            values["clip"] = float(opt.clip)
        betas = getattr(opt, "betas", None)
        if betas is not None:
            values["beta1"] = float(betas[0])
        if getattr(opt, "eps", None) is not None:
            values["eps"] = float(opt.eps)  # type: ignore[union-attr]
        found[net] = values
    stabilisers = parts_of(trainer.gan)
    if stabilisers.label_smoothing:
        found["loss"] = {"label_smoothing": float(stabilisers.label_smoothing)}
    if stabilisers.instance_noise:
        found["input"] = {
            "instance_noise": float(stabilisers.instance_noise),
            "noise_kimg": float(stabilisers.noise_kimg),
        }
    return found
