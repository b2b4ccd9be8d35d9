"""Heal a run: roll back to the last healthy checkpoint, and change the one setting that the doctor's finding names.

The change is written to config.json, so that ``resume`` needs only the run folder. Then the model is built again: a recipe by its
module, a user's model as Class(config).
"""

import copy
import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch

from ganloom.core import config
from ganloom.core.errors import BadInput
from ganloom.core.randomness import key
from ganloom.doctor import Finding
from ganloom.doctor.callback import FILE
from ganloom.doctor.queries import REFUSALS
from ganloom.gan import GAN
from ganloom.runs import checkpoint
from ganloom.runs.folder import Folder
from ganloom.runs.run_storage import HEALTHY
from ganloom.stabilisers.apply import parts_of
from ganloom.stabilisers.config import Stabilise

LOWER = 0.5
"""Factor on both learning rates if the finding's change was made before or does not fit the recipe."""
Build = Callable[[dict[str, Any]], Any]
"""Builds an untrained model from the content of config.json; raises BadInput if the settings do not fit together."""


def heal(folder: Folder, finding: Finding, build: Build) -> tuple[str, Any]:
    """Change the run's config and remove the checkpoints after the last healthy one.

    Args:
        folder: The run folder.
        finding: The finding to fix; its ``change`` names the settings.
        build: Builds the model from config.json.

    Returns:
        (what was done, in one line; the new model).

    Raises:
        BadInput: If no change fits the model.
    """
    before = folder.read("config.json")
    candidates: list[dict[str, Any]] = [dict(finding.change), _slower(before)]
    for change in candidates:
        described = copy.deepcopy(before)
        if not _apply(described, change):
            continue
        try:
            gan = build(described)
        except BadInput:  # a stabiliser that does not fit this recipe
            continue
        changes = ", ".join(f"{name} {_value(before, name)} -> {_value(described, name)}" for name in change)
        back_to = _go_back(folder.checkpoints)
        folder.write("config.json", described)
        doctor = folder.read(FILE)
        done = {"finding": finding.name, "change": {n: _plain(v) for n, v in change.items()}, "back_to": back_to}
        folder.write(FILE, doctor | {"heals": [*doctor.get("heals", []), done], "findings": [], "ended": None})
        return f"{finding.name}: went back to {back_to} and changed {changes}", gan
    missing = [name for name in finding.change if not _has(before, name)]
    why = "no setting of this recipe fixes it"
    if missing:
        why = f"the config of {before.get('recipe', 'this model')} has no field {', '.join(missing)}"
    raise BadInput(f"{folder.path} cannot heal from {finding.name}: {why}. {finding.advice}")


def own_class(gan: GAN, seed: int) -> Build:
    """Return the function that rebuilds a model of a user's class from config.json, without stabilisers.

    The function is tried once.

    Args:
        gan: The model.
        seed: Seed of the run.

    Returns:
        Function of the content of config.json that returns an untrained model.

    Raises:
        BadInput: If ``gan.cfg`` is not a dataclass, or Class(cfg) fails or gives a model with other weights.
    """
    kind = type(gan)
    if not dataclasses.is_dataclass(gan.cfg) or isinstance(gan.cfg, type):
        raise BadInput(
            f"--heal needs a dataclass of settings, but cfg of {kind.__name__} is not a dataclass. Make it one, or omit --heal"
        )
    settings = type(gan.cfg)

    def rebuild(described: dict[str, Any]) -> GAN:
        cfg = config.from_dict(settings, described["config"])
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(key(seed, "init"))
            model: GAN = kind(cfg)
        return model

    try:
        again = rebuild({"config": config.to_dict(gan.cfg)})
    except (*REFUSALS, NameError) as error:
        why = " ".join(str(error).split())[:200]
        raise BadInput(
            f"--heal must rebuild the model as {kind.__name__}(cfg), which fails ({why}). Omit --heal"
        ) from error
    if not parts_of(gan).on() and _shapes(again) != _shapes(gan):
        raise BadInput(f"--heal must rebuild the model, but {kind.__name__}(cfg) has other weights. Omit --heal")
    return rebuild


def _shapes(gan: GAN) -> dict[str, tuple[int, ...]]:
    return {name: tuple(value.shape) for name, value in gan.state_dict().items()}


def _slower(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return the change that lowers both learning rates."""
    opts = [name for name in ("d_opt", "g_opt") if _has(described, f"{name}.lr")]
    return {f"{name}.lr": LOWER * described["config"][name]["lr"] for name in opts}


def _apply(described: dict[str, Any], change: Mapping[str, Any]) -> bool:
    """Apply a change to config.json; return False if a field is missing or all values are set already."""
    if not change or not all(_has(described, name) for name in change):
        return False
    if all(_value(described, name) == _plain(value) for name, value in change.items()):
        return False
    for name, value in change.items():
        table, key = _place(described, name)
        table[key] = _plain(value)
    return True


def _go_back(checkpoints: Path) -> str:
    """Remove all checkpoints after the last healthy one; return its name."""
    known = checkpoint.names(checkpoints)
    name = checkpoint.pointer(checkpoints, HEALTHY) or known[0]
    checkpoint.replace_file(checkpoints / "latest", name.encode())
    if checkpoint.pointer(checkpoints, "best") in known[known.index(name) + 1 :]:
        (checkpoints / "best").unlink()
    checkpoint.drop_after(checkpoints, name)
    return name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _has(described: Mapping[str, Any], name: str) -> bool:
    """Return whether a setting exists, in the config or as a stabiliser."""
    first, _, rest = name.partition(".")
    if rest:
        table = described["config"].get(first)
        return isinstance(table, dict) and rest in table
    return first in described["config"] or first in {field.name for field in dataclasses.fields(Stabilise)}


def _place(described: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """Return the dict of config.json that holds a setting, and its key."""
    first, _, rest = name.partition(".")
    if rest:
        return described["config"][first], rest
    if first in described["config"]:
        return described["config"], first
    return described.setdefault("stabilise", {}), first


def _value(described: Mapping[str, Any], name: str) -> Any:
    """Return the value of a setting in config.json, None if it is not set."""
    first, _, rest = name.partition(".")
    config = described["config"]
    if rest:
        return config[first].get(rest)
    return config[first] if first in config else described.get("stabilise", {}).get(first)
