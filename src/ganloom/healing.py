"""A run that fell ill goes back to its last healthy checkpoint with one setting changed, a bounded number of times.

The change is written to the run's config.json, so that ``resume`` has it from the folder alone.
"""

import copy
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ganloom import checkpoint
from ganloom.doctor import Finding
from ganloom.errors import BadInput
from ganloom.folder import Folder
from ganloom.watching import FILE, HEALTHY

LOWER = 0.5
"""Both learning rates by this, where the finding's own change has been made already or does not fit the recipe."""
Build = Callable[[dict[str, Any]], Any]
"""From config.json to a fresh model; BadInput where its settings do not go together."""


def heal(folder: Folder, finding: Finding, build: Build) -> tuple[str, Any]:
    """Change the run's config, remove the checkpoints after the last healthy one; (what was done, the model made anew)."""
    before = folder.read("config.json")
    tried: list[dict[str, Any]] = [dict(finding.change), _slower(before)]
    for change in tried:
        described = copy.deepcopy(before)
        if not _apply(described, change):
            continue
        try:
            gan = build(described)
        except BadInput:  # a stabiliser that this recipe cannot carry
            continue
        said = ", ".join(f"{name} {_value(before, name)} -> {_value(described, name)}" for name in change)
        back = _go_back(folder.checkpoints)
        folder.write("config.json", described)
        doctor = folder.read(FILE)
        done = {"finding": finding.name, "change": {n: _plain(v) for n, v in change.items()}, "back_to": back}
        folder.write(FILE, doctor | {"heals": [*doctor.get("heals", []), done], "findings": [], "ended": None})
        return f"{finding.name}: back to {back}, {said}", gan
    raise BadInput(
        f"{folder.path} cannot heal from {finding.name}: no setting of this recipe mends it; {finding.advice}"
    )


def _slower(described: Mapping[str, Any]) -> dict[str, Any]:
    opts = [name for name in ("d_opt", "g_opt") if "lr" in (described["config"].get(name) or {})]
    return {f"{name}.lr": LOWER * described["config"][name]["lr"] for name in opts}


def _apply(described: dict[str, Any], change: Mapping[str, Any]) -> bool:
    """Write a change; False when it has no place there, or is there already."""
    if not change:
        return False
    for name in change:
        first, _, rest = name.partition(".")
        if rest and rest not in (described["config"].get(first) or {}):
            return False
    if all(_value(described, name) == _plain(value) for name, value in change.items()):
        return False
    for name, value in change.items():
        table, key = _place(described, name)
        table[key] = _plain(value)
    return True


def _go_back(checkpoints: Path) -> str:
    """Make the last healthy checkpoint the newest."""
    known = checkpoint.names(checkpoints)
    name = checkpoint.pointer(checkpoints, HEALTHY) or known[0]
    checkpoint.replace_file(checkpoints / "latest", name.encode())
    if checkpoint.pointer(checkpoints, "best") in known[known.index(name) + 1 :]:
        (checkpoints / "best").unlink()
    checkpoint.drop_after(checkpoints, name)
    return name


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def _place(described: dict[str, Any], name: str) -> tuple[dict[str, Any], str]:
    """The table of config.json that holds a setting, and its key there."""
    first, _, rest = name.partition(".")
    if rest:
        return described["config"][first], rest
    if first in described["config"]:
        return described["config"], first
    return described.setdefault("stabilise", {}), first


def _value(described: Mapping[str, Any], name: str) -> Any:
    first, _, rest = name.partition(".")
    config = described["config"]
    if rest:
        return config[first].get(rest)
    return config[first] if first in config else described.get("stabilise", {}).get(first)
